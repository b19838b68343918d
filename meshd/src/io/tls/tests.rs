use std::net::SocketAddr;
use std::sync::Arc;

use mesh_model::IdentityKey;
use quinn::{ConnectionError, Endpoint, TokioRuntime};

use super::*;
use crate::io::fixture::{identity, tls, wire};

const ALPN: &[u8] = b"test/1";

/// What both ends make of a connection from member 1, who expects `expected`, to member 2.
async fn meet(
    expected: IdentityKey,
    clients: Clients,
    client_alpn: &[u8],
) -> (Result<quinn::Connection, ConnectionError>, Option<IdentityKey>) {
    meet_as(&tls(1), expected, clients, client_alpn).await
}

/// The same, where member 1 speaks TLS like `caller`.
async fn meet_as(
    caller: &TlsIdentity,
    expected: IdentityKey,
    clients: Clients,
    client_alpn: &[u8],
) -> (Result<quinn::Connection, ConnectionError>, Option<IdentityKey>) {
    let one = SocketAddr::from(([1, 0, 0, 1], 1));
    let two = SocketAddr::from(([1, 0, 0, 2], 2));
    let (near, far) = wire(one, two, 64);
    let open = |socket, server| {
        let config = quinn::EndpointConfig::default();
        Endpoint::new_with_abstract_socket(config, server, socket, Arc::new(TokioRuntime))
            .expect("an endpoint")
    };
    let server = tls(2).server(clients, &[ALPN]).expect("a server");
    let server = quinn::ServerConfig::with_crypto(Arc::new(server));
    let (near, far) = (open(near, None), open(far, Some(server)));
    let crypto = caller.client(expected, client_alpn).expect("a client");
    let config = quinn::ClientConfig::new(Arc::new(crypto));
    let dial = near.connect_with(config, two, SERVER_NAME).expect("a dial");
    let answer = async {
        match far.accept().await.expect("an attempt").await {
            Ok(connection) => peer_identity(&connection),
            Err(_) => None,
        }
    };
    tokio::join!(dial, answer)
}

#[tokio::test]
async fn both_ends_learn_who_the_other_is() {
    let (dialled, seen) = meet(identity(2).public(), Clients::Identified, ALPN).await;
    let dialled = dialled.expect("connected");
    assert_eq!(peer_identity(&dialled), Some(identity(2).public()));
    assert_eq!(seen, Some(identity(1).public()));
}

#[tokio::test]
async fn a_stranger_is_served_unidentified_where_that_is_wanted() {
    let (dialled, seen) = meet(identity(2).public(), Clients::Strangers, ALPN).await;
    assert!(dialled.is_ok());
    assert_eq!(seen, None);
}

#[tokio::test]
async fn the_wrong_identity_is_refused() {
    let (dialled, seen) = meet(identity(3).public(), Clients::Identified, ALPN).await;
    assert!(dialled.is_err(), "an impostor was believed");
    assert_eq!(seen, None);
}

#[tokio::test]
async fn another_protocol_is_refused() {
    let (dialled, _) = meet(identity(2).public(), Clients::Identified, b"other/1").await;
    assert!(dialled.is_err());
}

#[tokio::test]
async fn a_key_exchange_that_is_not_post_quantum_is_refused() {
    let mut classic = tls(1);
    let kx_groups = vec![aws_lc_rs::kx_group::X25519];
    let provider = CryptoProvider { kx_groups, ..aws_lc_rs::default_provider() };
    classic.provider = Arc::new(provider);
    let (dialled, seen) = meet_as(&classic, identity(2).public(), Clients::Identified, ALPN).await;
    assert!(dialled.is_err());
    assert_eq!(seen, None);
}
