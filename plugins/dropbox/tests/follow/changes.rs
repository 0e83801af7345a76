//! What is told of files: each change once, moves as moves, and nothing of what was there before.

use dropbox::AccountChanged;
use dropbox_double::Fault;
use nexus_plugin_api::Event;
use serde_json::json;

use crate::scene::Scene;

#[tokio::test]
async fn each_change_is_told_once_with_what_is_known_of_it() {
    let scene = Scene::new("").await;
    scene.dropbox.put("/Old.txt", 5);
    let stage = scene.start().await;
    scene.dropbox.put("/Reports/May.PDF", 1200);
    stage.notify().await;
    assert_eq!(stage.tells(1).await, ["added /Reports/May.PDF"]);
    let added = &stage.payloads()[0];
    assert_eq!(added["account"], scene.dropbox.account());
    assert_eq!(added["name"], "May.PDF");
    assert_eq!(added["size"], 1200);
    for key in ["id", "rev", "modified_at"] {
        assert!(added[key].is_string(), "{added}");
    }

    scene.dropbox.put("/Reports/May.PDF", 1300);
    scene.dropbox.put("/Old.txt", 6);
    stage.notify().await;
    let told = stage.tells(3).await;
    assert_eq!(told[1..], ["changed /Old.txt", "changed /Reports/May.PDF"]);
    let changed = &stage.payloads()[2];
    assert_eq!(changed["id"], added["id"]);
    assert_ne!(changed["rev"], added["rev"]);

    scene.dropbox.delete("/Reports/May.PDF");
    stage.notify().await;
    assert_eq!(stage.tells(4).await[3], "deleted /Reports/May.PDF");
    let deleted = &stage.payloads()[3];
    let expected = json!({"account": scene.dropbox.account(), "path": "/Reports/May.PDF", "name": "May.PDF",
                          "id": changed["id"], "rev": changed["rev"]});
    assert_eq!(*deleted, expected);
    assert_eq!(stage.ends_with("/end").await.len(), 4);
    assert!(stage.hub.dead_letters().await.is_empty());
}

#[tokio::test]
async fn a_move_is_one_whichever_half_comes_first() {
    for newest_first in [false, true] {
        let scene = Scene::new("").await;
        scene.dropbox.newest_first(newest_first);
        scene.dropbox.put("/a.txt", 1);
        scene.dropbox.put("/Trip/1.jpg", 1);
        scene.dropbox.put("/Trip/Best/2.jpg", 1);
        let stage = scene.start().await;
        scene.dropbox.rename("/a.txt", "/z.txt");
        stage.notify().await;
        assert_eq!(stage.tells(1).await, ["moved /a.txt > /z.txt"]);
        let moved = &stage.payloads()[0];
        assert_eq!(moved["name"], "z.txt");
        assert!(moved["id"].is_string() && moved["rev"].is_string());

        // A folder takes along all that is in it, and a letter may become a capital.
        scene.dropbox.rename("/Trip", "/Rome");
        scene.dropbox.rename("/z.txt", "/Z.txt");
        stage.notify().await;
        let told = stage.tells(4).await;
        assert_eq!(
            told[1..],
            [
                "moved /Trip/1.jpg > /Rome/1.jpg",
                "moved /Trip/Best/2.jpg > /Rome/Best/2.jpg",
                "moved /z.txt > /Z.txt"
            ]
        );
        // Back again is another move.
        scene.dropbox.rename("/Z.txt", "/a.txt");
        stage.notify().await;
        assert_eq!(stage.tells(5).await[4], "moved /Z.txt > /a.txt");
    }
}

#[tokio::test]
async fn files_that_change_places_are_two_moves() {
    let scene = Scene::new("").await;
    scene.dropbox.put("/a", 1);
    scene.dropbox.put("/b", 2);
    let stage = scene.start().await;
    for (from, to) in [("/a", "/t"), ("/b", "/a"), ("/t", "/b")] {
        scene.dropbox.rename(from, to);
    }
    stage.notify().await;
    assert_eq!(stage.tells(2).await, ["moved /b > /a", "moved /a > /b"]);
}

