//! What is sent: bounded, and every mistake told by the field it is in.

use mesh_model::api::v1::{MAX_REQUEST, route};

use super::{error_of, exchange, post, served};

#[tokio::test]
async fn bodies_that_are_wrong_are_refused_by_the_name_of_the_field() {
    let served = served();
    for (route, body, message) in [
        (route::INIT, r#"{"name":"Edge One"}"#, "field `name`: `Edge One` cannot be a name"),
        (
            route::INIT,
            r#"{"nam":"n1"}"#,
            "unknown field `nam`, expected one of `mesh_name`, `name`",
        ),
        (route::INIT, r#"{"ipv4_prefix":"10.0.0.0"}"#, "field `ipv4_prefix`"),
        (route::INVITES, r#"{"uses":-1}"#, "field `uses`: invalid value: integer `-1`"),
        (route::INVITES, r#"{"endpoints":["1.2.3.4:5","x"]}"#, "field `endpoints[1]`"),
        (route::BANS, "{}", "missing field `member`"),
        (route::BANS, r#"{"member":"n9","reason":"a\nb"}"#, "field `reason`: a reason is one line"),
        (route::BANS, r#"{"member":"n9","wait_ms":3600001}"#, "field `wait_ms`: 3600001 is longer"),
        (route::REMOVE, r#"{"member":"n9","forse":true}"#, "forse"),
        (route::JOIN, "{}", "missing field `token`"),
        (route::JOIN, "", "missing field `token`"),
        (route::JOIN, r#"{"token":7}"#, "field `token`: invalid type"),
        (
            route::WAIT,
            r#"{"for":"weekend","timeout_ms":1}"#,
            "field `for`: unknown variant `weekend`",
        ),
        (
            route::WAIT,
            r#"{"for":"leader","timeout_ms":3600001}"#,
            "field `timeout_ms`: 3600001 is longer",
        ),
        (route::PING, r#"{"target":"n1","timeout_ms":1e9}"#, "field `timeout_ms`"),
        (route::INIT, "{", "not valid JSON"),
        (route::INIT, "{} {}", "goes on after"),
        (route::INIT, "[]", "not a JSON object"),
        (route::INIT, "\u{0}", "not a JSON object"),
        (route::INIT, "{\"name\":\"\u{0}\"}", "not valid JSON"),
    ] {
        let (status, answer) = exchange(&served.path, &post(route, body.as_bytes())).await;
        let (code, found) = error_of(&answer);
        assert_eq!((status, code), (400, "bad_request"), "{body}");
        assert!(found.contains(message), "{body}: {found}");
    }
    let deep = format!("{{\"name\":{}", "[".repeat(10_000));
    assert_eq!(exchange(&served.path, &post(route::INIT, deep.as_bytes())).await.0, 400);
    assert_eq!(served.fake.calls(), [""; 0], "nothing of this reached the daemon");
}

#[tokio::test]
async fn oversized_bodies_are_refused_announced_or_not() {
    let served = served();
    let long = vec![b' '; MAX_REQUEST + 1];
    let (status, answer) = exchange(&served.path, &post(route::INIT, &long)).await;
    assert_eq!((status, error_of(&answer).0), (413, "bad_request"));
    let mut chunked = format!(
        "POST {} HTTP/1.1\r\nhost: mesh\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n",
        route::INIT,
        long.len()
    )
    .into_bytes();
    chunked.extend(&long);
    chunked.extend(b"\r\n0\r\n\r\n");
    let (status, answer) = exchange(&served.path, &chunked).await;
    assert_eq!((status, error_of(&answer).0), (413, "bad_request"));
    let fits = vec![b' '; MAX_REQUEST];
    assert_eq!(exchange(&served.path, &post(route::INIT, &fits)).await.0, 409);
    assert_eq!(served.fake.calls(), ["init None"]);
}
