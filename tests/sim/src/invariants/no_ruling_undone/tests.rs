//! What hosts may show one after the other, and what must be noticed. The states are real ones; those that
//! must not be have forgotten a part of the log.

use std::time::Duration;

use mesh_control::command::Proposal;
use mesh_control::state::State;

use super::*;
use crate::net::HostNo;
use crate::seeds::RunSeed;
use crate::trust::{Keys, Mesh, Paper};
use crate::wall;

const WHO: MemberId = MemberId::FOUNDER;

/// When bans that end by themselves do.
fn end_ms() -> u64 {
    wall::millis(Duration::from_secs(60))
}

fn mesh() -> Mesh {
    Mesh::found(RunSeed(1), &Keys::new(RunSeed(1), HostNo(1), 0))
}

fn verdict(serial: u64, ruling: Ruling) -> Verdict {
    let identity = Keys::new(RunSeed(1), HostNo(1), 0).identity.public();
    mesh().verdict((WHO, identity), serial, ruling)
}

fn ban(serial: u64) -> Verdict {
    verdict(serial, Ruling::Banned { until_ms: Some(end_ms()), reason: None })
}

fn pardon(serial: u64) -> Verdict {
    verdict(serial, Ruling::Pardoned)
}

fn judge(verdict: &Verdict) -> Command {
    mesh().sign(&Paper::Verdict(verdict.clone()))
}

/// What a host shows at `index` that knows of nothing but these commands.
fn shown(index: LogIndex, commands: &[Command]) -> (ClusterView, Bans) {
    let mesh = mesh();
    let mut state = State::genesis(&mesh.genesis, &mesh.root).unwrap();
    for (place, command) in commands.iter().enumerate() {
        let proposal = Proposal { at_ms: end_ms(), command: command.clone() };
        state.apply(2 + place as u64, &proposal);
    }
    (state.view(index), state.bans().clone())
}

/// An invariant that knows these verdicts to be signed.
fn signed(verdicts: &[&Verdict]) -> NoRulingUndone {
    let mut undone = NoRulingUndone::default();
    for verdict in verdicts {
        undone.sign(verdict);
    }
    undone
}

/// Whether a host may show at `index` what comes of `commands`.
fn passes(undone: &mut NoRulingUndone, index: LogIndex, commands: &[Command]) -> bool {
    let (view, bans) = shown(index, commands);
    undone.see(MemberId(7), &view, &bans, end_ms()).is_ok()
}

fn judged(index: LogIndex) -> Applied {
    Applied { index, outcome: Outcome::Judged(WHO) }
}

#[test]
fn a_serial_that_falls_is_seen() {
    let (old, new) = (ban(3), pardon(5));
    let mut undone = signed(&[&old, &new]);
    assert!(passes(&mut undone, 6, &[judge(&old), judge(&new)]));
    assert!(passes(&mut undone, 4, &[judge(&old)]), "a host that lags");
    assert!(!passes(&mut undone, 7, &[judge(&old)]), "the pardon is undone");
}

#[test]
fn an_acknowledged_ruling_that_is_not_shown_is_seen() {
    let ban = ban(3);
    let mut undone = signed(&[&ban]);
    undone.respond(&judge(&ban), &judged(4)).unwrap();
    assert!(passes(&mut undone, 3, &[]));
    assert!(passes(&mut undone, 5, &[judge(&ban)]));
    assert!(!passes(&mut undone, 6, &[]));
}

#[test]
fn a_refusal_that_names_a_lower_serial_is_seen() {
    let (old, new) = (ban(3), pardon(5));
    let mut undone = signed(&[&old, &new]);
    undone.respond(&judge(&new), &judged(4)).unwrap();
    let overruled = |serial| Outcome::Refused(Refusal::Overruled { member: WHO, serial });
    undone.respond(&judge(&old), &Applied { index: 6, outcome: overruled(5) }).unwrap();
    assert!(undone.respond(&judge(&old), &Applied { index: 7, outcome: overruled(3) }).is_err());
}

#[test]
fn what_no_admin_signed_is_seen() {
    let ban = ban(3);
    assert!(!passes(&mut signed(&[]), 4, &[judge(&ban)]));
    assert!(signed(&[]).respond(&judge(&ban), &judged(4)).is_err());
    let mut undone = signed(&[&ban, &pardon(3)]);
    assert!(passes(&mut undone, 4, &[judge(&ban)]));
    assert!(!passes(&mut undone, 5, &[judge(&pardon(3))]), "two with one serial");
}

#[test]
fn a_ban_that_ends_too_early_or_begins_again_is_seen() {
    let ban = ban(3);
    let mut undone = signed(&[&ban]);
    let commands = [judge(&ban), Command::Lapse(WHO)];
    let (view, bans) = shown(6, &commands);
    assert!(!view.banned.contains_key(&WHO), "it has lapsed");
    assert!(signed(&[&ban]).see(WHO, &view, &bans, end_ms() - 1).is_err(), "too early");
    assert!(passes(&mut undone, 6, &commands));
    assert!(!passes(&mut undone, 7, &commands[..1]));
}

#[test]
fn a_view_that_does_not_show_what_was_ruled_is_seen() {
    let ban = ban(3);
    let (view, _) = shown(4, &[]);
    let (_, bans) = shown(4, &[judge(&ban)]);
    assert!(signed(&[&ban]).see(WHO, &view, &bans, end_ms()).is_err());
}

#[test]
fn one_that_was_removed_and_is_back_is_seen() {
    let removal = verdict(3, Ruling::Removed);
    let mut undone = signed(&[&removal]);
    undone.respond(&judge(&removal), &judged(4)).unwrap();
    assert!(passes(&mut undone, 3, &[]));
    assert!(passes(&mut undone, 5, &[judge(&removal)]));
    assert!(!passes(&mut undone, 6, &[]));
}

#[test]
fn a_ban_may_hold_where_no_answer_says_otherwise() {
    let (first, second, third) = (ban(3), pardon(5), ban(7));
    let mut undone = signed(&[&first, &second]);
    undone.respond(&judge(&first), &judged(4)).unwrap();
    undone.respond(&judge(&second), &judged(8)).unwrap();
    assert!(undone.may_be_banned(WHO, 5));
    assert!(!undone.may_be_banned(WHO, 9));
    undone.sign(&third);
    assert!(undone.may_be_banned(WHO, 9), "it was signed and may have been agreed");
}
