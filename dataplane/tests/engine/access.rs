//! Who may begin what: the policy at the receiver, with answers, errors and packets in parts.

use mesh_dataplane::packet::offload::{Segmentation, Segments, VirtioHeader};
use mesh_dataplane::packet::udp;
use mesh_dataplane::{Drop, HandshakeBudget};
use mesh_model::access::{Inbound, Protocol, Rule};
use mesh_model::addr::port;
use mesh_model::plan::Update;

use crate::inner::{ACK, Ends, SCTP, SYN, TCP, UDP, tcp, udp as udp_header};
use crate::wire::Wire;

/// The host that is reached for, and the one that reaches for it.
const HOST: usize = 1;
const PEER: usize = 0;

/// A rule for a protocol, between whomever: which rules apply was settled before.
fn rule(protocol: Protocol, ports: &[&str]) -> Rule {
    let ports = ports.iter().map(|text| text.parse().expect("ports")).collect();
    Rule { from: vec![], to: vec![], protocol, ports }
}

/// `host` holds `peer` to these rules.
fn hold(wire: &mut Wire, host: usize, peer: usize, rules: &[Rule]) {
    let (key, mut plan) = (wire.hosts[peer].key(), wire.hosts[peer].plan());
    plan.inbound = Inbound::of(rules.iter());
    wire.update(host, Update::SetPeer(key, plan));
}

/// Three hosts; [`HOST`] holds [`PEER`] to `rules`, from the beginning.
fn world(rules: &[Rule]) -> Wire {
    let mut wire = Wire::mesh(3);
    hold(&mut wire, HOST, PEER, rules);
    wire
}

/// From [`PEER`] to [`HOST`].
fn ends(wire: &Wire, v6: bool) -> Ends {
    between(wire, PEER, HOST, v6)
}

fn between(wire: &Wire, from: usize, to: usize, v6: bool) -> Ends {
    let [src, dst] = [from, to].map(|host| match v6 {
        true => wire.hosts[host].addrs.v6.into(),
        false => wire.hosts[host].addrs.v4.into(),
    });
    Ends { src, dst }
}

/// Whether `packet`, sent by the kernel of `from`, comes out at `to`. One that does not is counted as what
/// the policy denied.
#[track_caller]
fn passes(wire: &mut Wire, from: usize, to: usize, packet: &[u8]) -> bool {
    let denied = wire.hosts[to].drops(Drop::PolicyDenied);
    wire.kernel(from, packet);
    wire.run_ms(50);
    let came = wire.hosts[to].out.delivered.drain(..).any(|came| came == packet);
    let now_denied = wire.hosts[to].drops(Drop::PolicyDenied);
    assert_eq!(now_denied, denied + u64::from(!came), "it came through, or was denied");
    came
}

/// Whether [`PEER`] gets `packet` in to [`HOST`].
#[track_caller]
fn gets_in(wire: &mut Wire, packet: &[u8]) -> bool {
    passes(wire, PEER, HOST, packet)
}

/// [`HOST`] sends `packet` to [`PEER`], which holds it to nothing.
#[track_caller]
fn goes_out(wire: &mut Wire, packet: &[u8]) {
    assert!(passes(wire, HOST, PEER, packet));
}

#[test]
fn what_no_rule_lets_in_is_denied_and_counted() {
    for v6 in [false, true] {
        let mut wire =
            world(&[rule(Protocol::Tcp, &["22", "8000-8999"]), rule(Protocol::Udp, &["53"])]);
        let to_host = ends(&wire, v6);
        for (packet, let_in) in [
            (to_host.tcp(40_000, 22, SYN), true),
            (to_host.tcp(40_000, 22, ACK), true),
            (to_host.tcp(40_000, 8999, SYN), true),
            (to_host.tcp(40_000, 23, SYN), false),
            (to_host.tcp(22, 40_000, ACK), false),
            (to_host.tcp(22, 40_000, SYN | ACK), false),
            (to_host.udp(40_000, 53), true),
            (to_host.udp(40_000, 22), false),
            (to_host.udp(53, 40_000), false),
            (to_host.ping(1), false),
            (to_host.pong(1), false),
            (to_host.packet(SCTP, &[0; 12]), false),
        ] {
            assert_eq!(gets_in(&mut wire, &packet), let_in, "{packet:x?}");
        }
        // The rules are about that peer, here; nobody else is held to them.
        let from_the_third = between(&wire, 2, HOST, v6).tcp(40_000, 23, SYN);
        assert!(passes(&mut wire, 2, HOST, &from_the_third));
        let to_the_third = between(&wire, PEER, 2, v6).tcp(40_000, 23, SYN);
        assert!(passes(&mut wire, PEER, 2, &to_the_third));
    }
}

