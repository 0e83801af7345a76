//! The terminal: taken over while this lives, and given back as it was, also after a panic.

use std::time::Duration;

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use tokio::sync::mpsc;

use super::screen::{self, Shown};

/// How long the reader of keys waits before it looks whether anybody still wants them.
const LOOK: Duration = Duration::from_millis(200);

/// What was pressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    /// Leave.
    Quit,
    /// Stand still, or go on.
    Pause,
    /// Anything else, or another size: draw again.
    Other,
}

pub(super) struct Terminal {
    drawn: DefaultTerminal,
    keys: mpsc::Receiver<Key>,
}

impl Terminal {
    /// Takes it over.
    pub(super) fn take() -> std::io::Result<Self> {
        let drawn = ratatui::try_init()?;
        let (pressed, keys) = mpsc::channel(16);
        // Reading waits for keys, so it has a thread of its own.
        std::thread::spawn(move || {
            while !pressed.is_closed() {
                let key = match event::poll(LOOK) {
                    Ok(true) => event::read().map(|event| key(&event)),
                    Ok(false) => continue,
                    Err(error) => Err(error),
                };
                // A terminal that has gone is left.
                let _ = pressed.blocking_send(key.unwrap_or(Key::Quit));
            }
        });
        Ok(Self { drawn, keys })
    }

    pub(super) fn draw(&mut self, shown: &Shown) -> std::io::Result<()> {
        self.drawn.draw(|frame| screen::draw(frame, shown))?;
        Ok(())
    }

    /// Waits for a key.
    pub(super) async fn key(&mut self) -> Key {
        self.keys.recv().await.unwrap_or(Key::Quit)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

fn key(event: &Event) -> Key {
    let Event::Key(KeyEvent {
        code,
        modifiers,
        kind: KeyEventKind::Press,
        ..
    }) = event
    else {
        return Key::Other;
    };
    match code {
        KeyCode::Char('q') | KeyCode::Esc => Key::Quit,
        KeyCode::Char('c') if modifiers.contains(KeyModifiers::CONTROL) => Key::Quit,
        KeyCode::Char('p' | ' ') => Key::Pause,
        _ => Key::Other,
    }
}
