//! What may go wrong at Dropbox: throttling, failures, tokens.

use std::time::{Duration, Instant};

use dropbox_double::{Account, Fault};
use serde_json::json;

use crate::scene::Scene;

const CONTINUE: &str = "/2/files/list_folder/continue";
const WHOSE: &str = "/2/users/get_current_account";

#[tokio::test]
async fn dropbox_is_left_alone_for_as_long_as_it_asks() {
    let scene = Scene::new("").await;
    let stage = scene.start().await;
    scene
        .dropbox
        .fail(Fault::of(429).at(CONTINUE).retry_after(2));
    scene.dropbox.put("/a", 1);
    let begun = Instant::now();
    for _ in 0..5 {
        stage.notify().await;
    }
    assert_eq!(stage.tells(1).await, ["added /a"]);
    assert!(
        begun.elapsed() >= Duration::from_secs(2),
        "{:?}",
        begun.elapsed()
    );
    // Once refused, once answered; who came meanwhile asked nothing.
    assert_eq!(scene.dropbox.asked(CONTINUE), 2);
    assert!(stage.hub.dead_letters().await.is_empty());
}

#[tokio::test]
async fn failures_that_may_pass_are_waited_out_without_a_dead_letter() {
    let scene = Scene::new("").await;
    let stage = scene.start().await;
    let broken = Fault {
        body: Some(json!("no page at all")),
        ..Fault::of(200).at(CONTINUE)
    };
    for fault in [Fault::of(503).at(CONTINUE), broken] {
        scene.dropbox.fail(fault);
    }
    scene.dropbox.put("/a", 1);
    stage.notify().await;
    assert_eq!(stage.tells(1).await, ["added /a"]);
    assert_eq!(stage.ends_with("/end").await.len(), 1);
    assert!(stage.hub.dead_letters().await.is_empty());
}

#[tokio::test]
async fn a_listing_that_breaks_off_between_pages_goes_on_where_it_was() {
    let scene = Scene::new("").await;
    let stage = scene.start().await;
    scene.dropbox.pages_of(2);
    for number in 0..6 {
        scene.dropbox.put(&format!("/{number}"), 1);
    }
    // The second page is not answered, nor is it when it is asked for anew.
    scene.dropbox.fail(Fault::of(500).at(CONTINUE).after(1));
    scene.dropbox.fail(Fault::of(500).at(CONTINUE));
    let before = scene.dropbox.asked(CONTINUE);
    stage.notify().await;
    let expected: Vec<_> = (0..6).map(|number| format!("added /{number}")).collect();
    assert_eq!(stage.tells(6).await, expected);
    // What had come was not asked for again.
    assert_eq!(scene.dropbox.asked(CONTINUE), before + 3 + 2);
    assert_eq!(stage.ends_with("/end").await.len(), 6);
}

#[tokio::test]
async fn a_token_that_has_run_out_is_renewed_once() {
    let scene = Scene::new("").await;
    let stage = scene.start().await;
    assert_eq!(scene.dropbox.asked("/oauth2/token"), 1);
    scene.dropbox.expire_tokens();
    assert_eq!(stage.ends_with("/a").await, [""; 0]);
    assert_eq!(scene.dropbox.asked("/oauth2/token"), 2);
    // It is kept for what comes.
    assert_eq!(stage.ends_with("/b").await.len(), 1);
    assert_eq!(scene.dropbox.asked("/oauth2/token"), 2);
}

#[tokio::test]
async fn who_gets_no_token_is_not_taken_for_somebody_else() {
    let scene = Scene::new("").await;
    let revoked = Fault {
        body: Some(json!({ "error": "invalid_grant" })),
        ..Fault::of(400).at("/oauth2/token")
    };
    scene.dropbox.fail(revoked);
    let stage = scene.start().await;
    assert_eq!(stage.ends_with("/a").await, [""; 0]);
    assert_eq!(stage.payloads()[0]["account"], scene.dropbox.account());
}

#[tokio::test]
async fn a_token_need_not_say_how_long_it_lives() {
    let scene = Scene::new("").await;
    let granted = Fault {
        body: Some(json!({ "access_token": "access-ada", "token_type": "bearer" })),
        ..Fault::of(200).at("/oauth2/token")
    };
    scene.dropbox.fail(granted);
    let stage = scene.start().await;
    assert_eq!(stage.ends_with("/a").await, [""; 0]);
    assert_eq!(scene.dropbox.asked("/oauth2/token"), 1);
}