#[test]
fn answers_to_what_this_host_began_come_in() {
    for v6 in [false, true] {
        let mut wire = world(&[]);
        let to_host = ends(&wire, v6);
        let out = to_host.back();
        goes_out(&mut wire, &out.tcp(40_000, 443, SYN));
        assert!(gets_in(&mut wire, &to_host.tcp(443, 40_000, SYN | ACK)));
        assert!(gets_in(&mut wire, &to_host.tcp(443, 40_000, ACK)));
        assert!(!gets_in(&mut wire, &to_host.tcp(443, 40_001, ACK)), "another port of ours");
        assert!(!gets_in(&mut wire, &to_host.tcp(444, 40_000, ACK)), "another port of theirs");
        assert!(!gets_in(&mut wire, &to_host.tcp(443, 40_000, SYN)), "answers begin nothing");
        assert!(!gets_in(&mut wire, &to_host.udp(443, 40_000)), "another protocol");
        let other_family = ends(&wire, !v6).tcp(443, 40_000, ACK);
        assert!(!gets_in(&mut wire, &other_family));

        goes_out(&mut wire, &out.udp(5_000, 53));
        assert!(gets_in(&mut wire, &to_host.udp(53, 5_000)));
        goes_out(&mut wire, &out.ping(77));
        assert!(gets_in(&mut wire, &to_host.pong(77)));
        assert!(!gets_in(&mut wire, &to_host.pong(78)) && !gets_in(&mut wire, &to_host.ping(77)));
        goes_out(&mut wire, &out.packet(SCTP, &[0; 12]));
        assert!(gets_in(&mut wire, &to_host.packet(SCTP, &[1; 12])));
    }
}

#[test]
fn an_answer_is_the_peers_it_was_asked_of() {
    let mut wire = world(&[]);
    hold(&mut wire, HOST, 2, &[]);
    let asked = between(&wire, HOST, 2, false);
    assert!(passes(&mut wire, HOST, 2, &asked.tcp(40_000, 443, SYN)));
    let from_another = ends(&wire, false).tcp(443, 40_000, SYN | ACK);
    assert!(!gets_in(&mut wire, &from_another));
    assert!(passes(&mut wire, 2, HOST, &asked.back().tcp(443, 40_000, SYN | ACK)));
}

#[test]
fn a_rule_taken_back_ends_what_was_begun_under_it() {
    let mut wire = world(&[rule(Protocol::Tcp, &["22", "50000"]), rule(Protocol::Udp, &["53"])]);
    let to_host = ends(&wire, true);
    let out = to_host.back();
    // Nothing here is older than the peer's restriction.
    wire.run_ms(301_000);
    for (theirs, ours) in [(40_000, 22), (1_000, 50_000)] {
        assert!(gets_in(&mut wire, &to_host.tcp(theirs, ours, SYN)));
        goes_out(&mut wire, &out.tcp(ours, theirs, SYN | ACK));
        assert!(gets_in(&mut wire, &to_host.tcp(theirs, ours, ACK)));
    }
    assert!(gets_in(&mut wire, &to_host.udp(40_000, 53)));
    goes_out(&mut wire, &out.udp(53, 40_000));
    goes_out(&mut wire, &out.tcp(41_000, 80, SYN));

    hold(&mut wire, HOST, PEER, &[]);
    for (theirs, ours) in [(40_000, 22), (1_000, 50_000)] {
        assert!(!gets_in(&mut wire, &to_host.tcp(theirs, ours, ACK)), "to port {ours}");
        // What the server still has to say does not make the connection its own.
        goes_out(&mut wire, &out.tcp(ours, theirs, ACK));
        assert!(!gets_in(&mut wire, &to_host.tcp(theirs, ours, ACK)), "to port {ours}");
    }
    assert!(!gets_in(&mut wire, &to_host.udp(40_000, 53)));
    assert!(gets_in(&mut wire, &to_host.tcp(80, 41_000, ACK)), "what this host began goes on");
}

