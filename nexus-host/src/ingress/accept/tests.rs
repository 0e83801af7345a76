//! What a connection may do and for how long, over a real socket.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::time::sleep;

use super::super::harness::{Hub, Settings, event, post};
use tokio::net::TcpStream;

use super::super::Server;
use super::*;
use crate::config::{ByteSize, HumanDuration};
use crate::queue::Queue;

const HEALTH: &str = "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n";

fn millis(millis: u64) -> HumanDuration {
    Duration::from_millis(millis).into()
}

/// Deadlines that a test can wait for, told apart by their lengths.
fn impatient(settings: &mut Settings) {
    settings.server.header_timeout = millis(150);
    settings.server.idle_timeout = millis(1_200);
    settings.server.body_timeout = millis(250);
}

/// Whether the time since `started` is what a deadline of so many milliseconds leads to.
fn about(started: Instant, millis: u128) -> bool {
    let past = started.elapsed().as_millis();
    (millis - 20..millis + 1_500).contains(&past)
}

#[tokio::test]
async fn a_silent_client_is_closed() {
    let hub = Hub::start(impatient).await;
    let started = Instant::now();
    let mut connection = hub.connect().await;
    assert_eq!(connection.closed().await, "");
    assert!(about(started, 150), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_slow_header_is_closed_however_steadily_it_drips() {
    let hub = Hub::start(impatient).await;
    let started = Instant::now();
    let mut connection = hub.connect().await;
    let (mut read, mut write) = connection.0.split();
    let drip = async {
        for byte in HEALTH.bytes().cycle().take(150) {
            // Never the empty line that would end the headers.
            let byte = if byte == b'\r' || byte == b'\n' {
                b'x'
            } else {
                byte
            };
            if write.write_all(&[byte]).await.is_err() {
                break;
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    let closed = async {
        let mut scrap = Vec::new();
        let _ = tokio::io::AsyncReadExt::read_to_end(&mut read, &mut scrap).await;
    };
    tokio::select! { () = drip => {}, () = closed => {} }
    assert!(about(started, 150), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_resting_connection_is_kept_longer_and_a_slow_second_header_is_not() {
    let hub = Hub::start(impatient).await;
    let mut resting = hub.connect().await;
    resting.write(HEALTH).await;
    resting.answer().await;
    let started = Instant::now();
    assert_eq!(resting.closed().await, "");
    assert!(about(started, 1_200), "{:?}", started.elapsed());

    let mut slow = hub.connect().await;
    slow.write(HEALTH).await;
    slow.answer().await;
    sleep(Duration::from_millis(200)).await;
    slow.write(HEALTH).await;
    assert_eq!(
        slow.answer().await.status,
        200,
        "still there after the header's time"
    );
    slow.write("GET /heal").await;
    let started = Instant::now();
    slow.closed().await;
    assert!(
        started.elapsed() < Duration::from_millis(1_000),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn a_slow_body_is_given_up() {
    let hub = Hub::start(impatient).await;
    let mut connection = hub.connect().await;
    let whole = post("any", "/v1/events", &event(json!({})).to_string());
    connection.write(&whole[..whole.len() - 1]).await;
    let started = Instant::now();
    let answer = connection.answer().await;
    assert_eq!(answer.problem(408), "request_timeout");
    assert!(about(started, 250), "{:?}", started.elapsed());
    assert_eq!(hub.queue.stats().depth, 0);
}

#[tokio::test]
async fn a_client_that_does_not_read_is_closed() {
    let hub = Hub::start(|settings| {
        impatient(settings);
        // Not what ends it: to HTTP the answer is written once it is buffered.
        settings.server.idle_timeout = HumanDuration::from_secs(60);
        settings.limits.max_body = ByteSize::from_mib(32);
    })
    .await;
    let mut connection = hub.connect().await;
    // An answer that no socket buffer holds, to a client that reads none of it.
    let body = "x".repeat(24 << 20);
    let head = format!(
        "POST /v1/hooks/echo HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    connection.write(&head).await;
    connection.write(&body).await;
    sleep(Duration::from_millis(1_500)).await;
    let read = connection.closed().await;
    assert!(read.len() < body.len(), "all of it was written");
}

#[tokio::test]
async fn a_body_that_says_it_is_too_large_is_refused_unread() {
    let hub = Hub::start(|settings| settings.limits.max_body = ByteSize::from_kib(1)).await;
    let head = |more: &str| {
        format!(
            "POST /v1/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer any\r\n\
             content-length: 1048577\r\n{more}\r\n"
        )
    };
    // Nothing of the body is sent, and yet there is an answer.
    let mut connection = hub.connect().await;
    connection.write(&head("")).await;
    assert_eq!(connection.answer().await.problem(413), "payload_too_large");
    let mut connection = hub.connect().await;
    connection.write(&head("expect: 100-continue\r\n")).await;
    let answer = connection.answer().await;
    assert_eq!(answer.problem(413), "payload_too_large");
    connection.closed().await;
}

#[tokio::test]
async fn expected_bodies_are_asked_for_when_they_are_welcome() {
    let hub = Hub::start(|_| {}).await;
    let whole = post("any", "/v1/events", &event(json!({})).to_string());
    let (head, body) = whole.split_once("\r\n\r\n").unwrap();
    let mut connection = hub.connect().await;
    connection
        .write(&format!("{head}\r\nexpect: 100-continue\r\n\r\n"))
        .await;
    connection.read_until("100 Continue\r\n\r\n").await;
    connection.write(body).await;
    assert_eq!(connection.answer().await.status, 202);

    let unknown = head.replace("Bearer any", "Bearer wrong");
    let mut connection = hub.connect().await;
    connection
        .write(&format!("{unknown}\r\nexpect: 100-continue\r\n\r\n"))
        .await;
    assert_eq!(connection.answer().await.problem(401), "unauthenticated");
}

#[tokio::test]
async fn a_refusal_reaches_a_client_that_is_still_sending() {
    let hub = Hub::start(|settings| settings.limits.max_body = ByteSize::from_kib(1)).await;
    for key in ["any", "wrong"] {
        let mut connection = hub.connect().await;
        let body = " ".repeat(4 << 20);
        // The whole of it is written before anything is read, as simple clients do.
        connection.write(&post(key, "/v1/events", &body)).await;
        let status = connection.answer().await.status;
        assert_eq!(status, if key == "any" { 413 } else { 401 });
    }
    // Without a stated length as well.
    let mut connection = hub.connect().await;
    let head = "POST /v1/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer any\r\n\
                transfer-encoding: chunked\r\n\r\n";
    connection.write(head).await;
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
    for _ in 0..16 {
        connection.write(&chunk).await;
    }
    assert_eq!(connection.answer().await.problem(413), "payload_too_large");
}

#[tokio::test]
async fn a_refusal_ends_no_connection_whose_body_is_short_and_says_so_of_others() {
    let hub = Hub::start(|_| {}).await;
    let whole = post("wrong", "/v1/events", &event(json!({})).to_string());
    let (head, body) = whole.split_once("\r\n\r\n").unwrap();
    let mut connection = hub.connect().await;
    for _ in 0..2 {
        connection.write(&format!("{head}\r\n\r\n")).await;
        sleep(Duration::from_millis(50)).await;
        connection.write(body).await;
        let answer = connection.answer().await;
        assert_eq!(answer.problem(401), "unauthenticated");
        assert_eq!(answer.header("connection"), None);
    }
    let mut connection = hub.connect().await;
    let long = post("wrong", "/v1/events", &" ".repeat(100_000));
    connection.write(&long).await;
    assert_eq!(
        connection.answer().await.header("connection"),
        Some("close")
    );
    connection.closed().await;
    let mut connection = hub.connect().await;
    let started = Instant::now();
    connection.write(&format!("{head}\r\n\r\n")).await;
    assert_eq!(
        connection.answer().await.header("connection"),
        Some("close")
    );
    assert!(about(started, 1_000), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_client_that_leaves_half_way_costs_nothing() {
    let hub = Hub::start(|settings| settings.server.max_connections = 2).await;
    let whole = post("any", "/v1/events", &event(json!({})).to_string());
    for cut in [1, 30, whole.len() / 2, whole.len() - 1] {
        let mut connection = hub.connect().await;
        connection.write(&whole[..cut]).await;
        drop(connection);
    }
    // Their places are free again, and nothing of theirs was queued.
    assert_eq!(hub.send(&whole).await.status, 202);
    assert_eq!(hub.queue.stats().depth, 1);
}

#[tokio::test]
async fn connections_beyond_the_cap_wait_for_a_place() {
    let hub = Hub::start(|settings| settings.server.max_connections = 2).await;
    let (mut one, mut two) = (hub.connect().await, hub.connect().await);
    for connection in [&mut one, &mut two] {
        connection.write(HEALTH).await;
        connection.answer().await;
    }
    let mut three = hub.connect().await;
    three.write(HEALTH).await;
    let early = tokio::time::timeout(Duration::from_millis(100), three.answer()).await;
    assert!(early.is_err(), "answered beyond the cap");
    drop(one);
    assert_eq!(three.answer().await.status, 200);
}

#[tokio::test]
async fn several_requests_share_a_connection() {
    let hub = Hub::start(|_| {}).await;
    let mut connection = hub.connect().await;
    for _ in 0..3 {
        connection
            .write(&post("any", "/v1/events", &event(json!({})).to_string()))
            .await;
        assert_eq!(connection.answer().await.status, 202);
    }
    // A small unread body does not end it either.
    connection.write(&post("wrong", "/v1/events", "{}")).await;
    assert_eq!(connection.answer().await.status, 401);
    connection.write(HEALTH).await;
    assert_eq!(connection.answer().await.status, 200);
}

#[tokio::test]
async fn a_stop_lets_running_requests_end_and_closes_the_rest() {
    let mut hub = Hub::start(|_| {}).await;
    let mut running = hub.connect().await;
    running
        .write("POST /v1/hooks/slow HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n")
        .await;
    let mut resting = hub.connect().await;
    resting.write(HEALTH).await;
    resting.answer().await;
    let mut fresh = hub.connect().await;
    sleep(Duration::from_millis(100)).await;

    let address = hub.address;
    hub.stop(Duration::from_secs(5));
    let started = Instant::now();
    assert_eq!(resting.closed().await, "");
    assert_eq!(fresh.closed().await, "");
    assert!(
        started.elapsed() < Duration::from_secs(2),
        "{:?}",
        started.elapsed()
    );
    assert!(
        TcpStream::connect(address).await.is_err(),
        "still accepting"
    );
    let answer = running.answer().await;
    assert_eq!((answer.status, &*answer.body), (200, "at last"));
    assert_eq!(answer.header("connection"), Some("close"));
    running.closed().await;
    assert_eq!(hub.ended().await, Served { cut: 0 });
}

#[tokio::test]
async fn a_stop_does_not_wait_longer_than_it_may() {
    let mut hub = Hub::start(|_| {}).await;
    let mut running = hub.connect().await;
    running
        .write("POST /v1/hooks/slow HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n")
        .await;
    sleep(Duration::from_millis(50)).await;
    let started = Instant::now();
    hub.stop(Duration::from_millis(50));
    assert_eq!(hub.ended().await, Served { cut: 1 });
    assert!(
        started.elapsed() < Duration::from_secs(2),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn a_stop_ends_the_wait_for_an_outcome() {
    let mut hub = Hub::start(|_| {}).await;
    let mut waiting = hub.connect().await;
    let event = event(json!({})).to_string();
    waiting
        .write(&post("any", "/v1/events?ack=processed", &event))
        .await;
    while hub.queue.stats().depth == 0 {
        sleep(Duration::from_millis(5)).await;
    }
    hub.stop(Duration::from_secs(5));
    assert_eq!(waiting.answer().await.status, 202);
    assert_eq!(hub.ended().await, Served { cut: 0 });
}

#[tokio::test]
async fn an_address_in_use_is_named_with_its_key() {
    let hub = Hub::start(|_| {}).await;
    let config = Config {
        http: hub.address,
        ..Config::default()
    };
    let refused = Server::bind(&config).await.unwrap_err().to_string();
    assert!(refused.contains(&hub.address.to_string()), "{refused}");
    assert!(refused.contains("server.http"), "{refused}");
}

#[tokio::test]
async fn what_has_come_of_a_second_request_with_the_first_waits_no_longer_than_a_header() {
    let hub = Hub::start(impatient).await;
    let body = event(json!({})).to_string();
    let posted = post("any", "/v1/events", &body);
    let chunked = posted
        .replace(
            &format!("content-length: {}", body.len()),
            "transfer-encoding: chunked",
        )
        .replace(&body, &format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len()));
    // Nobody reads this one's body.
    let nowhere = post("any", "/nowhere", &body);
    for first in [HEALTH, &posted, &chunked, &nowhere] {
        for (behind, limit) in [("", 1_200), ("GET /hea", 150)] {
            let mut connection = hub.connect().await;
            connection.write(&format!("{first}{behind}")).await;
            let status = connection.answer().await.status;
            assert!(status < 300 || status == 404, "{status}");
            let started = Instant::now();
            assert_eq!(connection.closed().await, "");
            let past = started.elapsed().as_millis();
            assert!(
                (limit - 50..limit + 800).contains(&past),
                "{past} {first}{behind}"
            );
        }
    }
}

/// The beginning of HTTP/2: its preface, and settings with nothing in them.
const HTTP2: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00";

#[tokio::test]
async fn a_silent_client_of_http2_is_closed() {
    let hub = Hub::start(impatient).await;
    let mut connection = hub.connect().await;
    connection.0.write_all(HTTP2).await.unwrap();
    let started = Instant::now();
    let mut scrap = Vec::new();
    let _ = tokio::io::AsyncReadExt::read_to_end(&mut connection.0, &mut scrap).await;
    assert!(about(started, 150), "{:?}", started.elapsed());
}

#[tokio::test]
async fn half_a_preface_is_closed() {
    let hub = Hub::start(impatient).await;
    let mut connection = hub.connect().await;
    connection.0.write_all(&HTTP2[..10]).await.unwrap();
    let started = Instant::now();
    let mut scrap = Vec::new();
    let _ = tokio::io::AsyncReadExt::read_to_end(&mut connection.0, &mut scrap).await;
    assert!(about(started, 150), "{:?}", started.elapsed());
}

/// A frame of HTTP/2.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let len = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = len[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

#[tokio::test]
async fn streams_that_are_opened_and_taken_back_at_once_end_the_connection() {
    let hub = Hub::start(|_| {}).await;
    let mut connection = hub.connect().await;
    connection.0.write_all(HTTP2).await.unwrap();
    // GET / with the static table alone, and a reset, over and over.
    let headers = [0x82, 0x84, 0x86, 0x41, 0x01, b'x'];
    let mut flood = Vec::new();
    for stream in (1..20_000).step_by(2) {
        flood.extend(frame(1, 0x5, stream, &headers));
        flood.extend(frame(3, 0, stream, &[0, 0, 0, 8]));
    }
    let _ = connection.0.write_all(&flood).await;
    let mut answer = Vec::new();
    let read = tokio::io::AsyncReadExt::read_to_end(&mut connection.0, &mut answer);
    let ended = tokio::time::timeout(Duration::from_secs(5), read).await;
    assert!(ended.is_ok(), "it goes on");
    let goes_away = answer.windows(4).any(|bytes| bytes[3] == 7);
    assert!(goes_away || answer.is_empty() || answer.len() < flood.len());
    // Others are served.
    assert_eq!(hub.send(HEALTH).await.status, 200);
}

#[tokio::test]
async fn a_flood_of_pings_ends_the_connection() {
    let hub = Hub::start(|_| {}).await;
    let mut connection = hub.connect().await;
    let stream = &mut connection.0;
    stream.write_all(HTTP2).await.unwrap();
    stream.write_all(&frame(4, 0, 0, &[])).await.unwrap();
    let (mut read, mut write) = stream.split();
    let flood = async {
        let ping = frame(6, 0, 0, &[0; 8]);
        for _ in 0..100_000 {
            if write.write_all(&ping).await.is_err() {
                return;
            }
        }
        panic!("it goes on");
    };
    let mut scrap = tokio::io::sink();
    let answers = tokio::io::copy(&mut read, &mut scrap);
    tokio::select! { () = flood => {}, _ = answers => {} }
}

#[tokio::test]
async fn a_flood_of_resets_ends_the_connection() {
    let hub = Hub::start(|_| {}).await;
    let mut connection = hub.connect().await;
    let stream = &mut connection.0;
    stream.write_all(HTTP2).await.unwrap();
    let headers = [0x82, 0x84, 0x86, 0x41, 0x01, b'x'];
    stream.write_all(&frame(1, 0x5, 1, &headers)).await.unwrap();
    let (mut read, mut write) = stream.split();
    let flood = async {
        // The stream is answered and gone.
        sleep(Duration::from_millis(100)).await;
        let resets = frame(3, 0, 1, &[0, 0, 0, 8]).repeat(1_000);
        for _ in 0..1_000 {
            if write.write_all(&resets).await.is_err() {
                return;
            }
        }
        panic!("it goes on");
    };
    let mut scrap = tokio::io::sink();
    let answers = async {
        let _ = tokio::io::copy(&mut read, &mut scrap).await;
    };
    tokio::select! { () = flood => {}, () = answers => {} }
}

#[tokio::test]
async fn requests_that_are_taken_back_while_they_are_answered_end_nothing() {
    let hub = Hub::start(|_| {}).await;
    let mut connection = hub.connect().await;
    connection.0.write_all(HTTP2).await.unwrap();
    // POST /v1/hooks/slow, which takes its time to answer.
    let path = b"/v1/hooks/slow";
    let length = u8::try_from(path.len()).unwrap();
    let headers = [&[0x83, 0x86, 0x44, length][..], path, &[0x41, 0x01, b'x']].concat();
    let mut streams = (1..).step_by(2);
    for _ in 0..20 {
        let now: Vec<u32> = streams.by_ref().take(100).collect();
        for stream in &now {
            let asked = frame(1, 0x5, *stream, &headers);
            connection.0.write_all(&asked).await.unwrap();
        }
        // They are all under way then.
        sleep(Duration::from_millis(100)).await;
        for stream in now {
            let reset = frame(3, 0, stream, &[0, 0, 0, 8]);
            connection.0.write_all(&reset).await.unwrap();
        }
    }
    let last = streams.next().unwrap();
    let asked = frame(1, 0x5, last, &headers);
    connection.0.write_all(&asked).await.unwrap();
    let mut answered = Vec::new();
    let is_answered = |read: &[u8]| {
        let head = [&[1, 4][..], &last.to_be_bytes()].concat();
        read.windows(head.len()).any(|part| part == head)
    };
    while !is_answered(&answered) {
        let read = tokio::io::AsyncReadExt::read_buf(&mut connection.0, &mut answered);
        let read = tokio::time::timeout(Duration::from_secs(5), read).await;
        assert!(read.unwrap().unwrap() > 0, "it was ended");
    }
}

#[tokio::test]
async fn pings_keep_no_connection_alive() {
    let hub = Hub::start(impatient).await;
    let mut connection = hub.connect().await;
    connection.0.write_all(HTTP2).await.unwrap();
    let started = Instant::now();
    let (mut read, mut write) = connection.0.split();
    let flood = async {
        loop {
            if write.write_all(&frame(6, 0, 0, &[0; 8])).await.is_err() {
                break;
            }
            sleep(Duration::from_millis(5)).await;
        }
    };
    let closed = async {
        let mut scrap = Vec::new();
        let _ = tokio::io::AsyncReadExt::read_to_end(&mut read, &mut scrap).await;
    };
    tokio::select! { () = flood => {}, () = closed => {} }
    assert!(
        started.elapsed() < Duration::from_secs(3),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn headers_of_http2_that_never_end_are_waited_for_no_longer_than_a_header() {
    let hub = Hub::start(impatient).await;
    let headers = [0x82, 0x84, 0x86, 0x41, 0x01, b'x'];
    let unended = frame(1, 0x1, 3, &headers);
    // One whole frame without an end, half a frame, and CONTINUATIONs that come and come.
    for (begun, drips) in [
        (&unended[..], false),
        (&unended[..12], false),
        (&unended, true),
    ] {
        let mut connection = hub.connect().await;
        connection.0.write_all(HTTP2).await.unwrap();
        let whole = frame(1, 0x5, 1, &headers);
        connection.0.write_all(&whole).await.unwrap();
        sleep(Duration::from_millis(100)).await;
        connection.0.write_all(begun).await.unwrap();
        let started = Instant::now();
        let (mut read, mut write) = connection.0.split();
        let drip = async {
            while drips && write.write_all(&frame(9, 0, 3, &[0x90])).await.is_ok() {
                sleep(Duration::from_millis(60)).await;
            }
            std::future::pending::<()>().await;
        };
        let mut scrap = Vec::new();
        let closed = tokio::io::AsyncReadExt::read_to_end(&mut read, &mut scrap);
        tokio::select! { () = drip => {}, _ = closed => {} }
        assert!(about(started, 150), "{:?}", started.elapsed());
        assert!(started.elapsed() < Duration::from_millis(800));
    }
}

#[tokio::test]
async fn an_answer_that_is_given_no_room_is_waited_for_no_longer_than_a_body() {
    let hub = Hub::start(impatient).await;
    let mut connection = hub.connect().await;
    connection.0.write_all(&HTTP2[..24]).await.unwrap();
    // Streams have no window; and one request, which is answered at once.
    let settings = [0, 4, 0, 0, 0, 0];
    connection
        .0
        .write_all(&frame(4, 0, 0, &settings))
        .await
        .unwrap();
    let headers = [0x82, 0x84, 0x86, 0x41, 0x01, b'x'];
    connection
        .0
        .write_all(&frame(1, 0x5, 1, &headers))
        .await
        .unwrap();
    let started = Instant::now();
    let mut scrap = Vec::new();
    let _ = tokio::io::AsyncReadExt::read_to_end(&mut connection.0, &mut scrap).await;
    assert!(about(started, 250), "{:?}", started.elapsed());
}

/// Asks for one thing whose answer gets no room, and on for others that get some. How long that goes well, of
/// three seconds.
async fn beside_one_without_room(asked: &[u8]) -> Duration {
    let hub = Hub::start(impatient).await;
    let mut connection = hub.connect().await;
    connection.0.write_all(&HTTP2[..24]).await.unwrap();
    let settings = [0, 4, 0, 0, 0, 0];
    let headers = [0x82, 0x84, 0x86, 0x41, 0x01, b'x'];
    let begin = [frame(4, 0, 0, &settings), frame(1, 0x5, 1, asked)].concat();
    connection.0.write_all(&begin).await.unwrap();
    let started = Instant::now();
    let (mut read, mut write) = connection.0.split();
    let others = async {
        for stream in (3_u32..).step_by(2) {
            let room = frame(8, 0, stream, &1_000_u32.to_be_bytes());
            let other = [frame(1, 0x5, stream, &headers), room].concat();
            if write.write_all(&other).await.is_err() {
                break;
            }
            sleep(Duration::from_millis(60)).await;
        }
        std::future::pending::<()>().await;
    };
    let mut scrap = Vec::new();
    let closed = tokio::io::AsyncReadExt::read_to_end(&mut read, &mut scrap);
    tokio::select! {
        () = others => {}
        _ = closed => {}
        () = sleep(Duration::from_secs(3)) => {}
    }
    started.elapsed()
}

#[tokio::test]
async fn an_answer_without_room_is_waited_for_no_longer_because_others_are_taken() {
    let took = beside_one_without_room(&[0x82, 0x84, 0x86, 0x41, 0x01, b'x']).await;
    assert!((230..1_750).contains(&took.as_millis()), "{took:?}");
}

/// What has no end of its own may wait for whoever follows slowly: nobody else is cut off for that.
#[tokio::test]
async fn who_follows_slowly_cuts_nobody_off() {
    let path = b"/v1/events/stream";
    let key = b"Bearer any";
    let head: &[&[u8]] = &[
        &[0x82, 0x86, 0x41, 0x01, b'x', 0x04, 17],
        path,
        // `authorization`, from the table of names.
        &[0x0f, 0x08, 10],
        key,
    ];
    let took = beside_one_without_room(&head.concat()).await;
    assert!(took >= Duration::from_secs(3), "{took:?}");
}
