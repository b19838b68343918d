//! When a host asks for a pair key, what it does with one, and when it lets go of it.

use std::time::{Duration, Instant};

use mesh_control::node::{Event, Node};
use mesh_control::pairs::{NoKey, PostQuantum, RENEWED_AFTER};
use mesh_model::plan::{Preshared, Update};
use mesh_model::view::ClusterView;
use mesh_model::{MemberId, PresharedKey, TunnelKey};

use crate::world::{BOOT_MS, banning, config, m, secs, view};

/// The next session of a tunnel in use, at the earliest.
const NEXT_SESSION: Duration = secs(120);

fn key(n: u8) -> PresharedKey {
    PresharedKey::from_bytes([n; 32])
}

/// A host among members 1 to 20, and what it has said.
struct Host {
    node: Node,
    now: Instant,
    asked: Vec<MemberId>,
    updates: Vec<Update>,
}

impl Host {
    fn new(me: u64, mode: PostQuantum) -> Self {
        let now = Instant::now();
        let members: Vec<u64> = (1..=20).collect();
        let node = Node::new(config(m(me), BOOT_MS), view(&members, 1), Vec::new(), [1; 32], now);
        let node = node.with_post_quantum(mode);
        let mut host = Self { node, now, asked: Vec::new(), updates: Vec::new() };
        host.drain();
        host.updates.clear();
        host
    }

    fn drain(&mut self) {
        while self.node.poll_transmit().is_some() {}
        while let Some(event) = self.node.poll_event() {
            match event {
                Event::AskKey(member) => self.asked.push(member),
                Event::Update(update) => self.updates.push(update),
                Event::Peer { .. } | Event::Sighted(_) | Event::Removed => {}
            }
        }
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some((at, _)) = self.node.poll_timeout().filter(|(at, _)| *at <= end) {
            self.now = at.max(self.now);
            self.node.handle_timeout(self.now);
            self.drain();
        }
        self.now = end;
    }

    /// There is a session with `member`.
    fn session(&mut self, member: u64, is_paired: bool) {
        self.node.handle_session(m(member), is_paired, self.now);
        self.drain();
    }

    /// What became of the question to `member`.
    fn answer(&mut self, member: u64, answer: Result<PresharedKey, NoKey>) {
        self.node.handle_pair_answer(m(member), answer, self.now);
        self.drain();
    }

    /// `member` offers a key; whether it is taken.
    fn offer(&mut self, member: u64, key: PresharedKey) -> bool {
        let is_taken = self.node.handle_pair_offer(m(member), key, self.now);
        self.drain();
        is_taken
    }

    /// Whom it has asked since the last time this was called.
    fn asks(&mut self) -> Vec<MemberId> {
        std::mem::take(&mut self.asked)
    }

    /// What is planned with `member`.
    fn planned(&self, member: u64) -> Preshared {
        let peer = self.node.plan().peers.values().find(|peer| peer.member == m(member));
        peer.expect("a peer").preshared.clone()
    }

    fn agreed(&self, member: u64) -> Option<PresharedKey> {
        match self.planned(member) {
            Preshared::Agreed { key, .. } => key,
            other => panic!("{other:?}"),
        }
    }

    fn tunnel(&self, member: u64) -> TunnelKey {
        self.node.view().members[&m(member)].tunnel
    }

    /// A pair that has agreed on `key`, and a session that shows it.
    fn settled(me: u64, member: u64, n: u8) -> Self {
        let mut host = Self::new(me, PostQuantum::Prefer);
        host.session(member, false);
        assert_eq!(host.asks(), [m(member)]);
        host.answer(member, Ok(key(n)));
        host.session(member, true);
        host
    }
}

#[test]
fn whoever_agrees_on_no_keys_asks_nobody_and_takes_none() {
    let mut host = Host::new(2, PostQuantum::Off);
    host.session(3, false);
    assert!(!host.offer(1, key(1)));
    host.run(NEXT_SESSION);
    assert_eq!(host.asks(), []);
    assert_eq!(host.planned(1), Preshared::None);
}

#[test]
fn the_lower_id_asks_and_the_key_is_there_before_the_handshake_for_it() {
    let mut host = Host::new(2, PostQuantum::Prefer);
    host.session(3, false);
    assert_eq!(host.asks(), [m(3)]);
    assert_eq!(host.updates, [], "nothing to do before there is a key");
    host.answer(3, Ok(key(1)));
    let tunnel = host.tunnel(3);
    let [Update::SetPeer(set, plan), Update::RenewPeer(renewed)] = &host.updates[..] else {
        panic!("{:?}", host.updates);
    };
    assert_eq!((*set, *renewed), (tunnel, tunnel));
    assert_eq!(plan.preshared, Preshared::Agreed { key: Some(key(1)), is_required: false });
    host.session(3, true);
    host.run(NEXT_SESSION);
    assert_eq!(host.asks(), []);
}

#[test]
fn the_higher_id_waits_and_takes_what_it_is_asked_to() {
    let mut host = Host::new(2, PostQuantum::Prefer);
    host.session(1, false);
    host.run(NEXT_SESSION);
    assert_eq!(host.asks(), []);
    assert!(host.offer(1, key(1)));
    assert_eq!(host.agreed(1), Some(key(1)));
    assert!(!host.offer(1, key(2)), "so soon nobody asks that goes by the rules");
    assert_eq!(host.agreed(1), Some(key(1)));
    host.run(secs(1));
    assert!(host.offer(1, key(2)), "and the next one");
    assert_eq!(host.agreed(1), Some(key(2)));
    let renewals = host.updates.iter().filter(|it| matches!(it, Update::RenewPeer(_)));
    assert_eq!(renewals.count(), 0, "who asks begins the handshake");
}

