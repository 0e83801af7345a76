//! Everybody can use it: by keyboard, by screen reader, by day and night, on any screen; and nobody by their events.

use std::collections::BTreeSet;

use nexus_tests::browser::{Browser, Scheme};
use nexus_tests::hub::{Hub, eventually};
use nexus_tests::skip::or_skip;
use serde_json::json;

use super::{expect_quiet, failing, hub, look_at, look_in, mail, sign_in};

#[tokio::test]
async fn nothing_bars_anybody_by_day_or_night_wide_or_narrow() {
    const TEST: &str = "whether everybody can use the dashboard";
    let used = async |browser: &Browser, hub: Hub| {
        let Some(barriers) = or_skip(TEST, browser.barriers().await) else {
            return;
        };
        assert_eq!(barriers, [""; 0], "before signing in");
        hub.process(&mail("Invoice 17")).await;
        let dead = hub.process(&failing(true)).await;
        for _ in 0..3 {
            hub.process(&failing(false)).await;
        }
        sign_in(browser).await;
        browser.wait_for_text("#approvals", "Pay Invoice 17?").await;
        browser.wait_for_text("#letters", "probe.command").await;
        browser.wait_for_text("#alerts", "breaker_open").await;
        hub.process(&mail("Invoice 18")).await;
        browser.wait_for_text("#tail tbody", "mail.received").await;
        browser
            .fill("#journey-id", dead["event_id"].as_str().unwrap())
            .await;
        browser.click("#journey form button").await;
        browser
            .wait_for_text("#journey .timeline", "finished")
            .await;
        browser.click("#letters summary").await;
        for scheme in [Scheme::Light, Scheme::Dark] {
            browser.prefer(scheme).await;
            for width in [1440, 800, 320] {
                browser.size(width, 900).await;
                let barriers = browser.barriers().await.unwrap();
                assert!(barriers.is_empty(), "{scheme:?}, {width}: {barriers:#?}");
                let over = "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
                assert_eq!(browser.run(over).await, 0, "{width} wide");
            }
        }
        // What is old can be read as well.
        drop(hub);
        browser.wait_for_text("#connection", "Disconnected").await;
        for scheme in [Scheme::Light, Scheme::Dark] {
            browser.prefer(scheme).await;
            assert_eq!(
                browser.barriers().await.unwrap(),
                [""; 0],
                "{scheme:?}, of a hub that is gone"
            );
        }
    };
    look_at(TEST, hub(), used).await;
}

#[tokio::test]
async fn it_can_be_used_by_keyboard_alone() {
    let pressed = async |browser: &Browser, hub: Hub| {
        hub.process(&failing(true)).await;
        let (_, told) = hub.get("/v1/admin/dead-letters").await;
        let letter = told["dead_letters"][0]["id"].clone();
        browser
            .wait_for(
                "the key's field has the focus",
                "document.activeElement.id === 'key'",
            )
            .await;
        browser
            .press(format!("{}\u{e007}", nexus_tests::hub::ADMIN_KEY))
            .await;
        browser
            .wait_for_text("#letters tbody", "probe.command")
            .await;

        // From the beginning to the end, everything that can be pressed is reached, and it is seen where one is.
        browser.run("document.querySelector('.skip').focus()").await;
        let mut reached = BTreeSet::new();
        for _ in 0..150 {
            browser.tab().await;
            let at = browser
            .run(
                "const e = document.activeElement; const style = getComputedStyle(e); \
                 return e === document.body ? null : \
                   [e.closest('[id]').id, style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0]",
            )
            .await;
            let Some(at) = at.as_array() else { break };
            assert_eq!(at[1], true, "the focus is seen at {at:?}");
            reached.insert(at[0].as_str().unwrap().to_owned());
        }
        for panel in [
            "sign-out",
            "contents",
            "summary",
            "letters",
            "tail",
            "journey",
            "journey-id",
            "tail-type",
        ] {
            assert!(reached.contains(panel), "{panel} is not among {reached:?}");
        }

        // A dead letter is replayed, and the focus is where it was.
        browser
            .run("document.querySelector('#letters tbody button').focus()")
            .await;
        browser.press("\u{e007}").await;
        browser
            .wait_for_text("dialog", "Replay this dead letter?")
            .await;
        browser.press("\u{e00c}").await;
        browser
            .wait_for("the dialog is gone", "!document.querySelector('dialog')")
            .await;
        let label = browser
            .run("return document.activeElement.getAttribute('aria-label')")
            .await;
        assert!(label.as_str().unwrap().starts_with("Replay"), "{label}");
        browser.press("\u{e007}").await;
        browser
            .wait_for_text("dialog", "Replay this dead letter?")
            .await;
        browser.press("\u{e007}").await;
        eventually("another letter is there", || async {
            let (_, told) = hub.get("/v1/admin/dead-letters").await;
            let id = &told["dead_letters"].as_array()?.first()?["id"];
            (*id != letter).then_some(())
        })
        .await;

        // A breaker is held and closed without looking for the buttons.
        hub.process(&failing(false)).await;
        for (pressed, shown, then) in [("Hold", "held open", "Close"), ("Close", "closed", "Hold")]
        {
            let button =
                format!("document.querySelector(\"#breakers [aria-label^='{pressed}']\").focus()");
            browser
                .wait_for_text("#breakers h3", "probe/recorder")
                .await;
            browser.run(&button).await;
            browser.press("\u{e007}").await;
            if pressed == "Hold" {
                browser.wait_for_text("dialog", "Hold this breaker").await;
                browser.press("\u{e007}").await;
            }
            browser.wait_for_text("#breakers .state", shown).await;
            let has_focus = format!("document.activeElement.textContent.startsWith('{then}')");
            browser
                .wait_for("the other button has the focus", &has_focus)
                .await;
        }

        // What is done with goes, and the focus stays near: nobody begins from the top again.
        for subject in ["Invoice 17", "Invoice 18"] {
            hub.process(&mail(subject)).await;
        }
        for left in [1, 0] {
            let are_left = format!(
                "document.querySelectorAll('#approvals .items > li').length === {}",
                left + 1
            );
            browser.wait_for("the questions are there", &are_left).await;
            browser
                .run("document.querySelector('#approvals .primary').focus()")
                .await;
            browser.press("\u{e007}").await;
            let are_left =
                format!("document.querySelectorAll('#approvals .items > li').length === {left}");
            browser.wait_for("it is answered", &are_left).await;
            let section = browser
                .run("return document.activeElement.closest('section')?.id")
                .await;
            assert_eq!(section, "approvals");
        }
    };
    look_at("the dashboard by keyboard", hub(), pressed).await;
}

