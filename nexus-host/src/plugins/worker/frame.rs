//! What the hub and a worker say to each other: frames, each a length of four octets (little endian) and as
//! many octets of [postcard](https://postcard.jamesmunns.com/wire-format). Receives values, hands on bytes,
//! and back; it knows nothing of what they mean.
//!
//! The first frame on either side names the version. Within one, frames and fields are only added at the
//! end, and a side that does not know a frame gives up.

use std::io;

use nexus_plugin_api::abi::{AnswerV1, CallV1, ErrorV1, EventV1, RecordV1};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::super::refusal::Refusal;

/// The version of this protocol.
pub(super) const VERSION: u16 = 1;

/// The longest frame, in octets: more than any event, request or answer may have by default.
pub(super) const LONGEST: usize = 64 * 1024 * 1024;

/// Octets before each frame.
const HEAD: usize = size_of::<u32>();

/// What the hub says to a worker.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum ToWorker<'a> {
    /// The first: which library it is to load.
    Load {
        version: u16,
        /// Proves to the hub that the answer is for this very start.
        nonce: [u8; 16],
        #[serde(borrow)]
        library: Library<'a>,
        #[serde(borrow)]
        limits: Limits<'a>,
    },
    /// Builds the plugin's components.
    Start {
        #[serde(borrow, with = "serde_bytes")]
        init: &'a [u8],
    },
    /// Shows an event to a processor.
    Process {
        id: u64,
        #[serde(borrow)]
        call: Call<'a>,
        #[serde(borrow)]
        event: Box<Event<'a>>,
    },
    /// Asks for any other operation.
    Operate {
        id: u64,
        #[serde(borrow)]
        call: Call<'a>,
        op: u32,
        #[serde(borrow, with = "serde_bytes")]
        head: &'a [u8],
        #[serde(borrow, with = "serde_bytes")]
        body: &'a [u8],
    },
    /// Nobody waits for an answer any more. Answered all the same, once nothing of the call is left.
    Cancel { id: u64 },
    /// The answer to what the worker has asked.
    Answer {
        id: u64,
        #[serde(borrow)]
        reply: Result<Answer<'a>, Failure<'a>>,
    },
    /// Is somebody there? `level` is the most talkative level of the log that is kept.
    Ping { number: u64, level: u8 },
}

/// What a worker says to the hub.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum ToHub<'a> {
    /// The library is loaded, with this description.
    Loaded {
        version: u16,
        nonce: [u8; 16],
        /// SHA-256 of what was loaded.
        sha256: [u8; 32],
        #[serde(borrow, with = "serde_bytes")]
        description: &'a [u8],
        /// What of the sandbox this system does not have.
        #[serde(borrow)]
        missing: Vec<&'a str>,
    },
    /// It is not, and why.
    Refused(Refusal),
    /// The components are built, or why not.
    Started(#[serde(borrow)] Result<(), Failure<'a>>),
    /// The answer to a call, or the end of one that was cancelled.
    Reply {
        id: u64,
        #[serde(borrow)]
        reply: Result<Answer<'a>, Failure<'a>>,
    },
    /// Asks something of the hub.
    Ask {
        id: u64,
        op: u32,
        #[serde(borrow, with = "serde_bytes")]
        head: &'a [u8],
        #[serde(borrow, with = "serde_bytes")]
        body: &'a [u8],
    },
    /// A line for the log.
    Log(#[serde(borrow)] Record<'a>),
    /// Somebody is there.
    Pong { number: u64 },
}

/// A library that was checked.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Library<'a> {
    /// Its private copy.
    pub(super) path: &'a str,
    pub(super) sha256: [u8; 32],
    /// The symbol of its header.
    pub(super) entry: &'a str,
}

/// What a worker may use of the system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Limits<'a> {
    /// Octets of memory of its own.
    pub(super) memory: u64,
    /// Open files and sockets.
    pub(super) descriptors: u64,
    /// Files that it may use, beside those that any program needs; `None` for all that the hub may.
    #[serde(borrow)]
    pub(super) paths: Option<Paths<'a>>,
}

/// Files and folders, each with everything below it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Paths<'a> {
    #[serde(borrow)]
    pub(super) read: Vec<&'a str>,
    #[serde(borrow)]
    pub(super) write: Vec<&'a str>,
}

/// The circumstances of a call, as [`CallV1`] has them.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Call<'a> {
    component: u32,
    attempt: u32,
    deadline_ms: u64,
    pub(super) event_id: [u8; 16],
    pub(super) idempotency_key: &'a str,
    correlation_id: &'a str,
    traceparent: &'a str,
    #[serde(borrow, with = "serde_bytes")]
    extra: &'a [u8],
}

impl<'a> Call<'a> {
    pub(super) fn of(call: &CallV1<'a>) -> Self {
        Self {
            component: call.component,
            attempt: call.attempt,
            deadline_ms: call.deadline_ms,
            event_id: call.event_id,
            idempotency_key: call.idempotency_key.as_str(),
            correlation_id: call.correlation_id.as_str(),
            traceparent: call.traceparent.as_str(),
            extra: call.extra.as_slice(),
        }
    }

