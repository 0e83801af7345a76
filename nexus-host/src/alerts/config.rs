//! `[alerts]`: what counts as trouble, and who is told. It holds the settings only.

use std::collections::HashMap;

use nexus_plugin_api::alert::Severity;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::rule::{self, BUILT_IN};
use super::signal::{Side, Signal};
use crate::config::{HumanDuration, Section};
use crate::routes;

/// What counts as trouble, and who is told. docs/alerts.md tells more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Whether the hub watches itself. Default true.
    pub enabled: bool,
    /// How long to wait for more alerts of a rule before the first are told of, so that they are told of together;
    /// at most "1m". Default "1s".
    pub group_wait: HumanDuration,
    /// How long to wait before more alerts of a rule are told of that is told of already. Default "1m".
    pub group_interval: HumanDuration,
    /// Receivers that are told unless a rule says otherwise, by name. Default: those that no escalation names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receivers_by_default: Option<Vec<String>>,
    /// Rules beside the built-in ones, or in the place of those with the same name; 64 at most.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub rules: Vec<Rule>,
    /// Who is told, by which integration; 32 at most. Default nobody: alerts are events, log lines and
    /// `/v1/admin/alerts` then.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub receivers: Vec<Receiver>,
    /// What happens when nobody acknowledges an alert, level by level, 8 at most. Without a level, a warning becomes
    /// critical after 15 minutes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub escalation: Vec<Level>,
}

/// What counts as trouble: `above` or `below` a number, or, with neither, what is unusual.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["name"]))]
pub struct Rule {
    /// What it is called, 1 to 64 of a-z, 0-9, `-` and `_`. The name of a built-in rule changes that one: what is
    /// left out here stays as it is there.
    pub name: String,
    /// Whether it is used. Default true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// What it watches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signal: Option<Signal>,
    /// Which breakers or plugins, each exact or with `*` at its end, such as `http/*`. Default all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub subjects: Vec<String>,
    /// It is trouble above this number, in the signal's unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub above: Option<f64>,
    /// It is trouble below this number, in the signal's unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub below: Option<f64>,
    /// Trouble is over on the other side of this number. Default a fifth away from `above` or `below`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clear: Option<f64>,
    /// Without `above` and `below`: how many spreads from what is usual trouble begins, 3 to 100. Default 8.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 3, max = 100))]
    pub sensitivity: Option<f64>,
    /// Without `above` and `below`: it is no trouble on this side of the number, however unusual. Default as the
    /// built-in rule of the signal has it, else 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_least: Option<f64>,
    /// How long it must be so. Default "0s", "1s" where it is unusual.
    #[serde(rename = "for", skip_serializing_if = "Option::is_none")]
    pub lasting: Option<HumanDuration>,
    /// How long it must be over before the alert ends. Default "15s".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clear_for: Option<HumanDuration>,
    /// How bad it is. Default "warning".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
    /// Who is told, by name. Default `receivers_by_default`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receivers: Option<Vec<String>>,
}

/// Who is told: an integration and the request that it is handed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["name", "notify", "request"]))]
pub struct Receiver {
    /// What it is called in journeys and dead letters, behind `alerts/`. Unique; 1 to 64 of a-z, 0-9, `-` and `_`.
    pub name: String,
    /// The integration that is handed `request`: its name, or `plugin/name`.
    pub notify: String,
    /// Which of the systems behind the integration, where it serves several. Default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The request in the integration's own terms, with placeholders as in `[[routes]]`; `payload` is that of the
    /// alert's event.
    pub request: Value,
    /// The least severity that it is told of. Default "warning", which is all.
    pub severity: Severity,
}

/// What happens when nobody acknowledges an alert for a while.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["after"]))]
pub struct Level {
    /// How long after the alert was told of. More than 0; longer than the level before.
    pub after: HumanDuration,
    /// How bad it is from then on. Default "critical".
    pub severity: Severity,
    /// Who is told beside those that were told before, by name. Default nobody.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub receivers: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            enabled: true,
            group_wait: HumanDuration::from_secs(1),
            group_interval: HumanDuration::from_secs(60),
            receivers_by_default: None,
            rules: Vec::new(),
            receivers: Vec::new(),
            escalation: Vec::new(),
        }
    }
}

