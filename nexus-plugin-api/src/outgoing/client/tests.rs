//! The client against real sockets.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::super::Guard;
use super::*;

/// A server that answers every connection with the same bytes and ends it. Its address.
async fn answering(bytes: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(bytes.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    format!("http://{address}")
}

async fn asked(client: &Client, url: &str) -> Result<Answer, PluginError> {
    client.ask(client.get(url).await?).await
}

#[tokio::test]
async fn an_answer_is_read_whole() {
    let server = answering("HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\n{\"n\": 1}").await;
    let answer = asked(&Client::new(Access::default()), &server)
        .await
        .unwrap();
    let read: serde_json::Value = answer.expect_success().unwrap().json().unwrap();
    assert_eq!(read["n"], 1);
}

#[tokio::test]
async fn a_status_says_whether_to_ask_again() {
    let client = Client::new(Access::default());
    for (head, code, retryable, wait) in [
        ("401 No", "not_signed_in", false, None),
        ("404 No", "not_found", false, None),
        ("429 No\r\nretry-after: 7", "rate_limited", true, Some(7)),
        (
            "429 No\r\nretry-after: 999999999",
            "rate_limited",
            true,
            Some(86_400),
        ),
        (
            "503 No\r\nretry-after: Sun, 06 Nov 1994 08:49:37 GMT",
            "unavailable",
            true,
            Some(0),
        ),
        ("503 No\r\nretry-after: soon", "unavailable", true, None),
        ("400 No\r\nretry-after: 7", "refused", false, None),
        (
            "302 No\r\nlocation: http://127.0.0.1:1/",
            "redirected",
            false,
            None,
        ),
    ] {
        let bytes = format!("HTTP/1.1 {head}\r\ncontent-length: 4\r\n\r\nwhy?").leak();
        let answer = asked(&client, &answering(bytes).await).await.unwrap();
        let refused = answer.expect_success().unwrap_err();
        assert_eq!(
            (&*refused.code, refused.retryable),
            (code, retryable),
            "{head}"
        );
        assert_eq!(refused.retry_after, wait.map(Duration::from_secs), "{head}");
        assert!(refused.message.ends_with(": why?"), "{refused}");
    }
}

#[tokio::test]
async fn what_is_too_long_or_breaks_off_is_no_answer() {
    let client = Client::new(Access {
        max_answer: 16,
        ..Access::default()
    });
    let long = answering("HTTP/1.1 200 OK\r\ncontent-length: 17\r\n\r\n12345678901234567").await;
    assert_eq!(
        asked(&client, &long).await.unwrap_err().code,
        "answer_too_large"
    );
    let broken = answering("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n1234").await;
    let error = asked(&client, &broken).await.unwrap_err();
    assert_eq!((&*error.code, error.retryable), ("broken_answer", true));
}

#[tokio::test]
async fn who_does_not_answer_is_given_up_and_no_secret_is_told() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = silent.local_addr().unwrap();
    let client = Client::new(Access {
        timeout: Duration::from_millis(50),
        ..Access::default()
    });
    let error = asked(&client, &format!("http://{at}/?key=s3cret"))
        .await
        .unwrap_err();
    assert_eq!((&*error.code, error.retryable), ("timeout", true));
    drop(silent);
    let client = Client::new(Access::default());
    let error = asked(&client, &format!("http://{at}/?key=s3cret"))
        .await
        .unwrap_err();
    assert_eq!((&*error.code, error.retryable), ("unreachable", true));
    assert!(!error.message.contains("s3cret"), "{error}");
}

#[tokio::test]
async fn a_guard_holds_for_addresses_and_for_names() {
    let server = answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let guarded = |guard| {
        Client::new(Access {
            guard: Some(guard),
            ..Access::default()
        })
    };
    let strict = guarded(Guard::default());
    let by_name = server.replace("127.0.0.1", "localhost");
    for url in [&server, &by_name] {
        let error = asked(&strict, url).await.unwrap_err();
        assert_eq!(
            (&*error.code, error.retryable),
            ("not_allowed", false),
            "{url}"
        );
    }
    let lenient = guarded(Guard::new(&[
        "127.0.0.0/8".parse().unwrap(),
        "::1".parse().unwrap(),
    ]));
    for url in [&server, &by_name] {
        assert_eq!(asked(&lenient, url).await.unwrap().status(), 200, "{url}");
    }
}
