//! `nexus top`: receives what the hub tells of itself once a second, draws it on a terminal until it is left. Where there
//! is no terminal, it prints what would be on it.

mod screen;
mod terminal;

use std::collections::VecDeque;
use std::io::{IsTerminal, stdin, stdout};

use nexus_host::signals;
use serde_json::Value;

use crate::cli::{Common, Top};
use crate::failure::Failure;
use crate::hub::{Following, Hub};
use crate::output;
use screen::Shown;
use terminal::{Key, Terminal};

const STREAM: &str = "/v1/admin/overview/stream";

/// Seconds of history that are kept: more than any terminal is wide.
const HISTORY: usize = 300;

/// Shows the hub.
///
/// # Errors
/// When no hub answers, it refuses, or the terminal cannot be drawn on.
pub(crate) async fn top(common: &Common, options: &Top) -> Result<(), Failure> {
    let hub = Hub::find(common, &options.reach)?;
    let following = hub.follow(STREAM, &[]).await?;
    let is_drawn = !common.json && options.count.is_none() && stdout().is_terminal();
    let is_drawn = is_drawn && stdin().is_terminal();
    let shown = Shown {
        address: hub.address(),
        is_printed: !is_drawn,
        ..Shown::default()
    };
    if is_drawn {
        return draw(&hub, following, shown).await;
    }
    tokio::select! {
        printed = print(common, options, following, shown) => printed,
        () = output::unheard() => Ok(()),
    }
}

/// Prints a few, one unless told otherwise.
async fn print(
    common: &Common,
    options: &Top,
    mut following: Following,
    mut shown: Shown,
) -> Result<(), Failure> {
    let mut left = match (options.count, common.json) {
        (Some(count), _) => Some(count.get()),
        (None, true) => None,
        (None, false) => Some(1),
    };
    while let Some(told) = next(&mut following).await {
        let Told::Overview(overview) = told else {
            continue;
        };
        if common.json {
            output::json_line(&overview);
        } else {
            shown.overview = Some(overview);
            output::line(&screen::text(&shown));
        }
        left = left.map(|left| left - 1);
        if left == Some(0) {
            return Ok(());
        }
    }
    Err(Failure::failed(
        "the hub has gone: its log says why; `nexus run` starts it again",
    ))
}

async fn draw(hub: &Hub, mut following: Following, mut shown: Shown) -> Result<(), Failure> {
    let trouble = |error| Failure::failed(format!("the terminal cannot be drawn on: {error}"));
    let mut terminal = Terminal::take().map_err(trouble)?;
    let mut stop = std::pin::pin!(signals::stop_requested());
    loop {
        terminal.draw(&shown).map_err(trouble)?;
        tokio::select! {
            _ = &mut stop => return Ok(()),
            key = terminal.key() => match key {
                Key::Quit => return Ok(()),
                Key::Pause => shown.is_paused = !shown.is_paused,
                Key::Other => {}
            },
            told = next(&mut following), if !shown.is_gone => match told {
                Some(told) if !shown.is_paused => shown.take(told),
                Some(_) => {}
                None => shown.is_gone = true,
            },
            back = hub.again(STREAM, &[]), if shown.is_gone => {
                following = back?;
                shown.is_gone = false;
            }
        }
    }
}

/// What the hub has told.
enum Told {
    /// The seconds before.
    History(Vec<Value>),
    /// How it is.
    Overview(Value),
}

/// What it tells next; `None` once it has gone.
async fn next(following: &mut Following) -> Option<Told> {
    loop {
        let message = following.next().await?;
        let data = message.data.as_deref().map(serde_json::from_str);
        match (message.event.as_deref(), data) {
            (Some("history"), Some(Ok(Value::Array(seconds)))) => {
                return Some(Told::History(seconds));
            }
            (Some("overview"), Some(Ok(overview))) => return Some(Told::Overview(overview)),
            _ => {}
        }
    }
}

impl Shown {
    fn take(&mut self, told: Told) {
        match told {
            Told::History(seconds) => self.seconds = VecDeque::from(seconds),
            Told::Overview(overview) => {
                self.seconds.push_back(overview["second"].clone());
                self.overview = Some(overview);
            }
        }
        while self.seconds.len() > HISTORY {
            self.seconds.pop_front();
        }
    }
}
