//! What every route does, for whoever calls it. Nothing here is served that the router does not
//! serve: a test holds the two against each other.

use serde_json::json;

use super::operation::{Access, Body, Content, Operation, Place};

/// Every operation, in the order in which it is described.
pub(super) fn all() -> Vec<Operation> {
    let mut all = vec![publish(), handshake(), follow(), websocket()];
    all.extend([journey()]);
    all.extend(contracts());
    all.extend(hooks());
    all.extend(overview());
    all.extend(administration());
    all.extend(approvals());
    all.extend(alerts());
    all.extend(dead_letters());
    all.extend(operations());
    all
}

fn publish() -> Operation {
    const ATTRIBUTE: &str = "an attribute of a CloudEvent whose data is the body, percent-encoded";
    let key = json!({ "type": "string", "minLength": 1, "maxLength": 255 });
    let encoding = json!({ "type": "string", "enum": ["identity", "gzip", "deflate"] });
    Operation::post("/v1/events", "publish")
        .within("events", Access::Publisher)
        .says(
            "Publishes one event or several, or CloudEvents in binary, structured or batched mode",
        )
        .with(
            Place::Query,
            "ack",
            "waits for the outcome, at most `[server] ack_timeout`",
            json!({ "type": "string", "enum": ["processed"] }),
        )
        .with(
            Place::Header,
            "Idempotency-Key",
            "stands for the request: sent again with the same key, its events are duplicates",
            key,
        )
        .with(
            Place::Header,
            "Content-Encoding",
            "how the body is compressed",
            encoding,
        )
        .text(
            Place::Header,
            "traceparent",
            "the trace of events that name none (W3C)",
        )
        .text(Place::Header, "tracestate", "goes with `traceparent`")
        .text(Place::Header, "ce-specversion", ATTRIBUTE)
        .text(Place::Header, "ce-id", ATTRIBUTE)
        .text(Place::Header, "ce-source", ATTRIBUTE)
        .text(Place::Header, "ce-type", ATTRIBUTE)
        .text(Place::Header, "ce-time", ATTRIBUTE)
        .body(Body::Events)
        .answers(
            200,
            "the outcome, with `ack=processed`",
            Content::Json(&["Journey", "Results"]),
        )
        .answers(
            202,
            "taken, or known already; for an array, each of it",
            Content::Json(&["Receipt", "Results"]),
        )
        .answers(
            207,
            "some of an array were refused",
            Content::Json(&["Results"]),
        )
        .refuses(&["conflict"])
}

fn handshake() -> Operation {
    Operation::new(&["options"], "/v1/events", "handshake")
        .within("events", Access::Open)
        .says("Answers whether somebody may deliver CloudEvents here (HTTP 1.1 web hooks)")
        .text(Place::Header, "WebHook-Request-Origin", "who asks")
        .text(
            Place::Header,
            "WebHook-Request-Rate",
            "how many requests a minute; is not looked at",
        )
        .answers(
            200,
            "the answer is in `WebHook-Allowed-Origin`; he may not when it is missing",
            Content::Nothing,
        )
        .answers(
            204,
            "nobody asked; `Allow` names the methods",
            Content::Nothing,
        )
}

fn follow() -> Operation {
    let format = json!({ "type": "string", "enum": ["cloudevents"] });
    Operation::get("/v1/events/stream", "follow")
        .within("events", Access::Client)
        .says("Sends accepted events as they come")
        .names("type", "the types that are meant")
        .names("source", "the sources that are meant")
        .with(
            Place::Query,
            "format",
            "sends CloudEvents in the JSON format",
            format,
        )
        .with(
            Place::Query,
            "most",
            "so many events a second at most; how many were left out is told",
            json!({ "type": "integer", "minimum": 1, "maximum": 1000 }),
        )
        .answers(200, "events, until the hub stops", Content::Stream)
        .refuses(&["malformed_event"])
}

fn websocket() -> Operation {
    Operation::get("/v1/ws", "websocket")
        .within("events", Access::Publisher)
        .says("Opens a WebSocket; what is said on it is in the AsyncAPI document")
        .names("type", "the types that are followed from the beginning")
        .names("source", "the sources that are followed from the beginning")
        .answers(101, "the WebSocket is open", Content::Nothing)
        .refuses(&["malformed_event", "upgrade_required"])
}

