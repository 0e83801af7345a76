//! The gRPC service: receives calls of `toasty.v1`, hands them to the desk, turns errors into status.
//!
//! Every call is written to the journal with its answer. What a call began is finished even when
//! its caller hangs up, so that a toast is never on the display without being known.

use std::sync::Arc;

use nexus_proto::toasty::v1::toasty_server::Toasty;
use nexus_proto::toasty::v1::{
    DismissReply, DismissRequest, GetCapabilitiesReply, GetCapabilitiesRequest, ListReply,
    ListRequest, ShowReply, ShowRequest, UpdateReply, UpdateRequest, WatchEvent, WatchRequest,
    dismiss_request, update_request,
};
use prost::Message;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use crate::desk::{Desk, DeskError, Target};
use crate::display::DisplayKind;
use crate::journal::Journal;
use crate::limits::{MAX_ACTIONS, MAX_INPUTS, MAX_TAG_CHARS, Violation};
use crate::store::{MAX_TOASTS, REMEMBERED_REQUESTS};
use crate::toast::ToastId;
use crate::watch_log::{KEPT_EVENTS, WatchError};

/// Events on their way to one watcher; the log holds the rest.
const EVENTS_UNDER_WAY: usize = 16;

/// The service `toasty.v1.Toasty`.
#[derive(Clone)]
pub(crate) struct Service {
    desk: Arc<Desk>,
    journal: Arc<Journal>,
    display: DisplayKind,
}

impl Service {
    pub(crate) fn new(desk: Arc<Desk>, journal: Arc<Journal>, display: DisplayKind) -> Self {
        Self {
            desk,
            journal,
            display,
        }
    }

    fn answer<Q: Message, R: Message>(
        &self,
        call: &str,
        request: &Q,
        answer: Result<R, Status>,
    ) -> Result<Response<R>, Status> {
        self.journal.call(call, request, answer.as_ref());
        if let Err(status) = &answer {
            tracing::info!(call, code = ?status.code(), message = status.message(), "call refused");
        }
        answer.map(Response::new)
    }

    fn capabilities(&self) -> GetCapabilitiesReply {
        let able = self.desk.abilities();
        GetCapabilitiesReply {
            display: self.display.to_string(),
            display_name: able.name,
            server_version: env!("CARGO_PKG_VERSION").to_owned(),
            log_id: self.desk.log().id().to_owned(),
            actions: able.actions,
            inputs: able.inputs,
            images: able.images,
            sounds: able.sounds,
            progress: able.progress,
            update_in_place: able.update_in_place,
            reports_dismissal: able.reports_dismissal,
            max_actions: MAX_ACTIONS as u32,
            max_inputs: MAX_INPUTS as u32,
            max_tag_chars: MAX_TAG_CHARS as u32,
            max_toasts: MAX_TOASTS as u32,
            remembered_requests: REMEMBERED_REQUESTS as u32,
            kept_events: KEPT_EVENTS as u32,
        }
    }
}

#[tonic::async_trait]
impl Toasty for Service {
    async fn show(&self, request: Request<ShowRequest>) -> Result<Response<ShowReply>, Status> {
        let request = request.into_inner();
        let service = self.clone();
        finish(async move {
            let shown = service.desk.show(request.clone()).await;
            service.answer("Show", &request, shown.map_err(status))
        })
        .await
    }

    async fn update(
        &self,
        request: Request<UpdateRequest>,
    ) -> Result<Response<UpdateReply>, Status> {
        let request = request.into_inner();
        let target = request.target.clone().map(|target| match target {
            update_request::Target::ToastId(id) => Target::Id(ToastId::from(id.as_str())),
            update_request::Target::Tagged(name) => Target::Tagged(name),
        });
        let service = self.clone();
        finish(async move {
            let updated = match named(target) {
                Ok(target) => service.desk.update(target, &request).await,
                Err(error) => Err(error),
            };
            service.answer("Update", &request, updated.map_err(status))
        })
        .await
    }

    async fn dismiss(
        &self,
        request: Request<DismissRequest>,
    ) -> Result<Response<DismissReply>, Status> {
        let request = request.into_inner();
        let target = request.target.clone().map(|target| match target {
            dismiss_request::Target::ToastId(id) => Target::Id(ToastId::from(id.as_str())),
            dismiss_request::Target::Tagged(name) => Target::Tagged(name),
        });
        let service = self.clone();
        finish(async move {
            let dismissed = match named(target) {
                Ok(target) => service.desk.dismiss(target).await,
                Err(error) => Err(error),
            };
            let reply = dismissed.map(|ids| DismissReply {
                toast_ids: ids.iter().map(ToString::to_string).collect(),
            });
            service.answer("Dismiss", &request, reply.map_err(status))
        })
        .await
    }

    async fn list(&self, request: Request<ListRequest>) -> Result<Response<ListReply>, Status> {
        let request = request.into_inner();
        let listed = self.desk.list(&request).await;
        self.answer("List", &request, Ok(listed))
    }

    async fn get_capabilities(
        &self,
        request: Request<GetCapabilitiesRequest>,
    ) -> Result<Response<GetCapabilitiesReply>, Status> {
        let capabilities = self.capabilities();
        self.answer("GetCapabilities", request.get_ref(), Ok(capabilities))
    }

    type WatchStream = ReceiverStream<Result<WatchEvent, Status>>;

    async fn watch(
        &self,
        request: Request<WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let request = request.into_inner();
        let followed = self
            .desk
            .log()
            .follow(request.after_seq, &request.log_id)
            .map_err(lost);
        // The stream has no reply of its own; in the journal an empty one says that it began.
        self.journal
            .call("Watch", &request, followed.as_ref().map(|_| &()));
        let mut watcher = followed?;

        let (send, events) = mpsc::channel(EVENTS_UNDER_WAY);
        tokio::spawn(async move {
            loop {
                let next = tokio::select! {
                    next = watcher.next() => next,
                    () = send.closed() => return,
                };
                let over = next.is_err();
                if send.send(next.map_err(lost)).await.is_err() || over {
                    return;
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(events)))
    }
}

/// Runs a call to its end even if its caller does not wait for it.
async fn finish<R: Send + 'static>(
    call: impl Future<Output = Result<Response<R>, Status>> + Send + 'static,
) -> Result<Response<R>, Status> {
    tokio::spawn(call)
        .await
        .unwrap_or_else(|error| Err(Status::internal(format!("the call broke off: {error}"))))
}

fn named(target: Option<Target>) -> Result<Target, DeskError> {
    target.ok_or_else(|| {
        DeskError::Invalid(Violation::new(
            "target",
            "is required: give toast_id, or tagged",
        ))
    })
}

fn status(error: DeskError) -> Status {
    let message = error.to_string();
    match error {
        DeskError::Invalid(_) => Status::invalid_argument(message),
        DeskError::NotFound(_) => Status::not_found(message),
        DeskError::Display(_) | DeskError::Slow | DeskError::Stopping => {
            Status::unavailable(message)
        }
    }
}

fn lost(error: WatchError) -> Status {
    let message = error.to_string();
    match error {
        WatchError::Stopping => Status::unavailable(message),
        WatchError::Lost { .. } | WatchError::Ahead { .. } | WatchError::OtherLog { .. } => {
            Status::out_of_range(message)
        }
    }
}
