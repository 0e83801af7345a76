//! A terminal as a display: receives toasts and prints them, receives typed lines and reports them.
//!
//! Toasts and buttons are numbered, and a person answers with the numbers or the names. What a
//! toast says is printed without control characters, so that its sender cannot steer the terminal.

mod answer;

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;

use nexus_proto::toasty::v1::ShowRequest;
use parking_lot::Mutex;
use tokio::sync::mpsc;

use self::answer::{Answer, Open};
use super::{Abilities, Display, DisplayError, Feedback, FeedbackSender, Happened};
use crate::toast::{Toast, ToastId};

/// Lines typed but not yet read.
const LINES: usize = 16;

/// Prints toasts and reads answers.
pub struct Terminal {
    screen: Arc<Mutex<Screen>>,
    reader: tokio::task::JoinHandle<()>,
}

struct Screen {
    out: Box<dyn Write + Send>,
    /// The number of the next toast, from 1.
    next: u64,
    open: BTreeMap<u64, Open>,
}

impl Terminal {
    /// A terminal that prints to `out` and takes each received line as typed. Runs a task on the
    /// current runtime; when `lines` ends, toasts are still printed.
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime.
    pub fn new(
        out: Box<dyn Write + Send>,
        lines: mpsc::Receiver<String>,
        feedback: FeedbackSender,
    ) -> Self {
        let screen = Arc::new(Mutex::new(Screen {
            out,
            next: 1,
            open: BTreeMap::new(),
        }));
        let reader = tokio::spawn(read(Arc::clone(&screen), lines, feedback));
        Self { screen, reader }
    }

    /// The terminal this process was started in: prints to standard output, and reads standard
    /// input on a thread that lives as long as the process.
    ///
    /// # Errors
    ///
    /// The thread could not be started.
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime.
    pub fn of_this_process(feedback: FeedbackSender) -> std::io::Result<Self> {
        let (send, lines) = mpsc::channel(LINES);
        // A thread of its own and not one of the runtime's: reading cannot be called off, and must
        // not hold up the end of the process.
        std::thread::Builder::new()
            .name("toasty-stdin".to_owned())
            .spawn(move || {
                for line in std::io::stdin().lines() {
                    let Ok(line) = line else { break };
                    if send.blocking_send(line).is_err() {
                        break;
                    }
                }
            })?;
        Ok(Self::new(Box::new(std::io::stdout()), lines, feedback))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

#[tonic::async_trait]
impl Display for Terminal {
    fn abilities(&self) -> Abilities {
        Abilities {
            name: String::new(),
            actions: true,
            inputs: true,
            images: false,
            sounds: false,
            progress: true,
            update_in_place: false,
            reports_dismissal: true,
        }
    }

    async fn show(&self, toast: &Toast, replaces: Option<&ToastId>) -> Result<(), DisplayError> {
        let mut screen = self.screen.lock();
        // What takes another's place keeps its number, so that an answer just being typed fits.
        let number = replaces
            .and_then(|old| screen.number_of(old))
            .unwrap_or(screen.next);
        screen.print(&paint(number, toast.request()))?;
        screen.next = screen.next.max(number + 1);
        screen.open.insert(number, Open::new(toast));
        Ok(())
    }

    async fn hide(&self, toast_id: &ToastId) {
        let mut screen = self.screen.lock();
        if let Some(number) = screen.number_of(toast_id) {
            screen.open.remove(&number);
            // A closed terminal shows nothing any more, which is what was asked for.
            let _ = screen.print(&format!("[{number}] is gone\n"));
        }
    }
}

impl Screen {
    fn number_of(&self, id: &ToastId) -> Option<u64> {
        self.open
            .iter()
            .find(|(_, open)| open.id() == id)
            .map(|(number, _)| *number)
    }

    fn print(&mut self, text: &str) -> std::io::Result<()> {
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }

    /// What a line means: the toast it ends, or what to tell the person.
    fn take(&mut self, line: &str) -> Result<Feedback, String> {
        let Answer { number, happened } = answer::read(line, &self.open)?;
        let Some(open) = self.open.remove(&number) else {
            return Err(format!("there is no toast {number}"));
        };
        Ok(Feedback {
            toast_id: open.id().clone(),
            what: happened,
        })
    }
}

async fn read(
    screen: Arc<Mutex<Screen>>,
    mut lines: mpsc::Receiver<String>,
    feedback: FeedbackSender,
) {
    while let Some(line) = lines.recv().await {
        if line.trim().is_empty() {
            continue;
        }
        let taken = screen.lock().take(&line);
        match taken {
            Ok(report) => {
                let note = match &report.what {
                    Happened::Activated { action_id, .. } => {
                        format!("answered: {}\n", plain(action_id))
                    }
                    _ => "closed\n".to_owned(),
                };
                if feedback.send(report).await.is_err() {
                    return;
                }
                let _ = screen.lock().print(&note);
            }
            Err(problem) => {
                let _ = screen.lock().print(&format!("{problem}\n"));
            }
        }
    }
}

/// The toast as text.
fn paint(number: u64, toast: &ShowRequest) -> String {
    let mut text = format!("[{number}] {}\n", plain(&toast.title));
    for line in toast.body.lines() {
        text += &format!("    {}\n", plain(line));
    }
    if let Some(progress) = &toast.progress {
        let done = if progress.indeterminate {
            "…".to_owned()
        } else {
            format!("{:.0} %", progress.value * 100.0)
        };
        text += &format!("    {done} {}\n", plain(&progress.status));
    }
    if !toast.attribution.is_empty() {
        text += &format!("    ({})\n", plain(&toast.attribution));
    }
    for input in &toast.inputs {
        let choices: Vec<&str> = input.choices.iter().map(|c| c.id.as_str()).collect();
        let hint = if choices.is_empty() {
            plain(&input.placeholder)
        } else {
            plain(&choices.join("|"))
        };
        text += &format!("    {}=… {hint}\n", plain(&input.id));
    }
    let buttons: Vec<String> = toast
        .actions
        .iter()
        .enumerate()
        .map(|(index, action)| format!("{}) {}", index + 1, plain(&action.label)))
        .collect();
    if !buttons.is_empty() {
        text += &format!("    {}\n", buttons.join("   "));
    }
    text
}

/// Text without what a terminal obeys: control characters, and marks that turn the writing round.
fn plain(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' => ' ',
            c if c.is_control() => ' ',
            c => c,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use nexus_proto::toasty::v1::Action;

    use super::*;

    #[test]
    fn a_toast_cannot_steer_the_terminal() {
        let toast = ShowRequest {
            title: "a\u{1b}[2J\u{202e}b".to_owned(),
            body: "one\r\ntwo\u{7}".to_owned(),
            actions: vec![Action {
                id: "y".to_owned(),
                label: "Ye\ns".to_owned(),
                ..Action::default()
            }],
            ..ShowRequest::default()
        };
        assert_eq!(
            paint(7, &toast),
            "[7] a [2J b\n    one\n    two \n    1) Ye s\n"
        );
    }
}