fn journey() -> Operation {
    Operation::get("/v1/events/{id}", "journey")
        .within("events", Access::Client)
        .says("Tells the way of an event so far")
        .id("the event's")
        .text(
            Place::Query,
            "source",
            "that of the event, when several sources use this id",
        )
        .answers(200, "its journey", Content::Json(&["Journey"]))
        .refuses(&["malformed_event", "not_found", "storage_unavailable"])
}

fn contracts() -> [Operation; 3] {
    let get = |path, id| Operation::get(path, id).within("contracts", Access::Client);
    let one = Content::Json(&["Contract"]);
    [
        get("/v1/contracts", "list_contracts")
            .says("Lists the types and their versions")
            .answers(200, "the contracts", Content::Json(&["Contracts"])),
        get("/v1/contracts/{type}", "newest_contract")
            .says("Shows the newest contract of a type")
            .text(Place::Path, "type", "the event type")
            .answers(200, "the contract", one)
            .refuses(&["not_found"]),
        get("/v1/contracts/{type}/{version}", "contract")
            .says("Shows one version of a type's contract")
            .text(Place::Path, "type", "the event type")
            .text(Place::Path, "version", "a semantic version")
            .answers(200, "the contract", one)
            .refuses(&["not_found"]),
    ]
}

fn hooks() -> [Operation; 3] {
    const ANY: &[&str] = &["get", "put", "post", "delete", "options", "head", "patch"];
    let hook = |path, id| {
        Operation::new(ANY, path, id)
            .within("hooks", Access::Open)
            .says("Shows a webhook to the plugin whose source it is, or takes it as `[[webhooks]]` say")
            .text(Place::Path, "source", "the source, or the webhook's name")
            .body(Body::Anything)
            .answers(
                200,
                "what the plugin answers, whatever its status; with 202 what became of a webhook's event",
                Content::Nothing,
            )
            .refuses(&[
                "unauthenticated",
                "forbidden",
                "not_found",
                "method_not_allowed",
                "rate_limited",
                "internal",
                "unavailable",
            ])
    };
    [
        hook("/v1/hooks/{source}", "hook"),
        hook("/v1/hooks/{source}/", "hook_root"),
        hook("/v1/hooks/{source}/{rest}", "hook_below")
            .served_by("/v1/hooks/{source}/{*rest}")
            .text(
                Place::Path,
                "rest",
                "a path, slashes included, for the plugin to read",
            ),
    ]
}

fn overview() -> [Operation; 4] {
    let admin = |path, id| Operation::get(path, id).within("overview", Access::Admin);
    let open = |path, id| Operation::get(path, id).within("overview", Access::Open);
    [
        admin("/v1/admin/overview", "overview")
            .says("Shows the whole hub at a glance; it takes up to a second, of which its rates are")
            .answers(200, "the hub", Content::Json(&["Overview"]))
            .refuses(&["internal"]),
        admin("/v1/admin/overview/stream", "follow_overview")
            .says("Sends the same once a second, after the seconds before: `history`, then `overview`")
            .answers(200, "overviews, until the hub stops", Content::Stream),
        open("/", "dashboard")
            .says("Shows the dashboard, which asks for an administrator's key")
            .answers(200, "the page", Content::Page)
            .refuses(&["not_found"]),
        open("/assets/{file}", "dashboard_part")
            .says("Styles and scripts of the dashboard")
            .text(Place::Path, "file", "its name")
            .answers(200, "the file", Content::Page)
            .refuses(&["not_found"]),
    ]
}

