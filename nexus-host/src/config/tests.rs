//! The configuration as a whole, from text to settings or to the exact lines of its mistakes.

mod layers;
mod mistakes;
mod plugin_settings;
mod secrets;

use super::{Config, Loader};

/// The lines that a text's mistakes are told in.
fn told(text: &str) -> Vec<String> {
    lines(Loader::text(text))
}

fn lines(loader: Loader) -> Vec<String> {
    match loader.load() {
        Ok(_) => Vec::new(),
        Err(errors) => errors.to_string().lines().map(str::to_owned).collect(),
    }
}

fn loaded(loader: Loader) -> Config {
    loader.load().unwrap_or_else(|errors| panic!("{errors}"))
}

/// A hash that suits `key_sha256`; another one for each digit.
fn hash(digit: char) -> String {
    String::from(digit).repeat(64)
}
