//! A hub that follows the double, and what it has told: files' events are shown to a processor that hands them to a
//! recording integration.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use dropbox_double::{Dropbox, Webhook};
use nexus_plugin_api::{HookReply, HookRequest};
use nexus_plugin_testkit::TestHub;
use serde_json::{Value, json};
use tempfile::TempDir;

/// How long anything may take that a test waits for.
const SOON: Duration = Duration::from_secs(60);

/// A place for a hub that is started more than once.
pub(crate) struct Scene {
    pub(crate) dropbox: Dropbox,
    folder: TempDir,
    config: String,
    /// What `[queue]` has beside its backend.
    pub(crate) queue: String,
}

/// A hub in a scene.
pub(crate) struct Stage<'a> {
    pub(crate) hub: TestHub,
    pub(crate) dropbox: &'a Dropbox,
}

impl Scene {
    /// With further lines of `[plugins.dropbox.config]`.
    pub(crate) async fn new(config: &str) -> Self {
        Self::with(Dropbox::start().await.unwrap(), config)
    }

    pub(crate) fn with(dropbox: Dropbox, config: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let first = dropbox.accounts()[0].clone();
        for (name, secret) in [
            ("app_key", "app-key"),
            ("app_secret", "app-secret"),
            ("refresh_token", &first.refresh_token),
        ] {
            std::fs::write(folder.path().join(name), secret).unwrap();
        }
        Self {
            dropbox,
            folder,
            config: config.to_owned(),
            queue: String::new(),
        }
    }

    /// Another secret.
    pub(crate) fn secret(&self, name: &str, secret: &str) {
        std::fs::write(self.folder.path().join(name), secret).unwrap();
    }

    /// Without a secret.
    pub(crate) fn without(&self, name: &str) {
        std::fs::remove_file(self.folder.path().join(name)).unwrap();
    }

    pub(crate) fn configure(&mut self, config: &str) {
        self.config = config.to_owned();
    }

    /// The files of the queue, while no hub runs.
    pub(crate) fn kept(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let files = std::fs::read_dir(self.folder.path()).unwrap();
        let paths = files.map(|file| file.unwrap().path());
        let of_queue = |path: &PathBuf| {
            path.file_name()
                .unwrap()
                .to_str()
                .unwrap()
                .starts_with("queue")
        };
        let read = |path: PathBuf| {
            let bytes = std::fs::read(&path).unwrap();
            (path, bytes)
        };
        paths.filter(of_queue).map(read).collect()
    }

    /// Puts the queue back to what it was.
    pub(crate) fn put_back(&self, kept: &[(PathBuf, Vec<u8>)]) {
        for (path, _) in self.kept() {
            std::fs::remove_file(path).unwrap();
        }
        for (path, bytes) in kept {
            std::fs::write(path, bytes).unwrap();
        }
    }

    /// Starts a hub, and waits until the account has been listed: one that Dropbox is asked for, as with accounts in
    /// the configuration it is listed before anybody looks.
    pub(crate) async fn start(&self) -> Stage<'_> {
        let stage = self.open().await;
        let asking = stage.hub.first_of("dropbox.account.changed").await.unwrap();
        stage.hub.processed(asking.event_id).await.unwrap();
        stage
    }

    /// Starts a hub.
    pub(crate) async fn open(&self) -> Stage<'_> {
        let at = |name: &str| json!(self.folder.path().join(name)).to_string();
        let mut text = format!(
            "[queue]\nbackend = \"sqlite\"\n{}\n[queue.sqlite]\npath = {}\n\
             [retry]\ndelays = [\"10ms\"]\n[plugins.dropbox.secrets]\n",
            self.queue,
            at("queue.db"),
        );
        for file in std::fs::read_dir(self.folder.path()).unwrap() {
            let name = file.unwrap().file_name().into_string().unwrap();
            if Path::new(&name).extension().is_none() && !name.starts_with("queue") {
                text += &format!("{name} = {{ file = {} }}\n", at(&name));
            }
        }
        let url = self.dropbox.url();
        text += &format!(
            "[plugins.dropbox.config]\napi_url = \"{url}\"\nnotify_url = \"{url}\"\n{}\n",
            self.config
        );
        // A hub that was killed lets go of its queue a moment later.
        let begun = Instant::now();
        let hub = loop {
            let started = TestHub::builder()
                .config_toml(&text)
                .plugin(dropbox::plugin())
                .plugin(crate::teller::plugin())
                .record_integration("told")
                .start()
                .await;
            match started {
                Err(error) if error.to_string().contains("in use") && begun.elapsed() < SOON => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                started => break started.unwrap(),
            }
        };
        Stage {
            hub,
            dropbox: &self.dropbox,
        }
    }
}

impl Stage<'_> {
    pub(crate) async fn hook(&self, request: HookRequest) -> HookReply {
        self.hub.hook("dropbox", request).await.unwrap()
    }

    /// Tells the hub that something has changed.
    pub(crate) async fn notify(&self) {
        let reply = self.hook(posted(&self.dropbox.webhook())).await;
        assert_eq!(reply.status, 200);
    }

    /// Waits until so many events are done with, and none is left.
    pub(crate) async fn is_done_with(&self, events: u64) {
        let done = || {
            let queue = self.hub.host().health().queue;
            queue.finished >= events && queue.depth == 0
        };
        self.until("nothing left to do", done).await;
    }

    /// What was told, in order: `type path`, and `type from > path` for what was moved.
    pub(crate) fn told(&self) -> Vec<String> {
        let requests = self.hub.requests("told");
        requests.iter().map(|told| line(&told.request)).collect()
    }

    /// What was told, once there is that much.
    pub(crate) async fn tells(&self, count: usize) -> Vec<String> {
        self.until(&format!("{count} events"), || self.told().len() >= count)
            .await;
        self.told()
    }

    /// The payloads that were told.
    pub(crate) fn payloads(&self) -> Vec<Value> {
        let requests = self.hub.requests("told");
        let payload = |told: &nexus_plugin_testkit::Recorded| told.request["payload"].clone();
        requests.iter().map(payload).collect()
    }

    /// Has one more change told: what was told before it.
    pub(crate) async fn ends_with(&self, path: &str) -> Vec<String> {
        self.dropbox.put(path, 1);
        self.notify().await;
        let last = format!("added {path}");
        self.until(&last, || self.told().contains(&last)).await;
        let mut told = self.told();
        told.retain(|line| *line != last);
        told
    }

    pub(crate) async fn until(&self, what: &str, done: impl Fn() -> bool) {
        let wait = async {
            while !done() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let waited = tokio::time::timeout(SOON, wait).await;
        assert!(
            waited.is_ok(),
            "not in time: {what}; told: {:?}",
            self.told()
        );
    }
}

/// The request that a webhook is.
pub(crate) fn posted(hook: &Webhook) -> HookRequest {
    HookRequest {
        method: "POST".to_owned(),
        path: String::new(),
        query: String::new(),
        headers: vec![("x-dropbox-signature".to_owned(), hook.signature.clone())],
        body: hook.body.clone().into_bytes().into(),
    }
}

fn line(told: &Value) -> String {
    let kind = told["type"]
        .as_str()
        .unwrap()
        .trim_start_matches("dropbox.file.");
    let path = told["payload"]["path"].as_str().unwrap();
    match told["payload"]["from_path"].as_str() {
        Some(from) => format!("{kind} {from} > {path}"),
        None => format!("{kind} {path}"),
    }
}
