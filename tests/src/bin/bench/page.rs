//! The figures as a page and as data. A whole run leaves them in `docs`, a part's run its own among the others there; a
//! quick look leaves them in the target folder, and nothing in `docs`.

use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;

use crate::PARTS;
use crate::report::{Effort, Figure, Report, target_folder};

/// What stands between these in the page is written here.
const BEGIN: &str = "<!-- figures: `cargo xtask bench` writes what follows -->";
const END: &str = "<!-- end of the figures -->";

pub(crate) fn write(reports: Vec<Report>, effort: &Effort) -> Result<(), Box<dyn Error>> {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let is_quick = effort.name == Effort::QUICK.name;
    let folder = if is_quick {
        target_folder()?
    } else {
        docs.clone()
    };
    let (page, data) = (folder.join("benchmarks.md"), folder.join("benchmarks.json"));
    let known = if data.exists() {
        serde_json::from_slice(&std::fs::read(&data)?)
            .map_err(|error| format!("{}: {error}", data.display()))?
    } else {
        Vec::new()
    };
    let reports = together(known, reports);
    std::fs::write(&data, serde_json::to_string_pretty(&reports)? + "\n")?;
    let text = std::fs::read_to_string(docs.join("benchmarks.md"))?;
    std::fs::write(&page, with_figures(&text, &reports)?)?;
    println!("\nwritten to {} and {}", page.display(), data.display());
    Ok(())
}

/// What is known with what has been measured now, in the order of the parts.
fn together(known: Vec<Report>, new: Vec<Report>) -> Vec<Report> {
    let is_new = |old: &Report| new.iter().any(|report| report.part == old.part);
    let mut all: Vec<Report> = known.into_iter().filter(|old| !is_new(old)).collect();
    all.extend(new);
    let place = |report: &Report| PARTS.iter().position(|(part, _)| *part == report.part);
    all.retain(|report| place(report).is_some());
    all.sort_by_key(place);
    all
}

/// The page with these figures in the place of those that stand there.
fn with_figures(page: &str, reports: &[Report]) -> Result<String, Box<dyn Error>> {
    let parts = page.split_once(BEGIN).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(END)?;
        Some((before, after))
    });
    let (before, after) = parts.ok_or("docs/benchmarks.md does not say where the figures go")?;
    Ok(format!(
        "{before}{BEGIN}\n\n{}{END}{after}",
        tables(reports)
    ))
}

fn tables(reports: &[Report]) -> String {
    let mut text = String::new();
    for report in reports {
        let load = if report.apart {
            "; the load came from a core of its own"
        } else {
            ""
        };
        let _ = writeln!(
            text,
            "### {}\n\n{} ({}), {} cores{load}; nexus {}, {}, {}.\n\n\
             | | median | spread | goal | |\n|---|---|---|---|---|",
            report.part,
            report.extent,
            report.effort,
            report.cores,
            report.version,
            report.compiler,
            report.target,
        );
        for figure in &report.figures {
            text.push_str(&row(figure));
        }
        text.push('\n');
    }
    text
}

fn row(figure: &Figure) -> String {
    let unit = match figure.unit.as_str() {
        "ratio" | "" => String::new(),
        unit => format!(" {unit}"),
    };
    let goal = figure
        .goal
        .map_or_else(String::new, |goal| goal.to_string());
    let reached = match figure.is_reached() {
        Some(true) => "reached",
        Some(false) => "**not reached**",
        None => "",
    };
    format!(
        "| {} | {}{unit} | {} to {} | {goal} | {reached} |\n",
        figure.name,
        short(figure.median),
        short(figure.min),
        short(figure.max),
    )
}

/// Three digits, which is more than a second run agrees with.
fn short(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude >= 100.0 || value == 0.0 {
        format!("{value:.0}")
    } else if magnitude >= 10.0 {
        format!("{value:.1}")
    } else if magnitude >= 0.1 {
        format!("{value:.2}")
    } else {
        format!("{value:.4}")
    }
}
