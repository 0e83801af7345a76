//! What `nexus top` shows: receives an overview as the hub tells it, draws it. What a newer hub tells beside it, or an
//! older one does not tell, changes nothing.

use std::collections::VecDeque;

use ratatui::backend::TestBackend;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Paragraph, Row, Sparkline, Table};
use ratatui::{Frame, Terminal};
use serde_json::Value;

use crate::output;

/// The screen where there is none.
const WIDTH: u16 = 110;
const HEIGHT: u16 = 36;

/// What is shown.
#[derive(Default)]
pub(super) struct Shown {
    /// Where the hub is.
    pub(super) address: String,
    /// How it is.
    pub(super) overview: Option<Value>,
    /// The seconds before.
    pub(super) seconds: VecDeque<Value>,
    /// Whether it stands still.
    pub(super) is_paused: bool,
    /// Whether the hub has gone, and is waited for.
    pub(super) is_gone: bool,
}

/// The screen as lines.
pub(super) fn text(shown: &Shown) -> String {
    let Ok(mut terminal) = Terminal::new(TestBackend::new(WIDTH, HEIGHT));
    let Ok(_) = terminal.draw(|frame| draw(frame, shown));
    let buffer = terminal.backend().buffer();
    let cells = buffer.content().chunks(usize::from(WIDTH));
    let lines = cells.map(|line| line.iter().map(|cell| cell.symbol()).collect::<String>());
    let lines: Vec<String> = lines.map(|line| line.trim_end().to_owned()).collect();
    lines.join("\n").trim_end().to_owned()
}

/// Draws the screen.
pub(super) fn draw(frame: &mut Frame<'_>, shown: &Shown) {
    let Some(overview) = &shown.overview else {
        frame.render_widget(Paragraph::new("waiting for the hub"), frame.area());
        return;
    };
    let trouble = troubles(overview);
    let rows = u16::try_from(trouble.len()).unwrap_or(u16::MAX).min(8);
    let [head, charts, queue, calls, below, foot] = Layout::vertical([
        Constraint::Length(2),
        Constraint::Length(6),
        Constraint::Length(4),
        Constraint::Min(4),
        Constraint::Length(rows + 1),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    frame.render_widget(Paragraph::new(header(shown, overview)), head);
    draw_charts(frame, charts, shown, overview);
    frame.render_widget(
        Paragraph::new(queue_lines(overview)).block(titled("queue")),
        queue,
    );
    frame.render_widget(components(overview), calls);
    frame.render_widget(
        Paragraph::new(trouble).block(titled("what is not well")),
        below,
    );
    frame.render_widget(Paragraph::new("q quits, p stands still".dim()), foot);
}

fn titled(title: &str) -> Block<'_> {
    Block::new().borders(Borders::TOP).title(title.bold())
}

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
    let cpu = cpu.map_or_else(String::new, |cpu| format!("   processors {cpu:.2}"));
    let connections: u64 = hub["connections"]
        .as_object()
        .into_iter()
        .flat_map(|all| all.values())
        .filter_map(Value::as_u64)
        .sum();
    let uptime = uptime(hub["uptime_seconds"].as_u64().unwrap_or_default());
    vec![
        Line::from(vec![
            Span::from(format!(
                "nexus {} at {}   ",
                word(&hub["version"]),
                shown.address
            )),
            toned(&status),
        ]),
        Line::from(format!(
            "up {uptime}{cpu}{memory}   connections {connections}   followers {}   approvals waiting {}",
            word(&hub["followers"]),
            word(&overview["approvals_pending"]),
        )),
    ]
}

fn draw_charts(frame: &mut Frame<'_>, area: Rect, shown: &Shown, overview: &Value) {
    let [left, right] = Layout::horizontal([Constraint::Fill(1), Constraint::Fill(1)])
        .spacing(2)
        .areas(area);
    let second = &overview["second"];
    let newest = |of: &dyn Fn(&Value) -> f64, width: u16| -> Vec<u64> {
        let skipped = shown.seconds.len().saturating_sub(usize::from(width));
        let seconds = shown.seconds.iter().skip(skipped);
        seconds.map(|second| of(second).round() as u64).collect()
    };
    let rates = newest(&|second| number(&second["accepted"]), left.width);
    let title = format!(
        "events {:.0}/s in, {:.0}/s done, {:.0}/s refused",
        number(&second["accepted"]),
        number(&second["finished"]),
        number(&second["refused"]),
    );
    frame.render_widget(
        Sparkline::default()
            .data(rates)
            .style(Color::Cyan)
            .block(titled(&title)),
        left,
    );
    let micros = |second: &Value| number(&second["end_to_end"]["p99_seconds"]) * 1e6;
    let times = newest(&micros, right.width);
    let all = &second["end_to_end"];
    let title = format!(
        "from end to end: p50 {}, p90 {}, p99 {}",
        time(&all["p50_seconds"]),
        time(&all["p90_seconds"]),
        time(&all["p99_seconds"]),
    );
    frame.render_widget(
        Sparkline::default()
            .data(times)
            .style(Color::Magenta)
            .block(titled(&title)),
        right,
    );
}

