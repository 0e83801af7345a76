//! A hub that dies and is started again: nothing is lost, and nothing is told twice.

use std::collections::BTreeSet;

use dropbox_double::Fault;

use crate::scene::Scene;

const CONTINUE: &str = "/2/files/list_folder/continue";

#[tokio::test]
async fn what_changed_while_the_hub_was_away_is_told_when_it_is_back() {
    let scene = Scene::new("").await;
    scene.dropbox.put("/old", 1);
    let stage = scene.start().await;
    assert_eq!(stage.ends_with("/first").await, [""; 0]);
    stage.hub.stop().await.unwrap();

    scene.dropbox.rename("/old", "/new");
    // Without a webhook, as that was lost.
    let stage = scene.open().await;
    assert_eq!(stage.tells(1).await, ["moved /old > /new"]);
    assert_eq!(scene.dropbox.asked("/2/files/list_folder"), 1);
}

#[tokio::test]
async fn a_hub_that_dies_between_pages_tells_each_change_once() {
    let scene = Scene::new("").await;
    let stage = scene.start().await;
    scene.dropbox.pages_of(1);
    for number in 0..5 {
        scene.dropbox.put(&format!("/{number}"), 1);
    }
    let before = scene.dropbox.asked(CONTINUE);
    scene.dropbox.fail(Fault::of(500).at(CONTINUE).after(2));
    scene.dropbox.fail(Fault::of(500).at(CONTINUE));
    stage.notify().await;
    // It dies as it waits to ask for the third page once more, and nothing else is under way.
    scene.dropbox.asked_at_least(CONTINUE, before + 4).await;
    stage.tells(2).await;
    let waits = || stage.hub.host().health().queue.depth <= 1;
    stage.until("only the listing left to do", waits).await;
    let told = stage.told();
    drop(stage);

    let stage = scene.open().await;
    let rest = 5 - told.len();
    stage.tells(rest).await;
    let mut all = [told, stage.ends_with("/end").await].concat();
    all.sort();
    let expected: Vec<_> = (0..5).map(|number| format!("added /{number}")).collect();
    assert_eq!(all, expected);
}

#[tokio::test]
async fn what_is_done_again_is_told_under_the_same_ids() {
    let scene = Scene::new("").await;
    for path in ["/changed", "/gone", "/moved"] {
        scene.dropbox.put(path, 1);
    }
    let stage = scene.start().await;
    stage.hub.stop().await.unwrap();
    let kept = scene.kept();
    scene.dropbox.put("/added", 1);
    scene.dropbox.put("/changed", 2);
    scene.dropbox.delete("/gone");
    scene.dropbox.rename("/moved", "/there");
    let mut ids = Vec::new();
    for _ in 0..2 {
        scene.put_back(&kept);
        let stage = scene.open().await;
        stage.tells(4).await;
        let told = stage.hub.requests("told");
        ids.push(
            told.iter()
                .map(|told| told.event_id)
                .collect::<BTreeSet<_>>(),
        );
        stage.hub.stop().await.unwrap();
    }
    assert_eq!(ids[0].len(), 4);
    assert_eq!(ids[0], ids[1]);
}

#[tokio::test]
async fn a_webhook_that_was_answered_is_not_lost() {
    let scene = Scene::new("catch_up = \"1h\"").await;
    let stage = scene.start().await;
    assert_eq!(stage.ends_with("/first").await, [""; 0]);
    scene.dropbox.put("/a", 1);
    stage.notify().await;
    // At once, whatever has come of it.
    let told = stage.told();
    drop(stage);
    let stage = scene.open().await;
    let all = [told, stage.ends_with("/end").await].concat();
    let all: Vec<_> = all.iter().filter(|line| *line == "added /a").collect();
    assert_eq!(all.len(), 1);
}

#[tokio::test]
async fn another_folder_is_another_beginning() {
    let mut scene = Scene::new("path = \"/One\"").await;
    for path in ["/One/1", "/Two/2"] {
        scene.dropbox.put(path, 1);
    }
    let stage = scene.start().await;
    assert_eq!(stage.ends_with("/One/end").await, [""; 0]);
    stage.hub.stop().await.unwrap();
    scene.configure("path = \"/Two\"");
    let stage = scene.start().await;
    assert_eq!(stage.ends_with("/Two/end").await, [""; 0]);
}

#[tokio::test]
async fn files_of_another_folder_have_not_been_deleted() {
    let mut scene = Scene::new("").await;
    for path in ["/In/1", "/Out/2"] {
        scene.dropbox.put(path, 1);
    }
    let stage = scene.start().await;
    stage.hub.stop().await.unwrap();
    scene.configure("path = \"/In\"\nannounce_existing = true");
    let stage = scene.open().await;
    assert_eq!(stage.tells(1).await, ["added /In/1"]);
    scene.dropbox.delete("/Out/2");
    scene.dropbox.delete("/In/1");
    assert_eq!(
        stage.ends_with("/In/end").await,
        ["added /In/1", "deleted /In/1"]
    );
    stage.hub.stop().await.unwrap();
    // Nothing of the time before is remembered.
    scene.configure("path = \"/Out\"\nannounce_existing = true");
    scene.dropbox.put("/Out/3", 1);
    let stage = scene.open().await;
    assert_eq!(stage.ends_with("/Out/end").await, ["added /Out/3"]);
}
