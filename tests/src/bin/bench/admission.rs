//! What letting an event in costs, step by step; what share of a request that is; and whether it stays the
//! same with many clients and contracts. In processor time, which is the same on a busy machine.

use std::error::Error;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nexus_host::admission::{
    Admission, ClientScope, Contracts, Credentials, Parcel, Presented, Rejection, Transport,
};
use nexus_host::config::Config;
use nexus_plugin_api::ContractInfo;
use semver::Version;
use serde_json::json;

use crate::crowd::{self, Crowd, MANY, event_type, key};
use crate::growth::{self, hub_micros};
use crate::ingest::{noted, noted_as};
use crate::load::request_as;
use crate::report::{Effort, Goal, Report};
use crate::server::Server;
use crate::{serve, system};

/// Events that one variant is given before it is the next one's turn.
const TURN: usize = 2_000;

/// The same where there are many: each of them comes so often that it does not count what others had in the
/// caches before.
const LONG_TURN: usize = 20 * MANY;

/// Rates that cover every event and that none reaches.
const RATES: &str = "rate = 1_000_000_000\n[[limits.rates]]\nsource = \"*\"\nrate = 1_000_000_000\n\
     [[limits.rates]]\ntype = \"*\"\nrate = 1_000_000_000\n";

/// Measures all of it.
pub(crate) async fn measure(effort: &Effort, report: &mut Report) -> Result<(), Box<dyn Error>> {
    steps(effort, report).await?;
    growth(effort, report).await?;
    growth_of_hubs(effort, report).await
}

/// Lets events of so many clients and types in, so many turns of them.
pub(crate) fn admit(clients: &str, contracts: &str, turns: &str) -> Result<(), Box<dyn Error>> {
    let crowd = Crowd::of(clients.parse()?, contracts.parse()?);
    let turns: usize = turns.parse()?;
    serve::runtime()?.block_on(async {
        let door = Door::new(crowd, RATES, Asks::Everything).await?;
        for turn in 0..turns {
            let taken = clocked(async || door.all_in_turn(turn * LONG_TURN).await).await?;
            println!("{:?} for {LONG_TURN} events", taken);
        }
        Ok(())
    })
}

/// An admission, and those who come to it.
struct Door {
    admission: Admission,
    crowd: Crowd,
    scope: Arc<ClientScope>,
}

impl Door {
    async fn new(crowd: Crowd, limits: &str, asks: Asks) -> Result<Self, Box<dyn Error>> {
        let config = Config::from_toml_str(&format!("[limits]\n{limits}{}", crowd.sections()))?;
        let contracts = Contracts::default();
        for mut info in crowd.infos() {
            if asks == Asks::Nothing {
                info = ContractInfo::new(info.event_type, Version::new(1, 0, 0), json!({}));
            }
            contracts.register("bench", info)?;
        }
        let contracts = Arc::new(contracts);
        let admission = Admission::new(&config.limits, &config.clients, &config.issuers, contracts);
        let scope = admission.authenticate(&credentials(&key(0))).await;
        Ok(Self {
            scope: scope.map_err(refused)?,
            admission,
            crowd,
        })
    }

    /// Lets one turn's events in, whose sender is known.
    fn admit(&self) -> Result<(), Rejection> {
        let event = noted_as(&event_type(0));
        for _ in 0..TURN {
            black_box(self.admission.admit(&self.scope, &event)?);
        }
        Ok(())
    }

    /// Does everything that a request with one event goes through.
    async fn take_in(&self, key: &str, event: &str) -> Result<(), Rejection> {
        let sender = self.admission.identify(&credentials(key)).await?;
        let client = self.admission.confirm(sender, event.as_bytes())?;
        if let Parcel::One(text) = self.admission.open(event.as_bytes())? {
            black_box(self.admission.admit(&client, text)?);
        }
        Ok(())
    }

    /// Takes in one turn's events, all the same.
    async fn alone(&self) -> Result<(), Rejection> {
        let (key, event) = (key(0), noted_as(&event_type(0)));
        for _ in 0..TURN {
            self.take_in(&key, &event).await?;
        }
        Ok(())
    }

    /// Takes in one turn's events, `first` and those after it; each of the next client, of the next type.
    async fn all_in_turn(&self, first: usize) -> Result<(), Rejection> {
        self.turn(first, 1).await
    }

    /// Takes in one turn's events, all of one client and one type among the others.
    async fn one_of_them(&self) -> Result<(), Rejection> {
        self.turn(MANY / 2, 0).await
    }

    async fn turn(&self, first: usize, step: usize) -> Result<(), Rejection> {
        // Written over, as a socket's buffer is: where the events lie is not the hub's affair.
        let (mut key, mut event) = (key(0), noted_as(&event_type(0)));
        for number in (0..LONG_TURN).map(|turn| first + turn * step) {
            crowd::renumber(&mut key, number % self.crowd.clients);
            crowd::renumber(&mut event, number % self.crowd.contracts);
            self.take_in(&key, &event).await?;
        }
        Ok(())
    }
}

/// What contracts ask for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asks {
    /// Anything is in order.
    Nothing,
    /// What a derived schema does.
    Everything,
}