fn administration() -> [Operation; 10] {
    let admin = |operation: Operation| operation.within("administration", Access::Admin);
    let switch = |path, id| {
        admin(Operation::post(path, id))
            .served_by("/v1/admin/breakers/{*rest}")
            .text(Place::Path, "name", "the breaker's, slashes included")
            .answers(200, "how it stands then", Content::Json(&["Breaker"]))
            .refuses(&["not_found"])
    };
    [
        admin(Operation::get("/v1/admin/plugins", "plugins"))
            .says("Shows the plugins with their states")
            .answers(200, "the plugins", Content::Json(&["Plugins"])),
        admin(Operation::get("/v1/admin/queue", "queue"))
            .says("Shows how full the queue is")
            .answers(200, "its figures", Content::Json(&["Queue"])),
        admin(Operation::get("/v1/admin/stages", "stages"))
            .says("Sends what happens to events, step by step, as it happens")
            .names("type", "the types that are meant")
            .names("source", "the sources that are meant")
            .text(
                Place::Query,
                "stage",
                "the steps that are meant, such as `dead,refused`",
            )
            .answers(200, "steps, until the hub stops", Content::Stream)
            .refuses(&["malformed_event"]),
        admin(Operation::get("/v1/admin/breakers", "breakers"))
            .says("Shows the breakers with their states")
            .answers(200, "the breakers", Content::Json(&["Breakers"])),
        switch("/v1/admin/breakers/{name}/open", "open_breaker")
            .says("Opens a breaker and holds it until it is closed"),
        switch("/v1/admin/breakers/{name}/close", "close_breaker").says("Closes a breaker"),
        admin(Operation::get("/v1/admin/log", "log"))
            .says("Shows which lines the hub writes into its log")
            .answers(200, "its filter", Content::Json(&["LogFilter"]))
            .refuses(&["conflict"]),
        admin(Operation::put("/v1/admin/log", "change_log"))
            .says("Has other lines written, until `observe.log_level` changes or the hub ends")
            .body(Body::LogFilter)
            .answers(200, "its filter", Content::Json(&["LogFilter"]))
            .refuses(&["conflict", "invalid_config"]),
        admin(Operation::post("/v1/admin/reload", "reload"))
            .says("Reads the configuration again and applies all of it, or nothing")
            .body(Body::Nothing)
            .answers(200, "what has changed", Content::Json(&["Plan"]))
            .refuses(&["conflict", "invalid_config"]),
        admin(Operation::post("/v1/admin/reload/plan", "plan_reload"))
            .says("Tells what a reload would change, and changes nothing")
            .body(Body::Candidate)
            .answers(200, "what would change", Content::Json(&["Plan"]))
            .refuses(&["conflict", "invalid_config"]),
    ]
}

fn approvals() -> [Operation; 3] {
    let admin = |operation: Operation| operation.within("approvals", Access::Admin);
    const ONE: &str = "/v1/admin/approvals/{id}";
    const ID: &str = "the approval's";
    let approval = Content::Json(&["Approval"]);
    [
        admin(Operation::get("/v1/admin/approvals", "list_approvals"))
            .says("Lists approvals: what waits for an answer first, then what has ended, the last first")
            .with(
                Place::Query,
                "status",
                "only those that stand so",
                json!({ "enum": ["pending", "answered", "expired"] }),
            )
            .answers(200, "the approvals", Content::Json(&["Approvals"]))
            .refuses(&["malformed_event"]),
        admin(Operation::get(ONE, "approval"))
            .says("Shows one approval")
            .id(ID)
            .answers(200, "the approval", approval)
            .refuses(&["not_found"]),
        admin(Operation::post(ONE, "answer_approval"))
            .says("Answers an approval; the first answer counts")
            .id(ID)
            .body(Body::Answer)
            .answers(200, "the approval, answered", approval)
            .refuses(&[
                "not_found",
                "conflict",
                "contract_violation",
                "storage_unavailable",
            ]),
    ]
}

fn alerts() -> [Operation; 7] {
    let admin = |operation: Operation| operation.within("alerts", Access::Admin);
    const SILENCES: &str = "/v1/admin/alerts/silences";
    const ID: &str = "the alert's";
    [
        admin(Operation::get("/v1/admin/alerts", "list_alerts"))
            .says("Lists alerts: what is wrong with the hub, the worst first, then what was, the last first")
            .with(
                Place::Query,
                "status",
                "only those that stand so",
                json!({ "enum": ["firing", "acknowledged", "resolved"] }),
            )
            .answers(200, "the alerts", Content::Json(&["Alerts"]))
            .refuses(&["malformed_event"]),
        admin(Operation::get("/v1/admin/alerts/{id}", "alert"))
            .says("Shows one alert")
            .id(ID)
            .answers(200, "the alert", Content::Json(&["Alert"]))
            .refuses(&["not_found"]),
        admin(Operation::post(
            "/v1/admin/alerts/{id}/ack",
            "acknowledge_alert",
        ))
        .says("Takes notice of an alert, so that it does not escalate any more")
        .id(ID)
        .body(Body::Notice)
        .answers(200, "the alerts that are acknowledged", Content::Json(&["Alerts"]))
        .refuses(&["not_found", "conflict", "contract_violation"]),
        admin(Operation::get("/v1/admin/alerts/rules", "alert_rules"))
            .says("Lists the rules by which alerts are raised, the built-in ones among them")
            .answers(200, "the rules", Content::Json(&["AlertRules"])),
        admin(Operation::get(SILENCES, "list_silences"))
            .says("Lists silences")
            .answers(200, "the silences", Content::Json(&["Silences"])),
        admin(Operation::post(SILENCES, "silence_alerts"))
            .says("Has alerts told to nobody for a while")
            .body(Body::Silence)
            .answers(201, "the silence", Content::Json(&["Silence"]))
            .refuses(&["conflict", "contract_violation"]),
        admin(Operation::new(
            &["delete"],
            "/v1/admin/alerts/silences/{id}",
            "end_silence",
        ))
        .says("Ends a silence before its time")
        .id("the silence's")
        .answers(200, "the silence that was", Content::Json(&["Silence"]))
        .refuses(&["not_found"]),
    ]
}

