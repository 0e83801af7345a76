//! Clients that are in the way, beside honest ones: what that does to the honest ones' answers, and how
//! long the hub lets each of the others be, with the deadlines that it has by default.

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use nexus_tests::attack::Attack;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::ingest::{RATE, percentile, sent};
use crate::load::open_loop;
use crate::report::{Effort, Goal, Report};
use crate::serve::KEY;
use crate::server::Server;

/// Attackers of each kind at once.
const OF_EACH: usize = 20;

/// Longer than any deadline that the hub has by default.
const LONGEST: Duration = Duration::from_secs(90);

/// For attackers to be there.
const GATHERING: Duration = Duration::from_secs(1);

/// Before an attacker that was closed comes back.
const RETURN: Duration = Duration::from_millis(100);

/// Measures both.
pub(crate) async fn measure(effort: &Effort, report: &mut Report) -> Result<(), Box<dyn Error>> {
    let hub = Server::start("serve-hub")?;
    // Nobody, which tells what the measurement itself does; each kind alone; and all at once.
    let kinds = match effort.each_attack {
        true => &Attack::ALL[..],
        false => &[],
    };
    let sieges = kinds.iter().map(std::slice::from_ref);
    let sieges = [&Attack::ALL[..0]].into_iter().chain(sieges);
    let sieges: Vec<&[Attack]> = sieges.chain([&Attack::ALL[..]]).collect();
    let (mut alone, mut beside) = (vec![], vec![]);
    let mut ratios = vec![vec![]; sieges.len()];
    for round in 0..=effort.rounds {
        for (siege, ratios) in sieges.iter().zip(&mut ratios) {
            let quiet = open_loop(hub.address, 16, RATE, effort.round, sent).await?;
            let attackers = besiege(hub.address, siege);
            sleep(GATHERING).await;
            let pressed = open_loop(hub.address, 16, RATE, effort.round, sent).await?;
            drop(attackers);
            let quiet = percentile(&quiet, 99) / 1_000.0;
            let pressed = percentile(&pressed, 99) / 1_000.0;
            if round > 0 {
                ratios.push(pressed / quiet);
                alone.push(quiet);
                if siege.len() > 1 {
                    beside.push(pressed);
                }
            }
        }
    }
    report.add("2,000/s: answer's p99, alone", "ms", alone, None);
    report.add("2,000/s: answer's p99, beside all", "ms", beside, None);
    for (siege, ratios) in sieges.iter().zip(ratios) {
        let who = match siege {
            [] => "nobody",
            [one] => one.name(),
            _ => "all of these",
        };
        let name = format!("p99 over alone, beside {OF_EACH}: {who}");
        report.add(&name, "ratio", ratios, Some(Goal::AtMost(2.0)));
    }
    if effort.each_attack {
        closings(hub.address, report).await?;
    }
    hub.stop()
}

/// Attackers of these kinds, each of which comes back when it is closed; until this is dropped.
fn besiege(hub: SocketAddr, kinds: &[Attack]) -> JoinSet<()> {
    let mut attackers = JoinSet::new();
    for (attack, from) in kinds.iter().copied().zip(peers()) {
        for _ in 0..OF_EACH {
            attackers.spawn(async move {
                loop {
                    // One that is refused tries again as well.
                    let _ = attack.run(hub, from, KEY).await;
                    sleep(RETURN).await;
                }
            });
        }
    }
    attackers
}

/// Another address of this machine for each kind.
fn peers() -> impl Iterator<Item = Ipv4Addr> {
    (66..).map(|last| Ipv4Addr::new(127, 0, 0, last))
}

/// How long each is let be, while honest events go on.
async fn closings(hub: SocketAddr, report: &mut Report) -> Result<(), Box<dyn Error>> {
    let honest = tokio::spawn(open_loop(hub, 16, RATE, LONGEST, sent));
    let mut attackers = JoinSet::new();
    for (attack, from) in Attack::ALL.into_iter().zip(peers()) {
        attackers.spawn(async move {
            let closed = timeout(LONGEST, attack.run(hub, from, KEY)).await;
            (attack, closed)
        });
    }
    while let Some(ended) = attackers.join_next().await {
        let (attack, closed) = ended?;
        let name = format!("closed by default after: {}", attack.name());
        match closed {
            Ok(after) => report.add(
                &name,
                "s",
                vec![after?.as_secs_f64()],
                Some(Goal::AtMost(10.0)),
            ),
            Err(_) => println!("{name}: not within {LONGEST:?}"),
        }
    }
    if honest.is_finished() {
        honest.await??;
    } else {
        honest.abort();
    }
    Ok(())
}