/// From nothing but reading to everything, each with one step more than the one before: the difference is
/// what the step costs.
async fn steps(effort: &Effort, report: &mut Report) -> Result<(), Box<dyn Error>> {
    let off = "suspicious = \"off\"\n";
    let reading = Door::new(Crowd::ALONE, off, Asks::Nothing).await?;
    let fitting = Door::new(Crowd::ALONE, off, Asks::Everything).await?;
    let looking = Door::new(Crowd::ALONE, "", Asks::Everything).await?;
    let counting = Door::new(Crowd::ALONE, RATES, Asks::Everything).await?;
    let mut hub = Server::start("serve-hub")?;
    let mut costs: [Vec<f64>; 7] = Default::default();
    for round in 0..=effort.rounds {
        let mut taken = [Duration::ZERO; 5];
        let mut events = 0;
        let begun = Instant::now();
        while begun.elapsed() < effort.round {
            for (at, door) in [&reading, &fitting, &looking, &counting].iter().enumerate() {
                taken[at] += clocked(async || door.admit()).await?;
            }
            taken[4] += clocked(async || counting.alone().await).await?;
            events += TURN;
        }
        let micros = taken.map(|taken| taken.as_secs_f64() * 1e6 / events as f64);
        let whole = hub_micros(
            &mut hub,
            effort.round,
            vec![request_as(serve::KEY, &noted())],
        );
        let whole = whole.await?;
        if round > 0 {
            costs[0].push(micros[4]);
            costs[1].push(micros[4] - micros[3]);
            costs[2].push(micros[3] - micros[2]);
            costs[3].push(micros[0]);
            costs[4].push(micros[1] - micros[0]);
            costs[5].push(micros[2] - micros[1]);
            costs[6].push(whole);
        }
    }
    hub.stop()?;
    let share = costs[0].iter().zip(&costs[6]);
    let share = share.map(|(admission, whole)| 100.0 * admission / whole);
    let share = share.collect();
    let names = [
        "admission of an event of 1 KiB",
        "admission: who it is (a key)",
        "admission: rates of source, type and hub",
        "admission: strict JSON and the envelope",
        "admission: the contract",
        "admission: what looks like an attack",
        "a whole request, everything in the hub's process",
    ];
    for (name, cost) in names.into_iter().zip(costs) {
        report.add(name, "µs", cost, None);
    }
    report.add("admission: share of a whole request", "%", share, None);
    Ok(())
}

/// Whether many clients and contracts make an event dearer.
async fn growth(effort: &Effort, report: &mut Report) -> Result<(), Box<dyn Error>> {
    let crowds = [
        Crowd::ALONE,
        Crowd::of(MANY, 1),
        Crowd::of(1, MANY),
        Crowd::of(MANY, MANY),
    ];
    let mut doors = Vec::new();
    for crowd in crowds {
        doors.push(Door::new(crowd, RATES, Asks::Everything).await?);
    }
    let mut ratios: [[Vec<f64>; 2]; 3] = Default::default();
    for round in 0..=effort.rounds {
        let mut taken = [[Duration::ZERO; 2]; 4];
        let begun = Instant::now();
        let mut first = 0;
        while begun.elapsed() < effort.round {
            for (door, taken) in doors.iter().zip(&mut taken) {
                taken[0] += clocked(async || door.one_of_them().await).await?;
                taken[1] += clocked(async || door.all_in_turn(first).await).await?;
            }
            first += LONG_TURN;
        }
        if round > 0 {
            let [alone, many @ ..] = taken;
            for (many, ratios) in many.iter().zip(&mut ratios) {
                for at in 0..2 {
                    ratios[at].push(many[at].as_secs_f64() / alone[at].as_secs_f64());
                }
            }
        }
    }
    let names = ["1,000 clients", "1,000 contracts", "1,000 of both"];
    for (name, [one, all]) in names.into_iter().zip(ratios) {
        let goal = Some(Goal::AtMost(1.1));
        report.add(&format!("admission: {name}, one comes"), "ratio", one, goal);
        report.add(&format!("admission: {name}, all come"), "ratio", all, goal);
    }
    Ok(())
}

/// The same of whole hubs, over HTTP.
async fn growth_of_hubs(effort: &Effort, report: &mut Report) -> Result<(), Box<dyn Error>> {
    let many = MANY.to_string();
    let alone = Server::start_with("serve-crowd", &["1", "1"])?;
    let crowded = Server::start_with("serve-crowd", &[&many, &many])?;
    let of_one = |n: usize| request_as(&key(n), &noted_as(&event_type(n)));
    let [one, all] = growth::of_hubs(effort, alone, crowded, of_one).await?;
    let goal = Some(Goal::AtMost(1.1));
    report.add("whole hub: 1,000 of both, one comes", "ratio", one, goal);
    report.add("whole hub: 1,000 of both, all come", "ratio", all, goal);
    Ok(())
}

/// How long this takes of a processor; of the clock on the wall where the system tells no more.
async fn clocked(work: impl AsyncFnOnce() -> Result<(), Rejection>) -> Result<Duration, String> {
    let (wall, processor) = (Instant::now(), system::thread_time());
    work().await.map_err(refused)?;
    let taken = system::thread_time().zip(processor);
    Ok(taken.map_or_else(|| wall.elapsed(), |(after, before)| after - before))
}

fn credentials(key: &str) -> Credentials<'_> {
    Credentials {
        presented: Presented::Bearer(key),
        certificate: None,
        peer: None,
        transport: Transport::Http,
    }
}

fn refused(rejection: Rejection) -> String {
    format!("an event that is in order was refused: {rejection:?}")
}
