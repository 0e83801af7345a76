//! A producer, as Parrot would be one: reads captured notifications, a JSON object in each line, and pushes them
//! to a hub until the hub has answered for every one.
//!
//! To make a producer of your own, copy this package and change `event`: what becomes of a line, and which id it
//! has. Where lines come from is `input`; the rest knows nothing of notifications:
//!
//! - `reading` takes lines from the input, keeps them in the `outbox` if there is one, and hands them on. It
//!   reads nothing while nobody takes what it has: memory is bounded, and a pipe's writer waits.
//! - `delivery` pushes them, several at once, and is done with a line when the hub has answered for it. What was
//!   not answered is sent again, with the same id, over a new connection; the hub tells what it has already.
//! - `hub` is the wire: `hub/websocket` and `hub/http`. An `answer` says whether to send again.
//!
//! Exit codes: 0 all was delivered, 1 something was refused or not delivered, 2 wrong usage.

mod answer;
mod backoff;
mod cli;
mod delivery;
mod event;
mod hub;
mod input;
mod outbox;
mod reading;
mod stop;

use std::fmt;
use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

use cli::Options;
use delivery::{Delivery, Tally};
use hub::Hub;
use input::Input;
use outbox::Outbox;
use reading::Reading;

/// How long what has been read may still take to be delivered, once this is told to stop.
const GRACE: Duration = Duration::from_secs(5);

/// How many buffers of lines wait between reading and delivery.
const AHEAD: usize = 2;

fn main() -> ExitCode {
    let options = cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            say(format!("failed to start the runtime: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(run(options)).unwrap_or_else(|error| {
        say(error);
        ExitCode::FAILURE
    });
    // Whoever waits for a line of standard input waits for ever.
    runtime.shutdown_background();
    code
}

async fn run(options: Options) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let told = stop::told()?;
    let outbox = options.outbox.as_deref().map(Outbox::open).transpose()?;
    let input = match &options.file {
        None => Input::standard(),
        Some(file) => Input::file(file, options.follow, outbox.as_ref()).await?,
    };
    let read = Arc::new(AtomicU64::new(0));
    let (stop, stopped) = watch::channel(false);
    let (to, lines) = mpsc::channel(AHEAD);
    let reading = Reading::new(input, outbox.clone(), read.clone());
    let reading = tokio::spawn(reading.run(to, stopped));
    let hub = Hub::new(&options);
    let mut delivery = Delivery::new(hub, lines, outbox.clone(), &options);
    let ended = tokio::select! {
        ended = delivery.run() => ended.map_err(|failure| failure.to_string()),
        () = async {
            told.await;
            stop.send_replace(true);
            sleep(GRACE).await;
        } => Err(format!("told to stop, and not everything was delivered within {GRACE:?}")),
    };
    let was_read = match ended.is_ok() {
        true => reading.await?.map_err(|failure| failure.to_string()),
        false => {
            reading.abort();
            Ok(())
        }
    };
    let failures: Vec<String> = [ended, was_read]
        .into_iter()
        .filter_map(Result::err)
        .collect();
    failures.iter().for_each(say);
    let delivered = summed_up(
        delivery.tally(),
        read.load(Ordering::Relaxed),
        outbox.is_some(),
    );
    match failures.is_empty() && delivered {
        true => Ok(ExitCode::SUCCESS),
        false => Ok(ExitCode::FAILURE),
    }
}

/// Tells what became of everything that was read, and whether the hub has all of it.
fn summed_up(tally: &Tally, read: u64, is_kept: bool) -> bool {
    let undelivered = read.saturating_sub(tally.settled());
    let kept = match is_kept && undelivered > 0 {
        true => " (kept in the outbox)",
        false => "",
    };
    say(format!("{tally}, {undelivered} undelivered{kept}"));
    tally.refused == 0 && undelivered == 0
}

/// Says something on standard error.
fn say(what: impl fmt::Display) {
    // It may be closed; there is nobody left to tell then.
    let _ = writeln!(std::io::stderr(), "parrot-producer: {what}");
}
