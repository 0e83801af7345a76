//! What many WebSockets cost the hub: those that say nothing, in memory of its process before and after; and those that
//! all publish at the same time, in what it takes of few and of many in turn.

use std::error::Error;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Instant;

use futures_util::future::try_join_all;
use futures_util::{StreamExt, TryStreamExt, stream};
use nexus_host::descriptors;
use nexus_tests::websocket::WebSocket;

use crate::ingest;
use crate::report::{Effort, Goal, Report};
use crate::serve::KEY;
use crate::server::Server;
use crate::system;

/// How many come from one address: fewer than there are ports for it.
const OF_ONE_ADDRESS: usize = 5_000;

/// How many are opened at the same time.
const TOGETHER: usize = 64;

/// Descriptors that a process needs for other things.
const OTHERS: u64 = 100;

/// After how many one is asked for a sign of life.
const SAMPLE: usize = 50;

/// Measures it, with as many as the system has descriptors for.
pub(crate) async fn measure(effort: &Effort, report: &mut Report) -> Result<(), Box<dyn Error>> {
    let allowed = descriptors::raise().unwrap_or(u64::MAX);
    let room = usize::try_from(allowed.saturating_sub(OTHERS)).unwrap_or(usize::MAX);
    let many = effort.websockets.min(room);
    if many < effort.websockets {
        println!("{many} WebSockets only: a process may have {allowed} descriptors here");
    }
    for (name, opening) in [("open", Opening::Silent), ("following", Opening::Following)] {
        each_kib(
            &format!("{many} idle WebSockets, {name}"),
            many,
            opening,
            report,
        )
        .await?;
    }
    producers(effort, room, report).await
}

/// Many that all publish at the same time, each waiting for its answer, and few, in turn.
async fn producers(
    effort: &Effort,
    room: usize,
    report: &mut Report,
) -> Result<(), Box<dyn Error>> {
    let many = effort.producers.min(room);
    let hub = Server::start("serve-websockets")?;
    let mut few = open(hub.address, TOGETHER, Opening::Silent).await?;
    let mut all = open(hub.address, many, Opening::Silent).await?;
    let (mut of_few, mut of_all, mut ratios) = (vec![], vec![], vec![]);
    for round in 0..=effort.rounds {
        let few = rate_of(&mut few, effort).await?;
        let all = rate_of(&mut all, effort).await?;
        // The first round warms up.
        if round > 0 {
            of_few.push(few);
            of_all.push(all);
            ratios.push(all / few);
        }
    }
    let name = "WebSockets that publish";
    report.add(&format!("{TOGETHER} {name}"), "events/s", of_few, None);
    report.add(&format!("{many} {name}"), "events/s", of_all, None);
    let goal = Some(Goal::AtLeast(0.9));
    let name = format!("{many} {name} over {TOGETHER}");
    report.add(&name, "ratio", ratios, goal);
    hub.stop()
}

/// Events a second that these publish for a round, each of which was accepted.
async fn rate_of(sockets: &mut [WebSocket], effort: &Effort) -> io::Result<f64> {
    let event = &ingest::noted();
    let begun = Instant::now();
    let done = try_join_all(sockets.iter_mut().map(|socket| async move {
        let mut done = 0_u32;
        while done == 0 || begun.elapsed() < effort.round {
            let answer = socket.publish(event).await?;
            if !answer.contains(r#""accepted""#) {
                return Err(io::Error::other(answer));
            }
            done += 1;
        }
        Ok(done)
    }));
    let done: u32 = done.await?.iter().sum();
    Ok(f64::from(done) / begun.elapsed().as_secs_f64())
}

/// What a client does before it falls silent.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Opening {
    /// Nothing.
    Silent,
    /// It asks for every event.
    Following,
}

async fn each_kib(
    name: &str,
    many: usize,
    opening: Opening,
    report: &mut Report,
) -> Result<(), Box<dyn Error>> {
    let hub = Server::start("serve-websockets")?;
    let process = hub.id().to_string();
    // What the first ones bring into being is not theirs.
    drop(open(hub.address, TOGETHER, opening).await?);
    let before = (system::resident(&process), system::resident_peak(&process));
    let mut sockets = open(hub.address, many, opening).await?;
    let after = (system::resident(&process), system::resident_peak(&process));
    let each = |before: Option<u64>, after: Option<u64>| {
        let more = after?.saturating_sub(before?);
        Some(vec![more as f64 / many as f64])
    };
    if let Some(resident) = each(before.0, after.0) {
        report.add(
            &format!("{name}: each"),
            "KiB",
            resident,
            Some(Goal::AtMost(16.0)),
        );
    }
    if let Some(peak) = each(before.1, after.1) {
        report.add(&format!("{name}: each, at the most"), "KiB", peak, None);
    }
    for socket in sockets.iter_mut().step_by(SAMPLE) {
        socket.ping().await?;
        socket.pong().await?;
    }
    drop(sockets);
    hub.stop()
}

/// Opens so many, and waits until the hub has answered each.
async fn open(to: SocketAddr, many: usize, opening: Opening) -> io::Result<Vec<WebSocket>> {
    let one = |number| open_one(to, number, opening);
    let all = stream::iter((0..many).map(one)).buffer_unordered(TOGETHER);
    all.try_collect().await
}

async fn open_one(to: SocketAddr, number: usize, opening: Opening) -> io::Result<WebSocket> {
    let last = u8::try_from(2 + number / OF_ONE_ADDRESS).map_err(io::Error::other)?;
    let mut socket = WebSocket::open(to, Ipv4Addr::new(127, 0, 0, last), KEY).await?;
    if opening == Opening::Following {
        socket.subscribe().await?;
    }
    Ok(socket)
}
