//! The whole story: a mail arrives, an agent reasons and asks, a person decides on a toast, the agent goes on and the
//! result is told. It ends once, whatever dies in between.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use graph_double::{CLIENT_ID, CLIENT_SECRET, GraphDouble, TENANT};
use nexus_tests::desktop::Desktop;
use nexus_tests::followed::Followed;
use nexus_tests::hub::{Home, Hub, HubBuilder, eventually};
use nexus_tests::langgraph::{LangGraph, WEBHOOK_TOKEN, free_port};
use nexus_tests::skip::{self, desktop_for};
use nexus_tests::toasty::{ToastyServer, journal};
use serde_json::{Value, json};
use tempfile::TempDir;

const MAILBOX: &str = "ada@example.org";
const SUBJECT: &str = "Invoice 17";

/// What the story goes through, in order: each of these is an event.
const STEPS: [&str; 6] = [
    "outlook.notification.received",
    "outlook.mail.received",
    "langgraph.run.interrupted",
    "nexus.approval.requested",
    "nexus.approval.answered",
    "langgraph.run.completed",
];

/// Everything round the hub.
struct Office {
    graph: GraphDouble,
    agent: Arc<LangGraph>,
    toasty: ToastyServer,
    /// What the Toasty server was asked for.
    toasts: PathBuf,
    _folder: TempDir,
}

impl Office {
    async fn open(agent: &Arc<LangGraph>, desktop: Option<&Desktop>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let toasts = folder.path().join("toasty.jsonl");
        let toasty = match desktop {
            Some(desktop) => ToastyServer::start_on(desktop, &toasts),
            None => ToastyServer::start(&toasts),
        };
        Self {
            graph: GraphDouble::start().await,
            agent: agent.clone(),
            toasty,
            toasts,
            _folder: folder,
        }
    }

    /// A hub with everything in it that the story needs, at an address that stays the same.
    fn lay_out(&self, assistant: &str) -> Home {
        let hub = format!("127.0.0.1:{}", free_port());
        let Self {
            graph,
            agent,
            toasty,
            ..
        } = self;
        HubBuilder::new()
            .config(&format!(
                r#"
[server]
http = "{hub}"
grpc = "127.0.0.1:0"
[queue]
backend = "sqlite"
[plugins.outlook]
required = true
[plugins.outlook.secrets]
client_secret = {{ env = "GRAPH_SECRET" }}
[plugins.outlook.config]
tenant = "{TENANT}"
client_id = "{CLIENT_ID}"
mailboxes = ["{MAILBOX}"]
public_url = "http://{hub}"
graph_url = "{}"
token_url = "{}"
metadata_url = "{}"
[plugins.langgraph]
required = true
[plugins.langgraph.secrets]
webhook_secret = {{ env = "LG_WEBHOOK_TOKEN" }}
[plugins.langgraph.config]
url = "{}"
webhook_url = "http://{hub}/v1/hooks/langgraph"
poll_interval = "500ms"
[plugins.triage]
required = true
[plugins.triage.config]
assistant = "{assistant}"
[plugins.toasty]
required = true
[plugins.toasty.config]
endpoint = "{}"
"#,
                graph.url(),
                graph.token_url(),
                graph.metadata_url(),
                agent.url(),
                toasty.endpoint(),
            ))
            .env("GRAPH_SECRET", CLIENT_SECRET)
            .env("LG_WEBHOOK_TOKEN", WEBHOOK_TOKEN)
            .plugin("outlook")
            .plugin("langgraph")
            .plugin("triage")
            .plugin("toasty")
            .lay_out()
    }

    /// A running hub that hears of mail, which this assistant looks at.
    async fn start(&self, assistant: &str) -> Hub {
        let asked = || self.graph.count("message.delta");
        let before = asked();
        let hub = self.lay_out(assistant).start();
        // What arrives before the hub has asked what is new, it finds by itself, without a notification.
        eventually("mail is subscribed to", || async {
            (self.graph.subscriptions().len() == 1 && asked() > before).then_some(())
        })
        .await;
        hub
    }