#[test]
fn a_datagram_let_in_is_no_flow_of_ours_however_long_it_is_answered() {
    for v6 in [false, true] {
        let mut wire = world(&[rule(Protocol::Udp, &["53"])]);
        let to_host = ends(&wire, v6);
        let (question, answer) = (to_host.udp(40_000, 53), to_host.back().udp(53, 40_000));
        // Before it is known who began what there was, and after.
        for _ in 0..2 {
            hold(&mut wire, HOST, PEER, &[rule(Protocol::Udp, &["53"])]);
            assert!(gets_in(&mut wire, &question));
            for _ in 0..2 {
                goes_out(&mut wire, &answer);
                wire.run_ms(200_000);
            }
            hold(&mut wire, HOST, PEER, &[]);
            for _ in 0..4 {
                goes_out(&mut wire, &answer);
                assert!(!gets_in(&mut wire, &question), "it is still an answer");
                wire.run_ms(298_000);
            }
        }
        // What this host begins is another matter, from the same port or after it was silent.
        goes_out(&mut wire, &to_host.back().udp(53, 41_000));
        assert!(gets_in(&mut wire, &to_host.udp(41_000, 53)));
        wire.run_ms(2_000);
        goes_out(&mut wire, &answer);
        assert!(gets_in(&mut wire, &question), "nobody had said a word for five minutes");
    }
}

#[test]
fn a_flow_that_this_host_began_outlives_the_rules_around_it() {
    let everything = rule(Protocol::Any, &[]);
    let every_port = rule(Protocol::Udp, &[]);
    for wide in [everything, every_port] {
        let mut wire = world(std::slice::from_ref(&wide));
        let to_host = ends(&wire, true);
        wire.run_ms(300_000);
        goes_out(&mut wire, &to_host.back().udp(5_000, 53));
        assert!(gets_in(&mut wire, &to_host.udp(53, 5_000)));
        hold(&mut wire, HOST, PEER, &[]);
        assert!(gets_in(&mut wire, &to_host.udp(53, 5_000)), "under {wide:?}");
        goes_out(&mut wire, &to_host.back().udp(5_001, 53));
        assert!(gets_in(&mut wire, &to_host.udp(53, 5_001)), "a new one");
    }
}

#[test]
fn a_rule_for_everything_lets_nobody_begin_for_good() {
    let mut wire = world(&[rule(Protocol::Any, &[])]);
    let to_host = ends(&wire, false);
    let out = to_host.back();
    wire.run_ms(300_000);
    goes_out(&mut wire, &out.tcp(50_000, 22, SYN));
    for packet in [
        to_host.tcp(1_000, 50_000, SYN),
        to_host.udp(1_000, 50_000),
        to_host.packet(SCTP, &[0; 12]),
        to_host.ping(1),
    ] {
        assert!(gets_in(&mut wire, &packet));
    }
    hold(&mut wire, HOST, PEER, &[]);
    for (said, answer) in [
        (to_host.tcp(1_000, 50_000, ACK), out.tcp(50_000, 1_000, ACK)),
        (to_host.udp(1_000, 50_000), out.udp(50_000, 1_000)),
        (to_host.packet(SCTP, &[0; 12]), out.packet(SCTP, &[1; 12])),
    ] {
        goes_out(&mut wire, &answer);
        assert!(!gets_in(&mut wire, &said), "{said:x?}");
    }
    assert!(gets_in(&mut wire, &to_host.tcp(22, 50_000, ACK)), "what this host began goes on");
}