impl Default for Level {
    fn default() -> Self {
        Self {
            after: HumanDuration::from_secs(15 * 60),
            severity: Severity::Critical,
            receivers: Vec::new(),
        }
    }
}

impl Config {
    pub(crate) fn check(&self, section: &mut Section<'_, '_>) {
        if self.group_wait.get().as_secs() > 60 {
            section.refuse(
                "group_wait",
                "must be at most 1m",
                "nobody is told before it has passed",
            );
        }
        let known: Vec<&str> = self.receivers.iter().map(|one| one.name.as_str()).collect();
        let unknown = |names: &[String]| {
            let unknown = names.iter().find(|name| !known.contains(&name.as_str()));
            unknown.map(|name| format!("names `{name}`, which is no receiver"))
        };
        const HELP: &str = "name one of [[alerts.receivers]]";
        if let Some(message) = self.receivers_by_default.as_deref().and_then(unknown) {
            section.refuse("receivers_by_default", message, HELP);
        }
        let mut before = None;
        for (index, level) in self.escalation.iter().enumerate() {
            let mut levels = section.key("escalation");
            let mut here = levels.index(index);
            here.positive("after", level.after.get());
            if before.is_some_and(|before| level.after <= before) {
                here.refuse(
                    "after",
                    "must be longer than that of the level before",
                    "order the levels by time",
                );
            }
            before = Some(level.after);
            if let Some(message) = unknown(&level.receivers) {
                here.refuse("receivers", message, HELP);
            }
        }
        let mut names = HashMap::new();
        for (index, rule) in self.rules.iter().enumerate() {
            let mut rules = section.key("rules");
            if let Some(first) = names.insert(&rule.name, index) {
                let place = rules.index(first).place_of("name");
                let message = format!("is the name of another rule, at {place}");
                rules
                    .index(index)
                    .refuse("name", message, "give each rule its own");
            }
            let mut here = rules.index(index);
            rule.check(&mut here);
            if let Some(message) = rule.receivers.as_deref().and_then(unknown) {
                here.refuse("receivers", message, HELP);
            }
        }
        let receivers: Vec<_> = self.receivers.iter().map(Receiver::as_route).collect();
        routes::config::check_receivers(&receivers, &mut section.key("receivers"));
    }

    /// The rules that are used: the built-in ones as they were changed, then the others; none if the hub does not
    /// watch itself.
    pub(super) fn all_rules(&self) -> Vec<rule::Rule> {
        if !self.enabled {
            return Vec::new();
        }
        let built_in = BUILT_IN.iter().map(|built_in| {
            let changed = self.rules.iter().find(|rule| rule.name == built_in.name);
            match changed {
                Some(changed) => changed.over(&built_in.written()),
                None => built_in.written(),
            }
        });
        let others = self
            .rules
            .iter()
            .filter(|rule| rule::built_in(&rule.name).is_none());
        let all = built_in.chain(others.cloned());
        all.filter(|rule| rule.enabled != Some(false))
            .filter_map(|rule| rule::Rule::of(&rule))
            .collect()
    }

    /// The receivers, as the routes that they are.
    pub(crate) fn routes(&self) -> Vec<routes::config::Route> {
        self.receivers.iter().map(Receiver::as_route).collect()
    }

    /// What happens when nobody acknowledges an alert.
    pub(super) fn levels(&self) -> Vec<Level> {
        match self.escalation.is_empty() {
            true => vec![Level::default()],
            false => self.escalation.clone(),
        }
    }

    /// Who is told of alerts of a rule that names nobody.
    pub(super) fn default_receivers(&self) -> Vec<String> {
        let is_later = |name: &String| {
            let mut levels = self.escalation.iter();
            levels.any(|level| level.receivers.contains(name))
        };
        self.receivers_by_default.clone().unwrap_or_else(|| {
            let names = self.receivers.iter().map(|one| one.name.clone());
            names.filter(|name| !is_later(name)).collect()
        })
    }
}

