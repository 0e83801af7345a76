//! What another configuration would change: receives two, hands on the keys that differ and what follows for
//! each plugin. It shows no value: any may be a secret.

use serde::Serialize;
use serde_json::Value;

use crate::config::Config;
use crate::plugins::config::PluginConfig;
use crate::plugins::{Catalog, PluginState};

/// What a reload changes while the hub runs; everything else takes a restart.
const RELOADED: [&str; 9] = [
    "alerts", "clients", "issuers", "limits", "plugins", "routes", "rules", "shutdown", "webhooks",
];

/// Within these, what takes a restart all the same: connections that are open, and workers that run, were told
/// otherwise.
const FIXED: [&str; 2] = ["limits.max_body", "plugins.worker"];

/// Beside these sections, what takes none.
const FREE: [&str; 2] = ["observe.log_fields", "observe.log_level"];

const STOPS: &str = "stops";

/// How the entries of a list are told apart.
const NAMES: [&str; 3] = ["id", "name", "issuer"];

/// What would change.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ReloadPlan {
    /// The keys whose values differ, as `clients.desk.types`.
    pub changed: Vec<String>,
    /// What becomes of plugins that are concerned.
    pub plugins: Vec<PluginChange>,
    /// Keys among those changed that only a restart can change: with one of them nothing is applied.
    pub needs_restart: Vec<String>,
}

/// What becomes of a plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PluginChange {
    /// Its id.
    pub id: String,
    /// `starts`, `stops` or `starts_again`: beside itself, with its new settings.
    pub becomes: &'static str,
}

impl ReloadPlan {
    pub(super) fn between(old: &Config, new: &Config, catalog: &Catalog) -> Self {
        let mut changed = Vec::new();
        let json = |config: &Config| serde_json::to_value(config).unwrap_or_default();
        compare(&json(old), &json(new), String::new(), &mut changed);
        hidden(old, new, &mut changed);
        changed.sort();
        changed.dedup();
        let needs_restart = changed.iter().filter(|key| takes_restart(key));
        Self {
            needs_restart: needs_restart.cloned().collect(),
            plugins: plugins(old, new, catalog),
            changed,
        }
    }

    /// Whether a plugin stops, with nothing in its place.
    pub(super) fn stops_any(&self) -> bool {
        self.plugins.iter().any(|plugin| plugin.becomes == STOPS)
    }
}

fn takes_restart(key: &str) -> bool {
    let section = key.split('.').next().unwrap_or_default();
    let is_free = RELOADED.contains(&section) || FREE.contains(&key);
    !is_free || FIXED.contains(&key)
}

/// Notes the keys of two values that differ.
fn compare(old: &Value, new: &Value, at: String, changed: &mut Vec<String>) {
    let below = |key: &str| match at.as_str() {
        "" => key.to_owned(),
        at => format!("{at}.{key}"),
    };
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            let keys = old
                .keys()
                .chain(new.keys().filter(|key| !old.contains_key(*key)));
            for key in keys {
                let value = |side: &serde_json::Map<String, Value>| side.get(key).cloned();
                let (old, new) = (value(old), value(new));
                if old != new {
                    let (old, new) = (old.unwrap_or_default(), new.unwrap_or_default());
                    compare(&old, &new, below(key), changed);
                }
            }
        }
        (Value::Array(old), Value::Array(new))
            if old.iter().chain(new).all(|one| name(one).is_some()) =>
        {
            let of = |side: &[Value], wanted: &str| {
                side.iter().find(|one| name(one) == Some(wanted)).cloned()
            };
            for wanted in old.iter().chain(new).filter_map(name) {
                let (old, new) = (of(old, wanted), of(new, wanted));
                match (old, new) {
                    (old, new) if old == new => {}
                    (Some(old), Some(new)) => compare(&old, &new, below(wanted), changed),
                    _ => changed.push(below(wanted)),
                }
            }
        }
        (old, new) if old == new => {}
        _ => changed.push(at),
    }
}

fn name(entry: &Value) -> Option<&str> {
    NAMES.iter().find_map(|key| entry.get(key)?.as_str())
}

/// Notes what differs in what is never written out.
fn hidden(old: &Config, new: &Config, changed: &mut Vec<String>) {
    entries(
        "clients",
        &old.clients,
        &new.clients,
        |one| &one.id,
        changed,
    );
    entries(
        "issuers",
        &old.issuers,
        &new.issuers,
        |one| &one.issuer,
        changed,
    );
    entries(
        "webhooks",
        &old.webhooks,
        &new.webhooks,
        |one| &one.name,
        changed,
    );
    if old.observe.traces.headers != new.observe.traces.headers {
        changed.push("observe.traces.headers".to_owned());
    }
    for (name, settings) in &new.plugins.named {
        let Some(before) = old.plugins.named.get(name) else {
            changed.push(format!("plugins.{name}"));
            continue;
        };
        if before.config != settings.config {
            changed.push(format!("plugins.{name}.config"));
        }
        if before.secrets != settings.secrets {
            changed.push(format!("plugins.{name}.secrets"));
        }
    }
}