#[test]
fn a_connection_that_is_older_than_the_policy_is_the_higher_ports() {
    let mut wire = Wire::mesh(2);
    let to_host = ends(&wire, false);
    let out = to_host.back();
    assert!(gets_in(&mut wire, &to_host.tcp(40_000, 22, SYN)), "there is no policy");
    hold(&mut wire, HOST, PEER, &[]);
    goes_out(&mut wire, &out.tcp(22, 40_000, ACK));
    assert!(!gets_in(&mut wire, &to_host.tcp(40_000, 22, ACK)), "begun there");
    goes_out(&mut wire, &out.tcp(50_000, 22, ACK));
    assert!(gets_in(&mut wire, &to_host.tcp(22, 50_000, ACK)), "begun here");
    // Each packet takes 50 ms: this is the last one that is taken up, and the next one is not.
    hold(&mut wire, HOST, PEER, &[rule(Protocol::Icmp, &[])]);
    wire.run_ms(300_000 - 5 * 50);
    goes_out(&mut wire, &out.tcp(50_001, 22, ACK));
    goes_out(&mut wire, &out.tcp(50_002, 22, ACK));
    assert!(gets_in(&mut wire, &to_host.tcp(22, 50_001, ACK)));
    assert!(!gets_in(&mut wire, &to_host.tcp(22, 50_002, ACK)));
    goes_out(&mut wire, &out.tcp(50_000, 22, ACK));
    assert!(gets_in(&mut wire, &to_host.tcp(22, 50_000, ACK)), "what was taken up stays");
}

#[test]
fn what_a_rule_let_in_is_not_taken_up_by_its_ports() {
    // From a lower port than it leads to; what was said since the policy began, and what was not.
    for is_silent in [false, true] {
        let mut wire = world(&[rule(Protocol::Tcp, &["50000"])]);
        let to_host = ends(&wire, true);
        let answer = to_host.back().tcp(50_000, 1_000, ACK);
        if !is_silent {
            assert!(gets_in(&mut wire, &to_host.tcp(1_000, 50_000, ACK)));
            goes_out(&mut wire, &answer);
        }
        hold(&mut wire, HOST, PEER, &[rule(Protocol::Udp, &[])]);
        goes_out(&mut wire, &answer);
        assert!(!gets_in(&mut wire, &to_host.tcp(1_000, 50_000, ACK)), "silent: {is_silent}");
    }
}

#[test]
fn what_may_be_an_answer_over_udp_is_none_of_ours_at_first() {
    let mut wire = world(&[rule(Protocol::Udp, &["53"])]);
    let to_host = ends(&wire, true);
    let out = to_host.back();
    // To what was asked before there was a policy, or this daemon.
    goes_out(&mut wire, &out.udp(53, 40_000));
    goes_out(&mut wire, &out.udp(5_000, 40_000));
    hold(&mut wire, HOST, PEER, &[]);
    goes_out(&mut wire, &out.udp(53, 40_000));
    assert!(!gets_in(&mut wire, &to_host.udp(40_000, 53)));
    assert!(gets_in(&mut wire, &to_host.udp(40_000, 5_000)), "no rule let it in");
    // Later it would have ended.
    hold(&mut wire, HOST, PEER, &[rule(Protocol::Udp, &["53"])]);
    wire.run_ms(300_000);
    goes_out(&mut wire, &out.udp(53, 41_000));
    hold(&mut wire, HOST, PEER, &[]);
    assert!(gets_in(&mut wire, &to_host.udp(41_000, 53)));
}

#[test]
fn nobody_is_taken_up_twice() {
    // Restricted, released and restricted: all that is too young to have been there at first.
    let mut wire = world(&[]);
    let to_host = ends(&wire, false);
    wire.run_ms(300_000);
    hold(&mut wire, HOST, PEER, &[rule(Protocol::Any, &[])]);
    assert!(gets_in(&mut wire, &to_host.tcp(1_000, 50_000, SYN)));
    let (key, mut plan) = (wire.hosts[PEER].key(), wire.hosts[PEER].plan());
    plan.inbound = Inbound::Everything;
    wire.update(HOST, Update::SetPeer(key, plan));
    hold(&mut wire, HOST, PEER, &[]);
    goes_out(&mut wire, &to_host.back().tcp(50_000, 1_000, ACK));
    assert!(!gets_in(&mut wire, &to_host.tcp(1_000, 50_000, ACK)));
}

