//! The page docs/metrics.md: its reference is the code's own table of families.
//!
//! `UPDATE_DOCS=1 cargo test -p nexus-host --test metrics_page` writes the page anew.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "shared/page.rs"]
mod page;

use std::fmt::Write as _;

use nexus_host::observe::metrics::{About, Label, families};

#[test]
fn the_page_is_the_table() {
    page::expect_part("metrics.md", "metrics_page", &reference());
}

fn reference() -> String {
    let mut page = String::new();
    for (section, families) in families::ALL {
        let _ = write!(page, "\n### {section}\n\n| | | |\n|---|---|---|\n");
        for about in *families {
            let _ = writeln!(
                page,
                "| `{}` | {}{} | {} |",
                about.name,
                about.kind.as_str(),
                by(about),
                about.help
            );
        }
        explain(&mut page, families);
    }
    page.push('\n');
    page
}

/// The labels of a family.
fn by(about: &About) -> String {
    let names = about.labels.iter().map(|label| format!("`{}`", label.name));
    let names: Vec<_> = names.collect();
    match names.is_empty() {
        true => String::new(),
        false => format!(" by {}", names.join(", ")),
    }
}

/// What bounds the values of each label of a section; where two have one name, of which families it is.
fn explain(page: &mut String, families: &[About]) {
    let mut labels: Vec<(&Label, Vec<&str>)> = Vec::new();
    for (about, label) in families
        .iter()
        .flat_map(|about| about.labels.iter().map(move |label| (about, label)))
    {
        match labels.iter_mut().find(|(known, _)| *known == label) {
            Some((_, names)) => names.push(about.name),
            None => labels.push((label, vec![about.name])),
        }
    }
    if !labels.is_empty() {
        page.push('\n');
    }
    for (label, names) in &labels {
        let same_name = labels.iter().filter(|(one, _)| one.name == label.name);
        let of = match same_name.count() {
            1 => String::new(),
            _ => format!(" of `{}`", names.join("`, `")),
        };
        let _ = writeln!(page, "- `{}`{of}: {}", label.name, label.values);
    }
}
