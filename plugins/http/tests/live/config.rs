//! Configurations: what cannot work is refused with its place, and none at all is fine.

use nexus_plugin_testkit::TestHub;
use serde_json::json;

#[tokio::test]
async fn a_configuration_that_cannot_work_is_refused() {
    let url = "https://h.example/";
    for (target, said) in [
        (
            json!({"url": "h.example"}),
            "`targets.t`: `url` begins neither",
        ),
        (
            json!({"url": "https://a:b@h.example"}),
            "`url` holds a user name",
        ),
        (json!({"url": "https://h/{value}"}), "`url` holds `{value}`"),
        (json!({"url": url, "method": "get"}), "`method` is `get`"),
        (
            json!({"url": url, "headers": {"Host": "x"}}),
            "header `Host` cannot be set",
        ),
        (
            json!({"url": url, "headers": {"content-length": "1"}}),
            "header `content-length` cannot",
        ),
        (
            json!({"url": url, "headers": {"Authorization": "x"}}),
            "said by `auth`",
        ),
        (
            json!({"url": url, "headers": {"a b": "x"}}),
            "`a b` is no name of a header",
        ),
        (
            json!({"url": url, "headers": {"a": "x\r\ny: z"}}),
            "control character",
        ),
        (
            json!({"url": url, "headers": {"A": "1", "a": "2"}}),
            "twice",
        ),
        (
            json!({"url": url, "headers": {"idempotency-key": "1"}}),
            "set by the target itself",
        ),
        (
            json!({"url": url, "idempotency_header": "Host"}),
            "`idempotency_header`",
        ),
        (
            json!({"url": url, "auth": {"bearer": "a", "hmac": "b"}}),
            "several ways",
        ),
        (
            json!({"url": url, "auth": {"hmac": "a"}, "headers": {"Webhook-Id": "1"}}),
            "`webhook-id` is set by the target itself",
        ),
        (
            json!({"url": url, "auth": {"header": {"name": "X-K", "secret": "s"}}, "idempotency_header": "x-k"}),
            "which `auth` sets",
        ),
        (
            json!({"url": "https://{values.h}.org/", "auth": {"bearer": "a"}}),
            "would send the secret",
        ),
        (
            json!({"url": url, "auth": {"header": {"name": "Cookie", "secret": "s"}}}),
            "`auth`",
        ),
        (
            json!({"url": url, "auth": {"basic": {"user": "a:b", "secret": "s"}}}),
            "colon",
        ),
        (
            json!({"url": url, "auth": {"bearer": "a", "user": "b"}}),
            "user",
        ),
        (
            json!({"url": "https://{values.h}/", "auth": {"bearer": "a"}}),
            "would send the secret",
        ),
        (
            json!({"url": url, "body": "{values.a}"}),
            "`body` is no JSON",
        ),
        (
            json!({"url": url, "body": "{}", "method": "GET"}),
            "`body` is not sent with GET",
        ),
        (
            json!({"url": url, "text": "", "method": "GET"}),
            "`text` is not sent with GET",
        ),
        (
            json!({"url": url, "form": {"a": "{a}"}}),
            "`form.a` holds `{a}`",
        ),
        (
            json!({"url": url, "text": "{"}),
            "`text` holds a single brace",
        ),
        (
            json!({"url": url, "text": "", "body": "{}"}),
            "do not go together",
        ),
        (
            json!({"url": url, "body": "{}", "headers": {"Content-Type": "application/x-www-form-urlencoded"}}),
            "write `form`",
        ),
        (json!({"url": url, "expect": [99]}), "`expect` holds 99"),
        (json!({"url": url, "timeout": "0s"}), "`timeout` is 0s"),
        (
            json!({"url": url, "reply_event": "Not A Type"}),
            "`reply_event`",
        ),
        (
            json!({"url": url, "reply_event": "nexus.x"}),
            "`reply_event`",
        ),
        (json!({"url": url, "retries": 3}), "retries"),
    ] {
        let started = TestHub::builder()
            .plugin(http_plugin::plugin())
            .plugin_config("http", json!({"targets": {"t": target}}))
            .start()
            .await;
        let refused = started.map(drop).unwrap_err().to_string();
        assert!(refused.contains(said), "{target}: {refused}");
    }
    let started = TestHub::builder()
        .plugin(http_plugin::plugin())
        .plugin_config("http", json!({"allow": ["10.0.0.1/8"]}))
        .start()
        .await;
    let refused = started.map(drop).unwrap_err().to_string();
    assert!(refused.contains("`allow` holds `10.0.0.1/8`"), "{refused}");
}

#[tokio::test]
async fn without_configuration_it_starts() {
    let hub = TestHub::with(http_plugin::plugin()).await.unwrap();
    hub.stop().await.unwrap();
}
