//! `mesh ping`: one echo over the overlay.

use std::net::SocketAddr;
use std::time::Duration;

use mesh_model::addr::port;
use mesh_model::api::v1::{ErrorCode, Path, PingReply, PingRequest};
use mesh_model::wire::echo::Echo;

use super::Daemon;
use super::refusal::{Answer, refusal};
use super::target::resolve;
use crate::io::{clock, entropy::Entropy};

/// The longest a caller may wait for one echo.
const MAX_WAIT: Duration = Duration::from_secs(60);

impl Daemon {
    /// Sends one echo and waits for its reply.
    pub(crate) async fn ping(&self, request: PingRequest) -> Answer<PingReply> {
        let mesh = self.mesh()?;
        let view = mesh.view();
        let (member, addr) = resolve(&view, &request.target, request.family)?;
        if member.id == mesh.me {
            return Err(refusal(
                ErrorCode::BadRequest,
                format!("`{}` is this host itself", request.target),
                "ping another member; `mesh peers` lists them",
            ));
        }
        let wait = Duration::from_millis(request.timeout_ms).min(MAX_WAIT);
        let [a, b, c, d, e, f, g, h, ..] = Entropy.fresh();
        let nonce = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
        let mut ping = mesh.echoes.expect(member.id, nonce).map_err(|_| {
            refusal(ErrorCode::Refused, "too many pings are under way", "try again in a second")
        })?;
        let sent = clock::now();
        let to = SocketAddr::new(addr, port::ECHO);
        // A full queue loses the echo, like any network may; the caller hears of the silence.
        let _ = mesh.overlay.send(port::ECHO, to, &Echo::Request(nonce).encode());
        let answered = tokio::time::timeout(wait, ping.answered()).await.ok().flatten();
        let Some(answered) = answered else {
            return Err(refusal(
                ErrorCode::TimedOut,
                format!("no answer from {} ({addr}) within {} ms", member.name, wait.as_millis()),
                "`mesh peers` shows whether it is alive and by which path it is reached",
            ));
        };
        let round_trip = answered.saturating_duration_since(sent);
        mesh.note_round_trip(member.id, round_trip);
        let stats = mesh.path_stats().await;
        let endpoint = stats
            .and_then(|stats| stats.peers.into_iter().find(|peer| peer.member == member.id))
            .and_then(|peer| peer.endpoint);
        Ok(PingReply {
            member: member.id,
            name: member.name.clone(),
            addr,
            rtt_us: u64::try_from(round_trip.as_micros()).unwrap_or(u64::MAX),
            endpoint,
            path: Path::Direct,
        })
    }
}
