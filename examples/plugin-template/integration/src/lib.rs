//! Writes lines into a file.
//!
//! Receives requests from any processor (`Effect::notify("logbook", …)`), acts on one other system, here a file,
//! and answers with what became of it. It decides nothing.

use std::path::PathBuf;

use nexus_plugin_api::prelude::*;
use tokio::fs::OpenOptions;
use tokio::io::AsyncWriteExt;

/// What it is asked to do. Those who ask write it as JSON: `{"line": "Ada was here"}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Write {
    /// The line, without its end.
    pub line: String,
}

/// What `[plugins.logbook.config]` may hold. The comments become the help of the settings.
#[derive(Debug, Clone, Default, Deserialize, ConfigSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The file, an absolute path; left out, every request is refused.
    file: Option<String>,
}

/// The integration.
#[derive(Debug)]
pub struct Book {
    file: Option<PathBuf>,
}

impl Component for Book {
    type Config = Config;

    /// Does not open the file: what is not there now may be there when it is needed.
    fn new(config: Config, _: &Setup) -> Result<Self, PluginError> {
        let file = config.file.map(PathBuf::from);
        if file.as_ref().is_some_and(|file| !file.is_absolute()) {
            let message = "`file` is no absolute path";
            return Err(PluginError::permanent("invalid_config", message));
        }
        Ok(Self { file })
    }

    async fn health_check(&self) -> Health {
        match self.file {
            Some(_) => Health::Ready,
            None => Health::not_configured("write `file`"),
        }
    }
}

impl Integration for Book {
    const NAME: &'static str = "logbook";
    type Request = Write;

    /// Delivery is at least once: the key tells a repetition from a new request.
    async fn deliver(&self, ctx: &Context, request: Write) -> Result<Reply, PluginError> {
        let Some(file) = &self.file else {
            let message = "`file` is not configured";
            return Err(PluginError::permanent("not_configured", message));
        };
        if request.line.contains('\n') {
            let message = "a line has no line breaks";
            return Err(PluginError::permanent("invalid_line", message));
        }
        let done = format!("written/{}", ctx.idempotency_key());
        if ctx.state().get(&done).await?.is_none() {
            // What goes wrong here may go well later, and is tried again by the hub.
            append(file, &request.line).await?;
            ctx.state().put(&done, b"1").await?;
        }
        Ok(Reply::noted("written"))
    }
}

async fn append(file: &PathBuf, line: &str) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options.create(true).append(true).open(file).await?;
    file.write_all(format!("{line}\n").as_bytes()).await?;
    file.flush().await
}

export_plugin! {
    id: "logbook",
    config: Config,
    integrations: [Book],
    services: ["state"],
    capabilities: ["filesystem"],
}

#[cfg(test)]
mod tests {
    use nexus_plugin_api::testing::Bench;

    use super::*;

    #[tokio::test]
    async fn without_a_file_a_request_is_refused_for_good() {
        let bench = Bench::new();
        let logbook = Book::new(Config::default(), &bench.setup()).unwrap();
        let line = "Ada".to_owned();
        let refused = logbook.deliver(&bench.context(), Write { line }).await;
        let refused = refused.unwrap_err();
        assert_eq!(refused.code, "not_configured");
        assert!(!refused.retryable);
    }
}
