//! What `nexus top` shows: receives an overview as the hub tells it, draws it. What a newer hub tells beside it, or an
//! older one does not tell, changes nothing.

use std::collections::VecDeque;
use std::path::Path;

use ratatui::backend::TestBackend;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Paragraph, Row, Sparkline, Table};
use ratatui::{Frame, Terminal};
use serde_json::Value;

use crate::output;

/// The screen where there is none: as wide as this, or as the longest of what is not well.
const WIDTH: u16 = 110;

/// Its lines beside those of what is called and what is not well.
const HEIGHT: u16 = 14;

/// Below this there is room for figures, and none for what they were.
const LOW: u16 = 20;

/// Below this, what else stands side by side is one below the other.
const NARROW: u16 = 104;

/// Lines of trouble at most.
const MOST_TROUBLES: usize = 8;

/// Lines that are printed at most.
const MOST_LINES: u16 = 500;

/// What is shown.
#[derive(Default)]
pub(super) struct Shown {
    /// Where the hub is.
    pub(super) address: String,
    /// How it is.
    pub(super) overview: Option<Value>,
    /// The seconds before.
    pub(super) seconds: VecDeque<Value>,
    /// Whether there is no terminal: nobody presses a key, and lines may be as many and as long as it takes.
    pub(super) is_printed: bool,
    /// Whether it stands still.
    pub(super) is_paused: bool,
    /// Whether the hub has gone, and is waited for.
    pub(super) is_gone: bool,
}

/// The screen as lines.
pub(super) fn text(shown: &Shown) -> String {
    let (width, height) = room(shown);
    let Ok(mut terminal) = Terminal::new(TestBackend::new(width, height));
    let Ok(_) = terminal.draw(|frame| draw(frame, shown));
    let cells = terminal.backend().buffer().content();
    let lines = cells.chunks(usize::from(width));
    let lines = lines.map(|line| line.iter().map(|cell| cell.symbol()).collect::<String>());
    let lines: Vec<String> = lines.map(|line| line.trim_end().to_owned()).collect();
    lines.join("\n").trim_end().to_owned()
}

/// What it takes to print everything.
fn room(shown: &Shown) -> (u16, u16) {
    let overview = shown.overview.as_ref().unwrap_or(&Value::Null);
    let called = ["processors", "integrations"].map(|key| overview[key]["list"].as_array());
    let called: usize = called.into_iter().flatten().map(Vec::len).sum();
    let troubles = troubles(overview);
    let longest = troubles.iter().map(Line::width).max().unwrap_or_default();
    let bounded = |room: usize| u16::try_from(room).unwrap_or(u16::MAX);
    let height = HEIGHT.saturating_add(bounded(called + troubles.len()));
    (WIDTH.max(bounded(longest)), height.min(MOST_LINES))
}

/// Draws the screen.
pub(super) fn draw(frame: &mut Frame<'_>, shown: &Shown) {
    let area = frame.area();
    let Some(overview) = &shown.overview else {
        frame.render_widget(Paragraph::new("waiting for the hub"), area);
        return;
    };
    let is_low = area.height < LOW && !shown.is_printed;
    let trouble = troubles(overview);
    let rows = match shown.is_printed {
        true => trouble.len(),
        false => usize::from(area.height / 8).clamp(1, MOST_TROUBLES),
    };
    let heading = match trouble.len() {
        0 => "what is not well: nothing".to_owned(),
        count if count > rows => format!("what is not well: {count}, the first {rows}"),
        count => format!("what is not well: {count}"),
    };
    let rows = u16::try_from(rows.min(trouble.len())).unwrap_or(u16::MAX);
    let [head, charts, queue, calls, below, foot] = Layout::vertical([
        Constraint::Length(2),
        Constraint::Length(if is_low { 2 } else { 6 }),
        Constraint::Length(if is_low { 2 } else { 3 }),
        Constraint::Fill(1),
        Constraint::Length(rows + 1),
        Constraint::Length(if shown.is_printed { 0 } else { 1 }),
    ])
    .areas(area);
    frame.render_widget(Paragraph::new(header(shown, overview)), head);
    draw_charts(frame, charts, shown, overview);
    let lines = Paragraph::new(queue_lines(overview));
    let lines = if is_low {
        lines
    } else {
        lines.block(titled("queue"))
    };
    frame.render_widget(lines, queue);
    frame.render_widget(components(overview, calls.width), calls);
    frame.render_widget(Paragraph::new(trouble).block(titled(&heading)), below);
    frame.render_widget(Paragraph::new("q quits, p stands still".dim()), foot);
}