/// Whatever events hold is text: it runs nowhere, and looks like what it is.
#[tokio::test]
async fn what_events_hold_is_shown_and_never_run() {
    const BAD: &str =
        "<img src=x onerror=\"window.hacked=1\"><script>window.hacked=1</script>\u{202e}";
    let shown = async |browser: &Browser, hub: Hub| {
        hub.process(&mail(BAD)).await;
        browser
            .wait_for_text("#approvals h3", "<img src=x onerror=")
            .await;
        let mut event = failing(true);
        event["payload"]["text"] = json!(BAD);
        event["correlation_id"] = json!("<b onmouseover=window.hacked=1>x</b>");
        let dead = hub.process(&event).await;
        browser
            .wait_for_text("#letters tbody", "probe.command")
            .await;
        browser.click("#letters summary").await;
        browser.wait_for_text("#letters pre", "onerror").await;
        browser
            .fill("#journey-id", dead["event_id"].as_str().unwrap())
            .await;
        browser.click("#journey form button").await;
        browser.wait_for_text("#journey", "onmouseover").await;
        browser.fill("#journey-id", "../../v1/admin/queue").await;
        browser.click("#journey form button").await;
        browser
            .wait_for_text("#journey .error", "no such event")
            .await;
        // Refusals repeat what they refuse.
        browser.fill("#tail-type", "<img src=x onerror=1>").await;
        browser.click("#tail form button[type=submit]").await;
        browser.wait_for_text("#tail .error", "<img src=x").await;
        let found = "return [window.hacked ?? null, document.querySelectorAll('main img, main script, main b[onmouseover]').length]";
        assert_eq!(browser.run(found).await, json!([null, 0]));
        expect_quiet(browser).await;

        // Were the page fooled all the same, its policy stops it: this would be seen above.
        browser.run("const s = document.createElement('script'); s.textContent = 'window.hacked = 2'; document.body.append(s)").await;
        assert_eq!(
            browser.run("return window.hacked ?? null").await,
            json!(null)
        );
        let complaints = browser.complaints().await.concat();
        assert!(
            complaints.contains("Content Security Policy"),
            "{complaints}"
        );
    };
    look_in("hostile events on the dashboard", hub(), shown).await;
}

/// However long it is, whichever way it is written, and whatever its numbers are.
#[tokio::test]
async fn what_events_hold_breaks_no_line_and_is_told_as_it_is() {
    let shown = async |browser: &Browser, hub: Hub| {
        let long = "x".repeat(20_000);
        for subject in [
            &*long,
            "\u{202e}detrevni\u{200f}שלום",
            "\u{1}\u{7f}\u{9b}2J\u{feff}",
        ] {
            hub.process(&mail(subject)).await;
        }
        let mut event = failing(true);
        event["correlation_id"] = json!("y".repeat(200));
        event["payload"]["text"] = json!("z".repeat(2_000));
        // No number of a script is this one.
        event["payload"]["n"] = json!(9_007_199_254_740_993_i64);
        let dead = hub.process(&event).await;
        browser
            .wait_for_text("#letters tbody", "probe.command")
            .await;
        browser.click("#letters summary").await;
        browser
            .wait_for_text("#letters pre", "9007199254740993")
            .await;
        let dead = dead["event_id"].as_str().unwrap();
        browser.fill("#journey-id", dead).await;
        browser.click("#journey form button").await;
        browser
            .wait_for_text("#journey .timeline", "finished")
            .await;
        browser
            .wait_for(
                "each asks",
                "document.querySelectorAll('#approvals .items > li').length === 3",
            )
            .await;
        for width in [1440, 320] {
            browser.size(width, 900).await;
            let over = "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
            assert_eq!(browser.run(over).await, 0, "{width} wide");
        }
    };
    look_in("strange events on the dashboard", hub(), shown).await;
}
