//! A host's uplink is full of what its users send: what the mesh itself says comes through.
//!
//! Red when: agreement, gossip or echoes are lost with bulk, or wait for seconds behind it.

use mesh_model::api::v1::{GossipMember, GossipState, InviteReply};
use mesh_model::{MemberId, Term};
use mesh_tests::fabric::UNDERLAY;
use mesh_tests::traffic::Flood;
use mesh_tests::{Lab, eventually, link, needs_namespaces};

use crate::{LIMIT, addresses, alone, assert_reaches, bridged};

/// The supervisor's uplink, in Mbit/s.
const RATE: u32 = 2;

/// Four times as much.
const FLOOD: Flood = Flood { each_ms: 1, len: 1_000 };

/// Datagrams of the flood that the supervisor's daemon must have dropped: the uplink is full then.
const FULL: u64 = 1_000;

/// What is agreed on meanwhile: each takes an answer of another voter.
const CHANGES: usize = 10;

/// Echoes sent meanwhile, and the time from one to the next, in seconds.
const ECHOES: [&str; 2] = ["20", "0.1"];

/// Times that the machine may stand still for as long as an election needs.
const TRIES: usize = 3;

/// Who holds the mesh's key, and so may invite, whoever leads.
const FOUNDER: usize = 1;

/// What agreement and gossip take for true.
type Beliefs = (Term, Option<MemberId>, Vec<GossipMember>);

/// What each host believes, once everybody is believed to be alive.
fn beliefs(lab: &Lab) -> Vec<Beliefs> {
    eventually(LIMIT, "all know a supervisor and nobody is suspected", || {
        let each = lab.hosts().iter().map(|host| {
            let status = host.status().ok()?;
            let alive = status.gossip.iter().all(|member| member.state == GossipState::Alive);
            let raft = status.raft.filter(|raft| alive && raft.leader.is_some())?;
            Some((raft.term, raft.leader, status.gossip))
        });
        each.collect()
    })
    .unwrap()
}

/// How much of what its uplink had no room for host `number` has dropped.
fn congested(lab: &Lab, number: usize) -> u64 {
    lab.host(number).dropped("congested").unwrap()
}

/// Waits until host `number` has dropped `more` than it had.
fn wait_for_drops(lab: &Lab, number: usize, more: u64) {
    let before = congested(lab, number);
    eventually(LIMIT, "the uplink is full", || {
        (congested(lab, number) >= before + more).then_some(())
    })
    .unwrap();
}

/// Has everything that the mesh itself says cross the full uplink of host `leader`, to and from host `other`. What
/// did not come through, if anything.
fn speak(lab: &Lab, leader: usize, other: usize) -> Result<(), String> {
    wait_for_drops(lab, leader, FULL);
    for _ in 0..CHANGES {
        let invited: Result<InviteReply, _> = lab.host(FOUNDER).mesh().get(&["invite"]);
        invited.map_err(|error| error.to_string())?;
    }
    for (from, to) in [(leader, other), (other, leader)] {
        let name = lab.host(to).name();
        let words = ["ping", &name, "-c", ECHOES[0], "-i", ECHOES[1]];
        let json = lab.host(from).mesh().run(&words).unwrap().json().unwrap();
        if json["received"] != json["sent"] {
            return Err(json.to_string());
        }
    }
    wait_for_drops(lab, leader, FULL);
    Ok(())
}

#[test]
fn what_the_mesh_itself_says_crosses_a_full_uplink() {
    needs_namespaces!();
    let _alone = alone();
    let lab = bridged(3);
    let undisturbed = (0..TRIES).find_map(|_| {
        let (leader, _) = lab.leader_seen_by(1, None).unwrap();
        let other = leader % 3 + 1;
        assert_reaches(&lab, leader, other);
        link::limit_rate(lab.host(leader).netns(), UNDERLAY, RATE).unwrap();
        let before = beliefs(&lab);
        let (from, to) = (lab.host(leader).netns(), lab.host(other).netns());
        let talk = || speak(&lab, leader, other);
        let (spoken, flood) = FLOOD.during(from, to, addresses(&lab, other)[0], talk).unwrap();
        assert!(flood.lost() >= 2 * FULL, "{flood:?}");
        (beliefs(&lab) == before).then_some(spoken)
    });
    assert_eq!(undisturbed, Some(Ok(())), "None: an election or a suspicion each time");
}