fn queue_lines(overview: &Value) -> Vec<Line<'static>> {
    let queue = &overview["queue"];
    let waiting = queue["waiting"].as_array().into_iter().flatten();
    let waiting: Vec<String> = waiting
        .map(|one| format!("{} {}", word(&one["priority"]), word(&one["events"])))
        .collect();
    let oldest = match queue["oldest_seconds"].as_f64() {
        Some(_) => format!("   the oldest for {}", time(&queue["oldest_seconds"])),
        None => String::new(),
    };
    vec![
        Line::from(format!(
            "{} of {} events   waiting: {}{oldest}",
            word(&queue["depth"]),
            word(&queue["capacity"]),
            waiting.join(", "),
        )),
        Line::from(format!(
            "under way {}   for later {}   lanes {}   dead letters {}",
            word(&queue["leased"]),
            word(&queue["delayed"]),
            word(&queue["lanes"]),
            word(&queue["dead_letters"]),
        )),
    ]
}

fn components(overview: &Value) -> Table<'static> {
    let of = |key: &str, kind: &'static str| {
        let all = overview[key]["list"].as_array().into_iter().flatten();
        all.map(move |one| component(kind, one)).collect::<Vec<_>>()
    };
    let rows = [
        of("processors", "processor"),
        of("integrations", "integration"),
    ]
    .concat();
    let widths = [
        Constraint::Fill(1),
        Constraint::Length(11),
        Constraint::Length(9),
        Constraint::Length(9),
        Constraint::Length(9),
        Constraint::Length(9),
        Constraint::Length(8),
        Constraint::Length(8),
    ];
    let header = [
        "called", "", "calls/s", "p50", "p99", "failed/s", "retried", "held",
    ];
    Table::new(rows, widths)
        .header(Row::new(header).dim())
        .block(titled("processors and integrations"))
}

fn component(kind: &'static str, one: &Value) -> Row<'static> {
    let results = one["results"].as_array().into_iter().flatten();
    let failed: f64 = results
        .filter(|came| {
            matches!(
                came["result"].as_str(),
                Some("failed" | "timed_out" | "panicked")
            )
        })
        .map(|came| number(&came["per_second"]))
        .sum();
    let row = Row::new([
        printable(&word(&one["name"])),
        kind.to_owned(),
        format!("{:.1}", number(&one["per_second"])),
        time(&one["p50_seconds"]),
        time(&one["p99_seconds"]),
        format!("{failed:.1}"),
        word(&one["retried"]),
        word(&one["held"]),
    ]);
    if failed > 0.0 {
        row.fg(Color::Red)
    } else {
        row
    }
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
            let what = format!("plugin {} {reason}", word(&plugin["id"]));
            (word(&plugin["state"]), what)
        });
    let trouble = overview["queue"]["trouble"].as_str();
    let storage = trouble.map(|trouble| ("failed".to_owned(), format!("storage: {trouble}")));
    let lines = storage
        .into_iter()
        .chain(alerts)
        .chain(breakers)
        .chain(plugins);
    let lines: Vec<_> = lines
        .map(|(state, what)| {
            Line::from(vec![
                toned(&format!("{state:<12}")),
                Span::from(printable(&what)),
            ])
        })
        .collect();
    if lines.is_empty() {
        return vec![Line::from("nothing".dim())];
    }
    lines
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
    output::harmless(text).replace('\n', " ")
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
        let text = text(&shown());
        for part in [
            "nexus 0.1.0 at http://127.0.0.1:7070   degraded",
            "up 1 d 1 h   memory 20 MiB   connections 4   followers 2   approvals waiting 1",
            "events 120/s in, 119/s done, 2/s refused",
            "p50 400 µs, p90 2.0 ms, p99 1.5 s",
            "7 of 1000 events   waiting: critical 5   the oldest for 250.0 ms",
            "parrot/triage",
            "toasty/toasty",
            "critical    alert breaker_open: the breaker of http/http is open",
            "open        breaker http/http",
            "degraded    plugin evil\\u{1b}[2J x",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
    }

    #[test]
    fn it_fits_where_there_is_little_room_and_little_is_told() {
        for (width, height) in [(1, 1), (20, 5), (80, 24), (300, 100)] {
            let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
            terminal.draw(|frame| draw(frame, &shown())).unwrap();
            let nothing = Shown {
                overview: Some(json!({})),
                ..Shown::default()
            };
            terminal.draw(|frame| draw(frame, &nothing)).unwrap();
            terminal
                .draw(|frame| draw(frame, &Shown::default()))
                .unwrap();
        }
    }
}
