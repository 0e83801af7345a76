//! A double of Microsoft Graph: mail, change notifications and sign-in as the real service speaks them, on a loopback
//! address, with controls for tests.
//!
//! Receives the requests that an app makes to Graph and to Microsoft's sign-in; hands on notifications to the URLs
//! that were subscribed, and what it has seen to the test. It keeps everything in memory and never leaves loopback by
//! itself: it calls only the URLs that it is given.
//!
//! ```
//! use graph_double::GraphDouble;
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let graph = GraphDouble::start().await;
//! let id = graph.arrives("ada@example.org", serde_json::json!({ "subject": "Hello" }));
//! assert!(graph.message("ada@example.org", &id).is_some());
//! assert_eq!(graph.count("message.get"), 0, "nobody has asked for it");
//! # }
//! ```
//!
//! | file | |
//! |---|---|
//! | `api` | which request is meant |
//! | `login` | tokens, the keys that sign validation tokens |
//! | `subscriptions` | their life, the handshakes |
//! | `mail` | messages and their changes (delta) |
//! | `notify` | notifications, tried again until they are taken |
//! | `seal` | resource data that only its receiver can read |
//! | `control` | the same controls as this library's, over HTTP |

mod answer;
mod api;
mod control;
mod login;
mod mail;
mod notify;
mod seal;
mod subscriptions;
mod world;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::task::JoinHandle;

pub use login::{CLIENT_ID, CLIENT_SECRET, PUBLISHER, TENANT};
pub use notify::{Delivery, Lifecycle};
pub use seal::Tampered;
pub use subscriptions::Subscription;
pub use world::{Behaviour, Fault};

use world::World;

/// How long a test waits for anything.
const SOON: Duration = Duration::from_secs(20);

/// A running double. It ends when dropped.
#[derive(Debug)]
pub struct GraphDouble {
    address: SocketAddr,
    world: Arc<World>,
    server: JoinHandle<()>,
}

impl Drop for GraphDouble {
    fn drop(&mut self) {
        self.server.abort();
        self.world.stop();
    }
}

impl GraphDouble {
    /// Starts one on a free port of loopback.
    ///
    /// # Panics
    /// When there is none.
    pub async fn start() -> Self {
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let started = Self::listen(anywhere).await;
        started.unwrap_or_else(|error| panic!("no port for the double of Graph: {error}"))
    }

