//! Stands in for Dropbox: a server on loopback that speaks its wire, for tests, benchmarks and demonstrations.
//!
//! Receives the API's calls (`list_folder` and its `continue` and `longpoll`, OAuth tokens, and as much of changing
//! files as a client needs), hands on answers in the shapes of the real one, and sends signed webhooks. What goes wrong
//! in the real world is ordered from it: cursors that are reset, throttling, tokens that expire, pages of any size,
//! webhooks that come twice. It keeps names and sizes of files, and no content.
//!
//! ```
//! use dropbox_double::Dropbox;
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> std::io::Result<()> {
//! let dropbox = Dropbox::start().await?;
//! dropbox.put("/Reports/May.pdf", 1200);
//! let hook = dropbox.webhook();
//! assert!(hook.body.contains(dropbox.account()));
//! assert_eq!(hook.signature.len(), 64);
//! assert_eq!(dropbox.asked("/2/files/list_folder"), 0);
//! # Ok(()) }
//! ```

// A refusal is an answer: as large as one, and as rare as a test wants it.
#![allow(clippy::result_large_err)]

mod api;
mod control;
mod cursor;
mod files;
mod server;
mod shared;
mod tree;
mod webhooks;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::task::JoinHandle;

use shared::Shared;
pub use shared::{Account, Fault};
pub use webhooks::Webhook;

/// How long [`Dropbox::asked_at_least`] waits.
const PATIENCE: Duration = Duration::from_secs(30);

/// How the double is started.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where it listens.
    pub listen: SocketAddr,
    /// The app's key and secret.
    pub app: (String, String),
    /// Who has linked the app.
    pub accounts: Vec<Account>,
    /// A certificate and its key, as PEM files: then it speaks HTTPS.
    pub tls: Option<(PathBuf, PathBuf)>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            app: ("app-key".to_owned(), "app-secret".to_owned()),
            accounts: vec![Account::named("ada")],
            tls: None,
        }
    }
}

/// The running double; it ends with this.
#[derive(Debug)]
pub struct Dropbox {
    shared: Arc<Shared>,
    address: SocketAddr,
    is_tls: bool,
    serving: JoinHandle<()>,
}

impl Dropbox {
    /// Starts one with one account, on a free port of loopback.
    ///
    /// # Errors
    /// When it cannot listen.
    pub async fn start() -> io::Result<Self> {
        Self::with(Options::default()).await
    }