#[test]
fn a_flow_that_fell_silent_is_forgotten() {
    let mut wire = world(&[]);
    let to_host = ends(&wire, true);
    goes_out(&mut wire, &to_host.back().udp(5_000, 53));
    wire.run_ms(290_000);
    assert!(gets_in(&mut wire, &to_host.udp(53, 5_000)));
    wire.run_ms(290_000);
    assert!(gets_in(&mut wire, &to_host.udp(53, 5_000)), "an answer keeps it too");
    wire.run_ms(301_000);
    assert!(!gets_in(&mut wire, &to_host.udp(53, 5_000)));
}

#[test]
fn errors_about_what_may_be_said_come_in() {
    for v6 in [false, true] {
        let header = if v6 { 40 } else { 20 };
        let mut wire = world(&[rule(Protocol::Udp, &["53"])]);
        let to_host = ends(&wire, v6);
        let out = to_host.back();
        let (asked, answer) = (out.udp(5_000, 9), out.udp(53, 40_000));
        let (syn, ping) = (out.tcp(40_000, 443, SYN), out.ping(77));
        for about in [&asked, &answer, &syn, &ping] {
            goes_out(&mut wire, about);
        }
        // As little as is quoted at least, and more.
        for quote in [header + 8, 576] {
            for about in [&asked, &answer, &syn, &ping] {
                let error = to_host.unreachable(about, quote);
                assert!(gets_in(&mut wire, &error), "about {about:x?}");
            }
        }
        let never_said = out.udp(5_001, 9);
        let not_ours = to_host.udp(5_000, 9);
        let another = between(&wire, HOST, 2, v6).udp(5_000, 9);
        let pong = out.pong(77);
        let mut later = out.part(UDP, 7, 800, false, &udp_header(5_000, 9, 8));
        for about in [&never_said, &not_ours, &another, &pong, &later] {
            let error = to_host.unreachable(about, 576);
            assert!(!gets_in(&mut wire, &error), "about {about:x?}");
        }
        later.truncate(header);
        for cut in [&asked[..header + 3], &asked[..header - 1], &later, &[]] {
            let error = to_host.unreachable(cut, 576);
            assert!(!gets_in(&mut wire, &error), "quoting {} bytes", cut.len());
        }
        // Redirects and router advertisements are no errors.
        let steering = to_host.icmp((5, 134), [0; 4], &asked);
        assert!(!gets_in(&mut wire, &steering));
    }
}

#[test]
fn the_parts_of_a_packet_follow_the_first() {
    for v6 in [false, true] {
        let mut wire = world(&[rule(Protocol::Udp, &["53"])]);
        let to_host = ends(&wire, v6);
        let first = |ident, port| {
            let payload = [udp_header(40_000, port, 2_000), vec![7; 1_192]].concat();
            to_host.part(UDP, ident, 0, true, &payload)
        };
        let later = |ident| to_host.part(UDP, ident, 1_200, false, &[7; 800]);
        assert!(gets_in(&mut wire, &first(1, 53)) && gets_in(&mut wire, &later(1)));
        assert!(!gets_in(&mut wire, &first(2, 54)) && !gets_in(&mut wire, &later(2)));
        assert!(!gets_in(&mut wire, &later(3)), "it has overtaken the first");
        assert!(gets_in(&mut wire, &first(3, 53)) && gets_in(&mut wire, &later(3)));
        // Twice the beginning: what the first let in does not let in the second.
        assert!(!gets_in(&mut wire, &first(3, 54)));
        wire.run_ms(31_000);
        assert!(!gets_in(&mut wire, &later(1)), "nobody waits for it any more");

        // Ours in parts, answered in parts.
        let ours = to_host.back().part(UDP, 9, 0, true, &udp_header(5_000, 99, 2_000));
        goes_out(&mut wire, &ours);
        let answer = to_host.part(UDP, 4, 0, true, &udp_header(99, 5_000, 2_000));
        assert!(gets_in(&mut wire, &answer) && gets_in(&mut wire, &later(4)));
    }
}

