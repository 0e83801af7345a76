//! One WebSocket from its opening to its end: receives frames, hands events to the intake, and sends
//! replies in the order of the frames. While it writes it reads nothing: a client that does not take
//! its replies, pongs among them, is not listened to, and in the end closed.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, close_code};
use futures_util::future::join_all;
use futures_util::{FutureExt, SinkExt, StreamExt};
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::time::{Instant, timeout};
use tungstenite::Error as WebSocketError;

use super::super::Shared;
use super::super::events::{One, one};
use super::super::problem::Problem;
use super::allowance::Allowance;
use super::frame::{Done, Frame, Missed, Passing, Reply, Results};
use crate::admission::{ClientScope, Code, Rejection, Supplied};
use crate::ingress::cloudevents;
use crate::ingress::follower::{Follower, Next, Wanted};
use crate::intake::{Door, Receipt, Submitted};
use crate::observe::Passed;

/// Frames that are worked on together, when so many are there.
const TOGETHER: usize = 64;

/// How long the client may take to answer that the WebSocket is closed.
const CLOSING: Duration = Duration::from_secs(2);

/// In which form events are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Speech {
    /// The hub's own.
    Native,
    /// As CloudEvents, one in each frame.
    CloudEvents,
}

/// See the module.
pub(super) struct Session {
    shared: Arc<Shared>,
    client: Arc<ClientScope>,
    speech: Speech,
    follower: Option<Follower>,
    /// When the client was last heard.
    heard: Instant,
    /// Whether it was asked since for a sign of life.
    is_asked: bool,
    /// The pings and pongs that it may send.
    allowance: Allowance,
}

/// What an answer to a frame says.
enum Said {
    One(Result<Receipt, Problem>),
    Many(Vec<Result<Receipt, Problem>>),
}

/// Why a session ends.
enum End {
    /// The client has gone.
    Gone,
    /// The client closes, and wants to hear that it may.
    Closed,
    /// The hub ends it, and says why.
    Close(u16, &'static str),
}

type Step = Result<(), End>;

impl Session {
    pub(super) fn new(
        shared: Arc<Shared>,
        client: Arc<ClientScope>,
        speech: Speech,
        wanted: Option<Wanted>,
    ) -> Self {
        let follow = |wanted| {
            let stopping = shared.stopping.clone();
            Follower::new(&shared.ports.live, client.clone(), wanted, stopping)
        };
        Self {
            follower: wanted.map(follow),
            shared,
            client,
            speech,
            heard: Instant::now(),
            is_asked: false,
            allowance: Allowance::new(),
        }
    }

    /// Serves the WebSocket until it ends.
    pub(super) async fn run(mut self, mut socket: WebSocket) {
        let end = loop {
            if let Err(end) = self.step(&mut socket).await {
                break end;
            }
        };
        let close = async {
            match end {
                End::Gone => return,
                // The library has put its answer down; reading on sends it.
                End::Closed => {}
                End::Close(code, reason) => {
                    let reason = Utf8Bytes::from_static(reason);
                    let frame = Some(CloseFrame { code, reason });
                    if socket.send(Message::Close(frame)).await.is_err() {
                        return;
                    }
                }
            }
            while let Some(Ok(_)) = socket.recv().await {}
        };
        let _ = timeout(CLOSING, close).await;
    }

