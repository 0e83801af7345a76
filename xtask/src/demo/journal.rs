//! The Toasty server's journal: reads what has been added since the last look.
//!
//! Reads only: a line counts once it is whole.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::failure::{Result, Tried as _};

#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    read: u64,
}

/// What a line tells, as far as the demonstration cares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Entry {
    /// A toast was asked for.
    Show {
        event_id: String,
        title: String,
        /// `SHOWN` and the like; the error's message where it was refused.
        outcome: String,
    },
    /// Somebody answered a toast, or it went away.
    Ended { event_id: String, how: String },
}

impl Journal {
    /// The journal at `path`, from its beginning; it need not be there yet.
    pub(crate) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            read: 0,
        }
    }

    /// What has been added since the last look.
    pub(crate) fn news(&mut self) -> Result<Vec<Entry>> {
        let what = format!("read {}", self.path.display());
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error).tried(what),
        };
        file.seek(SeekFrom::Start(self.read)).tried(&what)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).tried(&what)?;
        let whole = bytes
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        self.read += whole as u64;
        let lines = bytes[..whole].split(|byte| *byte == b'\n');
        Ok(lines
            .filter_map(|line| entry(&serde_json::from_slice(line).ok()?))
            .collect())
    }
}

fn entry(line: &Value) -> Option<Entry> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    if line["call"] == "Show" {
        let request = &line["request"];
        let answer = [&line["reply"]["outcome"], &line["error"]["message"]];
        return Some(Entry::Show {
            event_id: text(&request["correlation"]["event_id"]),
            title: text(&request["title"]),
            outcome: answer.into_iter().find_map(Value::as_str)?.to_owned(),
        });
    }
    let how = match line["event"].as_str()? {
        "ACTIVATED" => format!("button `{}` pressed", text(&line["action_id"])),
        "DISMISSED" => format!("dismissed ({})", text(&line["reason"])),
        "FAILED" => format!("not shown ({})", text(&line["message"])),
        _ => return None,
    };
    Some(Entry::Ended {
        event_id: text(&line["correlation"]["event_id"]),
        how,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn only_whole_new_lines_are_news() {
        let path = std::env::temp_dir().join(format!("xtask-journal-{}", std::process::id()));
        let mut journal = Journal::new(&path);
        assert_eq!(journal.news(), Ok(Vec::new()), "not there yet");
        let mut file = File::create(&path).unwrap();
        let show = r#"{"call":"Show","request":{"title":"T","correlation":{"event_id":"e"}},"reply":{"outcome":"SHOWN"}}"#;
        write!(file, "{show}\n{{\"event\":\"SHO").unwrap();
        let shown = Entry::Show {
            event_id: "e".to_owned(),
            title: "T".to_owned(),
            outcome: "SHOWN".to_owned(),
        };
        assert_eq!(journal.news(), Ok(vec![shown]));
        assert_eq!(journal.news(), Ok(Vec::new()), "half a line is none");
        writeln!(
            file,
            "WN\"}}\n{{\"event\":\"ACTIVATED\",\"action_id\":\"open\"}}"
        )
        .unwrap();
        let pressed = Entry::Ended {
            event_id: String::new(),
            how: "button `open` pressed".to_owned(),
        };
        assert_eq!(journal.news(), Ok(vec![pressed]));
        std::fs::remove_file(&path).unwrap();
    }
}
