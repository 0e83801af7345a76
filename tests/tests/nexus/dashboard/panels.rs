//! Every panel is clicked through, with what a hub really has to show.

use std::collections::BTreeSet;
use std::path::Path;

use nexus_tests::browser::{Browser, Scheme};
use nexus_tests::hub::{ADMIN_KEY, Hub, HubBuilder, eventually, key_hash};
use serde_json::{Value, json};

use super::{failing, hub, look_at, look_in, mail, sign_in};

#[tokio::test]
async fn only_administrators_are_let_in_and_a_key_is_kept_if_wanted() {
    let small = "[[clients]]\nid = \"small\"\nsources = [\"small\"]\ntypes = [\"*\"]\nkey_sha256 = \"SMALL\"\n"
        .replace("SMALL", &key_hash("nxk_small"));
    let let_in = async |browser: &Browser, hub: Hub| {
        let tried = async |key: &str, why: &str| {
            browser.fill("#key", key).await;
            browser.click("#sign-in-form button").await;
            browser.wait_for_text("#sign-in-error", why).await;
            assert_eq!(is_signed_in(browser).await, json!([false, "", ""]));
        };
        tried("nxk_nobody", "not known").await;
        tried("nxk_small", "admin").await;
        tried("nxk_ключ", "This is no key").await;

        sign_in(browser).await;
        browser.reload().await;
        is_out(browser).await;

        browser.click("#keep").await;
        sign_in(browser).await;
        browser.reload().await;
        browser.wait_for_text("#connection", "Live").await;
        browser.click("#sign-out").await;
        browser.reload().await;
        is_out(browser).await;
        let kept = browser.run("return document.cookie + Object.keys(localStorage) + Object.keys(sessionStorage) + location.search").await;
        assert_eq!(kept, "");

        drop(hub);
        tried(ADMIN_KEY, "The hub does not answer").await;
        let typed = browser
            .run("return document.querySelector('#key').value")
            .await;
        assert_eq!(typed, ADMIN_KEY, "it may be right");
    };
    look_at("the dashboard's sign-in", hub().config(&small), let_in).await;
}

/// Whether the panels are shown, and what they and the tab's storage hold.
async fn is_signed_in(browser: &Browser) -> Value {
    let told = "const panels = document.querySelector('#panels'); \
                const held = [...panels.querySelectorAll('section > :not(h2)')]; \
                return [!panels.hidden, held.map(one => one.textContent).join(), Object.keys(sessionStorage).join()]";
    browser.run(told).await
}

async fn is_out(browser: &Browser) {
    let is_out = "!document.querySelector('#sign-in').hidden";
    browser.wait_for("somebody is to sign in", is_out).await;
}

/// Whoever looks is asked for a key again, and sees nothing of what was there, nor what was about to be done.
#[tokio::test]
async fn a_key_that_is_taken_back_ends_what_it_has_opened() {
    let taken_back = async |browser: &Browser, hub: Hub| {
        browser.click("#keep").await;
        sign_in(browser).await;
        hub.process(&mail("Invoice 17")).await;
        hub.process(&failing(true)).await;
        browser.wait_for_text("#approvals", "Pay Invoice 17?").await;
        browser.wait_for_text("#letters", "probe.command").await;
        browser.click("#letters tbody button").await;
        browser.wait_for_text("dialog", "Replay this").await;
        let file = hub.folder().join("nexus.toml");
        let config = std::fs::read_to_string(&file).unwrap();
        let other = config.replace(&key_hash(ADMIN_KEY), &key_hash("nxk_another"));
        std::fs::write(&file, other).unwrap();
        let (status, told) = hub.send(hub.request("POST", "/v1/admin/reload")).await;
        assert_eq!(status, 200, "{told}");
        browser.wait_for_text("#sign-in-error", "not known").await;
        assert_eq!(is_signed_in(browser).await, json!([false, "", ""]));
        assert_eq!(
            browser.run("return document.querySelector('dialog')").await,
            json!(null)
        );
    };
    look_at("a key that is taken back", hub(), taken_back).await;
}

#[tokio::test]
async fn a_hub_without_anything_says_so() {
    let empty = async |browser: &Browser, _: Hub| {
        for (panel, text) in [
            ("#alerts", "no alert is active"),
            ("#approvals", "Nothing waits"),
            ("#letters", "No dead letters"),
            ("#plugins", "No plugins"),
            ("#breakers", "No breakers"),
            ("#tail", "No event has come"),
            ("#journey", "Choose an event"),
            ("#queue", "0 of"),
        ] {
            browser.wait_for_text(panel, text).await;
        }
    };
    look_in("the dashboard of an empty hub", HubBuilder::new(), empty).await;
}