    fn a_mail_arrives(&self) {
        self.graph.arrives(
            MAILBOX,
            json!({
                "subject": SUBJECT,
                "bodyPreview": "250 EUR, please",
                "from": { "emailAddress": { "name": "Example Ltd", "address": "billing@example.org" } },
            }),
        );
    }

    /// The toasts that were shown, by title and outcome; what was asked for again is told as such.
    fn shown(&self, outcome: &str) -> Vec<String> {
        let calls = journal(&self.toasts).into_iter();
        let shows =
            calls.filter(|line| line["call"] == "Show" && line["reply"]["outcome"] == outcome);
        let titles = shows.map(|line| line["request"]["title"].as_str().unwrap().to_owned());
        titles.collect()
    }

    /// Waits until the result is told and nothing is left to do; nothing was given up on the way.
    async fn comes_to_its_end(&self, hub: &Hub) {
        eventually("the result is told", || async {
            self.shown("SHOWN")
                .contains(&SUBJECT.to_owned())
                .then_some(())
        })
        .await;
        eventually("everything is done", || async {
            let (_, queue) = hub.get("/v1/admin/queue").await;
            (queue["depth"] == 0).then_some(())
        })
        .await;
        let (_, dead) = hub.get("/v1/admin/dead-letters").await;
        assert_eq!(dead["dead_letters"], json!([]), "{dead:#}");
    }

    /// The story has ended as it should: one question, one result, two runs of one thread, and nothing left over.
    async fn ended_once(&self, hub: &Hub) {
        self.comes_to_its_end(hub).await;
        let shown = self.shown("SHOWN");
        let times = |title: &str| shown.iter().filter(|shown| *shown == title).count();
        assert_eq!(times(SUBJECT), 1, "{shown:?}");
        // A question that is answered first is not shown any more.
        assert!(times("Pay Invoice 17?") <= 1, "{shown:?}");
        let (_, approvals) = hub.get("/v1/admin/approvals").await;
        let approvals = approvals["approvals"].as_array().unwrap();
        assert_eq!(approvals.len(), 1, "{approvals:#?}");
        assert_eq!(approvals[0]["answer"]["choice"], "pay");
        let thread = thread_of(hub, &approvals[0]).await;
        let runs = self.agent.get(&format!("/threads/{thread}/runs")).await;
        assert_eq!(runs.as_array().unwrap().len(), 2, "{runs:#}");
        let state = self.agent.get(&format!("/threads/{thread}/state")).await;
        assert_eq!(
            state["values"]["summary"], "Invoice 17 is paid",
            "{state:#}"
        );
    }
}

/// The agent's server, or nothing; the test is then skipped.
async fn agent_for(test: &str) -> Option<Arc<LangGraph>> {
    skip::or_skip(&format!("story::{test}"), LangGraph::shared().await)
}

/// The question, as soon as it is there.
async fn question(hub: &Hub) -> Value {
    eventually("somebody is asked", || async {
        let (_, approvals) = hub.get("/v1/admin/approvals").await;
        approvals["approvals"].get(0).cloned()
    })
    .await
}

/// The thread whose question it is.
async fn thread_of(hub: &Hub, approval: &Value) -> String {
    assert_eq!(approval["context"], Value::Null, "lists do without");
    let id = approval["id"].as_str().unwrap();
    let (_, whole) = hub.get(&format!("/v1/admin/approvals/{id}")).await;
    whole["context"]["thread"].as_str().unwrap().to_owned()
}

