//! The dashboard as people meet it: in a real Chromium, on a real hub.

mod panels;
mod reach;
mod strain;

use nexus_tests::browser::Browser;
use nexus_tests::hub::{ADMIN_KEY, Hub, HubBuilder};
use nexus_tests::skip::or_skip;
use serde_json::{Value, json};

/// A hub that asks people, gives up soon, and has a file that is no plugin.
const CONFIG: &str = r#"
[retry]
max_retries = 0
[breaker]
failures = 3
[[routes]]
name = "pay"
types = ["mail.received"]
[[routes.actions]]
[routes.actions.ask]
title = "Pay {{ payload.subject }}?"
body = "The invoice came by mail, and is due on Friday."
choices = [{ id = "pay", label = "Pay", tone = "good" }, { id = "refuse", label = "Refuse", tone = "bad" }]
unanswered = "refuse"
expires_after = "1h"
"#;

fn hub() -> HubBuilder {
    let no_plugin = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let name = format!("broken{}", std::env::consts::DLL_SUFFIX);
    HubBuilder::new()
        .config(CONFIG)
        .contract("mail.received")
        .contract("order.placed")
        .plugin("probe")
        .file(no_plugin, &name)
}

/// Has a browser look at a hub's dashboard, which is there when it begins, and is quiet when it ends. Skipped where this
/// machine cannot have a browser.
async fn look_at(test: &str, hub: HubBuilder, look: impl AsyncFnOnce(&Browser, Hub)) {
    let Some(browser) = or_skip(test, Browser::start().await) else {
        return;
    };
    let hub = hub.start();
    browser.open(&hub.url()).await;
    look(&browser, hub).await;
    expect_quiet(&browser).await;
    browser.end().await;
}

/// As [`look_at`], as an administrator.
async fn look_in(test: &str, hub: HubBuilder, look: impl AsyncFnOnce(&Browser, Hub)) {
    let signed_in = async |browser: &Browser, hub| {
        sign_in(browser).await;
        look(browser, hub).await;
    };
    look_at(test, hub, signed_in).await;
}

async fn sign_in(browser: &Browser) {
    browser.fill("#key", ADMIN_KEY).await;
    browser.click("#sign-in-form button").await;
    browser.wait_for_text("#connection", "Live").await;
    let is_painted = "document.getElementById('panels').getAttribute('aria-busy') === 'false'";
    browser.wait_for("the panels are painted", is_painted).await;
}

fn mail(subject: &str) -> Value {
    json!({ "type": "mail.received", "source": "outlook", "payload": { "subject": subject } })
}

/// An event that has `recorder` fail, for good or for this time.
fn failing(for_good: bool) -> Value {
    let record = json!({ "permanent": for_good, "fail_times": 100 });
    json!({
        "type": "probe.command",
        "source": "probe.tests",
        "payload": { "action": "notify", "record": record },
    })
}

/// Nothing was forbidden by the page's policy, and no script has failed. That the hub refuses something, the browser
/// says as well.
async fn expect_quiet(browser: &Browser) {
    let complaints = browser.complaints().await;
    let is_refusal = |one: &str| one.contains("/v1/") && one.contains("Failed to load resource");
    let serious: Vec<_> = complaints.iter().filter(|one| !is_refusal(one)).collect();
    assert!(serious.is_empty(), "{serious:#?}");
}