    pub(super) fn v1(&self) -> CallV1<'a> {
        CallV1 {
            component: self.component,
            attempt: self.attempt,
            deadline_ms: self.deadline_ms,
            event_id: self.event_id,
            idempotency_key: self.idempotency_key.into(),
            correlation_id: self.correlation_id.into(),
            traceparent: self.traceparent.into(),
            extra: self.extra.into(),
        }
    }
}

/// An event, as [`EventV1`] has it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Event<'a> {
    event_id: [u8; 16],
    event_type: &'a str,
    source: &'a str,
    timestamp_secs: i64,
    timestamp_nanos: u32,
    priority: u8,
    contract_version: &'a str,
    correlation_id: &'a str,
    causation_id: &'a str,
    partition_key: &'a str,
    expires_at: &'a str,
    traceparent: &'a str,
    tracestate: &'a str,
    #[serde(borrow, with = "serde_bytes")]
    payload: &'a [u8],
}

impl<'a> Event<'a> {
    pub(super) fn of(event: &EventV1<'a>) -> Self {
        Self {
            event_id: event.event_id,
            event_type: event.event_type.as_str(),
            source: event.source.as_str(),
            timestamp_secs: event.timestamp_secs,
            timestamp_nanos: event.timestamp_nanos,
            priority: event.priority,
            contract_version: event.contract_version.as_str(),
            correlation_id: event.correlation_id.as_str(),
            causation_id: event.causation_id.as_str(),
            partition_key: event.partition_key.as_str(),
            expires_at: event.expires_at.as_str(),
            traceparent: event.traceparent.as_str(),
            tracestate: event.tracestate.as_str(),
            payload: event.payload.as_slice(),
        }
    }

    pub(super) fn v1(&self) -> EventV1<'a> {
        EventV1 {
            event_id: self.event_id,
            event_type: self.event_type.into(),
            source: self.source.into(),
            timestamp_secs: self.timestamp_secs,
            timestamp_nanos: self.timestamp_nanos,
            priority: self.priority,
            contract_version: self.contract_version.into(),
            correlation_id: self.correlation_id.into(),
            causation_id: self.causation_id.into(),
            partition_key: self.partition_key.into(),
            expires_at: self.expires_at.into(),
            traceparent: self.traceparent.into(),
            tracestate: self.tracestate.into(),
            payload: self.payload.into(),
        }
    }
}

/// What a call answers, as [`AnswerV1`] has it.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Answer<'a> {
    #[serde(borrow, with = "serde_bytes")]
    head: &'a [u8],
    #[serde(borrow, with = "serde_bytes")]
    body: &'a [u8],
}

/// Why it failed, as [`ErrorV1`] has it.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Failure<'a> {
    code: &'a str,
    message: &'a str,
    retryable: bool,
    retry_after_ms: u64,
}

/// Lends an answer to a frame.
pub(super) fn lend(reply: &Result<AnswerV1, ErrorV1>) -> Result<Answer<'_>, Failure<'_>> {
    match reply {
        Ok(answer) => Ok(Answer {
            head: answer.head.as_slice(),
            body: answer.body.as_slice(),
        }),
        Err(error) => Err(Failure::of(error)),
    }
}

/// Takes an answer out of a frame.
pub(super) fn own(reply: Result<Answer<'_>, Failure<'_>>) -> Result<AnswerV1, ErrorV1> {
    match reply {
        Ok(Answer { head, body }) => Ok(AnswerV1 {
            head: head.into(),
            body: body.into(),
        }),
        Err(failure) => Err(failure.v1()),
    }
}

impl<'a> Failure<'a> {
    pub(super) fn of(error: &'a ErrorV1) -> Self {
        Self {
            code: error.code.as_str(),
            message: error.message.as_str(),
            retryable: error.retryable,
            retry_after_ms: error.retry_after_ms,
        }
    }

    pub(super) fn v1(&self) -> ErrorV1 {
        ErrorV1 {
            code: self.code.into(),
            message: self.message.into(),
            retryable: self.retryable,
            retry_after_ms: self.retry_after_ms,
        }
    }
}

/// A line of the log, as [`RecordV1`] has it.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Record<'a> {
    level: u8,
    target: &'a str,
    message: &'a str,
    #[serde(borrow, with = "serde_bytes")]
    fields: &'a [u8],
    event_id: [u8; 16],
}

impl<'a> Record<'a> {
    pub(super) fn of(record: &RecordV1<'a>) -> Self {
        Self {
            level: record.level,
            target: record.target.as_str(),
            message: record.message.as_str(),
            fields: record.fields.as_slice(),
            event_id: record.event_id,
        }
    }

    pub(super) fn v1(&self) -> RecordV1<'a> {
        RecordV1 {
            level: self.level,
            target: self.target.into(),
            message: self.message.into(),
            fields: self.fields.into(),
            event_id: self.event_id,
        }
    }
}