/// An administrator says that it is to be paid.
async fn decide(hub: &Hub) {
    let id = question(hub).await["id"].as_str().unwrap().to_owned();
    let request = hub.request("POST", &format!("/v1/admin/approvals/{id}"));
    let (status, answered) = hub.send(request.json(&json!({ "choice": "pay" }))).await;
    assert_eq!(status, 200, "{answered:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_becomes_a_toast_whose_button_lets_the_agent_go_on() {
    let test = "a_mail_becomes_a_toast_whose_button_lets_the_agent_go_on";
    let Some(desktop) = desktop_for(&format!("story::{test}")) else {
        return;
    };
    let Some(agent) = agent_for(test).await else {
        return;
    };
    let office = Office::open(&agent, Some(&desktop)).await;
    let hub = office.start("triage").await;
    let events = Followed::of(&hub).await;
    office.a_mail_arrives();
    let buttons = ["Pay", "Refuse"];
    if std::env::var_os("UPDATE_DOCS").is_some() {
        let picture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/images/toast.png");
        desktop.photograph(&buttons, &picture).unwrap();
    }
    desktop.press_button(&buttons, "Pay").unwrap();
    let answered = events.first("nexus.approval.answered").await;
    assert_eq!(answered["payload"]["answered_by"], "toasty/approvals");
    office.ended_once(&hub).await;

    // One story: every event of it belongs to the first, and each says what led to it.
    let all = events.all();
    let first = &all[0];
    assert_eq!(first["type"], STEPS[0]);
    for step in STEPS {
        let of_step = all.iter().filter(|event| event["type"] == step);
        let of_step: Vec<_> = of_step.collect();
        assert_eq!(of_step.len(), 1, "{step}: {of_step:#?}");
        let belongs_to = of_step[0]["correlation_id"].as_str();
        let id = first["event_id"].as_str();
        assert!(step == STEPS[0] || belongs_to == id, "{:#}", of_step[0]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_a_hub_is_killed_at_the_story_ends_once() {
    let Some(agent) = agent_for("whatever_a_hub_is_killed_at_the_story_ends_once").await else {
        return;
    };
    for step in STEPS {
        let office = Office::open(&agent, None).await;
        let hub = office.start("triage").await;
        let events = Followed::of(&hub).await;
        office.a_mail_arrives();
        let is_decided = STEPS.iter().position(|one| *one == step) >= Some(4);
        if is_decided {
            decide(&hub).await;
        }
        events.first(step).await;
        let hub = hub.kill().start();
        if !is_decided {
            decide(&hub).await;
        }
        office.ended_once(&hub).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_asked_beside_another_is_asked_once_and_no_answer_is_lost() {
    let test = "who_is_asked_beside_another_is_asked_once_and_no_answer_is_lost";
    let Some(agent) = agent_for(test).await else {
        return;
    };
    for at_once in [false, true] {
        let office = Office::open(&agent, None).await;
        let hub = office.start("council").await;
        let events = Followed::of(&hub).await;
        office.a_mail_arrives();
        let approvals = async || {
            let (_, found) = hub.get("/v1/admin/approvals").await;
            found["approvals"].as_array().unwrap().clone()
        };
        let both = eventually("both are asked", || async {
            let both = approvals().await;
            (both.len() == 2).then_some(both)
        })
        .await;
        for (number, one) in (1..).zip(&both) {
            let path = format!("/v1/admin/approvals/{}", one["id"].as_str().unwrap());
            let request = hub.request("POST", &path).json(&json!({ "choice": "yes" }));
            let (status, answered) = hub.send(request).await;
            assert_eq!(status, 200, "{answered:#}");
            if number == 1 && !at_once {
                // The server tells of the second question again.
                eventually("the run goes on as far as it can", || async {
                    let all = events.all();
                    let asked = all.iter().filter(|event| event["type"] == STEPS[2]);
                    (asked.count() == 2).then_some(())
                })
                .await;
            }
        }
        office.comes_to_its_end(&hub).await;
        assert_eq!(approvals().await.len(), 2, "nobody is asked twice");
        let thread = thread_of(&hub, &both[0]).await;
        let state = agent.get(&format!("/threads/{thread}/state")).await;
        assert_eq!(state["values"]["summary"], "chair yes, treasurer yes");
    }
}
