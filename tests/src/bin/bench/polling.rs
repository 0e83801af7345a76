//! What it costs to be told instead of asking: the hub, which Microsoft Graph and Dropbox call, beside a program that asks
//! both every five seconds with the vendors' own SDKs. Each has doubles of its own, to which the same happens at the
//! same time.

use std::error::Error;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use dropbox_double::{Dropbox, Options};
use graph_double::{CLIENT_ID, CLIENT_SECRET, GraphDouble, TENANT};
use nexus_tests::followed::Followed;
use nexus_tests::foreign::python_with;
use nexus_tests::hub::{HubBuilder, eventually};
use nexus_tests::tls::certificates;
use serde_json::json;

use crate::report::{Effort, Goal, Report};
use crate::system::Threads;

const PACKAGES: &str = "msgraph-sdk==1.65.0 dropbox==12.0.2";
const MAILBOX: &str = "ada@example.org";

/// How often the program asks.
const INTERVAL: Duration = Duration::from_secs(5);

/// Between two things that happen, a mail and a file in turn, and in a quick look: at any point of the program's
/// interval.
const BETWEEN: Duration = Duration::from_millis(30_700);
const QUICK_BETWEEN: Duration = Duration::from_millis(7_700);

/// How many things happen before anything is measured.
const FIRST: u32 = 2;

/// How long may pass until the last of them is known.
const LAST: Duration = Duration::from_secs(15);

/// What somebody has come to know, and when.
type Known = Receiver<(String, Instant)>;

/// One mailbox and one Dropbox.
pub(crate) struct Sources {
    pub(crate) graph: GraphDouble,
    dropbox: Dropbox,
}

impl Sources {
    pub(crate) async fn start(options: Options) -> std::io::Result<Self> {
        Ok(Self {
            graph: GraphDouble::start().await,
            dropbox: Dropbox::with(options).await?,
        })
    }

    /// How many requests have come.
    fn requests(&self) -> u64 {
        self.graph.requests() + self.dropbox.requests()
    }

    /// Lets something happen; what it is known by.
    fn happen(&self, number: u32) -> String {
        let name = format!("Number {number}");
        match number % 2 {
            0 => drop(self.graph.arrives(MAILBOX, json!({ "subject": name }))),
            _ => self.dropbox.put(&format!("/{name}"), 17),
        }
        name
    }
}

/// Who wants to know.
struct Knower {
    name: &'static str,
    process: u32,
    cpu: Threads,
    known: Known,
    lag: Vec<f64>,
}

impl Knower {
    fn new(name: &'static str, process: u32, known: Known) -> Self {
        Self {
            name,
            process,
            cpu: Threads::default(),
            known,
            lag: Vec::new(),
        }
    }

    fn cpu(&mut self) -> Result<Duration, Box<dyn Error>> {
        let cpu = self.cpu.of(self.process);
        cpu.ok_or_else(|| format!("the system does not tell what {} takes", self.name).into())
    }
}

pub(crate) async fn measure(effort: &Effort, report: &mut Report) -> Result<(), Box<dyn Error>> {
    let python = python_with(PACKAGES)?;
    let told = Sources::start(Options::default()).await?;
    let hub = described(&told).start();
    let hook = format!("{}/v1/hooks/dropbox", hub.url());
    eventually("mail is subscribed to", || async {
        (told.graph.subscriptions().len() == 1).then_some(())
    })
    .await;

    let file = |name: &str| certificates().join(name);
    let asked = Sources::start(Options {
        tls: Some((file("server.pem"), file("server-key.pem"))),
        ..Options::default()
    });
    let asked = asked.await?;
    let (mut program, lines) = program(&python, &asked)?;

    let events = Followed::of(&hub).await;
    let mut knowers = [
        Knower::new("the hub", hub.pid(), heard(events)),
        Knower::new("the program", program.id(), lines),
    ];
    // Whoever knows a mail and a file has loaded all that this takes.
    for number in 0..FIRST {
        happen(&told, &asked, &hook, number).await?;
    }
    let mut heard = [0; 2];
    eventually("both know what came first", || {
        for (heard, knower) in heard.iter_mut().zip(&knowers) {
            *heard += knower.known.try_iter().count();
        }
        let all = heard.iter().all(|heard| *heard >= FIRST as usize);
        std::future::ready(all.then_some(()))
    })
    .await;

    let mut before = [Duration::ZERO; 2];
    for (before, knower) in before.iter_mut().zip(&mut knowers) {
        *before = knower.cpu()?;
    }
    let requests_before = [told.requests(), asked.requests()];

    report.extent = format!("one run of {} s", effort.polling.as_secs());
    let between = BETWEEN.min(effort.polling / 2).max(QUICK_BETWEEN);
    let begun = Instant::now();
    let mut number = FIRST;
    while begun.elapsed() < effort.polling {
        let now = Instant::now();
        let name = happen(&told, &asked, &hook, number).await?;
        number += 1;
        while now.elapsed() < between {
            tokio::time::sleep(Duration::from_secs(1)).await;
            for knower in &mut knowers {
                knower.cpu()?;
                knower.lag.extend(
                    knower
                        .known
                        .try_iter()
                        .filter(|(known, _)| *known == name)
                        .map(|(_, at)| (at - now).as_secs_f64()),
                );
            }
            let happened = (number - FIRST) as usize;
            if now.elapsed() > LAST && knowers.iter().any(|one| one.lag.len() < happened) {
                return Err(format!("`{name}` did not become known within {LAST:?}").into());
            }
        }
    }
    let took = begun.elapsed().as_secs_f64();
    let minutes = took / 60.0;
    let mut spent = [0.0; 2];
    for ((spent, before), knower) in spent.iter_mut().zip(before).zip(&mut knowers) {
        *spent = (knower.cpu()? - before).as_secs_f64();
    }
    drop(program.stdin.take());
    program.wait()?;

    for (knower, spent) in knowers.iter().zip(spent) {
        let name = format!("polling: processor time of {}", knower.name);
        report.add(&name, "ms/min", vec![spent * 1e3 / minutes], None);
        let name = format!("polling: until {} knows", knower.name);
        report.add(&name, "s", knower.lag.clone(), None);
    }
    for ((knower, sources), before) in knowers.iter().zip([&told, &asked]).zip(requests_before) {
        let name = format!("polling: requests of {}", knower.name);
        let requests = (sources.requests() - before) as f64 / minutes;
        report.add(&name, "1/min", vec![requests], None);
    }
    let saved = 100.0 * (1.0 - spent[0] / spent[1]);
    report.add(
        "polling: processor time that is saved",
        "%",
        vec![saved],
        Some(Goal::AtLeast(99.0)),
    );
    Ok(())
}

