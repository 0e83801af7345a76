//! Webhooks: the handshake, signatures, and what is answered to whom.

use std::time::{Duration, Instant};

use dropbox_double::{Account, Dropbox, Options, Webhook};
use nexus_plugin_api::HookRequest;
use nexus_plugin_testkit::TestHub;

use crate::scene::{Scene, posted};

fn asked(method: &str, query: &str) -> HookRequest {
    HookRequest {
        method: method.to_owned(),
        query: query.to_owned(),
        ..posted(&Webhook {
            body: String::new(),
            signature: String::new(),
        })
    }
}

#[tokio::test]
async fn the_challenge_goes_back_as_plain_text() {
    let scene = Scene::new("").await;
    let stage = scene.start().await;
    let reply = stage.hook(asked("GET", "challenge=a%3Cb%3E%26c&x=y")).await;
    assert_eq!((reply.status, &reply.body[..]), (200, &b"a<b>&c"[..]));
    assert_eq!(reply.headers["content-type"], "text/plain");
    assert_eq!(reply.headers["x-content-type-options"], "nosniff");
    assert_eq!(stage.hook(asked("GET", "")).await.status, 400);
    let reply = stage.hook(asked("DELETE", "")).await;
    assert_eq!((reply.status, &*reply.headers["allow"]), (405, "GET, POST"));
}

#[tokio::test]
async fn what_is_not_signed_is_not_read() {
    let scene = Scene::new("").await;
    let stage = scene.start().await;
    let right = scene.dropbox.webhook();
    let other = scene.dropbox.signed(right.body.replace("ada", "eve"));
    let mut wrong = vec![
        Webhook {
            signature: other.signature,
            ..right.clone()
        },
        Webhook {
            signature: right.signature[..62].to_owned(),
            ..right.clone()
        },
        Webhook {
            body: "{".to_owned(),
            ..right.clone()
        },
    ];
    for signature in ["", "no hex", &"0".repeat(64)] {
        wrong.push(Webhook {
            signature: signature.to_owned(),
            ..right.clone()
        });
    }
    for hook in &wrong {
        assert_eq!(stage.hook(posted(hook)).await.status, 403, "{hook:?}");
    }
    let mut unsigned = posted(&right);
    unsigned.headers.clear();
    assert_eq!(stage.hook(unsigned).await.status, 403);

    for body in ["{", "[]", r#"{"list_folder": 7}"#] {
        let hook = scene.dropbox.signed(body.to_owned());
        assert_eq!(stage.hook(posted(&hook)).await.status, 400, "{body}");
    }
    for body in ["{}", r#"{"delta": {"users": [1]}}"#] {
        let hook = scene.dropbox.signed(body.to_owned());
        assert_eq!(stage.hook(posted(&hook)).await.status, 200, "{body}");
    }
    assert_eq!(stage.ends_with("/end").await, [""; 0]);
}

#[tokio::test]
async fn only_accounts_whose_token_is_here_are_listed() {
    let linked = ["ada", "bob", "eve"].map(Account::named);
    let [ada, bob, eve] = linked.clone().map(|account| account.id);
    let options = Options {
        accounts: linked.to_vec(),
        ..Options::default()
    };
    let config = format!(
        "[plugins.dropbox.config.accounts]\n\
         \"{ada}\" = {{ refresh_token = \"refresh_token\" }}\n\
         \"{bob}\" = {{ access_token = \"bobs\", path = \"/Shared\" }}"
    );
    let scene = Scene::with(Dropbox::with(options).await.unwrap(), &config);
    scene.secret("bobs", "access-bob");
    scene.dropbox.put_of(&bob, "/Shared/old", 1);
    let stage = scene.open().await;
    stage.is_done_with(2).await;
    scene.dropbox.put("/of-ada", 1);
    for path in ["/Shared/of-bob", "/elsewhere"] {
        scene.dropbox.put_of(&bob, path, 1);
    }
    scene.dropbox.put_of(&eve, "/of-eve", 1);
    stage.notify().await;
    let mut told = stage.tells(2).await;
    told.sort();
    assert_eq!(told, ["added /Shared/of-bob", "added /of-ada"]);
    let mut accounts: Vec<_> = stage
        .payloads()
        .iter()
        .map(|payload| payload["account"].as_str().unwrap().to_owned())
        .collect();
    accounts.sort();
    assert_eq!(accounts, [ada, bob]);
    // Each was asked for its own, and nobody for the third.
    assert_eq!(scene.dropbox.asked("/2/files/list_folder"), 2);
    assert_eq!(scene.dropbox.asked("/2/users/get_current_account"), 0);
}

#[tokio::test]
async fn the_apps_only_token_is_for_one_account() {
    let scene = Scene::new("").await;
    let stage = scene.start().await;
    let hook = scene.dropbox.webhook_for(&["dbid:somebody-else"]);
    assert_eq!(stage.hook(posted(&hook)).await.status, 200);
    assert_eq!(stage.ends_with("/end").await, [""; 0]);
    assert_eq!(scene.dropbox.asked("/2/files/list_folder"), 1);
}

#[tokio::test]
async fn without_configuration_it_says_what_to_write_and_answers_nobody() {
    let hub = TestHub::with(dropbox::plugin()).await.unwrap();
    for method in ["GET", "POST"] {
        let reply = hub.hook("dropbox", asked(method, "challenge=x")).await;
        assert_eq!(reply.unwrap().status, 404);
    }
    hub.stop().await.unwrap();
}

#[tokio::test]
async fn accounts_that_cannot_be_any_do_not_hold_up_others() {
    let scene = Scene::new("").await;
    let stage = scene.start().await;
    scene.dropbox.put("/a", 1);
    let long = "x".repeat(300);
    let hook = scene
        .dropbox
        .webhook_for(&["", &long, scene.dropbox.account()]);
    assert_eq!(stage.hook(posted(&hook)).await.status, 200);
    assert_eq!(stage.tells(1).await, ["added /a"]);
}

#[tokio::test]
async fn a_hub_without_room_says_so_before_dropbox_gives_up() {
    let mut scene = Scene::new("").await;
    scene.queue = "capacity = 1\nwhen_full = \"wait\"\nwait_timeout = \"1m\"".to_owned();
    let stage = scene.start().await;
    // A listing that takes long has the only place.
    scene.dropbox.slow(Duration::from_secs(60));
    stage.notify().await;
    let hook = scene.dropbox.webhook();
    let begun = Instant::now();
    let refused = stage.hub.hook("dropbox", posted(&hook)).await.unwrap_err();
    assert!(refused.to_string().contains("too_slow"), "{refused}");
    assert!(begun.elapsed() < Duration::from_secs(10));
}
