//! What comes back: documents, and errors with a code and a fitting status.

use mesh_model::api::v1::route;
use serde_json::json;

use super::{error_of, exchange, get, post, served};

#[tokio::test]
async fn answers_are_documents_with_a_schema() {
    let served = served();
    let (status, body) = exchange(&served.path, &get(route::PEERS)).await;
    let as_of = json!({"applied": 7, "age_ms": 40, "consistent": false});
    let peers = json!({"schema": "mesh.peers/v1", "as_of": as_of, "peers": []});
    assert_eq!((status, body), (200, peers));
    let (status, body) = exchange(&served.path, &get(route::VERSION)).await;
    assert_eq!((status, &body["schema"]), (200, &json!("mesh.version/v1")));
}

#[tokio::test]
async fn a_consistent_read_is_made_so_first_or_refused() {
    let served = served();
    let agreed = [
        route::STATUS,
        route::PEERS,
        route::SUPERVISOR,
        route::BANS,
        route::INVITES,
        route::VOTERS,
        route::TAGS,
        route::POLICY,
        route::POLICY_HISTORY,
        route::KEYS,
        route::ADMINS,
        route::AUDIT,
    ];
    let question = br#"{"from":"a","to":"b","protocol":"tcp","port":22}"#;
    let tested = post(&format!("{}?consistent", route::POLICY_TEST), question);
    let reads = agreed.map(|read| get(&format!("{read}?consistent")));
    for read in reads.into_iter().chain([tested]) {
        let (status, body) = exchange(&served.path, &read).await;
        assert_eq!((status, error_of(&body).0), (503, "no_quorum"), "{read:?}");
    }
    assert_eq!(served.fake.calls(), ["as_of"; 13], "nothing was read");
    let (status, body) = exchange(&served.path, &get("/v1/bans?fresh=1")).await;
    let (code, message) = error_of(&body);
    assert_eq!((status, code), (400, "bad_request"));
    assert!(message.contains("?fresh=1"), "{message}");
}

#[tokio::test]
async fn what_only_this_host_knows_is_not_asked_of_a_majority() {
    let served = served();
    for read in [
        route::TUNNELS,
        route::SUPERVISOR_HISTORY,
        route::SYNC,
        route::REPORTS,
        route::SNAPSHOTS,
        route::BACKUPS,
    ] {
        let (status, body) = exchange(&served.path, &get(&format!("{read}?consistent"))).await;
        let (code, message) = error_of(&body);
        assert_eq!((status, code), (400, "bad_request"), "{read}");
        assert!(message.contains("this host alone"), "{message}");
    }
    assert!(served.fake.calls().is_empty(), "nothing was read");
}

#[tokio::test]
async fn refusals_keep_their_code_and_get_a_fitting_status() {
    let served = served();
    for (request, status, code) in [
        (get(route::STATUS), 500, "internal"),
        (get(route::TUNNELS), 409, "not_joined"),
        (get(route::AUDIT), 409, "not_joined"),
        (get(route::SYNC), 409, "not_joined"),
        (post(route::SYNC_FAST, b""), 409, "not_joined"),
        (post(route::SYNC_RESYNC, br#"{"from_index":9}"#), 409, "refused"),
        (post(route::SYNC_FROM, br#"{"members":["n9"]}"#), 404, "unknown_member"),
        (post(route::INIT, b""), 409, "already_joined"),
        (post(route::INVITES, b"{}"), 503, "no_quorum"),
        (post(route::JOIN, br#"{"token":"t"}"#), 409, "refused"),
        (post(route::BANS, br#"{"member":"n9","for_s":60}"#), 503, "no_quorum"),
        (post(route::INVITES_REVOKE, br#"{"invite":"abcd"}"#), 409, "refused"),
        (post(route::UNBAN, br#"{"member":"n9"}"#), 409, "refused"),
        (post(route::REMOVE, br#"{"member":"n9"}"#), 404, "unknown_member"),
        (get(route::REPORTS), 409, "not_joined"),
        (post(route::REPORTS, br#"{"member":"n9","kind":"floods"}"#), 404, "unknown_member"),
        (post(route::PING, br#"{"target":"n9","timeout_ms":1}"#), 404, "unknown_member"),
    ] {
        let (got, body) = exchange(&served.path, &request).await;
        assert_eq!((got, error_of(&body).0), (status, code));
        assert_eq!(body["error"]["hint"], "a hint");
    }
}

#[tokio::test]
async fn unknown_routes_and_methods_are_errors_too() {
    let served = served();
    let (status, answer) = exchange(&served.path, &get("/v1/stats")).await;
    assert_eq!(
        (status, error_of(&answer)),
        (404, ("bad_request", "there is nothing at `/v1/stats`"))
    );
    let (status, answer) = exchange(&served.path, &get(route::INIT)).await;
    assert_eq!(
        (status, error_of(&answer)),
        (405, ("bad_request", "`/v1/init` does not answer GET"))
    );
    let (status, _) = exchange(&served.path, &post(route::STATUS, b"")).await;
    assert_eq!(status, 405);
}