/// Notes entries that differ and of which nothing was noted yet: their secrets do.
fn entries<T: PartialEq>(
    section: &str,
    old: &[T],
    new: &[T],
    name: impl Fn(&T) -> &String,
    changed: &mut Vec<String>,
) {
    for entry in new {
        let before = old.iter().find(|other| name(other) == name(entry));
        let key = format!("{section}.{}", name(entry));
        let is_noted = |noted: &String| {
            noted
                .strip_prefix(&key)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        if before.is_some_and(|before| before != entry) && !changed.iter().any(is_noted) {
            changed.push(key);
        }
    }
}

fn plugins(old: &Config, new: &Config, catalog: &Catalog) -> Vec<PluginChange> {
    let mut changes: Vec<PluginChange> = Vec::new();
    let mut reports = catalog.reports();
    // What runs speaks for its plugin, before files that do not.
    reports.sort_by_key(|report| report.state.refusal().is_some());
    for report in reports {
        let is_stopped = matches!(report.state, PluginState::Stopped(_));
        let Some(manifest) = report.manifest.filter(|_| !is_stopped) else {
            continue;
        };
        if changes.iter().any(|change| change.id == manifest.id) {
            continue;
        }
        let of = |config: &Config| {
            config
                .plugins
                .get(&manifest.id)
                .cloned()
                .unwrap_or_default()
        };
        let (before, after): (PluginConfig, PluginConfig) = (of(old), of(new));
        let becomes = match (report.state.refusal(), after.enabled) {
            _ if before == after => continue,
            (None, false) => STOPS,
            (None, true) => "starts_again",
            (Some(_), true) => "starts",
            (Some(_), false) => continue,
        };
        changes.push(PluginChange {
            id: manifest.id,
            becomes,
        });
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(old: &str, new: &str) -> ReloadPlan {
        let config = |text| Config::from_toml_str(text).unwrap();
        let catalog = Catalog::empty();
        ReloadPlan::between(&config(old), &config(new), &catalog)
    }

    fn client(more: &str) -> String {
        let key = "5".repeat(64);
        format!(
            "[[clients]]\nid = \"desk\"\nkey_sha256 = \"{key}\"\nsources = [\"desk\"]\n{more}\n"
        )
    }

    #[test]
    fn what_differs_is_named_and_nothing_else() {
        let same = plan(&client("types = [\"a.*\"]"), &client("types = [\"a.*\"]"));
        assert_eq!(same, ReloadPlan::default());
        let other = plan(&client("types = [\"a.*\"]"), &client("types = [\"b.*\"]"));
        assert_eq!(other.changed, ["clients.desk.types"]);
        assert!(other.needs_restart.is_empty());
        assert_eq!(
            plan("", &client("types = [\"a.*\"]")).changed,
            ["clients.desk"]
        );
    }

    #[test]
    fn what_takes_a_restart_is_told() {
        let both = plan(
            "",
            "[limits]\nmax_depth = 8\nmax_body = \"2MiB\"\n[server]\nhttp = \"127.0.0.1:1\"\n",
        );
        assert_eq!(
            both.changed,
            ["limits.max_body", "limits.max_depth", "server.http"]
        );
        assert_eq!(both.needs_restart, ["limits.max_body", "server.http"]);
    }

    #[test]
    fn of_secrets_it_is_told_that_they_differ() {
        let secrets = |secret: &str| format!("[plugins.toasty.config]\ntoken = \"{secret}\"\n");
        let told = plan(&secrets("one"), &secrets("other"));
        assert_eq!(told.changed, ["plugins.toasty.config"]);
        let folder = tempfile::tempdir().unwrap();
        let signs = |secret: &str| {
            let file = folder.path().join(secret);
            std::fs::write(&file, secret).unwrap();
            let hmac = format!("hmac = [{{ file = \"{}\" }}]", file.display());
            client(&format!("types = [\"a\"]\n{hmac}"))
        };
        let told = plan(&signs(&"a".repeat(32)), &signs(&"b".repeat(32)));
        assert_eq!(told.changed, ["clients.desk"]);
        assert!(told.needs_restart.is_empty());
    }
}