#[test]
fn nobody_offers_whose_turn_it_is_not() {
    let mut host = Host::new(2, PostQuantum::Require);
    for stranger in [2, 3, 21] {
        assert!(!host.offer(stranger, key(1)), "{stranger}");
    }
    host.node.handle_view(banning(&(1..=20).collect::<Vec<_>>(), &[1], 2), host.now);
    assert!(!host.offer(1, key(1)), "a banned one");
    assert_eq!(host.agreed(3), None);
}

#[test]
fn what_is_required_is_planned_for_everybody_from_the_start() {
    let host = Host::new(2, PostQuantum::Require);
    for member in [1, 3, 20] {
        let nothing_yet = Preshared::Agreed { key: None, is_required: true };
        assert_eq!(host.planned(member), nothing_yet);
    }
}

#[test]
fn who_does_not_answer_is_asked_ever_more_seldom_and_not_for_ever() {
    let mut host = Host::new(2, PostQuantum::Prefer);
    for _ in 0..2 {
        host.session(3, false);
        for pause in [1, 2, 4, 8, 16] {
            assert_eq!(host.asks(), [m(3)]);
            host.answer(3, Err(NoKey::Failed));
            // Another session does not hurry it.
            host.session(3, false);
            host.run(secs(pause) - Duration::from_millis(1));
            assert_eq!(host.asks(), [], "before {pause} s are over");
            host.run(Duration::from_millis(1));
        }
        assert_eq!(host.asks(), [m(3)]);
        host.answer(3, Err(NoKey::Failed));
        host.run(secs(600));
        assert_eq!(host.asks(), [], "until there is a session");
    }
}

#[test]
fn who_refuses_is_asked_again_at_the_next_session_only() {
    let mut host = Host::settled(2, 3, 1);
    // It was started anew, and agrees on no keys any more.
    host.run(NEXT_SESSION);
    host.session(3, false);
    assert_eq!(host.asks(), [m(3)]);
    assert_eq!(host.agreed(3), Some(key(1)));
    host.answer(3, Err(NoKey::Refused));
    assert_eq!(host.agreed(3), None);
    // However many sessions it makes, it is asked once in a while.
    for _ in 0..9 {
        host.session(3, false);
        assert_eq!(host.asks(), []);
        host.run(secs(1));
    }
    host.run(secs(1));
    assert_eq!(host.asks(), [m(3)]);
    host.answer(3, Err(NoKey::Refused));
    host.run(secs(600));
    assert_eq!(host.asks(), []);
    host.session(3, false);
    assert_eq!(host.asks(), [m(3)]);
}

#[test]
fn a_key_of_a_day_is_replaced_at_the_next_session() {
    let mut host = Host::settled(2, 3, 1);
    host.run(RENEWED_AFTER - Duration::from_millis(1));
    host.session(3, true);
    assert_eq!(host.asks(), []);
    host.run(Duration::from_millis(1));
    host.session(3, true);
    assert_eq!(host.asks(), [m(3)]);
    assert_eq!(host.agreed(3), Some(key(1)), "until there is another");
    host.answer(3, Ok(key(2)));
    assert_eq!(host.agreed(3), Some(key(2)));
}

#[test]
fn a_session_begun_before_the_key_is_no_reason_to_ask_if_the_next_one_has_it() {
    for has_it in [true, false] {
        let mut host = Host::new(2, PostQuantum::Prefer);
        host.session(3, false);
        host.asks();
        host.answer(3, Ok(key(1)));
        host.session(3, false);
        host.run(secs(1));
        assert_eq!(host.asks(), []);
        if has_it {
            host.session(3, true);
        }
        host.run(secs(10));
        assert_eq!(host.asks().len(), usize::from(!has_it));
    }
}

#[test]
fn few_are_asked_at_a_time_and_everybody_in_the_end() {
    let mut host = Host::new(1, PostQuantum::Prefer);
    for member in 2..=20 {
        host.session(member, false);
    }
    let mut all = host.asks();
    assert_eq!(all.len(), 8);
    for at in 0..19 {
        let MemberId(member) = all[at];
        host.answer(member, if at % 2 == 0 { Ok(key(1)) } else { Err(NoKey::Refused) });
        all.extend(host.asks());
    }
    all.sort_unstable();
    assert_eq!(all, (2..=20).map(m).collect::<Vec<_>>());
}

#[test]
fn the_key_of_one_that_is_gone_is_forgotten() {
    let members: Vec<u64> = (1..=20).collect();
    let change = |host: &mut Host, view: std::sync::Arc<ClusterView>| {
        host.node.handle_view(view, host.now);
        host.drain();
    };
    let mut host = Host::settled(2, 3, 1);
    host.session(4, false);
    change(&mut host, banning(&members, &[3, 4], 2));
    // What was under way comes too late.
    host.answer(4, Ok(key(4)));
    change(&mut host, view(&members, 3));
    assert_eq!((host.agreed(3), host.agreed(4)), (None, None));
}
