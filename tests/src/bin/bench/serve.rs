//! The servers that are compared: bare ones, which show what there is to do at the least, and the hub.
//! Each runs in a process of its own, says its address in its first line and stops when its
//! standard input ends. A line `latencies` is answered with those gathered since the last one, a line
//! `processor-time` with the nanoseconds that the process has taken so far.

use std::error::Error;
use std::io::{BufRead, Write, stdin, stdout};
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::routing::post;
use nexus_host::Host;
use nexus_host::config::Config;
use nexus_host::queue::Queue;
use nexus_plugin_api::ContractInfo;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::crowd::{Crowd, MANY, routes};
use crate::logged::Logged;
use crate::report::target_folder;
use crate::system;

/// The key of the one client.
pub(crate) const KEY: &str = "nxk_bench";

pub(crate) mod noop {
    //! Processors that do nothing, so that only the hub is measured.

    use std::sync::Mutex;
    use std::time::{SystemTime, UNIX_EPOCH};

    use nexus_plugin_api::prelude::*;

    /// Latencies of [`Timed`], in microseconds.
    pub(crate) static LATENCIES: Mutex<Vec<u64>> = Mutex::new(Vec::new());

    /// A kilobyte of nothing in particular.
    #[derive(Serialize, Deserialize, JsonSchema)]
    pub(crate) struct Noted {
        note: String,
        tags: Vec<String>,
        count: u32,
    }

    impl Contract for Noted {
        const TYPE: &'static str = "bench.noted";
        const VERSION: &'static str = "1.0.0";
    }

    /// The same, with the time at which it was to be sent.
    #[derive(Serialize, Deserialize, JsonSchema)]
    pub(crate) struct Sent {
        note: String,
        sent_us: u64,
    }

    impl Contract for Sent {
        const TYPE: &'static str = "bench.sent";
        const VERSION: &'static str = "1.0.0";
    }

    /// Does nothing.
    pub(crate) struct Noop;

    impl Component for Noop {
        type Config = NoConfig;
        fn new(_: NoConfig, _: &Setup) -> Result<Self, PluginError> {
            Ok(Self)
        }
    }

    impl Processor for Noop {
        const NAME: &'static str = "noop";
        const SUBSCRIPTIONS: &'static [Subscription] = &[
            Subscription::to(Noted::TYPE),
            Subscription::to("bench.crowd.*"),
        ];
        type Payload = RawJson;

        async fn process(&self, _: &Context, _: Event) -> Result<Outcome, PluginError> {
            Ok(Outcome::done())
        }
    }

    /// Notes how long an event was under way.
    pub(crate) struct Timed;

    impl Component for Timed {
        type Config = NoConfig;
        fn new(_: NoConfig, _: &Setup) -> Result<Self, PluginError> {
            Ok(Self)
        }
    }

    impl Processor for Timed {
        const NAME: &'static str = "timed";
        const SUBSCRIPTIONS: &'static [Subscription] = &[Subscription::to(Sent::TYPE)];
        type Payload = Sent;

        async fn process(&self, _: &Context, event: Event<Sent>) -> Result<Outcome, PluginError> {
            let took = now_us().saturating_sub(event.payload.sent_us);
            if let Ok(mut latencies) = LATENCIES.lock() {
                latencies.push(took);
            }
            Ok(Outcome::done())
        }
    }

    /// Microseconds since the epoch.
    pub(crate) fn now_us() -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        now.map_or(0, |now| u64::try_from(now.as_micros()).unwrap_or(u64::MAX))
    }

    export_plugin! {
        id: "bench",
        contracts: [Noted, Sent],
        processors: [Noop, Timed],
    }
}

/// What an axum server with one route does with a body before it answers 202.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Floor {
    /// Nothing.
    Answers,
    /// It is JSON.
    Parses,
    /// And it fits the schema that the hub holds it to as well.
    Validates,
}

impl Floor {
    pub(crate) const ALL: [Self; 3] = [Self::Answers, Self::Parses, Self::Validates];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Answers => "answers",
            Self::Parses => "parses",
            Self::Validates => "validates",
        }
    }
}

/// An axum server that does no more than this.
pub(crate) fn floor(which: &str) -> Result<(), Box<dyn Error>> {
    let floor = Floor::ALL.into_iter().find(|floor| floor.name() == which);
    let floor = floor.ok_or_else(|| format!("no floor `{which}`"))?;
    let schema: Value = serde_json::to_value(ContractInfo::of::<noop::Noted>().schema)?;
    let schema = Arc::new(jsonschema::validator_for(&schema)?);
    let judge = move |body: Bytes| {
        let is_fine = floor == Floor::Answers
            || serde_json::from_slice::<Value>(&body).is_ok_and(|event| {
                event.is_object() && (floor == Floor::Parses || schema.is_valid(&event["payload"]))
            });
        let answer = if is_fine {
            (StatusCode::ACCEPTED, "{\"status\":\"accepted\"}")
        } else {
            (StatusCode::BAD_REQUEST, "{}")
        };
        std::future::ready(answer)
    };
    runtime()?.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let app = Router::new().route("/v1/events", post(judge));
        tokio::spawn(async move { axum::serve(listener, app).await });
        answer_until_the_end(address, |_| None).await
    })
}

/// The hub, with a key, a contract, the queue and a processor that does nothing. `more` is
/// configuration beside that.
pub(crate) fn hub(more: &str) -> Result<(), Box<dyn Error>> {
    hub_on(more, None)
}