#[tokio::test]
async fn every_panel_shows_what_there_is_and_does_what_is_clicked() {
    let clicked = async |browser: &Browser, hub: Hub| {
        let approval = approvals(browser, &hub).await;
        letters(browser, &hub).await;
        breakers_and_alerts(browser, &hub).await;
        browser.wait_for_text("#plugins", "probe/recorder").await;
        for text in ["broken", "remove it from the plugins folder"] {
            browser.wait_for_text("#plugins", text).await;
        }
        browser.wait_for_text("#pipeline", "probe/misbehave").await;
        browser
            .wait_for(
                "times are drawn",
                "document.querySelector('#latency .line.first[d^=M]')",
            )
            .await;
        queue(browser, &hub).await;
        tail_and_journey(browser, &hub).await;
        pictures(browser, &hub, &approval).await;
    };
    look_in("the dashboard's panels", hub(), clicked).await;
}

/// A question is answered, with a note.
async fn approvals(browser: &Browser, hub: &Hub) -> String {
    hub.process(&mail("Invoice 17")).await;
    browser.wait_for_text("#approvals", "Pay Invoice 17?").await;
    browser.fill("#approvals input", "not ours").await;
    browser.click("#approvals button.danger").await;
    browser.wait_for_text("#approvals", "Nothing waits").await;
    let (_, told) = hub.get("/v1/admin/approvals").await;
    let one = &told["approvals"][0];
    assert_eq!(one["answer"]["choice"], "refuse");
    assert_eq!(one["answer"]["note"], "not ours");
    assert_eq!(one["answer"]["by"], "test-admin");
    one["event_id"].as_str().unwrap().to_owned()
}

/// A dead letter is found, looked at, and replayed; and all of them at once.
async fn letters(browser: &Browser, hub: &Hub) {
    for _ in 0..2 {
        assert_eq!(hub.process(&failing(true)).await["status"], "dead");
    }
    browser.wait_for_text("#letters", "probe.command").await;
    browser.fill("#letters-reason", "no_such_reason").await;
    browser.click("#letters form button").await;
    browser
        .wait_for_text("#letters", "No dead letter matches")
        .await;
    browser.fill("#letters-reason", "").await;
    browser.fill("#letters-integration", "recorder").await;
    browser.click("#letters form button").await;
    browser.wait_for_text("#letters", "probe.command").await;
    browser.click("#letters summary").await;
    browser
        .wait_for_text("#letters details", "told_to_fail")
        .await;

    // Replayed, it dies once more, as another letter.
    let ids = || async {
        let (_, told) = hub.get("/v1/admin/dead-letters").await;
        let letters = told["dead_letters"].as_array()?.iter();
        let ids: BTreeSet<_> = letters.map(|one| one["id"].to_string()).collect();
        (ids.len() == 2).then_some(ids)
    };
    let before = ids().await.unwrap();
    browser.click("#letters tbody button").await;
    browser
        .wait_for_text("dialog", "Replay this dead letter?")
        .await;
    browser.click("dialog button[type=button]").await;
    assert_eq!(ids().await, Some(before.clone()), "it was not meant");
    browser.click("#letters tbody button").await;
    browser.click("dialog button.primary").await;
    let one = eventually("one is replayed", || async {
        let now = ids().await?;
        (now.intersection(&before).count() == 1).then_some(now)
    })
    .await;
    // As many as before, and yet others: the list shows those.
    browser
        .wait_for(
            "the list tells of both",
            "document.querySelectorAll('#letters tbody tr').length === 2",
        )
        .await;
    browser.click("#letters > .buttons button:last-child").await;
    browser
        .wait_for_text("dialog", "Replay 2 dead letters?")
        .await;
    browser.click("dialog button.primary").await;
    eventually("both are replayed", || async {
        ids().await?.is_disjoint(&one).then_some(())
    })
    .await;
}

/// A breaker opens, an alert tells of it; it is acknowledged and silenced, the breaker held open and closed.
async fn breakers_and_alerts(browser: &Browser, hub: &Hub) {
    for _ in 0..3 {
        hub.process(&failing(false)).await;
    }
    browser.wait_for_text("#breakers .state", "open").await;
    browser.wait_for_text("#alerts", "breaker_open").await;
    browser
        .click("#alerts [aria-label^='Acknowledge breaker_open']")
        .await;
    browser.wait_for_text("#alerts", "test-admin knows").await;
    browser
        .click("#alerts [aria-label^='Silence breaker_open']")
        .await;
    browser.wait_for_text("dialog", "Silence this alert?").await;
    browser.click("dialog button.primary").await;
    browser
        .wait_for_text("#alerts", "by test-admin, ends in")
        .await;
    browser
        .click("#alerts [aria-label^='End the silence']")
        .await;
    eventually("the silence has ended", || async {
        let (_, told) = hub.get("/v1/admin/alerts/silences").await;
        (told["silences"] == json!([])).then_some(())
    })
    .await;
    browser.click("#breakers [aria-label^='Hold']").await;
    browser.click("dialog button.primary").await;
    browser.wait_for_text("#breakers .state", "held open").await;
    browser.click("#breakers [aria-label^='Close']").await;
    browser.wait_for_text("#breakers .state", "closed").await;
}