fn titled(title: &str) -> Block<'_> {
    Block::new()
        .borders(Borders::TOP)
        .title(format!("{title} ").bold())
}

/// What matters most comes first: a terminal that is not wide cuts the rest.
fn header(shown: &Shown, overview: &Value) -> Vec<Line<'static>> {
    let hub = &overview["hub"];
    let status = match (shown.is_gone, shown.is_paused) {
        (true, _) => "gone, and waited for".to_owned(),
        (false, true) => "standing still".to_owned(),
        (false, false) => word(&hub["status"]),
    };
    let memory = hub["memory_bytes"].as_f64();
    let memory = memory.map_or_else(String::new, |bytes| {
        format!("   memory {:.0} MiB", bytes / 1_048_576.0)
    });
    let cpu = overview["second"]["cpu"].as_f64();
    let cpu = cpu.map_or_else(String::new, |cpu| format!("   cores {cpu:.2}"));
    let connections: u64 = hub["connections"]
        .as_object()
        .into_iter()
        .flat_map(|all| all.values())
        .filter_map(Value::as_u64)
        .sum();
    let uptime = uptime(hub["uptime_seconds"].as_u64().unwrap_or_default());
    vec![
        Line::from(vec![
            toned(&status),
            Span::from(format!(
                "   nexus {} at {}",
                word(&hub["version"]),
                shown.address
            )),
        ]),
        Line::from(format!(
            "up {uptime}   approvals {}{cpu}{memory}   connections {connections}   followers {}",
            word(&overview["approvals_pending"]),
            word(&hub["followers"]),
        )),
    ]
}

fn draw_charts(frame: &mut Frame<'_>, area: Rect, shown: &Shown, overview: &Value) {
    let halves = [Constraint::Fill(1), Constraint::Fill(1)];
    let [rates, times] = match area.width < NARROW {
        true => Layout::vertical(halves).areas(area),
        false => Layout::horizontal(halves).spacing(2).areas(area),
    };
    let second = &overview["second"];
    let title = format!(
        "events {:.0}/s in, {:.0}/s done, {:.0}/s refused",
        number(&second["accepted"]),
        number(&second["finished"]),
        number(&second["refused"]),
    );
    let of = |second: &Value| number(&second["accepted"]);
    draw_chart(frame, rates, shown, &title, Color::Cyan, of);
    let all = &second["end_to_end"];
    let title = format!(
        "end to end: p50 {}, p90 {}, p99 {}",
        time(&all["p50_seconds"]),
        time(&all["p90_seconds"]),
        time(&all["p99_seconds"]),
    );
    let of = |second: &Value| number(&second["end_to_end"]["p99_seconds"]) * 1e6;
    draw_chart(frame, times, shown, &title, Color::Magenta, of);
}

/// One value of each second, as many as there is room for.
fn draw_chart(
    frame: &mut Frame<'_>,
    area: Rect,
    shown: &Shown,
    title: &str,
    colour: Color,
    of: impl Fn(&Value) -> f64,
) {
    let skipped = shown.seconds.len().saturating_sub(usize::from(area.width));
    let seconds = shown.seconds.iter().skip(skipped);
    let values: Vec<u64> = seconds.map(|second| of(second).round() as u64).collect();
    let chart = Sparkline::default().data(values).style(colour);
    frame.render_widget(chart.block(titled(title)), area);
}

fn queue_lines(overview: &Value) -> Vec<Line<'static>> {
    let queue = &overview["queue"];
    let waiting = queue["waiting"].as_array().into_iter().flatten();
    let waiting: Vec<String> = waiting
        .filter(|one| one["events"] != 0)
        .map(|one| format!("{} {}", word(&one["priority"]), word(&one["events"])))
        .collect();
    let waiting = match waiting.as_slice() {
        [] => "none".to_owned(),
        some => some.join(", "),
    };
    let oldest = match queue["oldest_seconds"].as_f64() {
        Some(_) => format!("   the oldest for {}", time(&queue["oldest_seconds"])),
        None => String::new(),
    };
    vec![
        Line::from(format!(
            "{} of {} events   waiting: {waiting}{oldest}",
            word(&queue["depth"]),
            word(&queue["capacity"]),
        )),
        Line::from(format!(
            "dead letters {}   under way {}   for later {}   lanes {}",
            word(&queue["dead_letters"]),
            word(&queue["leased"]),
            word(&queue["delayed"]),
            word(&queue["lanes"]),
        )),
    ]
}

