//! The command line: receives arguments, hands on [`Options`], decides nothing else.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser;

use crate::{DisplayKind, Options};

/// Reads this process's arguments; prints help or a usage error and exits (2) where they do not fit.
pub fn parse() -> Options {
    Arguments::parse().into()
}

/// Reference Toasty server: shows toasts sent over gRPC (toasty.v1) and tells what people answer.
#[derive(Debug, Parser)]
#[command(name = "toasty-server", version)]
struct Arguments {
    /// Address to listen on; port 0 takes a free one, which is printed
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7072")]
    listen: SocketAddr,

    /// Where toasts are shown; `desktop` falls back to `terminal` when no desktop can be reached
    #[arg(long, value_enum, default_value_t = DisplayKind::Desktop)]
    display: DisplayKind,

    /// File to append every call and every event to, one JSON line each
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,

    /// Listen beyond this machine: the server has no sign-in, so anyone who reaches it may call
    #[arg(long)]
    allow_remote: bool,
}

impl From<Arguments> for Options {
    fn from(arguments: Arguments) -> Self {
        Self {
            listen: arguments.listen,
            display: arguments.display,
            journal: arguments.journal,
            allow_remote: arguments.allow_remote,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_become_options() {
        let options: Options = Arguments::try_parse_from([
            "toasty-server",
            "--listen",
            "127.0.0.1:0",
            "--display",
            "none",
            "--journal",
            "toasts.jsonl",
        ])
        .unwrap()
        .into();
        assert_eq!(options.listen.port(), 0);
        assert_eq!(options.display, DisplayKind::None);
        assert_eq!(options.journal, Some(PathBuf::from("toasts.jsonl")));
        assert!(!options.allow_remote);
    }

    #[test]
    fn defaults_are_the_documented_ones() {
        let options: Options = Arguments::try_parse_from(["toasty-server"]).unwrap().into();
        assert_eq!(options.listen, SocketAddr::from(([127, 0, 0, 1], 7072)));
        assert_eq!(options.display, DisplayKind::Desktop);
    }
}
