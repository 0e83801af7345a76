//! The contracts that a library says it owns, without their schemas: read from the manifest, so that a file
//! can be judged that nobody has run. A library made before manifests told of them says nothing.

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use nexus_plugin_api::wire::MigrationInfo;
use semver::Version;
use serde::Deserialize;

/// What a manifest says of contracts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Owned {
    #[serde(default)]
    contracts: Vec<OwnedContract>,
    #[serde(default)]
    migrations: Vec<MigrationInfo>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct OwnedContract {
    r#type: String,
    version: Version,
    deprecated: Option<NaiveDate>,
    sunset: Option<NaiveDate>,
}

impl Owned {
    /// The types that the contracts are of.
    pub fn types(&self) -> impl Iterator<Item = &str> {
        self.contracts.iter().map(|contract| &*contract.r#type)
    }

    /// What is good to know of them: versions that are deprecated or past their sunset, and major versions
    /// that nothing leads on from.
    pub fn remarks(&self, now: DateTime<Utc>) -> Vec<String> {
        let mut remarks = Vec::new();
        for contract in &self.contracts {
            let OwnedContract {
                r#type, version, ..
            } = contract;
            if let Some(sunset) = past(contract.sunset, now) {
                remarks.push(format!(
                    "contract {} {version} is past its sunset on {sunset}: its events are refused",
                    r#type
                ));
                continue;
            }
            if let Some(since) = past(contract.deprecated, now) {
                remarks.push(format!(
                    "contract {} {version} is deprecated since {since}",
                    r#type
                ));
            }
            if let Some(next) = self.left_behind(contract, now) {
                remarks.push(format!(
                    "contract {} {version} has no migration to {next}: its events stay as they are",
                    r#type
                ));
            }
        }
        remarks
    }

    /// The next major version that is taken, when nothing leads out of the one that this contract ends.
    fn left_behind(&self, contract: &OwnedContract, now: DateTime<Utc>) -> Option<&Version> {
        let line = |version: &Version| match version.major {
            0 => (0, version.minor),
            major => (major, 0),
        };
        let own = line(&contract.version);
        let versions = self
            .contracts
            .iter()
            .filter(|other| other.r#type == contract.r#type && past(other.sunset, now).is_none());
        let versions = versions
            .map(|other| &other.version)
            .filter(|v| v.pre.is_empty());
        let next = versions
            .clone()
            .filter(|version| line(version) > own)
            .min()?;
        let is_last =
            versions.filter(|version| line(version) == own).max() == Some(&contract.version);
        let leads_out = |step: &MigrationInfo| {
            step.event_type == contract.r#type && line(&step.from) == own && line(&step.to) > own
        };
        (is_last && !self.migrations.iter().any(leads_out)).then_some(next)
    }
}

fn past(day: Option<NaiveDate>, now: DateTime<Utc>) -> Option<NaiveDate> {
    day.filter(|day| day.and_time(NaiveTime::MIN).and_utc() <= now)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_outdated_or_left_behind_is_told() {
        let owned = |migrations: serde_json::Value| -> Owned {
            serde_json::from_value(json!({
                "id": "whatever else a manifest holds",
                "contracts": [
                    { "type": "a.b", "version": "1.0.0", "sunset": "2026-01-01" },
                    { "type": "a.b", "version": "1.1.0", "deprecated": "2026-01-01" },
                    { "type": "a.b", "version": "2.0.0" },
                ],
                "migrations": migrations,
            }))
            .unwrap()
        };
        let now = "2026-06-01T00:00:00Z".parse().unwrap();
        let step = json!([{ "type": "a.b", "from": "1.1.0", "to": "2.0.0" }]);
        assert_eq!(
            owned(step).remarks(now),
            [
                "contract a.b 1.0.0 is past its sunset on 2026-01-01: its events are refused",
                "contract a.b 1.1.0 is deprecated since 2026-01-01",
            ]
        );
        let left = owned(json!([])).remarks(now);
        assert!(
            left[2].contains("1.1.0 has no migration to 2.0.0"),
            "{left:?}"
        );
        let mut retired = owned(json!([]));
        retired.contracts[2].sunset = Some("2026-02-01".parse().unwrap());
        let told = retired.remarks(now).join("\n");
        assert!(!told.contains("no migration"), "{told}");
        assert!(Owned::default().remarks(now).is_empty());
    }
}
