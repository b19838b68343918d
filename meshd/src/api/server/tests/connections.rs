//! Connections: too many, cut off, under way when the daemon ends.

use mesh_model::api::v1::route;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use super::super::MAX_TRUSTED;
use super::{answer, error_of, exchange, get, post, served};

#[tokio::test(start_paused = true)]
async fn a_caller_that_stops_talking_is_let_go() {
    let served = served();
    let mut head = UnixStream::connect(&served.path).await.expect("connected");
    head.write_all(b"GET /v1/sta").await.expect("sent");
    let mut bytes = Vec::new();
    let _ = head.read_to_end(&mut bytes).await;
    assert_eq!(bytes, b"", "closed without an answer");
    let mut body = post(route::INIT, b"{}");
    body.pop();
    let (status, answer) = exchange(&served.path, &body).await;
    assert_eq!(
        (status, error_of(&answer)),
        (408, ("bad_request", "the request's body did not arrive"))
    );
}

#[tokio::test]
async fn a_change_goes_on_when_its_caller_goes_away() {
    let served = served();
    let mut stream = UnixStream::connect(&served.path).await.expect("connected");
    stream.write_all(&post(route::LEAVE, b"{}")).await.expect("sent");
    served.fake.begun.notified().await;
    drop(stream);
    // The server has noticed when it answers somebody who came later.
    exchange(&served.path, &get(route::PEERS)).await;
    served.fake.go_on.notify_one();
    served.fake.left.notified().await;
}

#[tokio::test]
async fn one_caller_too_many_is_told_so() {
    let served = served();
    let mut crowd = Vec::new();
    for _ in 0..MAX_TRUSTED {
        crowd.push(UnixStream::connect(&served.path).await.expect("connected"));
    }
    let (status, answer) = exchange(&served.path, &get(route::PEERS)).await;
    assert_eq!((status, error_of(&answer).0), (503, "unreachable"));
    // Served again as soon as there is room; the server hears of it when it hears of it.
    drop(crowd);
    while exchange(&served.path, &get(route::PEERS)).await.0 != 200 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn requests_under_way_are_answered_before_the_end() {
    let served = served();
    let mut stream = UnixStream::connect(&served.path).await.expect("connected");
    stream.write_all(&get(route::SUPERVISOR)).await.expect("sent");
    served.fake.begun.notified().await;
    let stop = tokio::spawn(served.server.stop());
    served.fake.go_on.notify_one();
    assert_eq!(answer(&mut stream).await.0, 200);
    stop.await.expect("stopped");
    assert!(!served.path.exists(), "the socket's name is gone");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_does_not_end_does_not_keep_the_daemon_alive() {
    let served = served();
    let mut stream = UnixStream::connect(&served.path).await.expect("connected");
    let body = br#"{"for":"ready","timeout_ms":3600000}"#;
    stream.write_all(&post(route::WAIT, body)).await.expect("sent");
    served.fake.begun.notified().await;
    served.server.stop().await;
    assert!(!served.path.exists());
}
