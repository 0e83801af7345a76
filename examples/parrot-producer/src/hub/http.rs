//! Publishing over HTTP: `POST /v1/events`, an array of events at a time.

use reqwest::header::CONTENT_TYPE;
use serde_json::Value;

use super::{Door, Trouble};
use crate::answer::{Answer, Refusal};

/// See the module.
pub(crate) struct Http(Door);

impl Http {
    pub(super) fn new(door: Door) -> Self {
        Self(door)
    }

    pub(super) async fn publish(
        &mut self,
        array: String,
        events: usize,
    ) -> Result<Vec<Answer>, Trouble> {
        let Door {
            client,
            address,
            key,
        } = &self.0;
        let unanswered =
            |error: nexus_plugin_api::PluginError| Trouble::Unanswered(error.message.to_string());
        let request = client.post(address).await.map_err(unanswered)?;
        let request = request
            .bearer_auth(key.reveal())
            .header(CONTENT_TYPE, "application/json")
            .body(array);
        let answer = client.ask(request).await.map_err(unanswered)?;
        if !matches!(answer.status(), 200..=299) {
            let refusal =
                Refusal::of_response(answer.status(), answer.retry_after(), answer.body());
            return Err(Trouble::Refused(refusal));
        }
        let results = answer.json::<Value>().map_err(unanswered)?;
        Answer::all(Some(&results), events).map_err(Trouble::Unanswered)
    }
}