/// Lets something happen to both at the same time; what it is known by.
async fn happen(
    told: &Sources,
    asked: &Sources,
    hook: &str,
    number: u32,
) -> Result<String, Box<dyn Error>> {
    let name = told.happen(number);
    asked.happen(number);
    if number % 2 == 1 {
        // Dropbox itself calls within moments.
        told.dropbox.send(hook, &told.dropbox.webhook()).await?;
    }
    Ok(name)
}

/// A hub as one would run it, with both plugins that are told.
pub(crate) fn described(sources: &Sources) -> HubBuilder {
    let graph = &sources.graph;
    let port = nexus_tests::langgraph::free_port();
    HubBuilder::new()
        .config(&format!(
            r#"
[server]
http = "127.0.0.1:{port}"
grpc = "off"
[plugins.outlook.config]
tenant = "{TENANT}"
client_id = "{CLIENT_ID}"
mailboxes = ["{MAILBOX}"]
graph_url = "{}"
token_url = "{}"
metadata_url = "{}"
public_url = "http://127.0.0.1:{port}"
[plugins.outlook.secrets]
client_secret = {{ env = "GRAPH_SECRET" }}
[plugins.dropbox.config]
api_url = "{}"
announce_existing = true
[plugins.dropbox.secrets]
app_key = {{ env = "DROPBOX_KEY" }}
app_secret = {{ env = "DROPBOX_SECRET" }}
refresh_token = {{ env = "DROPBOX_TOKEN" }}
[queue]
backend = "sqlite"
"#,
            graph.url(),
            graph.token_url(),
            graph.metadata_url(),
            sources.dropbox.url(),
        ))
        .env("GRAPH_SECRET", CLIENT_SECRET)
        .env("DROPBOX_KEY", "app-key")
        .env("DROPBOX_SECRET", "app-secret")
        .env("DROPBOX_TOKEN", "refresh-ada")
        .plugin("outlook")
        .plugin("dropbox")
}

/// What a hub's followers are told of mail and files.
fn heard(events: Followed) -> Known {
    let (tell, known) = channel();
    tokio::spawn(async move {
        let mut count = 0;
        while let Some(event) = events.nth(count).await {
            count += 1;
            let payload = &event["payload"];
            let name = payload["subject"]
                .as_str()
                .or_else(|| payload["name"].as_str());
            let is_over =
                name.is_some_and(|name| tell.send((name.to_owned(), Instant::now())).is_err());
            if is_over {
                return;
            }
        }
    });
    known
}

/// The program that asks, once it has asked for the first time.
fn program(python: &Path, sources: &Sources) -> Result<(Child, Known), Box<dyn Error>> {
    let mut program = Command::new(python)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/polling/poll.py"))
        .arg(sources.graph.url())
        .arg(sources.dropbox.address().port().to_string())
        .arg(certificates().join("ca.pem"))
        .arg(INTERVAL.as_secs().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut out = BufReader::new(program.stdout.take().ok_or("it has an output")?);
    let mut first = String::new();
    out.read_line(&mut first)?;
    if first != "ready\n" {
        return Err(format!("the program that polls says {first:?}").into());
    }
    let (tell, known) = channel();
    std::thread::spawn(move || {
        for line in out.lines().map_while(Result::ok) {
            let name = line.split_once(' ').map_or("", |(_, name)| name);
            if tell
                .send((name.trim_start_matches('/').to_owned(), Instant::now()))
                .is_err()
            {
                return;
            }
        }
    });
    Ok((program, known))
}
