//! What an event costs as there is more of what it has nothing to do with: routes, and a backlog. Clients and contracts
//! are measured with admission, a backlog on disk with restarts.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nexus_host::queue::{Config, MemoryQueue, Pushed, Queue, Settlement};
use nexus_plugin_api::Event;
use nexus_tests::events::{admitted, heavy};

use crate::crowd::{MANY, event_type, key};
use crate::ingest::{noted, noted_as};
use crate::load::{closed_loop_of, request, request_as};
use crate::report::{Effort, Goal, Report};
use crate::server::Server;

const FLAT: Option<Goal> = Some(Goal::AtMost(1.1));

/// How often hubs take turns in a round, so that what else the machine does meets all of them alike.
const TURNS: u32 = 10;

/// Lanes that a backlog lies in.
const LANES: u32 = 1_000;

/// Events that are pushed, leased and settled one after the other, for one figure.
const EVENTS: u32 = 20_000;

pub(crate) async fn measure(effort: &Effort, report: &mut Report) -> Result<(), Box<dyn Error>> {
    report.extent = format!(
        "{} rounds of {} s of requests, and of {EVENTS} events of the queue",
        effort.rounds,
        effort.round.as_secs_f64()
    );
    routes(effort, report).await?;
    backlog(effort, report).await
}

/// Hubs with one route and with many, of which an event meets one.
async fn routes(effort: &Effort, report: &mut Report) -> Result<(), Box<dyn Error>> {
    let alone = Server::start_with("serve-routes", &["1"])?;
    let many = Server::start_with("serve-routes", &[&MANY.to_string()])?;
    let of = |route: usize| request_as(&key(0), &noted_as(&event_type(route)));
    let [one, all] = of_hubs(effort, alone, many, of).await?;
    report.add("whole hub: 1,000 routes, one is met", "ratio", one, FLAT);
    report.add("whole hub: 1,000 routes, all are met", "ratio", all, None);
    Ok(())
}

/// What a request costs a hub with [`MANY`] of something, over what it costs one with a single one: when one of them is
/// asked for, and when each is in turn. `of` makes the request for one.
pub(crate) async fn of_hubs(
    effort: &Effort,
    mut alone: Server,
    mut many: Server,
    of: impl Fn(usize) -> Vec<u8>,
) -> Result<[Vec<f64>; 2], Box<dyn Error>> {
    let each: Vec<_> = (0..MANY).map(&of).collect();
    let [mut one, mut all] = [(); 2].map(|()| Vec::new());
    let turn = effort.round / TURNS;
    for round in 0..=effort.rounds {
        let mut taken = [0.0; 3];
        for _ in 0..TURNS {
            taken[0] += hub_micros(&mut alone, turn, vec![of(0)]).await?;
            taken[1] += hub_micros(&mut many, turn, vec![of(MANY / 2)]).await?;
            taken[2] += hub_micros(&mut many, turn, each.clone()).await?;
        }
        let [few, one_of_many, all_of_many] = taken;
        if round > 0 {
            one.push(one_of_many / few);
            all.push(all_of_many / few);
        }
    }
    alone.stop()?;
    many.stop()?;
    Ok([one, all])
}

/// Microseconds of processor time that a hub takes for a request while it has as many as it can take.
pub(crate) async fn hub_micros(
    hub: &mut Server,
    length: Duration,
    requests: Vec<Vec<u8>>,
) -> Result<f64, Box<dyn Error>> {
    let before = hub.processor_time()?;
    let answered = closed_loop_of(hub.address, 64, length, requests).await?;
    Ok(answered.micros_each(hub.processor_time()? - before))
}

/// One event after the other through a queue in memory, on top of what waits there; and what it comes to beside all that a
/// hub does for an event.
async fn backlog(effort: &Effort, report: &mut Report) -> Result<(), Box<dyn Error>> {
    let empty = queue();
    let mut hub = Server::start("serve-hub")?;
    let mut costs = Vec::new();
    for backlog in [1_000, effort.backlog / 10, effort.backlog] {
        let queue = queue();
        for number in 0..backlog {
            put(&queue, number).await?;
        }
        let (mut cost, mut ratio, mut whole_hub) = (vec![], vec![], vec![]);
        for _ in 0..effort.rounds {
            let base = micros(&empty).await?;
            let on_top = micros(&queue).await?;
            let whole = hub_micros(&mut hub, effort.round / TURNS, vec![request(&noted())]).await?;
            costs.push(base);
            cost.push(on_top);
            ratio.push(on_top / base);
            whole_hub.push((whole + on_top - base) / whole);
        }
        let name = format!("queue in memory, {backlog} wait: an event");
        report.add(&name, "us", cost, None);
        let name = format!("queue in memory: {backlog} wait over none");
        report.add(&name, "ratio", ratio, FLAT);
        let name = format!("whole hub, by what its queue adds: {backlog} wait over none");
        report.add(&name, "ratio", whole_hub, FLAT);
    }
    report.add("queue in memory, none wait: an event", "us", costs, None);
    hub.stop()
}

fn queue() -> Arc<dyn Queue> {
    let config = Config {
        capacity: 2_000_000,
        max_bytes: "8GiB".parse().expect("a size"),
        dedup_capacity: 10_000,
        ..Config::default()
    };
    Arc::new(MemoryQueue::new(&config, true))
}

fn event(number: u32) -> Event {
    heavy(&format!("s{}", number % LANES), 100)
}

async fn put(queue: &Arc<dyn Queue>, number: u32) -> Result<(), Box<dyn Error>> {
    let report = queue.push(vec![admitted(event(number))]).await;
    match report.answers.as_slice() {
        [Ok(Pushed::Accepted)] => Ok(()),
        other => Err(format!("the queue answers {other:?}").into()),
    }
}

/// From its push until it is settled, in microseconds.
async fn micros(queue: &Arc<dyn Queue>) -> Result<f64, Box<dyn Error>> {
    let mut taken = Duration::ZERO;
    for number in 0..EVENTS {
        let event = admitted(event(number));
        let begun = Instant::now();
        let report = queue.push(vec![event]).await;
        let delivery = queue.lease().await.ok_or("the queue is closed")?;
        let settled = queue.settle(delivery.lease, Settlement::default()).await;
        taken += begun.elapsed();
        drop(report);
        settled.map_err(|error| error.to_string())?;
    }
    Ok(taken.as_secs_f64() * 1e6 / f64::from(EVENTS))
}
