//! How urgent a mail is: receives the rules of the configuration and a mail, hands on the event's priority.

use nexus_plugin_api::{ConfigSchema, Priority};
use serde::Deserialize;

use crate::mail::{Importance, MailReceived};

/// A rule of the configuration. Every condition that it names must hold; in each list one entry is enough. The first
/// rule that fits decides; where none does, the sender's own importance does.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ConfigSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The priority of mail that fits.
    pub priority: Priority,
    /// Who has sent it: an address, or a domain and what is below it as `@example.org`. Case does not matter.
    #[serde(default)]
    pub senders: Vec<String>,
    /// What is in the subject. Case does not matter.
    #[serde(default)]
    pub subject_contains: Vec<String>,
    /// How important its sender says it is.
    #[serde(default)]
    pub importance: Vec<Importance>,
}

impl Rule {
    /// Whether it names no condition, and so fits everything.
    pub(crate) fn is_empty(&self) -> bool {
        self.senders.is_empty() && self.subject_contains.is_empty() && self.importance.is_empty()
    }

    fn fits(&self, mail: &MailReceived) -> bool {
        let subject = mail.subject.to_lowercase();
        let any = |list: &[String], holds: &dyn Fn(&str) -> bool| {
            list.is_empty() || list.iter().any(|entry| holds(&entry.to_lowercase()))
        };
        any(&self.senders, &|entry| is_from(entry, &mail.sender))
            && any(&self.subject_contains, &|text| subject.contains(text))
            && (self.importance.is_empty() || self.importance.contains(&mail.importance))
    }
}

/// The priority of a mail.
pub(crate) fn priority(rules: &[Rule], mail: &MailReceived) -> Priority {
    let decided = rules.iter().find(|rule| rule.fits(mail));
    decided.map_or_else(|| mail.importance.priority(), |rule| rule.priority)
}

fn is_from(entry: &str, sender: &str) -> bool {
    let sender = sender.to_lowercase();
    let Some(domain) = entry.strip_prefix('@') else {
        return sender == entry;
    };
    let of = sender.rsplit('@').next().unwrap_or_default();
    of == domain
        || of
            .strip_suffix(domain)
            .is_some_and(|below| below.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mail(sender: &str, subject: &str, importance: Importance) -> MailReceived {
        MailReceived {
            sender: sender.to_owned(),
            subject: subject.to_owned(),
            importance,
            ..crate::mail::tests::received()
        }
    }

    #[test]
    fn the_first_rule_that_fits_decides_and_else_the_sender() {
        let rules: Vec<Rule> = serde_json::from_str(
            r#"[{"priority": "low", "senders": ["news@example.org"]},
                {"priority": "critical", "senders": ["@Example.org"], "subject_contains": ["OUTAGE", "down"]},
                {"priority": "high", "importance": ["high"], "senders": ["@example.org", "eve@partner.example"]}]"#,
        )
        .unwrap();
        for (sender, subject, importance, priority) in [
            (
                "News@Example.org",
                "Outage",
                Importance::High,
                Priority::Low,
            ),
            (
                "ada@example.org",
                "An outage of X",
                Importance::Normal,
                Priority::Critical,
            ),
            (
                "ada@mail.example.org",
                "It is down",
                Importance::Low,
                Priority::Critical,
            ),
            (
                "ada@notexample.org",
                "It is down",
                Importance::Normal,
                Priority::Normal,
            ),
            (
                "eve@partner.example",
                "Hello",
                Importance::High,
                Priority::High,
            ),
            (
                "eve@partner.example",
                "Hello",
                Importance::Normal,
                Priority::Normal,
            ),
            (
                "bob@elsewhere.example",
                "Hello",
                Importance::High,
                Priority::High,
            ),
            (
                "bob@elsewhere.example",
                "Hello",
                Importance::Low,
                Priority::Low,
            ),
            ("", "Hello", Importance::Normal, Priority::Normal),
        ] {
            let mail = mail(sender, subject, importance);
            assert_eq!(
                super::priority(&rules, &mail),
                priority,
                "{sender}: {subject}"
            );
        }
    }
}