/// Gets as many packets in as one peer may want to send, of each number one.
fn floods_in(wire: &mut Wire, packet: impl Fn(u16) -> Vec<u8>) {
    for n in 0..=u16::MAX {
        wire.kernel(PEER, &packet(n));
        if n % 64 == 63 {
            wire.run_ms(1);
        }
    }
    wire.run_ms(50);
    assert_eq!(wire.hosts[HOST].out.delivered.drain(..).count(), 1 << 16);
}

#[test]
fn what_a_peer_sends_pushes_out_no_flow() {
    let mut wire = world(&[rule(Protocol::Udp, &["53"])]);
    hold(&mut wire, HOST, 2, &[rule(Protocol::Udp, &["53"])]);
    let [to_peer, to_third] = [PEER, 2].map(|peer| between(&wire, HOST, peer, true));
    let to_host = to_peer.back();
    goes_out(&mut wire, &to_peer.tcp(40_000, 443, SYN));
    assert!(passes(&mut wire, HOST, 2, &to_third.tcp(40_000, 443, SYN)));
    let first_of_third = to_third.back().part(UDP, 1, 0, true, &udp_header(40_000, 53, 2_000));
    assert!(passes(&mut wire, 2, HOST, &first_of_third));
    wire.run_ms(1_000);

    floods_in(&mut wire, |n| to_host.part(UDP, n, 0, true, &udp_header(40_000, 53, 2_000)));
    floods_in(&mut wire, |n| to_host.udp(n, 53));
    assert!(gets_in(&mut wire, &to_host.tcp(443, 40_000, ACK)));
    assert!(passes(&mut wire, 2, HOST, &to_third.back().tcp(443, 40_000, ACK)));
    let rest_of_third = to_third.back().part(UDP, 1, 1_200, false, &[7; 800]);
    assert!(passes(&mut wire, 2, HOST, &rest_of_third));
}

#[test]
fn what_is_sent_to_a_peer_pushes_out_no_flow_with_another() {
    let mut wire = world(&[]);
    hold(&mut wire, HOST, 2, &[]);
    let [to_peer, to_third] = [PEER, 2].map(|peer| between(&wire, HOST, peer, false));
    assert!(passes(&mut wire, HOST, 2, &to_third.tcp(40_000, 443, SYN)));
    wire.run_ms(1_000);
    for n in 0..=u16::MAX {
        wire.kernel(HOST, &to_peer.tcp(n, 443, SYN));
        if n % 64 == 63 {
            wire.run_ms(1);
        }
    }
    wire.run_ms(50);
    assert!(passes(&mut wire, 2, HOST, &to_third.back().tcp(443, 40_000, ACK)));
}

#[test]
fn a_peer_that_has_its_beginnings_forgotten_gains_nothing() {
    let mut wire = world(&[rule(Protocol::Udp, &["53"])]);
    let to_host = ends(&wire, true);
    let out = to_host.back();
    wire.run_ms(300_000);
    assert!(gets_in(&mut wire, &to_host.udp(1, 53)), "there is a session again");
    floods_in(&mut wire, |n| to_host.udp(n, 53));
    hold(&mut wire, HOST, PEER, &[]);
    // More than this host remembers to have answered since, for longer than answers may follow by themselves.
    let flows = (0..=u16::MAX).step_by(16);
    for _ in 0..3 {
        goes_out(&mut wire, &out.udp(53, 0));
        for n in flows.clone() {
            wire.kernel(HOST, &out.udp(53, n));
        }
        wire.run_ms(200_000);
    }
    assert!(!gets_in(&mut wire, &to_host.udp(0, 53)));
    let before = wire.hosts[HOST].drops(Drop::PolicyDenied);
    for n in flows.clone() {
        wire.kernel(PEER, &to_host.udp(n, 53));
    }
    wire.run_ms(50);
    assert_eq!(wire.hosts[HOST].drops(Drop::PolicyDenied) - before, flows.count() as u64, "all");
    // Whoever did nothing of the kind is answered.
    hold(&mut wire, HOST, 2, &[]);
    let to_third = between(&wire, HOST, 2, true);
    assert!(passes(&mut wire, HOST, 2, &to_third.udp(53, 40_000)));
    assert!(passes(&mut wire, 2, HOST, &to_third.back().udp(40_000, 53)));
}

