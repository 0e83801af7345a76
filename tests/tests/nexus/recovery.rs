//! Plugins that do not work: told of, started again, and left alone when that does not help.

use std::path::PathBuf;

use nexus_tests::hub::{Hub, HubBuilder, eventually};
use serde_json::{Value, json};

struct Patient {
    hub: Hub,
    health: PathBuf,
}

impl Patient {
    /// A hub with a probe whose health is what a file says.
    fn new(more: &str) -> Self {
        let home = HubBuilder::new()
            .config(&format!(
                "[plugins.probe]\n{more}\n[plugins.probe.config]\nhealth = \"how-it-is\""
            ))
            .plugin("probe")
            .lay_out();
        let health = home.path().join("how-it-is");
        let hub = home.start();
        Self { hub, health }
    }

    fn is(&self, how: &str) {
        let beside = self.health.with_extension("part");
        std::fs::write(&beside, how).unwrap();
        std::fs::rename(&beside, &self.health).unwrap();
    }

    fn is_well(&self) {
        std::fs::remove_file(&self.health).unwrap();
    }

    async fn probe(&self) -> Value {
        let (_, told) = self.hub.get("/v1/admin/plugins").await;
        told["plugins"][0].clone()
    }

    async fn stands(&self, state: &str) -> Value {
        eventually(&format!("it is {state}"), || async {
            let probe = self.probe().await;
            (probe["state"] == state).then_some(probe)
        })
        .await
    }

    async fn is_ready(&self) -> (u16, Value) {
        self.hub.get("/readyz").await
    }
}

#[tokio::test]
async fn a_plugin_that_fails_is_started_again_until_it_works() {
    let patient = Patient::new("");
    let at_first = patient.stands("ready").await;
    patient.is("failed the line is dead");
    let failed = eventually("it was started again in vain", || async {
        let probe = patient.probe().await;
        let again = probe["restarts"].as_u64() > Some(0);
        (again && probe["state"] == "failed").then_some(probe)
    })
    .await;
    assert_eq!(failed["reason"], "source probe: the line is dead");
    assert!(failed["since"].as_str() > at_first["since"].as_str());
    // Whoever is not required is nobody else's business.
    assert_eq!(
        patient.is_ready().await,
        (200, json!({ "status": "ready", "checks": [] }))
    );
    patient.is_well();
    let well = patient.stands("ready").await;
    assert!(well["restarts"].as_u64() > Some(0), "{well:#}");
    let ping = json!({ "type": "probe.ping", "source": "test", "payload": { "n": 1 } });
    assert_eq!(patient.hub.process(&ping).await["status"], "processed");
}

#[tokio::test]
async fn only_required_plugins_are_in_the_way_of_being_ready() {
    let patient = Patient::new("required = true");
    patient.stands("ready").await;
    patient.is("degraded half of it");
    patient.stands("degraded").await;
    let (status, ready) = patient.is_ready().await;
    assert_eq!((status, &ready["status"]), (200, &json!("degraded")));
    assert_eq!(
        ready["checks"][0]["reason"],
        "degraded: source probe: half of it"
    );
    patient.is("failed all of it");
    patient.stands("failed").await;
    let (status, ready) = patient.is_ready().await;
    assert_eq!(
        (status, &ready["status"]),
        (503, &json!("not_ready")),
        "{ready:#}"
    );
    assert_eq!(ready["checks"][0]["name"], "plugin probe");
    patient.is_well();
    patient.stands("ready").await;
    assert_eq!(patient.is_ready().await.0, 200);
}

#[tokio::test]
async fn one_that_does_not_say_how_it_is_counts_as_failed() {
    for how in ["hang", "panic"] {
        let patient = Patient::new("");
        patient.stands("ready").await;
        patient.is(how);
        patient.stands("degraded").await;
        let failed = eventually("it was started again", || async {
            let probe = patient.probe().await;
            (probe["restarts"].as_u64() > Some(0)).then_some(probe)
        });
        failed.await;
        patient.is_well();
        patient.stands("ready").await;
    }
}

#[tokio::test]
async fn workers_that_die_again_and_again_are_a_quarantined_plugin() {
    let patient = Patient::new("isolation = \"process\"");
    patient.stands("ready").await;
    let killed = std::cell::RefCell::new(std::collections::BTreeSet::new());
    eventually("it is left alone", || async {
        for worker in patient.hub.children() {
            if killed.borrow_mut().insert(worker) {
                let mut kill = std::process::Command::new("kill");
                // It may be gone already.
                let _ = kill.arg("-KILL").arg(worker.to_string()).status();
            }
        }
        (patient.probe().await["state"] == "quarantined").then_some(())
    })
    .await;
    assert!(killed.borrow().len() > 3, "{killed:?}");
    patient.stands("ready").await;
}

#[tokio::test]
async fn a_plugin_that_did_not_start_is_tried_again() {
    let home = HubBuilder::new()
        .config("[plugins.probe.config]\nfail_init_unless = \"here\"")
        .plugin("probe")
        .lay_out();
    let folder = home.path().to_owned();
    let patient = Patient {
        hub: home.start(),
        health: PathBuf::new(),
    };
    let refused = patient.stands("refused").await;
    assert_eq!(refused["refusal"]["code"], "init_failed");
    std::fs::write(folder.join("here"), "").unwrap();
    patient.stands("ready").await;
}
