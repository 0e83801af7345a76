//! The journal: receives calls and events, appends each to a file as one line of JSON.
//!
//! Messages are written as the contract names their fields. A line is in the file when the call
//! returns; the file is never read, rotated or cut here. A journal that cannot be written is
//! reported in the log, and does not keep toasts from being shown.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use chrono::{DateTime, SecondsFormat, Utc};
use nexus_proto::toasty::v1::watch_event::Event;
use nexus_proto::toasty::v1::{FILE_DESCRIPTOR_SET, WatchEvent};
use parking_lot::Mutex;
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions};
use serde_json::{Map, Value, json};
use tonic::Status;

/// The journal could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The file cannot be appended to.
    #[error("open the journal {path}: {source}; give --journal a file that can be written")]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The contract's own description does not fit the crate that reads it.
    #[error("read the contract for the journal: {0}")]
    Contract(#[from] prost_reflect::DescriptorError),
}

/// Where calls and events are written down, if anywhere.
#[derive(Debug, Default)]
pub(crate) struct Journal(Option<Open>);

#[derive(Debug)]
struct Open {
    path: PathBuf,
    file: Mutex<File>,
    contract: DescriptorPool,
}

impl Journal {
    /// Opens the file for appending, and creates it where it is missing.
    ///
    /// # Errors
    ///
    /// The file cannot be opened.
    pub(crate) fn open(path: &Path) -> Result<Self, JournalError> {
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .map_err(|source| JournalError::Open {
                path: path.to_owned(),
                source,
            })?;
        Ok(Self(Some(Open {
            path: path.to_owned(),
            file: Mutex::new(file),
            contract: DescriptorPool::decode(FILE_DESCRIPTOR_SET)?,
        })))
    }

    /// Writes down a call and how it was answered. For a stream, the answer is that it began.
    pub(crate) fn call<Q: Message, R: Message>(
        &self,
        call: &str,
        request: &Q,
        reply: Result<&R, &Status>,
    ) {
        let Some(open) = &self.0 else { return };
        let mut line = Map::new();
        line.insert("at".to_owned(), Value::from(rfc3339(SystemTime::now())));
        line.insert("call".to_owned(), Value::from(call));
        let request = open.json(&format!("{call}Request"), request);
        line.insert("request".to_owned(), request);
        match reply {
            Ok(reply) => {
                let reply = open.json(&format!("{call}Reply"), reply);
                line.insert("reply".to_owned(), reply);
            }
            Err(status) => {
                let error = json!({
                    "code": format!("{:?}", status.code()),
                    "message": status.message(),
                });
                line.insert("error".to_owned(), error);
            }
        }
        open.append(line);
    }

    /// Writes down an event, as watchers are told it.
    pub(crate) fn event(&self, event: &WatchEvent) {
        let Some(open) = &self.0 else { return };
        let mut line = Map::new();
        let at = event
            .at
            .and_then(|at| SystemTime::try_from(at).ok())
            .unwrap_or_else(SystemTime::now);
        line.insert("at".to_owned(), Value::from(rfc3339(at)));
        let name = match &event.event {
            Some(Event::Shown(_)) => "SHOWN",
            Some(Event::Activated(_)) => "ACTIVATED",
            Some(Event::Dismissed(_)) => "DISMISSED",
            Some(Event::Failed(_)) => "FAILED",
            None => "",
        };
        line.insert("event".to_owned(), Value::from(name));
        if let Value::Object(mut fields) = open.json("WatchEvent", event) {
            // The time is there already, and what is particular to the event goes on the line
            // itself: the journal is made to be read with grep and jq.
            fields.remove("at");
            for particular in ["shown", "activated", "dismissed", "failed"] {
                if let Some(Value::Object(inner)) = fields.remove(particular) {
                    line.extend(inner);
                }
            }
            line.extend(fields);
        }
        open.append(line);
    }
}