#[test]
fn what_a_peer_may_begin_pushes_out_nothing_that_it_may_not_any_more() {
    let [served, other] = [53, 54].map(|port: u16| rule(Protocol::Udp, &[&port.to_string()]));
    let mut wire = world(&[served, other.clone()]);
    let to_host = ends(&wire, false);
    let answer = to_host.back().udp(53, 40_000);
    wire.run_ms(300_000);
    assert!(gets_in(&mut wire, &to_host.udp(40_000, 53)));
    hold(&mut wire, HOST, PEER, &[other]);
    for _ in 0..2 {
        goes_out(&mut wire, &answer);
        wire.run_ms(200_000);
    }
    assert!(gets_in(&mut wire, &to_host.udp(1, 54)), "there is a session again");
    floods_in(&mut wire, |n| to_host.udp(n, 54));
    goes_out(&mut wire, &answer);
    assert!(!gets_in(&mut wire, &to_host.udp(40_000, 53)));
}

#[test]
fn no_part_hides_what_the_packet_is() {
    for v6 in [false, true] {
        let mut wire = world(&[rule(Protocol::Tcp, &["22"])]);
        let to_host = ends(&wire, v6);
        let header = tcp(40_000, 22, SYN);
        assert!(gets_in(
            &mut wire,
            &to_host.part(TCP, 1, 0, true, &[&header[..], &[0; 4]].concat())
        ));
        // Eight bytes: the flags would come with the second part, which may then also change them.
        assert!(!gets_in(&mut wire, &to_host.part(TCP, 2, 0, true, &header[..8])));
        assert!(!gets_in(&mut wire, &to_host.part(TCP, 1, 8, true, &header[8..16])));
        assert!(gets_in(&mut wire, &to_host.part(TCP, 1, 24, false, &[0; 8])));
        for cut in [0, 3, 13] {
            assert!(!gets_in(&mut wire, &to_host.packet(TCP, &header[..cut])), "{cut} bytes");
        }
        assert!(!gets_in(&mut wire, &to_host.packet(UDP, &[0; 7])));
        assert!(!gets_in(&mut wire, &to_host.packet(if v6 { 58 } else { 1 }, &[8; 7])));
    }
}

#[test]
fn extension_headers_are_passed_over_but_not_without_end() {
    let mut wire = world(&[rule(Protocol::Tcp, &["22"])]);
    let to_host = ends(&wire, true);
    let behind = |headers: &[u8], port| {
        // Each is as long as it says: the last byte of its length is two units for destination options.
        let mut payload = Vec::new();
        for (at, header) in headers.iter().enumerate() {
            let next = headers.get(at + 1).copied().unwrap_or(TCP);
            let units = u8::from(*header == 60);
            payload.extend([next, units]);
            payload.extend(vec![0; 6 + 8 * usize::from(units)]);
        }
        payload.extend(tcp(40_000, port, SYN));
        to_host.packet(headers[0], &payload)
    };
    for headers in [&[0][..], &[60], &[43], &[0, 60, 43, 60]] {
        assert!(gets_in(&mut wire, &behind(headers, 22)), "{headers:?}");
        assert!(!gets_in(&mut wire, &behind(headers, 23)), "{headers:?}");
    }
    assert!(!gets_in(&mut wire, &behind(&[60; 20], 22)));
    let beyond = to_host.packet(60, &[TCP, 200, 0, 0, 0, 0, 0, 0]);
    assert!(!gets_in(&mut wire, &beyond));
    let twice =
        [&[44, 0, 0, 1, 0, 0, 0, 1, TCP, 0, 0, 1, 0, 0, 0, 1][..], &tcp(40_000, 22, SYN)].concat();
    assert!(!gets_in(&mut wire, &to_host.packet(44, &twice)));
    let alone = [&[TCP, 0, 0, 0, 0, 0, 0, 1][..], &tcp(40_000, 22, SYN)].concat();
    assert!(gets_in(&mut wire, &to_host.packet(44, &alone)), "a part that is all of it (RFC 6946)");
}