    /// Starts one at that address.
    ///
    /// # Errors
    /// When it cannot be listened at.
    pub async fn listen(at: SocketAddr) -> std::io::Result<Self> {
        let listener = tokio::net::TcpListener::bind(at).await?;
        let address = listener.local_addr()?;
        let world = World::new(format!("http://{address}"));
        let app = api::router(world.clone());
        let server = tokio::spawn(async move {
            // Ends with the task.
            let _ = axum::serve(listener, app).await;
        });
        Ok(Self {
            address,
            world,
            server,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its base URL, such as `http://127.0.0.1:4711`; the API is below `/v1.0`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its token endpoint.
    pub fn token_url(&self) -> String {
        format!("{}/{TENANT}/oauth2/v2.0/token", self.url())
    }

    /// Where its sign-in describes itself, keys included.
    pub fn metadata_url(&self) -> String {
        format!(
            "{}/{TENANT}/v2.0/.well-known/openid-configuration",
            self.url()
        )
    }

    /// Changes how it behaves from now on.
    pub fn behave(&self, change: impl FnOnce(&mut Behaviour)) {
        self.world.change(|inner| change(&mut inner.behaviour));
    }

    /// Answers a coming request with a failure.
    pub fn fail(&self, fault: Fault) {
        self.world.change(|inner| inner.faults.push(fault));
    }

    /// How often something was asked for: `token`, `message.get`, `message.delta`, `subscription.create`,
    /// `subscription.renew`, `subscription.reauthorize`, `subscription.delete`, `keys`, and the like; with
    /// `.refused` behind it when it was answered with a failure.
    pub fn count(&self, what: &str) -> u64 {
        self.world
            .read(|inner| inner.counts.get(what).copied().unwrap_or(0))
    }

    /// How many requests have come, of any kind; what is sent to others is none.
    pub fn requests(&self) -> u64 {
        let came = |what: &str| {
            !what.ends_with(".refused") && !matches!(what, "notification" | "handshake")
        };
        self.world.read(|inner| {
            let counts = inner.counts.iter();
            let counts = counts.filter(|(what, _)| came(what));
            counts.map(|(_, count)| count).sum()
        })
    }

    /// A mail arrives in the inbox: `fields` over plausible ones. Its id. Subscribers are told.
    pub fn arrives(&self, mailbox: &str, fields: Value) -> String {
        mail::arrives(&self.world, mailbox, &fields, true)
    }

    /// A mail arrives, and nobody is told.
    pub fn arrives_unnoticed(&self, mailbox: &str, fields: Value) -> String {
        mail::arrives(&self.world, mailbox, &fields, false)
    }

    /// A message changes. Subscribers to changes are told.
    pub fn changes(&self, mailbox: &str, id: &str, fields: Value) {
        mail::changes(&self.world, mailbox, id, &fields);
    }

    /// A message is moved away or deleted: its id leads nowhere any more.
    pub fn vanishes(&self, mailbox: &str, id: &str) {
        mail::vanishes(&self.world, mailbox, id);
    }

    /// A message as it is.
    pub fn message(&self, mailbox: &str, id: &str) -> Option<Value> {
        self.world.read(|inner| inner.message(mailbox, id).cloned())
    }

    /// The subscriptions that live.
    pub fn subscriptions(&self) -> Vec<Subscription> {
        self.world.change(|inner| {
            inner.expire();
            inner.subscriptions.values().cloned().collect()
        })
    }

    /// Forgets a subscription; its lifecycle URL is told when `told`.
    pub fn removes(&self, id: &str, told: bool) {
        subscriptions::removes(&self.world, id, told);
    }

    /// Tells the lifecycle URL of a subscription something.
    pub fn tells(&self, id: &str, lifecycle: Lifecycle) {
        notify::lifecycle(&self.world, id, lifecycle);
    }

    /// Makes every token that was given out worthless.
    pub fn expires_tokens(&self) {
        self.world.change(|inner| inner.tokens.clear());
    }

    /// Forgets what delta links mean: they are answered with [`Behaviour::forgotten_delta`].
    pub fn forgets_delta(&self) {
        self.world.change(|inner| inner.delta_epoch += 1);
    }

    /// Lets requests to Graph and for tokens wait until [`GraphDouble::goes_on`].
    pub fn pauses(&self) {
        self.world.change(|inner| inner.is_paused = true);
    }

    /// Answers requests again, those that have waited as well.
    pub fn goes_on(&self) {
        self.world.change(|inner| inner.is_paused = false);
    }

    /// Holds notifications back until [`GraphDouble::releases`].
    pub fn holds(&self) {
        self.world.change(|inner| inner.held = Some(Vec::new()));
    }

    /// Sends what was held back: `arrange` may put it in another order, double or drop it. All of one URL go in one
    /// request when `together`.
    pub fn releases(&self, together: bool, arrange: impl FnOnce(&mut Vec<Value>)) {
        notify::releases(&self.world, together, arrange);
    }

    /// Every attempt to deliver a notification so far.
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.world.read(|inner| inner.deliveries.clone())
    }

    /// A token such as comes with resource data, with these claims over the right ones.
    pub fn validation_token(&self, claims: &Value) -> String {
        login::validation_token(&self.world, claims)
    }

    /// Waits until something is so; looks again after everything that happens here.
    ///
    /// # Panics
    /// When it is not so within 20 seconds.
    pub async fn until(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let mut changes = self.world.changes();
        let wait = async {
            while !is_so(self) {
                if changes.changed().await.is_err() {
                    return;
                }
            }
        };
        within(what, wait).await;
    }
}

async fn within(what: &str, wait: impl Future<Output = ()>) {
    let waited = tokio::time::timeout(SOON, wait).await;
    assert!(waited.is_ok(), "{what} did not happen within {SOON:?}");
}