impl Open {
    /// A message as the contract's JSON, with its own field names; empty if the contract has none of
    /// this name, as for the reply of a stream.
    fn json(&self, name: &str, message: &impl Message) -> Value {
        let options = SerializeOptions::new()
            .use_proto_field_name(true)
            .stringify_64_bit_integers(false);
        self.contract
            .get_message_by_name(&format!("toasty.v1.{name}"))
            .and_then(|kind| DynamicMessage::decode(kind, message.encode_to_vec().as_slice()).ok())
            .and_then(|message| {
                message
                    .serialize_with_options(serde_json::value::Serializer, &options)
                    .ok()
            })
            .unwrap_or_else(|| json!({}))
    }

    fn append(&self, line: Map<String, Value>) {
        let mut text = Value::Object(line).to_string();
        text.push('\n');
        let mut file = self.file.lock();
        // One write, so that a line is whole even when two servers share the file.
        if let Err(error) = file.write_all(text.as_bytes()).and_then(|()| file.flush()) {
            tracing::error!(path = %self.path.display(), %error, "journal line lost");
        }
    }
}

fn rfc3339(at: SystemTime) -> String {
    DateTime::<Utc>::from(at).to_rfc3339_opts(SecondsFormat::Millis, true)
}

#[cfg(test)]
mod tests {
    use nexus_proto::toasty::v1::dismissed::Reason;
    use nexus_proto::toasty::v1::show_reply::Outcome;
    use nexus_proto::toasty::v1::{Activated, Dismissed, ShowReply, ShowRequest};

    use super::*;

    fn lines(write: impl FnOnce(&Journal)) -> Vec<Value> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal.jsonl");
        write(&Journal::open(&path).unwrap());
        std::fs::read_to_string(path)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    #[test]
    fn a_call_is_one_line_with_the_contracts_names() {
        let request = ShowRequest {
            title: "Hello".to_owned(),
            request_id: "r-1".to_owned(),
            ttl: Some(prost_types::Duration {
                seconds: 90,
                nanos: 0,
            }),
            ..ShowRequest::default()
        };
        let reply = ShowReply {
            toast_id: "t".to_owned(),
            outcome: Outcome::Shown.into(),
            ..ShowReply::default()
        };
        let status = Status::invalid_argument("title: is required");
        let lines = lines(|journal| {
            journal.call("Show", &request, Ok(&reply));
            journal.call("Show", &request, Err::<&ShowReply, _>(&status));
        });
        assert_eq!(lines[0]["call"], "Show");
        assert_eq!(lines[0]["request"]["request_id"], "r-1");
        assert_eq!(lines[0]["request"]["ttl"], "90s");
        assert_eq!(lines[0]["reply"]["outcome"], "SHOWN");
        assert!(DateTime::parse_from_rfc3339(lines[0]["at"].as_str().unwrap()).is_ok());
        assert_eq!(lines[1]["error"]["code"], "InvalidArgument");
    }

    #[test]
    fn an_event_is_flat() {
        let event = |seq, event| WatchEvent {
            seq,
            toast_id: "t".to_owned(),
            at: Some(SystemTime::now().into()),
            event: Some(event),
            ..WatchEvent::default()
        };
        let activated = Activated {
            action_id: "approve".to_owned(),
            inputs: [("note".to_owned(), "ok".to_owned())].into(),
            ..Activated::default()
        };
        let dismissed = Dismissed {
            reason: Reason::TimedOut.into(),
            ..Dismissed::default()
        };
        let lines = lines(|journal| {
            journal.event(&event(7, Event::Activated(activated)));
            journal.event(&event(8, Event::Dismissed(dismissed)));
        });
        assert_eq!(lines[0]["event"], "ACTIVATED");
        assert_eq!(lines[0]["action_id"], "approve");
        assert_eq!(lines[0]["inputs"]["note"], "ok");
        assert_eq!(lines[0]["seq"], 7);
        assert_eq!(lines[1]["event"], "DISMISSED");
        assert_eq!(lines[1]["reason"], "TIMED_OUT");
    }
}
