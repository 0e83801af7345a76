//! Long polls: changes without a webhook.

use dropbox_double::Fault;
use serde_json::json;

use crate::scene::{Scene, posted};

const POLL: &str = "/2/files/list_folder/longpoll";

#[tokio::test]
async fn changes_are_told_without_a_webhook() {
    let scene = Scene::new("mode = \"longpoll\"").await;
    scene.dropbox.put("/old", 1);
    let stage = scene.start().await;
    scene.dropbox.asked_at_least(POLL, 1).await;
    scene.dropbox.put("/a", 1);
    assert_eq!(stage.tells(1).await, ["added /a"]);
    scene.dropbox.asked_at_least(POLL, 2).await;
    scene.dropbox.delete("/old");
    assert_eq!(stage.tells(2).await[1], "deleted /old");
    // A reset ends the poll, and is no change.
    scene.dropbox.asked_at_least(POLL, 3).await;
    scene.dropbox.reset();
    scene.dropbox.asked_at_least(POLL, 4).await;
    scene.dropbox.put("/b", 1);
    assert_eq!(stage.tells(3).await[2], "added /b");
    // Each poll waited: none was asked with a place that had been passed.
    scene.dropbox.asked_at_least(POLL, 5).await;
    assert_eq!(scene.dropbox.asked(POLL), 5);
    // Nobody is expected at the door.
    let reply = stage.hook(posted(&scene.dropbox.webhook())).await;
    assert_eq!(reply.status, 404);
}

#[tokio::test]
async fn polls_are_put_off_as_dropbox_asks() {
    let scene = Scene::new("mode = \"longpoll\"").await;
    scene.dropbox.fail(Fault::of(429).at(POLL).retry_after(1));
    scene.dropbox.back_off(Some(1));
    let begun = std::time::Instant::now();
    let stage = scene.start().await;
    scene.dropbox.asked_at_least(POLL, 2).await;
    assert!(begun.elapsed().as_millis() >= 1000, "{:?}", begun.elapsed());
    let begun = std::time::Instant::now();
    scene.dropbox.put("/a", 1);
    assert_eq!(stage.tells(1).await, ["added /a"]);
    scene.dropbox.asked_at_least(POLL, 3).await;
    assert!(begun.elapsed().as_millis() >= 1000, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn polls_that_are_reset_again_and_again_do_not_go_round_without_a_pause() {
    let scene = Scene::new("mode = \"longpoll\"").await;
    let reset = Fault {
        body: Some(json!({ "error_summary": "reset/", "error": { ".tag": "reset" } })),
        ..Fault::of(409).at(POLL)
    };
    for _ in 0..4 {
        scene.dropbox.fail(reset.clone());
    }
    let begun = std::time::Instant::now();
    let stage = scene.start().await;
    scene.dropbox.asked_at_least(POLL, 5).await;
    // 100 ms, and then twice as long each time.
    assert!(begun.elapsed().as_millis() >= 1500, "{:?}", begun.elapsed());
    scene.dropbox.put("/a", 1);
    assert_eq!(stage.tells(1).await, ["added /a"]);
}
