//! Turns webhooks of a doorbell into events.
//!
//! Receives `POST /v1/hooks/doorbell` as the producer sends it, proves the signature, and publishes
//! `doorbell.rung`. What is not signed with the shared secret is answered with 401 and goes no further.

use nexus_plugin_api::prelude::*;
use ring::hmac;

/// Somebody has rung.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = json!({ "door": "front" }))]
pub struct Rung {
    /// Which door it is at.
    #[schemars(length(min = 1, max = 100))]
    pub door: String,
}

impl Contract for Rung {
    const TYPE: &'static str = "doorbell.rung";
    const VERSION: &'static str = "1.0.0";
}

/// What the producer sends: its own words, not ours.
#[derive(Debug, Deserialize)]
struct Wire {
    button: Button,
}

#[derive(Debug, Deserialize)]
struct Button {
    label: String,
}

/// The source.
#[derive(Debug)]
pub struct Bell;

impl Component for Bell {
    type Config = NoConfig;

    fn new(_: NoConfig, _: &Setup) -> Result<Self, PluginError> {
        Ok(Self)
    }
}

impl Source for Bell {
    const NAME: &'static str = "doorbell";

    async fn hook(&self, ctx: &Context, request: HookRequest) -> Result<HookReply, PluginError> {
        if request.method != "POST" {
            return Ok(HookReply::status(405).with_header("allow", "POST"));
        }
        // Before anything else is looked at.
        let secret = ctx.secret("signature").await?;
        if !is_signed(&request, secret.as_bytes()) {
            return Ok(HookReply::status(401));
        }
        let Ok(wire) = serde_json::from_slice::<Wire>(&request.body) else {
            return Ok(HookReply::status(400));
        };
        let rung = Rung {
            door: wire.button.label,
        };
        // Success is answered once the hub has it, so that nothing is lost.
        match ctx.publish(NewEvent::of(&rung)?).await {
            Ok(_) => Ok(HookReply::status(202)),
            Err(error) if error.retryable => Err(error),
            Err(_) => Ok(HookReply::status(422)),
        }
    }
}

/// Whether `x-signature: sha256=HEX` is the HMAC of the body. Compares in constant time.
fn is_signed(request: &HookRequest, secret: &[u8]) -> bool {
    let shown = request.header("x-signature").unwrap_or_default();
    let Some(tag) = shown
        .strip_prefix("sha256=")
        .and_then(|text| hex::decode(text).ok())
    else {
        return false;
    };
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    hmac::verify(&key, &request.body, &tag).is_ok()
}

export_plugin! {
    id: "doorbell",
    contracts: [Rung],
    sources: [Bell],
    services: ["publish", "secrets"],
}

#[cfg(test)]
mod tests {
    use nexus_plugin_api::testing::Bench;

    use super::*;

    const BODY: &str = r#"{"button": {"label": "front"}, "battery": 0.93}"#;

    fn post(signature: &str) -> HookRequest {
        HookRequest {
            method: "POST".to_owned(),
            path: String::new(),
            query: String::new(),
            headers: vec![("x-signature".to_owned(), signature.to_owned())],
            body: BODY.into(),
        }
    }

    #[tokio::test]
    async fn what_is_signed_becomes_an_event_and_nothing_else_does() {
        let bench = Bench::new().secret("signature", "ding-dong");
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"ding-dong");
        let signed = format!("sha256={}", hex::encode(hmac::sign(&key, BODY.as_bytes())));
        for (signature, status, events) in [("sha256=00", 401, 0), ("", 401, 0), (&*signed, 202, 1)]
        {
            let reply = Bell.hook(&bench.context(), post(signature)).await.unwrap();
            assert_eq!(reply.status, status, "{signature}");
            assert_eq!(bench.published().len(), events, "{signature}");
        }
        let rung: Rung = bench.published()[0].payload.parse().unwrap();
        assert_eq!(rung.door, "front");
    }
}