/// A column of components: its heading, how wide it is, from which width on there is room for it, and what is in it.
struct Column {
    heading: &'static str,
    width: Constraint,
    room: u16,
    cell: fn(&'static str, &Value) -> String,
}

const fn column(
    heading: &'static str,
    width: u16,
    room: u16,
    cell: fn(&'static str, &Value) -> String,
) -> Column {
    Column {
        heading,
        width: Constraint::Length(width),
        room,
        cell,
    }
}

const COLUMNS: [Column; 8] = [
    Column {
        width: Constraint::Fill(1),
        ..column("called", 0, 0, |_, one| printable(&word(&one["name"])))
    },
    column("", 11, 96, |kind, _| kind.to_owned()),
    column("calls/s", 9, 0, |_, one| {
        format!("{:.1}", number(&one["per_second"]))
    }),
    column("p50", 9, 60, |_, one| time(&one["p50_seconds"])),
    column("p99", 9, 0, |_, one| time(&one["p99_seconds"])),
    column("failed/s", 9, 60, |_, one| {
        format!("{:.1}", failed_per_second(one))
    }),
    column("retried", 8, 80, |_, one| word(&one["retried"])),
    column("held", 8, 80, |_, one| word(&one["held"])),
];

fn components(overview: &Value, width: u16) -> Table<'static> {
    let columns: Vec<&Column> = COLUMNS.iter().filter(|one| one.room <= width).collect();
    let of = |key: &str, kind: &'static str| {
        let all = overview[key]["list"].as_array().into_iter().flatten();
        let row = |one: &Value| {
            let row = Row::new(columns.iter().map(|column| (column.cell)(kind, one)));
            match failed_per_second(one) > 0.0 {
                true => row.fg(Color::Red),
                false => row,
            }
        };
        all.map(row).collect::<Vec<_>>()
    };
    let rows = [
        of("processors", "processor"),
        of("integrations", "integration"),
    ]
    .concat();
    let headings = columns.iter().map(|column| column.heading);
    Table::new(rows, columns.iter().map(|column| column.width))
        .header(Row::new(headings).dim())
        .block(titled("processors and integrations"))
}

fn failed_per_second(one: &Value) -> f64 {
    let results = one["results"].as_array().into_iter().flatten();
    let failed = results.filter(|came| came["result"] == "failed");
    // A sum of nothing is less than nothing: -0.0.
    failed.map(|came| number(&came["per_second"])).sum::<f64>() + 0.0
}

/// What is not as it should be, the worst first.
fn troubles(overview: &Value) -> Vec<Line<'static>> {
    let list = |key: &str| overview[key]["list"].as_array().into_iter().flatten();
    let alerts = list("alerts").map(|alert| {
        let (summary, rule) = (word(&alert["summary"]), word(&alert["rule"]));
        (word(&alert["severity"]), format!("alert {rule}: {summary}"))
    });
    let breakers = list("breakers")
        .filter(|breaker| breaker["state"] != "closed")
        .map(|breaker| {
            (
                word(&breaker["state"]),
                format!("breaker {}", word(&breaker["name"])),
            )
        });
    let plugins = list("plugins")
        .filter(|plugin| plugin["state"] != "ready")
        .map(|plugin| {
            let reason = plugin["reason"].as_str().unwrap_or_default();
            let what = format!("plugin {}: {reason}", plugin_name(plugin));
            (word(&plugin["state"]), what)
        });
    let trouble = overview["queue"]["trouble"].as_str();
    let storage = trouble.map(|trouble| ("failed".to_owned(), format!("storage: {trouble}")));
    let all = storage
        .into_iter()
        .chain(alerts)
        .chain(breakers)
        .chain(plugins);
    all.map(|(state, what)| {
        Line::from(vec![
            toned(&format!("{state:<12}")),
            Span::from(printable(&what)),
        ])
    })
    .collect()
}

/// A file that could not be read has no name of its own.
fn plugin_name(plugin: &Value) -> String {
    let path = plugin["origin"]["path"].as_str().map(Path::new);
    match (&plugin["id"], path.and_then(Path::file_name)) {
        (Value::Null, Some(file)) => file.to_string_lossy().into_owned(),
        (id, _) => word(id),
    }
}

fn toned(word: &str) -> Span<'static> {
    let colour = match word.trim() {
        "ready" => Color::Green,
        "not_ready" | "failed" | "quarantined" | "refused" | "open" | "critical" => Color::Red,
        _ => Color::Yellow,
    };
    Span::styled(printable(word), Style::new().fg(colour))
}

/// What others wrote, without what a terminal would obey.
fn printable(text: &str) -> String {
    output::one_line(text).into_owned()
}

fn word(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    }
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_default()
}