fn dead_letters() -> [Operation; 6] {
    const ID: &str = "the letter's";
    let admin = |operation: Operation| operation.within("dead letters", Access::Admin);
    let time = || json!({ "type": "string", "format": "date-time" });
    let id = || json!({ "type": "string", "format": "uuid" });
    let changed = Content::Json(&["Changed"]);
    let all = |path, id| {
        admin(Operation::post(path, id))
            .body(Body::Selection)
            .answers(200, "which ones", changed)
            .refuses(&["storage_unavailable"])
    };
    let gone = &["not_found", "storage_unavailable"];
    [
        admin(Operation::get(
            "/v1/admin/dead-letters",
            "list_dead_letters",
        ))
        .says("Lists dead letters, oldest first")
        .with(Place::Query, "id", "a letter's, or its event's", id())
        .names("type", "the event's")
        .names("source", "the event's")
        .text(
            Place::Query,
            "integration",
            "`PLUGIN/NAME`, or either part of it",
        )
        .text(Place::Query, "reason", "why it was given up")
        .with(Place::Query, "since", "died then or later", time())
        .with(Place::Query, "until", "died before", time())
        .with(Place::Query, "after", "the `next` of the part before", id())
        .with(
            Place::Query,
            "limit",
            "how many at most",
            json!({ "type": "integer", "minimum": 1, "maximum": 1000, "default": 100 }),
        )
        .answers(
            200,
            "a part of the letters",
            Content::Json(&["DeadLetters"]),
        )
        .refuses(&["malformed_event", "storage_unavailable"]),
        all("/v1/admin/dead-letters/replay", "replay_dead_letters")
            .says("Does the work of some letters once more"),
        all("/v1/admin/dead-letters/purge", "purge_dead_letters").says("Deletes some letters"),
        admin(Operation::get("/v1/admin/dead-letters/{id}", "dead_letter"))
            .says("Shows one letter")
            .id(ID)
            .answers(200, "the letter", Content::Json(&["DeadLetter"]))
            .refuses(gone),
        admin(Operation::new(
            &["delete"],
            "/v1/admin/dead-letters/{id}",
            "purge_dead_letter",
        ))
        .says("Deletes one letter")
        .id(ID)
        .answers(200, "it is gone", changed)
        .refuses(gone),
        admin(Operation::post(
            "/v1/admin/dead-letters/{id}/replay",
            "replay_dead_letter",
        ))
        .says("Does the work of one letter once more")
        .id(ID)
        .answers(200, "it is taken up", changed)
        .refuses(gone),
    ]
}

fn operations() -> [Operation; 5] {
    let ready = Content::Json(&["Readiness"]);
    let document = Content::Json(&["Document"]);
    [
        Operation::get("/healthz", "alive")
            .says("Tells whether the process lives")
            .answers(200, "it does", Content::Json(&["Health"])),
        Operation::get("/readyz", "ready")
            .says("Tells whether events are taken, and to administrators why not")
            .answers(200, "they are", ready)
            .answers(503, "they are not", ready),
        Operation::get("/metrics", "metrics")
            .within("operations", Access::Metrics)
            .says("Tells what was counted since the start, in the text format of Prometheus")
            .answers(200, "the counts", Content::Metrics),
        Operation::get("/openapi.json", "openapi")
            .says("Describes what is served over HTTP")
            .answers(200, "this document", document),
        Operation::get("/asyncapi.json", "asyncapi")
            .says("Describes the events that are taken and sent")
            .answers(200, "a document of AsyncAPI 3.0", document),
    ]
}