#[tokio::test]
async fn a_deleted_folder_is_all_its_files() {
    let scene = Scene::new("").await;
    for path in ["/Trip/1.jpg", "/Trip/Best/2.jpg", "/Trip2/3.jpg"] {
        scene.dropbox.put(path, 1);
    }
    let stage = scene.start().await;
    scene.dropbox.put("/Trip/new.jpg", 1);
    stage.notify().await;
    stage.tells(1).await;
    scene.dropbox.delete("/Trip");
    stage.notify().await;
    let told = stage.tells(4).await;
    let mut gone = told[1..].to_vec();
    gone.sort();
    let expected = ["/Trip/1.jpg", "/Trip/Best/2.jpg", "/Trip/new.jpg"];
    assert_eq!(gone, expected.map(|path| format!("deleted {path}")));
    // A file in the place of a folder.
    scene.dropbox.delete("/Trip2");
    scene.dropbox.put("/Trip2", 1);
    stage.notify().await;
    assert_eq!(
        stage.tells(6).await[4..],
        ["added /Trip2", "deleted /Trip2/3.jpg"]
    );
}

#[tokio::test]
async fn what_was_there_is_told_only_when_that_is_wanted() {
    let scene = Scene::new("announce_existing = true\npath = \"/In\"").await;
    for path in ["/In/1", "/In/2", "/Out/3"] {
        scene.dropbox.put(path, 1);
    }
    let stage = scene.start().await;
    assert_eq!(stage.tells(2).await, ["added /In/1", "added /In/2"]);
    scene.dropbox.put("/Out/4", 1);
    assert_eq!(stage.ends_with("/In/end").await.len(), 2);
}

#[tokio::test]
async fn what_comes_before_the_first_listing_has_ended_is_told() {
    let scene = Scene::new("").await;
    scene.dropbox.put("/old", 1);
    let unavailable = Fault::of(503).at("/2/files/list_folder").retry_after(1);
    scene.dropbox.fail(unavailable);
    let stage = scene.open().await;
    scene
        .dropbox
        .asked_at_least("/2/files/list_folder", 1)
        .await;
    scene.dropbox.put("/new", 1);
    // Dropbox tells whole seconds.
    let later = chrono::Utc::now() + chrono::TimeDelta::seconds(1);
    scene.dropbox.written("/new", later);
    assert_eq!(stage.tells(1).await, ["added /new"]);
    assert_eq!(stage.ends_with("/end").await, ["added /new"]);
}

#[tokio::test]
async fn there_and_back_again_are_moves_each_time() {
    let scene = Scene::new("").await;
    scene.dropbox.keeps_revisions(true);
    scene.dropbox.put("/a", 1);
    let stage = scene.start().await;
    for round in 0..2 {
        for (n, (from, to)) in [("/a", "/b"), ("/b", "/a")].into_iter().enumerate() {
            scene.dropbox.rename(from, to);
            stage.notify().await;
            let told = stage.tells(2 * round + n + 1).await;
            assert_eq!(told.last().unwrap(), &format!("moved {from} > {to}"));
        }
    }
}

#[tokio::test]
async fn pages_are_read_to_the_last() {
    let scene = Scene::new("").await;
    scene.dropbox.pages_of(1);
    for number in 0..4 {
        scene.dropbox.put(&format!("/old-{number}"), 1);
    }
    let stage = scene.start().await;
    for number in 0..5 {
        scene.dropbox.put(&format!("/new-{number}"), 1);
    }
    stage.notify().await;
    let expected: Vec<_> = (0..5)
        .map(|number| format!("added /new-{number}"))
        .collect();
    assert_eq!(stage.tells(5).await, expected);
    // One call for each page of the first listing but the first, and of the second.
    assert_eq!(scene.dropbox.asked("/2/files/list_folder/continue"), 3 + 5);
}

#[tokio::test]
async fn webhooks_that_come_again_tell_nothing_again() {
    let scene = Scene::new("").await;
    let stage = scene.start().await;
    scene.dropbox.put("/a", 1);
    let early = scene.dropbox.webhook();
    scene.dropbox.put("/b", 1);
    for _ in 0..10 {
        stage.notify().await;
    }
    let reply = stage.hook(crate::scene::posted(&early)).await;
    assert_eq!(reply.status, 200);
    assert_eq!(stage.tells(2).await, ["added /a", "added /b"]);
    assert_eq!(stage.ends_with("/end").await.len(), 2);
}