impl Rule {
    fn check(&self, here: &mut Section<'_, '_>) {
        let built_in = rule::built_in(&self.name);
        let whole = match built_in {
            Some(built_in) => self.over(&built_in.written()),
            None => self.clone(),
        };
        if !routes::is_name(&self.name) {
            here.refuse(
                "name",
                "must be 1 to 64 of a-z, 0-9, `-` and `_`",
                "write a name such as \"slow-mail\"",
            );
        }
        if self.subjects.iter().any(|one| !rule::is_pattern(one)) {
            here.refuse(
                "subjects",
                "may have `*` only at the end of each",
                "write exact names, or what they begin with",
            );
        }
        let Some(signal) = whole.signal else {
            here.refuse("signal", "is missing", "say what the rule watches");
            return;
        };
        if whole.above.is_some() && whole.below.is_some() {
            here.refuse_together(
                &["above", "below"],
                "does not go with `below`",
                "write a rule for each side",
            );
        }
        let is_fixed = whole.above.is_some() || whole.below.is_some();
        if !is_fixed && signal.measure().is_none() {
            here.refuse(
                "signal",
                "has no usual values; the rule needs `above` or `below`",
                "write the number where trouble begins",
            );
        }
        for (key, value) in [
            ("above", self.above),
            ("below", self.below),
            ("clear", self.clear),
        ] {
            if value.is_some_and(|value| !value.is_finite() || value < 0.0) {
                here.refuse(key, "must be a number of 0 or more", "write such as 0.5");
            }
        }
        let never = signal.most().zip(self.above);
        if let Some((most, _)) = never.filter(|(most, above)| above >= most) {
            here.refuse(
                "above",
                format!("is never reached: {} is at most {most}", signal.as_str()),
                "write less, such as 0.5",
            );
        }
        let clears_wrong = |clear: f64| {
            whole.above.is_some_and(|above| clear > above)
                || whole.below.is_some_and(|below| clear < below)
        };
        if whole.clear.is_some_and(clears_wrong) {
            here.refuse(
                "clear",
                "lies where it is trouble still",
                "write a number on the other side of `above` or `below`",
            );
        }
        if is_fixed {
            for (key, is_there) in [
                ("sensitivity", self.sensitivity.is_some()),
                ("at_least", self.at_least.is_some()),
            ] {
                if is_there {
                    let message = format!("`{key}` goes with neither `above` nor `below`");
                    here.refuse(key, message, "leave one of them out");
                }
            }
        }
    }

    /// This, with what it leaves out as another has it.
    fn over(&self, other: &Self) -> Self {
        let is_fixed = self.above.is_some() || self.below.is_some();
        let is_usual = self.sensitivity.is_some() || self.at_least.is_some();
        // A number takes the place of what is usual, and the reverse.
        let kept = |value: Option<f64>, is_replaced: bool| value.filter(|_| !is_replaced);
        Self {
            name: self.name.clone(),
            enabled: self.enabled.or(other.enabled),
            signal: self.signal.or(other.signal),
            subjects: match self.subjects.is_empty() {
                true => other.subjects.clone(),
                false => self.subjects.clone(),
            },
            above: self.above.or(kept(other.above, is_fixed || is_usual)),
            below: self.below.or(kept(other.below, is_fixed || is_usual)),
            clear: self.clear.or(kept(other.clear, is_fixed || is_usual)),
            sensitivity: self.sensitivity.or(kept(other.sensitivity, is_fixed)),
            at_least: self.at_least.or(kept(other.at_least, is_fixed)),
            lasting: self.lasting.or(other.lasting),
            clear_for: self.clear_for.or(other.clear_for),
            severity: self.severity.or(other.severity),
            receivers: self.receivers.clone().or_else(|| other.receivers.clone()),
        }
    }

    /// On which side of its number trouble lies.
    pub(super) fn side(&self, signal: Signal) -> Side {
        match (self.above, self.below) {
            (Some(_), _) => Side::High,
            (_, Some(_)) => Side::Low,
            (None, None) => signal.side(),
        }
    }
}

impl Receiver {
    /// A receiver is a route of the events that name it.
    fn as_route(&self) -> routes::config::Route {
        routes::config::Route {
            name: self.name.clone(),
            types: vec![super::TYPES.parse().unwrap_or(crate::config::Selector::Any)],
            when: Some(format!(
                "payload.receivers.exists(name, name == '{}')",
                self.name
            )),
            actions: vec![routes::config::Action {
                notify: Some(self.notify.clone()),
                target: self.target.clone(),
                request: Some(self.request.clone()),
                ..Default::default()
            }],
            ..Default::default()
        }
    }
}