/// What waits behind one that takes its time is told, by priority and lane.
async fn queue(browser: &Browser, hub: &Hub) {
    let mut slow = json!({
        "type": "probe.command", "source": "probe.tests", "partition_key": "slow lane", "priority": "high",
        "payload": { "action": "sleep_ms", "ms": 4_000 },
    });
    hub.publish(&slow).await;
    slow["payload"]["ms"] = json!(1);
    for _ in 0..3 {
        hub.publish(&slow).await;
    }
    for text in ["places taken", "slow lane", "under way"] {
        browser.wait_for_text("#queue", text).await;
    }
    let high =
        "[...document.querySelectorAll('#queue tr')].some(e => e.innerText.startsWith('high\t3'))";
    browser.wait_for("three of them wait", high).await;
    browser
        .wait_for_text("#queue", "Nothing waits in a lane")
        .await;
}

/// The tail follows what is wanted, pauses, and leads to a journey.
async fn tail_and_journey(browser: &Browser, hub: &Hub) {
    browser.fill("#tail-type", "order.*").await;
    browser.click("#tail form button[type=submit]").await;
    browser.wait_for_text("#tail", "Following").await;
    browser.click("#tail .quiet").await;
    let order = json!({ "type": "order.placed", "source": "shop", "payload": {} });
    eventually("the tail shows an order", || async {
        hub.process(&order).await;
        let rows = "return document.querySelectorAll('#tail tbody tr').length";
        (browser.run(rows).await.as_u64()? > 0).then_some(())
    })
    .await;
    hub.process(&mail("Invoice 18")).await;
    hub.process(&order).await;
    let types = "return [...document.querySelectorAll('#tail tbody td:nth-child(2)')].map(e => e.textContent)";
    let types = browser.run(types).await;
    let types = types.as_array().unwrap();
    assert!(types.iter().all(|one| one == "order.placed"), "{types:?}");

    browser.click("#tail-pause").await;
    browser.wait_for_text("#tail", "Paused").await;
    browser.click("#tail tbody button").await;
    browser.wait_for_text("#journey", "order.placed").await;
    browser
        .wait_for_text("#journey .timeline", "finished")
        .await;
    let focus = browser.run("return document.activeElement.id").await;
    assert_eq!(focus, "journey-title");

    // Whichever answer comes last, what was chosen last is shown.
    browser
        .run("const ask = fetch; window.fetch = (path, request) => path.includes('/v1/events/first') \
               ? new Promise(done => (window.release = () => done(new Response('{}', { status: 404 })))) \
               : ask(path, request)")
        .await;
    let chosen = browser
        .run("return document.querySelector('#journey-id').value")
        .await;
    for id in ["first", chosen.as_str().unwrap()] {
        browser.fill("#journey-id", id).await;
        browser.click("#journey form button").await;
    }
    browser
        .wait_for_text("#journey .timeline", "finished")
        .await;
    browser.run("window.release()").await;
    browser.press("\u{e004}").await;
    browser
        .wait_for_text("#journey .timeline", "finished")
        .await;

    browser.fill("#journey-id", "no-id").await;
    browser.click("#journey form button").await;
    browser
        .wait_for_text("#journey .error", "no such event")
        .await;
}

/// Writes what the documentation shows, when that is wanted.
async fn pictures(browser: &Browser, hub: &Hub, event_id: &str) {
    if std::env::var_os("UPDATE_DOCS").is_none() {
        return;
    }
    browser.fill("#tail-type", "").await;
    browser.click("#tail form button[type=submit]").await;
    browser.fill("#journey-id", event_id).await;
    browser.click("#journey form button").await;
    for _ in 0..3 {
        hub.process(&failing(false)).await;
    }
    // Some seconds of ordinary work, for the charts.
    for number in 0..600 {
        let order =
            json!({ "type": "order.placed", "source": "shop", "payload": { "number": number } });
        hub.publish(&order).await;
        hub.publish(
            &json!({ "type": "probe.ping", "source": "probe.tests", "payload": { "n": number } }),
        )
        .await;
        tokio::time::sleep(std::time::Duration::from_millis(30)).await;
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/images");
    std::fs::create_dir_all(&folder).unwrap();
    for (scheme, width, name) in [
        (Scheme::Light, 1440, "dashboard-light.png"),
        (Scheme::Dark, 1440, "dashboard-dark.png"),
        (Scheme::Light, 390, "dashboard-narrow.png"),
    ] {
        browser.prefer(scheme).await;
        browser.size(width, 900).await;
        let height = browser
            .run("scrollTo(0, 0); return document.documentElement.scrollHeight")
            .await;
        let height = u32::try_from(height.as_u64().unwrap()).unwrap();
        browser.size(width, height).await;
        browser.wait_for_text("#connection", "Live").await;
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
        std::fs::write(folder.join(name), browser.picture("body").await).unwrap();
    }
}
