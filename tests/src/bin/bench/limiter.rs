//! Rates for names that others choose: a flood of names, in a process of its own, while one that was there
//! before goes on. What it takes in memory, and whether everybody has what he is due.

use std::error::Error;
use std::io::{Write, stdout};
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use nexus_host::admission::{Admission, ClientScope, Contracts, Credentials, Presented, Transport};
use nexus_host::config::Config;
use nexus_plugin_api::ContractInfo;
use semver::Version;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::crowd::{Crowd, event_type, key};
use crate::report::{Effort, Goal, Report};
use crate::{serve, system};

/// Events per second that the source has which was there before, and how many at once.
const KEPT: u32 = 1_000;

/// What a flood came to.
#[derive(Serialize, Deserialize)]
struct Flood {
    /// KiB of memory, more than before.
    resident_kib: Option<u64>,
    /// The same at the most.
    peak_kib: Option<u64>,
    /// Events of the source that goes on, over what it was due.
    kept: f64,
    /// Names that were let in once, of those that came.
    let_in: f64,
}

/// Measures it.
pub(crate) fn measure(effort: &Effort, report: &mut Report) -> Result<(), Box<dyn Error>> {
    "one flood of each kind".clone_into(&mut report.extent);
    let output = Command::new(std::env::current_exe()?)
        .args(["flood-limiter", &effort.names.to_string()])
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    let [lasting, passing]: [Flood; 2] = serde_json::from_slice(&output.stdout)?;
    let names = effort.names;
    for (which, flood) in [
        ("used up for long", lasting),
        ("due again in 0.1 s", passing),
    ] {
        let name = format!("{names} names, {which}");
        let mib = |kib: u64| vec![kib as f64 / 1_024.0];
        if let Some(kib) = flood.resident_kib {
            report.add(
                &format!("{name}: memory"),
                "MiB",
                mib(kib),
                Some(Goal::AtMost(64.0)),
            );
        }
        if let Some(kib) = flood.peak_kib {
            report.add(
                &format!("{name}: at the most"),
                "MiB",
                mib(kib),
                Some(Goal::AtMost(64.0)),
            );
        }
        let goal = Some(Goal::Within(0.99, 1.01));
        report.add(
            &format!("{name}: who goes on, over due"),
            "ratio",
            vec![flood.kept],
            goal,
        );
        report.add(
            &format!("{name}: let in"),
            "ratio",
            vec![flood.let_in],
            None,
        );
    }
    Ok(())
}

/// Floods twice, with a rate that is used up for long and with one that soon is not, and prints what it
/// came to.
pub(crate) fn flood_and_tell(names: &str) -> Result<(), Box<dyn Error>> {
    let names = names.parse()?;
    let floods = [flood(names, 0.001)?, flood(names, 10.0)?];
    writeln!(stdout(), "{}", serde_json::to_string(&floods)?)?;
    Ok(())
}

fn flood(names: u32, rate: f64) -> Result<Flood, Box<dyn Error>> {
    let (admission, scope) = door(rate)?;
    let let_in = |source: &str| {
        let event_type = event_type(0);
        let event = format!(r#"{{"type":"{event_type}","source":"{source}","payload":{{}}}}"#);
        admission.admit(&scope, &event).is_ok()
    };
    let memory = || (system::resident("self"), system::resident_peak("self"));
    let before = memory();
    let (mut kept, mut strangers) = (0_u32, 0_u32);
    let begun = Instant::now();
    for name in 0..names {
        kept += u32::from(let_in("kept"));
        strangers += u32::from(let_in(&format!("flood.{name}")));
    }
    let due = f64::from(KEPT) * (1.0 + begun.elapsed().as_secs_f64());
    let after = memory();
    let more = |before: Option<u64>, after: Option<u64>| Some(after?.saturating_sub(before?));
    Ok(Flood {
        resident_kib: more(before.0, after.0),
        peak_kib: more(before.1, after.1),
        kept: f64::from(kept) / due,
        let_in: f64::from(strangers) / f64::from(names),
    })
}

/// An admission with a rate for every source of the flood, and one for the source that goes on.
fn door(rate: f64) -> Result<(Admission, Arc<ClientScope>), Box<dyn Error>> {
    let config = Config::from_toml_str(&format!(
        "[[limits.rates]]\nsource = \"kept\"\nrate = {KEPT}\n\
         [[limits.rates]]\nsource = \"flood.*\"\nrate = {rate}\nburst = 1\n{}",
        Crowd::ALONE.sections().replace("[\"bench\"]", "[\"*\"]")
    ))?;
    let contracts = Contracts::default();
    let any = ContractInfo::new(event_type(0), Version::new(1, 0, 0), json!({}));
    contracts.register("bench", any)?;
    let contracts = Arc::new(contracts);
    let admission = Admission::new(&config.limits, &config.clients, &config.issuers, contracts);
    let key = key(0);
    let credentials = Credentials {
        presented: Presented::Bearer(&key),
        certificate: None,
        peer: None,
        transport: Transport::Http,
    };
    let scope = serve::runtime()?.block_on(admission.authenticate(&credentials));
    let scope = scope.map_err(|refused| format!("the key was refused: {refused:?}"))?;
    Ok((admission, scope))
}
