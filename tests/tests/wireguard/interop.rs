//! With other implementations, in both directions, with and without a preshared key, through a rekey.
//!
//! Red when: the handshake, the transport or the rekeying differ from what the others do: a session that is
//! not renewed ends after three minutes, one renewed wrongly loses packets.

use std::time::{Duration, Instant};

use mesh_tests::fabric::UNDERLAY;
use mesh_tests::traffic::{PingStream, Transfer};
use mesh_tests::wireguard::{Capture, End, Family, PresharedKey, Program, Tunnel, message};
use mesh_tests::{eventually, needs_namespaces, rights};

use crate::{assert_reaches, program};

/// Other implementations: a Debian package, and one on the crate registry.
const OTHERS: [&str; 2] = ["wireguard-go", "boringtun-cli"];

/// A session is renewed after two minutes by who began it, and ends after three (WireGuard paper, section 6.1):
/// another one after that is no renewal.
const SESSION_LIMIT: Duration = Duration::from_secs(180);

/// Between echoes: often enough that there is always something to send, seldom enough to cost nothing.
const EVERY: Duration = Duration::from_millis(200);

/// A pair that talks, and what arrives at each end.
struct Talk {
    what: String,
    started: Instant,
    tunnel: Tunnel,
    arriving: [Capture; 2],
    stream: PingStream,
}

impl Talk {
    /// `first` begins.
    fn start(first: &Program, second: &Program, secret: Option<PresharedKey>) -> Self {
        let kind = if secret.is_some() { "with" } else { "without" };
        let what = format!("{} to {}, {kind} a preshared key", first.name(), second.name());
        let tunnel = Tunnel::new(&[first, second], 0).unwrap();
        let [one, two] = [tunnel.end(1), tunnel.end(2)];
        // Some cannot change a peer they have: all of it at once.
        let secret = secret.unwrap_or(PresharedKey::NONE);
        two.device.set(&End::as_peer(one).preshared_key(secret)).unwrap();
        let there = End::as_peer(two).endpoint(two.endpoint(Family::V4));
        one.device.set(&there.preshared_key(secret)).unwrap();
        assert_reaches(one, two);
        let started = Instant::now();
        assert_reaches(two, one);
        for (from, to) in [(one, two), (two, one)] {
            for family in Family::BOTH {
                let transfer = Transfer::of(2_000_000, 71);
                let report = transfer.run(from.netns(), to.netns(), to.inner(family)).unwrap();
                transfer.check(&report).unwrap();
            }
        }
        let stream = PingStream::start(one.netns(), two.inner(Family::V4), EVERY).unwrap();
        let arriving = [one, two].map(|end| Capture::start(end.netns(), UNDERLAY).unwrap());
        Self { what, started, arriving, tunnel, stream }
    }

    /// Waits until data of another session than the first arrives, at both ends. What devices say of their
    /// handshakes is not asked: some tell when, others how long ago.
    fn wait_renewed(&self) {
        for (capture, number) in self.arriving.iter().zip(1..) {
            let mut first = None;
            let what = format!("another session is used towards end {number}: {}", self.what);
            eventually(SESSION_LIMIT.saturating_sub(self.started.elapsed()), &what, || {
                let seen = capture.datagrams();
                let mut sessions =
                    seen.iter().filter_map(|seen| message::session_of(&seen.payload));
                sessions.any(|session| session != *first.get_or_insert(session)).then_some(())
            })
            .unwrap();
        }
    }

    fn finish(self) {
        let [one, two] = [self.tunnel.end(1), self.tunnel.end(2)];
        assert_reaches(one, two);
        assert_reaches(two, one);
        let report = self.stream.stop().unwrap();
        assert!(report.sent - report.received <= 1, "{}: {report:?}", self.what);
    }
}

/// All talks at once: they idle most of the time.
#[test]
fn sessions_with_its_own_kind_and_with_others_are_renewed_without_a_lost_packet() {
    needs_namespaces!();
    let own = program();
    let secret = Some(PresharedKey::numbered(1));
    let mut talks = vec![Talk::start(&own, &own, secret)];
    for name in OTHERS {
        let Some(other) = Program::find(name) else {
            rights::report_skip("wireguard::interop", &format!("{name} is not installed"));
            continue;
        };
        for secret in [None, secret] {
            talks.push(Talk::start(&own, &other, secret));
            talks.push(Talk::start(&other, &own, secret));
        }
    }
    talks.iter().for_each(Talk::wait_renewed);
    talks.into_iter().for_each(Talk::finish);
}
