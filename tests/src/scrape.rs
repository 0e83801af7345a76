//! What a hub tells of its metrics, taken apart: receives the text of `/metrics`, hands on families and samples.

use std::collections::BTreeMap;

use crate::hub::Hub;

/// See the module.
#[derive(Debug)]
pub struct Scrape {
    /// The text as it came.
    pub text: String,
    /// Every family, with its kind and help.
    pub families: BTreeMap<String, Family>,
    /// Every sample, in order.
    pub samples: Vec<Sample>,
}

/// What is said of a family.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Family {
    /// `counter`, `gauge` or `histogram`.
    pub kind: String,
    /// Its help.
    pub help: String,
}

/// One line.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Its name.
    pub name: String,
    /// Its labels, in order.
    pub labels: Vec<(String, String)>,
    /// Its value.
    pub value: f64,
}

impl Scrape {
    /// Scrapes a hub.
    ///
    /// # Panics
    /// When it does not answer, or with what is no metrics.
    pub async fn of(hub: &Hub) -> Self {
        let answer = hub.request("GET", "/metrics").send().await;
        let answer = answer.expect("an answer");
        assert_eq!(answer.status(), 200);
        Self::read(answer.text().await.expect("a text"))
    }

    /// Takes a text apart.
    ///
    /// # Panics
    /// When it is none of metrics.
    pub fn read(text: String) -> Self {
        let mut families: BTreeMap<String, Family> = BTreeMap::new();
        let mut samples = Vec::new();
        for line in text.lines() {
            if let Some(said) = line.strip_prefix("# HELP ") {
                let (name, help) = said.split_once(' ').expect("a help");
                families.entry(name.to_owned()).or_default().help = help.to_owned();
            } else if let Some(said) = line.strip_prefix("# TYPE ") {
                let (name, kind) = said.split_once(' ').expect("a type");
                families.entry(name.to_owned()).or_default().kind = kind.to_owned();
            } else {
                samples.push(sample(line));
            }
        }
        Self {
            text,
            families,
            samples,
        }
    }

    /// The sum of the samples of a name that have all of these labels; `None` when there are none.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let has = |sample: &&Sample| {
            let has_it = |(name, value): &(&str, &str)| {
                let own = |(other, its): &(String, String)| other == name && its == value;
                sample.labels.iter().any(own)
            };
            sample.name == name && labels.iter().all(has_it)
        };
        let values: Vec<f64> = self
            .samples
            .iter()
            .filter(has)
            .map(|one| one.value)
            .collect();
        (!values.is_empty()).then(|| values.iter().sum())
    }

    /// The samples of a family: of a histogram, those of its count.
    pub fn of_family<'s>(&'s self, name: &str) -> impl Iterator<Item = &'s Sample> {
        let is_histogram = self
            .families
            .get(name)
            .is_some_and(|one| one.kind == "histogram");
        let name = match is_histogram {
            true => format!("{name}_count"),
            false => name.to_owned(),
        };
        self.samples
            .iter()
            .filter(move |sample| sample.name == name)
    }
}

/// No label of the tests holds a comma or a quote.
fn sample(line: &str) -> Sample {
    let (series, value) = line.rsplit_once(' ').expect("a value");
    let (name, labels) = series.split_once('{').unwrap_or((series, ""));
    let labels = labels.trim_end_matches('}').split(',');
    let labels = labels.filter_map(|label| {
        let (name, value) = label.split_once('=')?;
        Some((name.to_owned(), value.trim_matches('"').to_owned()))
    });
    Sample {
        name: name.to_owned(),
        labels: labels.collect(),
        value: value
            .parse()
            .unwrap_or_else(|_| panic!("no number: {line}")),
    }
}