    /// Starts one.
    ///
    /// # Errors
    /// When it cannot listen, or its certificate cannot be used.
    pub async fn with(options: Options) -> io::Result<Self> {
        let is_tls = options.tls.is_some();
        let shared = Arc::new(Shared::new(options.app, options.accounts));
        let routes = api::routes()
            .merge(files::routes())
            .merge(control::routes());
        let routes = routes.with_state(Arc::clone(&shared));
        let (address, serving) = server::start(options.listen, options.tls, routes).await?;
        Ok(Self {
            shared,
            address,
            is_tls,
            serving,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What stands before the paths of its API; the notify host is the same.
    pub fn url(&self) -> String {
        let scheme = if self.is_tls { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// The id of its first account.
    pub fn account(&self) -> &str {
        &self.shared.accounts[0].id
    }

    /// Its accounts.
    pub fn accounts(&self) -> &[Account] {
        &self.shared.accounts
    }

    /// Writes a file of the first account, new or changed; folders above it come by themselves.
    pub fn put(&self, path: &str, size: u64) {
        self.put_of(self.account(), path, size);
    }

    /// Writes a file of an account.
    pub fn put_of(&self, account: &str, path: &str, size: u64) {
        self.shared.change(account, |tree| tree.put(path, size));
    }

    /// Says when a file of the first account was written, by Dropbox's clock.
    pub fn written(&self, path: &str, at: DateTime<Utc>) {
        self.shared
            .change(self.account(), |tree| tree.written(path, at));
    }

    /// Whether a file keeps its revision when it is moved.
    pub fn keeps_revisions(&self, keeps: bool) {
        self.shared
            .change(self.account(), |tree| tree.keeps_revisions = keeps);
    }

    /// Deletes a file, or a folder with all that is in it, of the first account.
    pub fn delete(&self, path: &str) {
        self.shared.change(self.account(), |tree| tree.delete(path));
    }

    /// Moves a file or a folder of the first account.
    pub fn rename(&self, from: &str, to: &str) {
        self.shared
            .change(self.account(), |tree| tree.rename(from, to));
    }

    /// Answers `reset` to every cursor that was given so far.
    pub fn reset(&self) {
        self.shared.reset();
    }

    /// How many entries a page has at most, whatever is asked for.
    pub fn pages_of(&self, entries: usize) {
        self.shared.settings.lock().page = entries.max(1);
    }

    /// How long each page takes.
    pub fn slow(&self, page: Duration) {
        self.shared.settings.lock().slow = page;
    }

    /// Whether changes are told newest first, so that a file appears before its old place is given up.
    pub fn newest_first(&self, newest_first: bool) {
        self.shared.settings.lock().newest_first = newest_first;
    }

    /// Answers a coming call with a failure. Several are answered in order.
    pub fn fail(&self, fault: Fault) {
        self.shared.settings.lock().faults.push_back(fault);
    }

    /// Makes every access token that was given for a refresh token invalid.
    pub fn expire_tokens(&self) {
        self.shared.issued.lock().clear();
    }

    /// Has the coming long polls tell a time to be left alone.
    pub fn back_off(&self, seconds: Option<u64>) {
        self.shared.settings.lock().backoff = seconds;
    }

    /// How often a path was asked for; `webhook` for those that were sent to a URL that was entered.
    pub fn asked(&self, path: &str) -> u64 {
        self.shared.counts.borrow().get(path).copied().unwrap_or(0)
    }

    /// How many requests have come, for whatever path.
    pub fn requests(&self) -> u64 {
        self.shared.counts.borrow().values().sum()
    }

    /// Waits until a path was asked for that often in all.
    ///
    /// # Panics
    /// When it is not within 30 seconds.
    pub async fn asked_at_least(&self, path: &str, times: u64) {
        let mut counts = self.shared.counts.subscribe();
        let enough = counts.wait_for(|counts| counts.get(path).copied().unwrap_or(0) >= times);
        // What it answers must not be kept: nobody could count then.
        let is_late = tokio::time::timeout(PATIENCE, enough).await.is_err();
        let asked = self.asked(path);
        assert!(
            !is_late,
            "{path} was asked for {asked} times, and not {times}"
        );
    }

    /// The webhook that tells of changes in every account.
    pub fn webhook(&self) -> Webhook {
        let ids: Vec<&str> = self.accounts().iter().map(|one| one.id.as_str()).collect();
        self.webhook_for(&ids)
    }

    /// The webhook that tells of changes in some accounts.
    pub fn webhook_for(&self, accounts: &[&str]) -> Webhook {
        Webhook::of(&self.shared, accounts)
    }

    /// Any body, signed as a webhook.
    pub fn signed(&self, body: String) -> Webhook {
        Webhook::signed(&self.shared, body)
    }

    /// Sends a webhook over HTTP: the status that it was answered with.
    ///
    /// # Errors
    /// When nobody answers.
    pub async fn send(&self, url: &str, hook: &Webhook) -> Result<u16, reqwest::Error> {
        hook.send(url).await
    }

    /// Enters a URL as the app's webhook: it is challenged, and then told of each change, so many times over.
    ///
    /// # Errors
    /// When it does not answer the challenge as Dropbox wants it.
    pub async fn enter_webhook(&self, url: &str, copies: usize) -> Result<(), String> {
        webhooks::enter(&self.shared, url, copies).await
    }

    /// Serves until it is told to end.
    pub async fn serve(mut self) {
        // Its end, if it has one, is what is waited for.
        let _ = (&mut self.serving).await;
    }
}

impl Drop for Dropbox {
    fn drop(&mut self) {
        self.serving.abort();
        self.shared.stop();
    }
}
