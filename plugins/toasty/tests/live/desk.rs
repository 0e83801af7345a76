//! A display whose toasts a test can see and press, behind a real Toasty server.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use toasty_server::display::{Abilities, DisplayError, Feedback, FeedbackSender, Happened};
use toasty_server::{Display, Options, Running, Server, Toast, ToastId};

/// A running server and what it shows.
pub(crate) struct Desk {
    pub(crate) server: Running,
    shown: Arc<Mutex<Vec<Toast>>>,
    feedback: FeedbackSender,
}

struct Screen(Arc<Mutex<Vec<Toast>>>);

impl Desk {
    /// On a free port, or on that of an earlier server.
    pub(crate) async fn open(listen: Option<SocketAddr>) -> Self {
        let mut options = Options::default();
        options.listen = listen.unwrap_or(options.listen);
        let shown = Arc::new(Mutex::new(Vec::new()));
        let screen = Screen(Arc::clone(&shown));
        let mut feedback = None;
        let server = Server::bind_with(options, |sender| {
            feedback = Some(sender);
            Box::new(screen)
        });
        let server = server.await.expect("the server starts").spawn();
        Self {
            server,
            shown,
            feedback: feedback.expect("the display was made"),
        }
    }

    /// Every toast shown so far, ended ones among them.
    pub(crate) fn shown(&self) -> Vec<Toast> {
        self.shown.lock().clone()
    }

    /// A person does something to the toast with that title.
    pub(crate) async fn happens(&self, title: &str, what: Happened) {
        let toast_id = self
            .shown()
            .iter()
            .rfind(|toast| toast.request().title == title)
            .map(|toast| toast.id().clone())
            .expect("it is on the screen");
        let feedback = Feedback { toast_id, what };
        self.feedback
            .send(feedback)
            .await
            .expect("the server listens");
    }

    /// A person presses a button.
    pub(crate) async fn press(&self, title: &str, action_id: &str) {
        let pressed = Happened::Activated {
            action_id: action_id.to_owned(),
            inputs: BTreeMap::from([("why".to_owned(), "it fits".to_owned())]),
        };
        self.happens(title, pressed).await;
    }
}

#[tonic::async_trait]
impl Display for Screen {
    fn abilities(&self) -> Abilities {
        Abilities::default()
    }

    async fn show(&self, toast: &Toast, _: Option<&ToastId>) -> Result<(), DisplayError> {
        self.0.lock().push(toast.clone());
        Ok(())
    }

    async fn hide(&self, _: &ToastId) {}
}