/// Writes a frame.
///
/// # Errors
/// When it is longer than frames may be.
pub(super) fn written<F: Serialize>(frame: &F) -> Result<Vec<u8>, ErrorV1> {
    let refused = |reason: String| ErrorV1::permanent("too_large", reason);
    let mut bytes = postcard::to_extend(frame, vec![0; HEAD])
        .map_err(|error| refused(format!("it cannot be sent to the worker: {error}")))?;
    let length = bytes.len() - HEAD;
    if length > LONGEST {
        return Err(refused(format!(
            "{length} octets; at most {LONGEST} go to a worker or come from one"
        )));
    }
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    bytes[..HEAD].copy_from_slice(&length.to_le_bytes());
    Ok(bytes)
}

/// Reads a frame's octets into `buffer`, in place of what is there. `false` when the other side has ended
/// between two frames.
///
/// # Errors
/// When a frame is cut off, or longer than frames may be; the buffer does not grow for what does not come.
pub(super) async fn next(
    from: &mut (impl AsyncRead + Unpin),
    buffer: &mut Vec<u8>,
) -> io::Result<bool> {
    buffer.clear();
    let mut head = [0; HEAD];
    if from.read(&mut head[..1]).await? == 0 {
        return Ok(false);
    }
    from.read_exact(&mut head[1..]).await?;
    let length = u32::from_le_bytes(head) as usize;
    if length > LONGEST {
        let told = format!("a frame of {length} octets; at most {LONGEST} are allowed");
        return Err(io::Error::new(io::ErrorKind::InvalidData, told));
    }
    let read = from.take(length as u64).read_to_end(buffer).await?;
    if read < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(true)
}

/// Understands a frame.
///
/// # Errors
/// When it is none.
pub(super) fn read<'a, F: Deserialize<'a>>(bytes: &'a [u8]) -> io::Result<F> {
    match postcard::take_from_bytes(bytes) {
        Ok((frame, [])) => Ok(frame),
        Ok((_, rest)) => {
            let told = format!("{} octets too many in a frame", rest.len());
            Err(io::Error::new(io::ErrorKind::InvalidData, told))
        }
        Err(error) => {
            let told = format!("a frame that cannot be read: {error}");
            Err(io::Error::new(io::ErrorKind::InvalidData, told))
        }
    }
}

/// Octets as either side may hear them. What is understood is the same when it is written and read again.
#[cfg(any(test, feature = "fuzz"))]
pub(in crate::plugins) fn expect_same_again(bytes: &[u8]) {
    fn same<'a, F: Serialize + Deserialize<'a> + std::fmt::Debug>(
        bytes: &'a [u8],
        told: &mut Vec<u8>,
    ) {
        if let Ok(frame) = read::<F>(bytes) {
            *told = written(&frame).expect("it was no longer than that");
            let again = told[HEAD..].to_vec();
            // Numbers may be written longer than they need be, but not by us.
            assert!(again.len() <= bytes.len(), "{frame:?}");
        }
    }
    let mut told = Vec::new();
    same::<ToWorker<'_>>(bytes, &mut told);
    if !told.is_empty() {
        let again: ToWorker<'_> = read(&told[HEAD..]).expect("it was written here");
        assert_eq!(written(&again).ok().as_ref(), Some(&told));
    }
    told.clear();
    same::<ToHub<'_>>(bytes, &mut told);
    if !told.is_empty() {
        let again: ToHub<'_> = read(&told[HEAD..]).expect("it was written here");
        assert_eq!(written(&again).ok().as_ref(), Some(&told));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn heard(octets: &[u8]) -> io::Result<Option<Vec<u8>>> {
        let mut buffer = Vec::new();
        let there = next(&mut &octets[..], &mut buffer).await?;
        Ok(there.then_some(buffer))
    }

    #[tokio::test]
    async fn frames_come_out_as_they_went_in_and_lies_about_their_length_are_told() {
        let frame = written(&ToWorker::Operate {
            id: 7,
            call: Call {
                component: 1,
                attempt: 2,
                deadline_ms: 3,
                event_id: [4; 16],
                idempotency_key: "key",
                correlation_id: "thread",
                traceparent: "",
                extra: b"{}",
            },
            op: 5,
            head: b"head",
            body: &[0, 255],
        })
        .unwrap();
        let octets = heard(&frame).await.unwrap().unwrap();
        let ToWorker::Operate {
            id: 7,
            call,
            op: 5,
            head: b"head",
            body: [0, 255],
        } = read(&octets).unwrap()
        else {
            panic!("{octets:?}");
        };
        assert_eq!((call.attempt, call.correlation_id), (2, "thread"));
        assert!(
            heard(b"").await.unwrap().is_none(),
            "the end between two frames"
        );
        for cut in 1..frame.len() {
            assert!(heard(&frame[..cut]).await.is_err(), "{cut}");
        }
        for lie in [u32::MAX, LONGEST as u32 + 1] {
            let error = heard(&lie.to_le_bytes()).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{error}");
        }
        assert!(
            read::<ToWorker<'_>>(&[&octets[..], b"x"].concat()).is_err(),
            "too much"
        );
        assert!(read::<ToHub<'_>>(&[99]).is_err());
        assert!(
            written(&ToHub::Ask {
                id: 1,
                op: 1,
                head: b"",
                body: &vec![0; LONGEST]
            })
            .is_err()
        );
    }
}