#[tokio::test]
async fn an_access_token_of_ones_own_is_used_as_it_is() {
    let scene = Scene::new("").await;
    scene.secret("access_token", "access-ada");
    for name in ["app_key", "refresh_token"] {
        scene.without(name);
    }
    let stage = scene.start().await;
    assert_eq!(stage.ends_with("/a").await, [""; 0]);
    assert_eq!(scene.dropbox.asked("/oauth2/token"), 0);
}

#[tokio::test]
async fn a_token_that_is_not_taken_is_told_without_it() {
    let account = Account::named("ada").id;
    let config = format!(
        "[plugins.dropbox.config.accounts]\n\"{account}\" = {{ access_token = \"access_token\" }}"
    );
    let scene = Scene::new(&config).await;
    scene.secret("access_token", "wrong-and-s3cret");
    let stage = scene.open().await;
    let is_dead = || stage.hub.host().health().queue.dead_letters > 0;
    stage.until("a dead letter", is_dead).await;
    let letter = stage.hub.dead_letters().await.pop().unwrap();
    let told = format!("{letter:?}");
    assert!(told.contains("not_signed_in"), "{told}");
    assert!(told.contains("expired_access_token"), "{told}");
    assert!(!told.contains("s3cret"), "{told}");
}

#[tokio::test]
async fn between_pages_too_dropbox_is_left_alone_for_as_long_as_it_asks() {
    let scene = Scene::new("").await;
    let stage = scene.start().await;
    scene.dropbox.pages_of(1);
    for path in ["/a", "/b"] {
        scene.dropbox.put(path, 1);
    }
    let throttled = Fault::of(429).at(CONTINUE).after(1).retry_after(2);
    scene.dropbox.fail(throttled);
    let begun = Instant::now();
    stage.notify().await;
    assert_eq!(stage.tells(1).await, ["added /a"]);
    assert!(begun.elapsed() < Duration::from_secs(2));
    assert_eq!(stage.tells(2).await, ["added /a", "added /b"]);
    assert!(begun.elapsed() >= Duration::from_secs(2));
    assert_eq!(scene.dropbox.asked(CONTINUE), 3);
}

#[tokio::test]
async fn who_the_account_is_is_not_asked_while_dropbox_wants_to_be_left_alone() {
    let scene = Scene::new("").await;
    scene.dropbox.put("/old", 1);
    scene.dropbox.fail(Fault::of(429).at(WHOSE).retry_after(2));
    let begun = Instant::now();
    let stage = scene.open().await;
    scene.dropbox.asked_at_least(WHOSE, 1).await;
    for _ in 0..5 {
        stage.notify().await;
    }
    scene
        .dropbox
        .asked_at_least("/2/files/list_folder", 1)
        .await;
    assert!(begun.elapsed() >= Duration::from_secs(2));
    assert_eq!(stage.ends_with("/end").await, [""; 0]);
    assert_eq!(scene.dropbox.asked(WHOSE), 2);
}

#[tokio::test]
async fn a_token_that_may_not_say_whose_it_is_is_used_all_the_same() {
    let missing = json!({
        "error_summary": "missing_scope/.",
        "error": { ".tag": "missing_scope", "required_scope": "account_info.read" },
    });
    let refused = Fault {
        body: Some(missing),
        ..Fault::of(401).at(WHOSE)
    };
    for (mode, faults) in [
        ("webhook", vec![Fault::of(404).at(WHOSE)]),
        // A token for which there may be a better one is had anew.
        ("webhook", vec![refused.clone(), refused]),
        ("longpoll", vec![Fault::of(403).at(WHOSE)]),
    ] {
        let scene = Scene::new(&format!("mode = \"{mode}\"")).await;
        scene.dropbox.put("/old", 1);
        for fault in faults {
            scene.dropbox.fail(fault);
        }
        let stage = scene.start().await;
        scene.dropbox.put("/new", 1);
        if mode == "webhook" {
            stage.notify().await;
        }
        assert_eq!(stage.tells(1).await, ["added /new"]);
        assert_eq!(stage.payloads()[0]["account"], "default");
        assert!(stage.hub.dead_letters().await.is_empty());
    }
}

#[tokio::test]
async fn slow_pages_are_kept_as_they_come() {
    let scene = Scene::new("[dispatch]\nprocessor_timeout = \"1s\"").await;
    let stage = scene.start().await;
    scene.dropbox.pages_of(1);
    for number in 0..6 {
        scene.dropbox.put(&format!("/{number}"), 1);
    }
    scene.dropbox.slow(Duration::from_millis(300));
    stage.notify().await;
    let expected: Vec<_> = (0..6).map(|number| format!("added /{number}")).collect();
    assert_eq!(stage.tells(6).await, expected);
    // None was asked for twice.
    assert_eq!(scene.dropbox.asked(CONTINUE), 6);
    assert!(stage.hub.dead_letters().await.is_empty());
}