#[test]
fn what_daemons_say_to_each_other_is_never_cut() {
    let mut wire = world(&[]);
    for v6 in [false, true] {
        for port in [port::GOSSIP, port::AGREEMENT, port::ECHO] {
            let packet = wire.packet(PEER, HOST, port, b"control", v6);
            wire.inner(PEER, &packet);
            wire.run_ms(50);
            assert_eq!(wire.hosts[HOST].out.control.pop(), Some((wire.hosts[PEER].member, packet)));
        }
    }
    // Nor does it open anything.
    let back = udp::encode(
        (wire.hosts[HOST].addrs.v4, port::ECHO).into(),
        (wire.hosts[PEER].addrs.v4, 999).into(),
        b"reply",
    );
    wire.inner(HOST, &back.unwrap());
    let in_turn = ends(&wire, false).udp(999, 4_000);
    assert!(!gets_in(&mut wire, &in_turn));
}

#[test]
fn a_policy_that_is_lifted_or_changed_holds_at_once() {
    let mut wire = world(&[]);
    let ssh = ends(&wire, false).tcp(40_000, 22, SYN);
    assert!(!gets_in(&mut wire, &ssh));
    hold(&mut wire, HOST, PEER, &[rule(Protocol::Tcp, &["22"])]);
    assert!(gets_in(&mut wire, &ssh));
    hold(&mut wire, HOST, PEER, &[rule(Protocol::Tcp, &["80"])]);
    assert!(!gets_in(&mut wire, &ssh));
    hold(&mut wire, HOST, PEER, &[rule(Protocol::Any, &[])]);
    assert!(gets_in(&mut wire, &ssh));
    assert_eq!(wire.hosts[HOST].handshakes(), 1, "all in one session");
}

#[test]
fn what_goes_out_and_its_answer_meet_in_the_same_slice() {
    for of in [2, 3] {
        let mut wire = Wire::sliced(5, of, HandshakeBudget::default()).introduced();
        for peer in (0..5).filter(|peer| *peer != HOST) {
            hold(&mut wire, HOST, peer, &[]);
        }
        // What has waited for its session, too.
        for peer in (0..5).filter(|peer| *peer != HOST) {
            let out = between(&wire, HOST, peer, true);
            assert!(passes(&mut wire, HOST, peer, &out.tcp(40_000, 443, SYN)));
            assert!(
                passes(&mut wire, peer, HOST, &out.back().tcp(443, 40_000, SYN | ACK)),
                "{peer} of {of}"
            );
            assert!(!passes(&mut wire, peer, HOST, &out.back().tcp(444, 40_000, SYN | ACK)));
        }
    }
}

#[test]
fn a_super_packet_begins_one_flow() {
    let mut wire = world(&[]);
    let out = ends(&wire, false).back();
    let run = out.packet(UDP, &[udp_header(5_000, 53, 3_008), vec![7; 3_000]].concat());
    let header = VirtioHeader {
        checksum: Some((20, 6)),
        segmentation: Some((Segmentation::Udp, 1_000)),
        header_len: 28,
    };
    let host = &mut wire.hosts[HOST];
    host.engine.handle_kernel(&Segments::of(header, &run).unwrap(), wire.now, &mut host.out);
    wire.drain(HOST);
    wire.run_ms(50);
    assert_eq!(wire.hosts[PEER].out.delivered.len(), 3);
    assert!(gets_in(&mut wire, &out.back().udp(53, 5_000)));
}