fn time(seconds: &Value) -> String {
    match seconds.as_f64() {
        None => "-".to_owned(),
        Some(seconds) if seconds < 0.001 => format!("{:.0} µs", seconds * 1e6),
        Some(seconds) if seconds < 1.0 => format!("{:.1} ms", seconds * 1e3),
        Some(seconds) => format!("{seconds:.1} s"),
    }
}

fn uptime(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours) {
        (0, 0) => format!("{minutes} min {} s", seconds % 60),
        (0, _) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown() -> Shown {
        let second = json!({
            "accepted": 120.4, "finished": 119.0, "refused": 2.0,
            "end_to_end": { "p50_seconds": 0.0004, "p90_seconds": 0.002, "p99_seconds": 1.5 },
        });
        Shown {
            address: "http://127.0.0.1:7070".to_owned(),
            seconds: VecDeque::from(vec![second.clone(); 400]),
            overview: Some(json!({
                "second": second,
                "hub": { "version": "0.1.0", "status": "degraded", "uptime_seconds": 90_061,
                         "memory_bytes": 20_971_520, "connections": { "http": 3, "grpc": 1 },
                         "followers": 2 },
                "queue": { "depth": 7, "capacity": 1000, "leased": 1, "delayed": 2, "lanes": 3,
                           "dead_letters": 4, "oldest_seconds": 0.25,
                           "waiting": [{ "priority": "critical", "events": 5 }] },
                "processors": { "list": [{ "name": "parrot/triage", "per_second": 118.0,
                    "p50_seconds": 0.0001, "p99_seconds": 0.02, "retried": 1, "held": 0,
                    "results": [{ "result": "failed", "per_second": 0.5, "total": 9 }] }] },
                "integrations": { "list": [{ "name": "toasty/toasty", "per_second": 3.0 }] },
                "breakers": { "list": [{ "name": "http/http", "state": "open" }] },
                "plugins": { "list": [{ "id": "evil\u{1b}[2J", "state": "degraded", "reason": "x" }] },
                "alerts": { "list": [{ "rule": "breaker_open", "severity": "critical",
                                       "summary": "the breaker of http/http is open" }] },
                "approvals_pending": 1,
            })),
            ..Shown::default()
        }
    }

    #[test]
    fn everything_is_on_the_screen_and_nothing_is_obeyed() {
        let printed = Shown {
            is_printed: true,
            ..shown()
        };
        let text = text(&printed);
        assert!(!text.contains("q quits"), "{text}");
        for part in [
            "degraded   nexus 0.1.0 at http://127.0.0.1:7070",
            "up 1 d 1 h   approvals 1   memory 20 MiB   connections 4   followers 2",
            "events 120/s in, 119/s done, 2/s refused",
            "end to end: p50 400 µs, p90 2.0 ms, p99 1.5 s",
            "7 of 1000 events   waiting: critical 5   the oldest for 250.0 ms",
            "parrot/triage",
            "toasty/toasty",
            "critical    alert breaker_open: the breaker of http/http is open",
            "open        breaker http/http",
            "degraded    plugin evil\\u{1b}[2J: x",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
    }

    /// The screen at a size.
    fn at(width: u16, height: u16, shown: &Shown) -> Vec<String> {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, shown)).unwrap();
        let cells = terminal.backend().buffer().content();
        let lines = cells.chunks(usize::from(width));
        lines
            .map(|line| line.iter().map(|cell| cell.symbol()).collect())
            .collect()
    }

    #[test]
    fn what_matters_is_seen_on_small_terminals() {
        for (width, height) in [(80, 24), (40, 12)] {
            let screen = at(width, height, &shown()).join("\n");
            for part in [
                "degraded   nexus 0.1.0",
                "approvals 1",
                "events 120/s in, 119/s done, 2/s",
                "p50 400 µs, p90 2.0 ms",
                "7 of 1000 events   waiting: critical 5",
                "dead letters 4",
                "parrot/triage",
                "alert breaker_open: the br",
                "q quits",
            ] {
                assert!(
                    screen.contains(part),
                    "{part} at {width}x{height}\n{screen}"
                );
            }
        }
        let screen = at(40, 12, &shown()).join("\n");
        assert!(screen.contains("what is not well: 3"), "{screen}");
    }

    #[test]
    fn it_fits_where_there_is_little_room_and_little_is_told() {
        for (width, height) in [(1, 1), (20, 5), (80, 24), (300, 100)] {
            let nothing = Shown {
                overview: Some(json!({})),
                ..Shown::default()
            };
            for shown in [shown(), nothing, Shown::default()] {
                assert_eq!(at(width, height, &shown).len(), usize::from(height));
            }
        }
    }
}
