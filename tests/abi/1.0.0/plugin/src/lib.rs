//! A plugin of each kind of component, written against the published interface alone: what it says and does is
//! what any plugin of that time may say and do. It says on standard error when it is first called.
//!
//! An event `frozen.told` has it act; `{"what": "panic"}` and `{"what": "panic later"}` have it panic, there or, as
//! `{"what": "act and panic"}`, where it acts. It remembers the last request that it acted on, which its webhook
//! tells; what is posted to the webhook is published.

mod manifest;
mod pause;

use nexus_plugin_abi::{
    AnswerV1, CallV1, ErrorV1, EventV1, FutureV1, HostV1, LibHeader, PluginInstance, PluginV1,
    RResult, RSlice, RecordV1, ReplyV1, RootModuleResult, RootV1, codes, guard, host_op, level,
    library_header, plugin_op,
};
use serde_json::{Value, json};

use pause::Pause;

#[unsafe(export_name = "nexus_plugin_entry_frozen")]
pub static ENTRY: LibHeader = library_header(root);

extern "C" fn root() -> RootModuleResult {
    eprintln!("frozen runs");
    RootV1 { describe, start }.erased()
}

extern "C" fn describe() -> ReplyV1 {
    let contract = |version: &str, member: &str| {
        let schema = json!({
            "type": "object", "properties": { member: { "type": "string" } }, "required": [member],
            "additionalProperties": false,
        });
        json!({ "type": "frozen.told", "version": version, "schema": schema })
    };
    head(&json!({
        "contracts": [contract("1.0.0", "how"), contract("2.0.0", "what")],
        "migrations": [{ "type": "frozen.told", "from": "1.0.0", "to": "2.0.0" }],
    }))
    .into()
}

extern "C" fn start(host: HostV1, init: RSlice<'_, u8>) -> RResult<PluginV1, ErrorV1> {
    guard(|| {
        let init = parse(init.as_slice())?;
        log(
            &host,
            &format!("frozen starts, isolation {}", init["isolation"]),
        );
        Ok(PluginV1::new(Frozen { host }))
    })
    .and_then(|started| started)
    .into()
}

struct Frozen {
    host: HostV1,
}

impl PluginInstance for Frozen {
    fn process(&self, _: &CallV1<'_>, event: &EventV1<'_>) -> FutureV1 {
        let told = match parse(event.payload.as_slice()) {
            Ok(told) => told,
            Err(error) => return FutureV1::ready(Err(error)),
        };
        assert_ne!(told["what"], "panic", "frozen panics as it is called");
        FutureV1::new(async move {
            Pause::default().await;
            assert_ne!(told["what"], "panic later", "frozen panics as it is polled");
            let request = json!({ "integration": "act", "request": told });
            head(&json!({ "effects": [{ "notify": request }] }))
        })
    }

    fn call(&self, _: &CallV1<'_>, op: u32, head: &[u8], body: &[u8]) -> FutureV1 {
        let answer = match op {
            plugin_op::DELIVER => self.deliver(body),
            plugin_op::HOOK => self.hook(head, body),
            plugin_op::HEALTH => answered(&json!({ "status": "ready" })),
            plugin_op::RUN | plugin_op::REBUILD => Ok(FutureV1::ready(Ok(AnswerV1::default()))),
            plugin_op::MIGRATE => migrate(body),
            _ => Err(ErrorV1::permanent(
                codes::UNSUPPORTED,
                "not of interface 1.0",
            )),
        };
        answer.unwrap_or_else(|error| FutureV1::ready(Err(error)))
    }
}

impl Frozen {
    fn deliver(&self, body: &[u8]) -> Result<FutureV1, ErrorV1> {
        let request = parse(body)?;
        assert_ne!(request["what"], "act and panic", "frozen panics as it acts");
        let kept = self
            .host
            .call(host_op::STATE_PUT, br#"{"key":"acted"}"#, body);
        Ok(FutureV1::new(async move {
            kept.await?;
            head(&json!({ "summary": format!("acted on {request}") }))
        }))
    }

    fn hook(&self, request: &[u8], body: &[u8]) -> Result<FutureV1, ErrorV1> {
        let is_told = parse(request)?["method"] == "POST";
        let asked = if is_told {
            let event = json!({ "type": "frozen.told", "payload": parse(body)? });
            self.host
                .call(host_op::PUBLISH, event.to_string().as_bytes(), b"")
        } else {
            self.host
                .call(host_op::STATE_GET, br#"{"key":"acted"}"#, b"")
        };
        Ok(FutureV1::new(async move {
            let answer = asked.await?;
            let body = if is_told { answer.head } else { answer.body };
            let head = head(&json!({ "status": 200 }))?;
            Ok(AnswerV1 { body, ..head })
        }))
    }
}

fn migrate(body: &[u8]) -> Result<FutureV1, ErrorV1> {
    let old = parse(body)?;
    assert_ne!(old["how"], "panic", "frozen panics as it migrates");
    let body = json!({ "what": old["how"] })
        .to_string()
        .into_bytes()
        .into();
    Ok(FutureV1::ready(Ok(AnswerV1 {
        body,
        ..AnswerV1::default()
    })))
}

fn answered(value: &Value) -> Result<FutureV1, ErrorV1> {
    Ok(FutureV1::ready(head(value)))
}

fn head(value: &Value) -> Result<AnswerV1, ErrorV1> {
    let head = value.to_string().into_bytes().into();
    Ok(AnswerV1 {
        head,
        ..AnswerV1::default()
    })
}

fn parse(bytes: &[u8]) -> Result<Value, ErrorV1> {
    serde_json::from_slice(bytes)
        .map_err(|error| ErrorV1::permanent(codes::MALFORMED, error.to_string()))
}

fn log(host: &HostV1, message: &str) {
    let record = RecordV1 {
        level: level::WARN,
        target: "frozen".into(),
        message: message.into(),
        fields: RSlice::EMPTY,
        event_id: [0; 16],
    };
    if host.enabled(record.level, "frozen") {
        host.log(&record);
    }
}