/// The configuration of a hub that listens, and what is beside that.
pub(crate) fn config(more: &str) -> Result<Config, Box<dyn Error>> {
    let hash = hex::encode(Sha256::digest(KEY.as_bytes()));
    Ok(Config::from_toml_str(&format!(
        "server.http = \"127.0.0.1:0\"\nserver.grpc = \"off\"\nplugins.bench.isolation = \"inline\"\n\
         {more}\n[[clients]]\nid = \"bench\"\nkey_sha256 = \"{hash}\"\nsources = [\"bench\"]\n\
         types = [\"bench.*\"]\nmetrics = true\nadmin = true\n"
    ))?)
}

/// The same; with `own` events wait there.
fn hub_on(more: &str, own: Option<Arc<dyn Queue>>) -> Result<(), Box<dyn Error>> {
    let config = config(more)?;
    runtime()?.block_on(async {
        let mut builder = Host::builder()
            .config(config)
            .plugins_dir("no-plugin-files")
            .plugin(noop::plugin());
        if let Some(own) = own {
            builder = builder.queue(own);
        }
        let host = builder.build()?.start().await?;
        let address = host.http_addr().ok_or("the hub does not listen")?;
        answer_until_the_end(address, |_| None).await?;
        host.shutdown().await?;
        Ok(())
    })
}

/// The same with everything that can be seen of it: lines, traces to a collector, alerts.
pub(crate) fn watched_hub(collector: &str, more: &str) -> Result<(), Box<dyn Error>> {
    let more = format!(
        "observe.log_format = \"json\"\n\
         observe.traces.endpoint = \"{collector}\"\nobserve.traces.protocol = \"http\"\n{more}"
    );
    let _lines = nexus_host::observe::init_logging(&config(&more)?.observe)?;
    hub(&more)
}

/// The same with nothing of that.
pub(crate) fn unwatched_hub() -> Result<(), Box<dyn Error>> {
    hub("alerts.enabled = false")
}

/// Takes whatever it is told over OTLP, and forgets it.
pub(crate) fn collector() -> Result<(), Box<dyn Error>> {
    runtime()?.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        // A body is read to its end; an answer without bytes says that all was taken.
        let app = Router::new().fallback(async |_: Bytes| StatusCode::OK);
        tokio::spawn(async move { axum::serve(listener, app).await });
        answer_until_the_end(address, |_| None).await
    })
}

/// The same, on disk, in a folder of its own.
pub(crate) fn durable_hub() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir_in(target_folder()?)?;
    let path = folder.path().join("queue.db");
    let path = path.display();
    hub(&format!(
        "queue.backend = \"sqlite\"\nqueue.sqlite.path = '{path}'"
    ))
}

/// The same, in memory, with many clients and contracts.
pub(crate) fn crowded_hub(clients: &str, contracts: &str) -> Result<(), Box<dyn Error>> {
    let crowd = Crowd::of(clients.parse()?, contracts.parse()?);
    let folder = tempfile::tempdir()?;
    crowd.write_contracts(folder.path())?;
    hub(&format!(
        "plugins.contracts_dir = '{}'\n{}",
        folder.path().display(),
        crowd.sections()
    ))
}

/// The same, with one client, many contracts and so many routes.
pub(crate) fn routed_hub(many: &str) -> Result<(), Box<dyn Error>> {
    let crowd = Crowd::of(1, MANY);
    let folder = tempfile::tempdir()?;
    crowd.write_contracts(folder.path())?;
    hub(&format!(
        "plugins.contracts_dir = '{}'\n{}{}",
        folder.path().display(),
        crowd.sections(),
        routes(many.parse()?)
    ))
}

/// The same, in memory, for more connections than anybody should have, which may be silent for as long as
/// it takes to open them all.
pub(crate) fn websocket_hub() -> Result<(), Box<dyn Error>> {
    hub(
        "server.max_connections = 1_000_000\nserver.websocket.idle_timeout = \"1h\"\n\
         queue.capacity = 20_000",
    )
}

/// The same, in memory and in a log that is synced.
pub(crate) fn logged_hub() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir_in(target_folder()?)?;
    let queue = Logged::open(&nexus_host::queue::Config::default(), folder.path())?;
    hub_on("", Some(Arc::new(queue)))
}

pub(crate) fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
}

/// Says its address and answers what it is asked; what it does not know itself `others` may.
pub(crate) async fn answer_until_the_end(
    address: SocketAddr,
    mut others: impl FnMut(&str) -> Option<String> + Send + 'static,
) -> Result<(), Box<dyn Error>> {
    tokio::task::spawn_blocking(move || {
        println!("{address}");
        for line in stdin().lock().lines().map_while(Result::ok) {
            match line.as_str() {
                "latencies" => {
                    let mut latencies = noop::LATENCIES
                        .lock()
                        .map_or_else(|_| vec![], |mut l| std::mem::take(&mut *l));
                    latencies.sort_unstable();
                    println!("{}", serde_json::to_string(&latencies).unwrap_or_default());
                }
                "processor-time" => {
                    let taken = system::process_time().unwrap_or_default();
                    println!("{}", taken.as_nanos());
                }
                other => {
                    if let Some(answer) = others(other) {
                        println!("{answer}");
                    }
                }
            }
            let _ = stdout().flush();
        }
    })
    .await?;
    Ok(())
}
