//! The system to which the probe's `courier` delivers: a server of the test's own, which outlives
//! every hub and writes down what arrives, in order.
//!
//! It answers as the parcel says: refuses it, fails so many times for each idempotency key, or takes
//! it.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use axum::{Json, Router};
use probe::Parcel;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use uuid::Uuid;

/// A running receiver. It ends when dropped.
#[derive(Debug)]
pub struct Receiver {
    address: SocketAddr,
    desk: Arc<Desk>,
    server: JoinHandle<()>,
}

/// A delivery that was attempted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// Identifies the effect, across attempts.
    pub idempotency_key: String,
    /// The event that decided it.
    pub event_id: Uuid,
    /// What was delivered.
    pub parcel: Parcel,
    /// Whether it was taken.
    pub taken: bool,
}

#[derive(Debug)]
struct Desk {
    log: Mutex<Log>,
    pace: Duration,
    open: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Log {
    arrivals: Vec<Arrival>,
    attempts: HashMap<String, u32>,
}

impl Receiver {
    /// A receiver that answers at once.
    ///
    /// # Panics
    /// When there is no port for it.
    pub async fn start() -> Self {
        Self::at_pace(Duration::ZERO).await
    }

    /// A receiver that takes so long for each delivery.
    ///
    /// # Panics
    /// When there is no port for it.
    pub async fn at_pace(pace: Duration) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("a free port");
        let address = listener.local_addr().expect("a bound address");
        let desk = Arc::new(Desk {
            log: Mutex::default(),
            pace,
            open: watch::Sender::new(true),
        });
        let router = Router::new()
            .route("/", post(arrived))
            .with_state(desk.clone());
        let server = tokio::spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        Self {
            address,
            desk,
            server,
        }
    }

    /// The configuration that sends `courier` here.
    pub fn config(&self) -> String {
        format!(
            "[plugins.probe.config]\ncourier = \"http://{}/\"\n",
            self.address
        )
    }

    /// Lets deliveries arrive but answers none, until [`Receiver::release`].
    pub fn hold(&self) {
        self.desk.open.send_replace(false);
    }

    /// Answers again.
    pub fn release(&self) {
        self.desk.open.send_replace(true);
    }

    /// Everything that has arrived, in order.
    pub fn arrivals(&self) -> Vec<Arrival> {
        self.desk.log().arrivals.clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Desk {
    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().expect("no panic")
    }
}

async fn arrived(
    State(desk): State<Arc<Desk>>,
    headers: HeaderMap,
    Json(parcel): Json<Parcel>,
) -> StatusCode {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let key = header("idempotency-key").unwrap_or_default().to_owned();
    let event_id = header("x-event-id").and_then(|id| id.parse().ok());
    let refused = parcel.refuse;
    let taken = {
        let mut log = desk.log();
        let attempts = log.attempts.entry(key.clone()).or_default();
        *attempts += 1;
        let taken = !refused && *attempts > parcel.fail_times;
        log.arrivals.push(Arrival {
            idempotency_key: key,
            event_id: event_id.unwrap_or_default(),
            parcel,
            taken,
        });
        taken
    };
    // An error would mean that the receiver is gone, and nobody is answered then.
    let _ = desk.open.subscribe().wait_for(|open| *open).await;
    if !desk.pace.is_zero() {
        tokio::time::sleep(desk.pace).await;
    }
    match (taken, refused) {
        (true, _) => StatusCode::NO_CONTENT,
        (false, true) => StatusCode::UNPROCESSABLE_ENTITY,
        (false, false) => StatusCode::SERVICE_UNAVAILABLE,
    }
}
