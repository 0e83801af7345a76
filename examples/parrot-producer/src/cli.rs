//! The command line: receives arguments and `NEXUS_KEY`, hands on [`Options`] that can be worked with.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, ValueEnum};
use nexus_plugin_api::outgoing::Url;

/// Where the key is read from.
const KEY_VARIABLE: &str = "NEXUS_KEY";

/// Reads this process's arguments; prints help or a usage error and exits (2) where they do not fit.
pub(crate) fn parse() -> Options {
    let mut options = Options::parse();
    let refuse = |why: String| -> ! {
        Options::command()
            .error(ErrorKind::InvalidValue, why)
            .exit()
    };
    if options.ca.is_some() && options.url.scheme() != "https" {
        refuse("--ca is for TLS, and the hub's address is http://".to_owned());
    }
    match key() {
        Ok(key) => options.key = Key(key),
        Err(why) => refuse(format!(
            "{KEY_VARIABLE} {why}: put the key of one of the hub's clients there (`nexus key new` makes one)"
        )),
    }
    options
}

/// Pushes captured notifications to a hub: one in each line, a JSON object with `notification_id`, `app`, `title`,
/// and what else `parrot.notification.captured` has, and a `priority` if need be
///
/// The key is read from NEXUS_KEY. Exit codes: 0 all was delivered, 1 something was refused or not delivered,
/// 2 wrong usage.
#[derive(Debug, Parser)]
#[command(name = "parrot-producer", version)]
pub(crate) struct Options {
    /// The hub's address
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:7070", value_parser = address)]
    pub(crate) url: Url,

    /// How notifications are pushed
    #[arg(long, value_enum, default_value_t = Transport::Websocket)]
    pub(crate) transport: Transport,

    /// PEM file with the authorities that vouch for the hub [default: the system's]
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,

    /// The source of the events, another one for each machine; the client of the key must have it among its `sources`
    #[arg(long, default_value = "parrot")]
    pub(crate) source: String,

    /// Read this file [default: standard input]
    #[arg(long)]
    pub(crate) file: Option<PathBuf>,

    /// Wait for more at the end of the file
    #[arg(long, requires = "file")]
    pub(crate) follow: bool,

    /// Keep what was read until the hub has answered for it, and how far --file was read, in this file: the next
    /// run goes on there. Without it, a file is read from its beginning
    #[arg(long, value_name = "FILE")]
    pub(crate) outbox: Option<PathBuf>,

    /// End when nothing could be delivered for so long, such as 30s or 5m [default: never]
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub(crate) give_up_after: Option<Duration>,

    #[arg(skip)]
    pub(crate) key: Key,
}

/// How notifications are pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Transport {
    /// Over one connection that stays
    Websocket,
    /// A request for each batch
    Http,
}

/// A client's key. Never shown.
#[derive(Clone, Default)]
pub(crate) struct Key(String);

impl Key {
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

fn key() -> Result<String, &'static str> {
    let text = std::env::var(KEY_VARIABLE).map_err(|_| "is not set")?;
    let key = text.trim();
    match !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => Ok(key.to_owned()),
        false => Err("does not hold a key"),
    }
}

/// An address with `http` or `https`; `ws` and `wss` mean the same here.
fn address(text: &str) -> Result<Url, String> {
    let example = "write an address such as http://127.0.0.1:7070 or wss://hub.example.org";
    let plain = match text.split_once("://") {
        Some(("ws", rest)) => format!("http://{rest}"),
        Some(("wss", rest)) => format!("https://{rest}"),
        _ => text.to_owned(),
    };
    let url = Url::parse(&plain).map_err(|error| format!("{error}; {example}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("`{}` is not spoken here; {example}", url.scheme()));
    }
    if url.query().is_some() || text.contains(['#', '@']) {
        return Err(format!("there is more to it than an address; {example}"));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_options_fit_each_other() {
        Options::command().debug_assert();
    }

    #[test]
    fn an_address_is_checked_before_anything_is_sent() {
        for (given, meant) in [
            ("ws://127.0.0.1:7070", "http://127.0.0.1:7070/"),
            (
                "wss://hub.example.org/below",
                "https://hub.example.org/below",
            ),
            ("https://[::1]:7070", "https://[::1]:7070/"),
        ] {
            assert_eq!(address(given).unwrap().as_str(), meant);
        }
        for bad in [
            "hub",
            "127.0.0.1:7070",
            "ftp://hub",
            "http://hub/?a=b",
            "http://me@hub",
            "http://hub/#a",
            "",
        ] {
            assert!(address(bad).is_err(), "{bad}");
        }
    }
}