    /// Waits for what happens next, and does it.
    async fn step(&mut self, socket: &mut WebSocket) -> Step {
        let idle = self.shared.websocket_idle;
        let quiet = self.heard.elapsed();
        if quiet >= idle {
            // What came while the hub was busy with it was heard in time.
            return match socket.next().now_or_never() {
                Some(received) => self.receive(socket, received).await,
                None => Err(silent()),
            };
        }
        if quiet >= idle / 2 && !self.is_asked {
            self.is_asked = true;
            let ping = Message::Ping(bytes::Bytes::new());
            return self.send(socket, ping).await;
        }
        let patience = match self.is_asked {
            true => idle - quiet,
            false => idle / 2 - quiet,
        };
        let shared = self.shared.clone();
        let follow = async {
            match &mut self.follower {
                Some(follower) => follower.next(patience).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = shared.stopped() => Err(End::Close(close_code::AWAY, "the hub stops")),
            received = timeout(patience, socket.recv()) => match received {
                Ok(received) => self.receive(socket, received).await,
                // The next step asks it, or closes.
                Err(_) => Ok(()),
            },
            next = follow => match next {
                Next::Event(passed) => self.pass(socket, &passed).await,
                Next::Missed(count) => self.tell(socket, &Missed { count }).await,
                Next::Quiet => Ok(()),
                Next::End => Err(expired()),
            },
        }
    }

    /// Takes in what the socket has, or that it has ended.
    async fn receive(
        &mut self,
        socket: &mut WebSocket,
        received: Option<Result<Message, axum::Error>>,
    ) -> Step {
        match received {
            Some(Ok(message)) => self.hear(socket, message).await,
            Some(Err(error)) => Err(broken(error)),
            None => Err(End::Gone),
        }
    }

    /// Takes in a message, and those that have come with it.
    async fn hear(&mut self, socket: &mut WebSocket, first: Message) -> Step {
        if self.client.has_expired() {
            return Err(expired());
        }
        let most = self.shared.admission().limits().max_body.as_len();
        let (mut texts, mut bytes) = (Vec::new(), 0);
        let (mut frames, mut is_pinged) = (0, false);
        let mut next = Some(first);
        let mut end = Ok(());
        while let Some(message) = next.take() {
            self.heard = Instant::now();
            self.is_asked = false;
            frames += 1;
            match message {
                Message::Text(text) => {
                    bytes += text.len();
                    texts.push(text);
                }
                Message::Binary(_) => {
                    end = Err(End::Close(close_code::UNSUPPORTED, "frames are text"));
                    break;
                }
                Message::Ping(_) | Message::Pong(_) if !self.allowance.take() => {
                    end = Err(End::Close(close_code::POLICY, "too many pings or pongs"));
                    break;
                }
                // The library answers it.
                Message::Ping(_) => is_pinged = true,
                Message::Pong(_) => {}
                Message::Close(_) => {
                    end = Err(End::Closed);
                    break;
                }
            }
            if frames == TOGETHER || bytes >= most {
                break;
            }
            match socket.next().now_or_never() {
                Some(Some(Ok(message))) => next = Some(message),
                Some(Some(Err(error))) => end = Err(broken(error)),
                Some(None) => end = Err(End::Gone),
                None => {}
            }
        }
        let mut answered = self.answer(socket, &texts).await;
        if is_pinged && answered.is_ok() && end.is_ok() {
            answered = self.deliver(socket.flush()).await;
        }
        match (answered, end) {
            // After its close nothing can be said to it, and it has to be let go.
            (_, Err(End::Closed)) => Err(End::Closed),
            (answered, end) => answered.and(end),
        }
    }

    /// Does what the frames want, and answers each, in order.
    async fn answer(&mut self, socket: &mut WebSocket, texts: &[Utf8Bytes]) -> Step {
        if self.speech == Speech::CloudEvents {
            let answers = texts.iter().map(|text| self.publish_cloudevent(text));
            for said in join_all(answers).await {
                self.reply(socket, None, said).await?;
            }
            return Ok(());
        }
        let mut read = Vec::with_capacity(texts.len());
        for text in texts {
            read.push(Frame::read(text));
        }
        let mut frames = read.into_iter().peekable();
        while let Some(frame) = frames.next() {
            match frame {
                Ok((id, Frame::Publish(text))) => {
                    // With those right behind it: what changes a subscription keeps its place among them.
                    let mut run = vec![(id, text)];
                    while let Some(Ok((id, Frame::Publish(text)))) =
                        frames.next_if(|next| matches!(next, Ok((_, Frame::Publish(_)))))
                    {
                        run.push((id, text));
                    }
                    let mut published = Vec::with_capacity(run.len());
                    for (_, text) in &run {
                        published.push(self.publish(text));
                    }
                    let published = join_all(published).await;
                    for ((id, _), said) in run.iter().zip(published) {
                        self.reply(socket, id.as_deref(), said).await?;
                    }
                }
                Ok((id, frame)) => match self.change(frame) {
                    Ok(status) => {
                        let (id, answer) = (id.as_deref(), Done { status });
                        self.tell(socket, &Reply { id, answer }).await?;
                    }
                    Err(refused) => self.refuse(socket, id.as_deref(), refused).await?,
                },
                Err((id, refused)) => {
                    let intake = &self.shared.ports.intake;
                    let refused = intake.refuse(Door::WebSocket, &self.client, refused);
                    self.refuse(socket, id.as_deref(), refused).await?;
                }
            }
        }
        Ok(())
    }

    async fn publish(&self, text: &str) -> Said {
        let intake = &self.shared.ports.intake;
        let supply = |_| Supplied::default();
        let submitted = intake.submit(
            Door::WebSocket,
            &self.client,
            text.as_bytes(),
            false,
            supply,
        );
        let span = self.shared.ports.tracer.receive_http("GET", "/v1/ws", None);
        match span.receive(None, submitted).await {
            Ok(Submitted::One(receipt)) => Said::One(Ok(receipt)),
            Ok(Submitted::Many(answers)) => {
                let answers = answers
                    .into_iter()
                    .map(|answer| answer.map_err(Problem::from));
                Said::Many(answers.collect())
            }
            Err(refused) => Said::One(Err(refused.into())),
        }
    }

    async fn publish_cloudevent(&self, text: &Utf8Bytes) -> Said {
        let intake = &self.shared.ports.intake;
        let body = bytes::Bytes::copy_from_slice(text.as_bytes());
        let event = cloudevents::structured_of(&self.shared.admission(), &body);
        let receipt = intake.submit_event(Door::WebSocket, &self.client, event, false);
        let span = self.shared.ports.tracer.receive_http("GET", "/v1/ws", None);
        Said::One(span.receive(None, receipt).await.map_err(Problem::from))
    }

    /// Changes what is followed.
    fn change(&mut self, frame: Frame<'_>) -> Result<&'static str, Rejection> {
        let Frame::Subscribe(wanted, after) = frame else {
            self.follower = None;
            return Ok("unsubscribed");
        };
        self.client.expect_subscriber()?;
        let (tap, client) = (&self.shared.ports.live, self.client.clone());
        let stopping = self.shared.stopping.clone();
        self.follower = Some(match after {
            None => Follower::new(tap, client, wanted, stopping),
            Some(after) => {
                Follower::resume(tap, after, client, wanted, stopping).map_err(|_| {
                    let message = "what came after that position is not remembered; subscribe without `after`";
                    Rejection::new(Code::NotFound, message)
                })?
            }
        });
        Ok("subscribed")
    }

    async fn reply(&self, socket: &mut WebSocket, id: Option<&RawValue>, said: Said) -> Step {
        match said {
            Said::One(answer) => {
                let answer = one(&answer);
                self.tell(socket, &Reply { id, answer }).await
            }
            Said::Many(answers) => {
                let results: Vec<One<'_>> = answers.iter().map(one).collect();
                let answer = Results { results };
                self.tell(socket, &Reply { id, answer }).await
            }
        }
    }

    async fn refuse(
        &self,
        socket: &mut WebSocket,
        id: Option<&RawValue>,
        refused: Rejection,
    ) -> Step {
        self.reply(socket, id, Said::One(Err(refused.into()))).await
    }

    async fn pass(&self, socket: &mut WebSocket, passed: &Passed) -> Step {
        let Passed { position, event } = passed;
        match self.speech {
            Speech::Native => {
                let position = *position;
                self.tell(socket, &Passing { position, event }).await
            }
            Speech::CloudEvents => match cloudevents::write_structured(event) {
                Ok(text) => self.send(socket, Message::Text(text.into())).await,
                // An admitted event always serialises.
                Err(_) => Ok(()),
            },
        }
    }

    async fn tell<T: Serialize>(&self, socket: &mut WebSocket, what: &T) -> Step {
        match serde_json::to_string(what) {
            Ok(text) => self.send(socket, Message::Text(text.into())).await,
            Err(error) => {
                tracing::error!(%error, "failed to write a frame");
                Err(End::Close(
                    close_code::ERROR,
                    "an answer could not be written",
                ))
            }
        }
    }

    async fn send(&self, socket: &mut WebSocket, message: Message) -> Step {
        self.deliver(socket.send(message)).await
    }

    /// Waits for the client to take what it is sent, as long as it may.
    async fn deliver(&self, sending: impl Future<Output = Result<(), axum::Error>>) -> Step {
        match timeout(self.shared.body_timeout, sending).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(End::Gone),
        }
    }
}

/// Nothing came from the client, not even when it was asked.
fn silent() -> End {
    End::Close(close_code::POLICY, "nothing was heard for too long")
}

/// What the client was let in with is good no longer.
fn expired() -> End {
    End::Close(
        close_code::POLICY,
        "what the client was let in with has expired",
    )
}

/// A client that breaks the protocol, or the limits, or the line.
fn broken(error: axum::Error) -> End {
    tracing::debug!(%error, "a WebSocket broke off");
    let error = error.into_inner();
    match error.downcast_ref() {
        Some(WebSocketError::Capacity(_)) => {
            End::Close(close_code::SIZE, "a message is over limits.max_body")
        }
        Some(WebSocketError::Utf8(_)) => End::Close(close_code::INVALID, "a text is not UTF-8"),
        _ => End::Close(close_code::PROTOCOL, "what came is no frame"),
    }
}