#[tokio::test]
async fn what_was_asked_before_a_listing_leads_to_none() {
    let scene = Scene::new("").await;
    let stage = scene.start().await;
    let account = scene.dropbox.account();
    let asking = json!({"account": account, "reason": "changed"});
    let asking: AccountChanged = serde_json::from_value(asking).unwrap();
    for (late, calls) in [(-3600, 0), (3600, 1)] {
        let mut event = Event::of("test", asking.clone());
        event.timestamp += chrono::TimeDelta::seconds(late);
        stage.hub.process(event).await.unwrap();
        let asked = scene.dropbox.asked("/2/files/list_folder/continue");
        assert_eq!(asked, calls, "{late}");
    }
}

#[tokio::test]
async fn a_reset_tells_what_has_changed_meanwhile_and_nothing_else() {
    let scene = Scene::new("").await;
    for path in ["/kept", "/changed", "/gone", "/moved"] {
        scene.dropbox.put(path, 1);
    }
    let stage = scene.start().await;
    scene.dropbox.put("/told", 1);
    stage.notify().await;
    stage.tells(1).await;

    scene.dropbox.put("/changed", 2);
    scene.dropbox.put("/new", 1);
    scene.dropbox.delete("/gone");
    scene.dropbox.rename("/moved", "/there");
    scene.dropbox.reset();
    stage.notify().await;
    let told = stage.tells(5).await;
    let expected = [
        "changed /changed",
        "deleted /gone",
        "added /new",
        "moved /moved > /there",
    ];
    assert_eq!(told[1..], expected);
    assert_eq!(scene.dropbox.asked("/2/files/list_folder"), 2);
    // Once more, with nothing new; and then it is followed as before.
    scene.dropbox.reset();
    stage.notify().await;
    assert_eq!(stage.ends_with("/end").await.len(), 5);
    scene.dropbox.delete("/told");
    stage.notify().await;
    assert_eq!(stage.tells(7).await[6], "deleted /told");
}

#[tokio::test]
async fn files_beyond_the_bound_are_told_and_forgotten() {
    let scene = Scene::new("max_files = 2").await;
    scene.dropbox.put("/a", 1);
    let stage = scene.start().await;
    for path in ["/b", "/c"] {
        scene.dropbox.put(path, 1);
    }
    stage.notify().await;
    assert_eq!(stage.tells(2).await, ["added /b", "added /c"]);
    // Listed anew, the one that is not remembered is not taken for a new one.
    scene.dropbox.reset();
    scene.dropbox.put("/a", 2);
    stage.notify().await;
    assert_eq!(stage.tells(3).await[2], "changed /a");
    scene.dropbox.delete("/c");
    scene.dropbox.delete("/b");
    stage.notify().await;
    assert_eq!(stage.tells(4).await[3], "deleted /b");
    // There is room again.
    assert_eq!(stage.ends_with("/d").await.len(), 4);
    scene.dropbox.rename("/d", "/e");
    stage.notify().await;
    assert_eq!(stage.tells(6).await[5], "moved /d > /e");
}

#[tokio::test]
async fn a_folder_that_goes_and_comes_back_takes_its_files_along() {
    let scene = Scene::new("path = \"/In\"").await;
    scene.dropbox.put("/In/1", 1);
    let stage = scene.start().await;
    scene.dropbox.delete("/In");
    scene.dropbox.reset();
    stage.notify().await;
    assert_eq!(stage.tells(1).await, ["deleted /In/1"]);
    scene.dropbox.put("/In/2", 1);
    stage.notify().await;
    assert_eq!(stage.tells(2).await[1], "added /In/2");
}

#[tokio::test]
async fn a_folder_of_any_size_can_go() {
    let scene = Scene::new("").await;
    for number in 0..1_200 {
        scene.dropbox.put(&format!("/big/{number:04}"), 1);
    }
    let stage = scene.start().await;
    stage.notify().await;
    scene.dropbox.delete("/big");
    stage.notify().await;
    let mut told = stage.tells(1_200).await;
    told.sort();
    told.dedup();
    assert_eq!(told.len(), 1_200);
    assert_eq!(stage.ends_with("/end").await.len(), 1_200);
}
