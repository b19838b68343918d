//! The whole state checked from the root key up.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::Ipv4Net;
use mesh_model::audit::{Actor, Beginning, Entry, Event};
use mesh_model::trust::{AdminStatement, ChainError, Departure, Genesis, MeshRoot, Ruling};
use mesh_model::{InviteId, LogIndex, MemberId, Prefixes};

use super::access::MAX_HISTORY;
use super::invites::{InviteEntry, MAX_INVITES, check_bounds};
use super::ipam;
use super::members::{Departed, Farewell, MAX_DEPARTED, MAX_MEMBERS, Member, Origin};
use super::serial::is_reachable;
use super::tags::check_tags;
use super::{State, Stated, epochs, grounds, keys, voters};

/// What no statement was ever let in with.
pub(super) const FAR_SERIAL: &str = "a serial that nothing leads to";

/// A finding that no signature could have excused.
pub(super) fn contradiction<T>(what: &'static str) -> Result<T, ChainError> {
    Err(ChainError::Contradiction(what))
}

pub(super) fn require(holds: bool, what: &'static str) -> Result<(), ChainError> {
    if holds { Ok(()) } else { contradiction(what) }
}

pub(super) fn verify(state: &State, root: &MeshRoot) -> Result<(), ChainError> {
    let genesis = Genesis::verify(&state.founding.signed, root)?;
    bounds(state, &genesis)?;
    state.audit.verify(&Beginning(state.founding.signed.clone()))?;
    state.admins.verify(root)?;
    epochs::verify(state, root)?;
    invites(state, root, &genesis.prefixes)?;
    policy(state, root)?;
    access(state, root)?;
    founder(state, &genesis)?;
    for (id, member) in state.members.present() {
        admission(state, *id, member, root)?;
        addresses(*id, member, &genesis.prefixes)?;
    }
    keys::verify(state, root)?;
    distinct(state)?;
    rulings(state, root)?;
    grounds::verify(state, root)?;
    taggings(state, root)?;
    let present = state.members.present();
    require(state.voted.iter().all(|id| present.contains_key(id)), "a vote of nobody")?;
    departed(state, root)?;
    witnessed(state)
}

/// Sizes and times a correct member never lets grow beyond.
fn bounds(state: &State, genesis: &Genesis) -> Result<(), ChainError> {
    let members = &state.members;
    require(members.present().len() <= MAX_MEMBERS, "too many members")?;
    require(members.departed().len() <= MAX_DEPARTED, "too many departed")?;
    require(state.invites.iter().len() <= MAX_INVITES, "too many invites")?;
    require(state.now_ms >= genesis.created_ms, "the clock stands before the genesis")
}

/// Every invite is an admin's and was not used more often than that one allowed.
fn invites(state: &State, root: &MeshRoot, prefixes: &Prefixes) -> Result<(), ChainError> {
    let mut admitted: BTreeMap<InviteId, u32> = BTreeMap::new();
    for member in state.members.present().values() {
        if let Some(invite) = member.invite() {
            *admitted.entry(invite).or_default() += 1;
        }
    }
    for (id, entry) in state.invites.iter() {
        state.admins.check(entry.stated(), root)?;
        let terms = entry.terms();
        if terms.id != *id {
            return Err(ChainError::InviteMismatch);
        }
        require(check_bounds(terms, prefixes).is_ok(), "an invite out of bounds")?;
        if let Some(revoked) = entry.revoked() {
            state.admins.check(revoked, root)?;
            require(
                revoked.said().invite == *id,
                "an invite revoked by the revocation of another",
            )?;
        }
        let admitted = admitted.get(id).copied().unwrap_or_default();
        require(
            admitted <= entry.used() && entry.used() <= terms.uses,
            "an invite used more often than it allows",
        )?;
    }
    Ok(())
}

/// Who shall vote is the admins' to say.
fn policy(state: &State, root: &MeshRoot) -> Result<(), ChainError> {
    let Some(stated) = state.voters.stated() else { return Ok(()) };
    state.admins.check(stated, root)?;
    let policy = stated.said();
    require(policy.serial > 0, "a policy on who votes without a serial")?;
    require(is_reachable(policy.serial, 0, stated.at()), FAR_SERIAL)?;
    require(voters::check_bounds(policy).is_ok(), "a policy with too many wishes")
}

/// Who may reach whom is the admins' to say, and was said in the order that they gave.
fn access(state: &State, root: &MeshRoot) -> Result<(), ChainError> {
    require(state.access.iter().len() <= MAX_HISTORY, "too many policies on who may reach whom")?;
    let mut last = 0;
    for entry in state.access.iter() {
        state.admins.check(entry.stated(), root)?;
        let policy = entry.policy();
        require(policy.serial > last, "policies on who may reach whom out of order")?;
        require(policy.check_bounds().is_ok(), "a policy on who may reach whom out of bounds")?;
        require(is_reachable(policy.serial, 0, entry.stated().at()), FAR_SERIAL)?;
        last = policy.serial;
    }
    Ok(())
}

/// The founder is the one of the genesis, there or gone.
fn founder(state: &State, genesis: &Genesis) -> Result<(), ChainError> {
    let members = &state.members;
    if let Some(member) = members.present().get(&MemberId::FOUNDER) {
        return require(
            *member.origin() == Origin::Founder(genesis.founder.clone()),
            "the founder is not the one of the genesis",
        );
    }
    let holds = match members.departed().get(&MemberId::FOUNDER) {
        Some(departed) => departed.identity == genesis.founder.identity,
        // Forgotten as the oldest of more than can be remembered.
        None => members.departed().len() == MAX_DEPARTED,
    };
    require(holds, "the founder is missing")
}

/// A member came in by a chain that holds.
fn admission(
    state: &State,
    id: MemberId,
    member: &Member,
    root: &MeshRoot,
) -> Result<(), ChainError> {
    match member.origin() {
        Origin::Founder(_) => require(id == MemberId::FOUNDER, "a second founder"),
        Origin::Admitted(admission) => {
            require(id > MemberId::FOUNDER, "an admission with the founder's id")?;
            let Some(invite) = state.invites.get(&admission.invite) else {
                return contradiction("a member whose invite is missing");
            };
            admission.verify(invite.terms(), root)?;
            let within = |range: Ipv4Net| range.contains(&member.addrs().v4);
            let range = invite.terms().range;
            require(range.is_none_or(within), "an address outside of its invite's range")
        }
    }
}

/// A member's addresses are ones it could have been given.
fn addresses(id: MemberId, member: &Member, prefixes: &Prefixes) -> Result<(), ChainError> {
    let addrs = member.addrs();
    require(ipam::is_host(prefixes.v4, addrs.v4), "an ipv4 address that is no host of the prefix")?;
    require(addrs.v6 == prefixes.ipv6_of(id), "an ipv6 address that is not that of the member's id")
}

/// No two present members share what must be a member's own.
fn distinct(state: &State) -> Result<(), ChainError> {
    let present = state.members.present();
    let mut identities = BTreeSet::new();
    let mut tunnels = BTreeSet::new();
    let mut names = BTreeSet::new();
    let mut addresses = BTreeSet::new();
    for (id, member) in present {
        let record = member.record();
        require(identities.insert(record.identity), "an identity twice")?;
        let changed = state.keys.get(*id).map(|entry| entry.said());
        let ours = changed
            .map_or([Some(record.tunnel), None], |rekey| [Some(rekey.tunnel), Some(rekey.before)]);
        let once = ours.into_iter().flatten().all(|key| tunnels.insert(key));
        require(once, "a WireGuard key twice")?;
        require(names.insert(&record.name), "a name twice")?;
        require(addresses.insert(member.addrs().v4), "an address twice")?;
    }
    for departed in state.members.departed().values() {
        require(identities.insert(departed.identity), "an identity that has left is back")?;
    }
    Ok(())
}

/// Every ruling is an admin's, about a member with a place in the mesh, and was agreed after the genesis; only what
/// has an end lapses.
fn rulings(state: &State, root: &MeshRoot) -> Result<(), ChainError> {
    for (id, entry) in state.bans.iter() {
        state.admins.check(entry.stated(), root)?;
        let verdict = entry.verdict();
        require(verdict.member == *id, "a verdict under another id")?;
        let Some(member) = state.members.present().get(id) else {
            return contradiction("a verdict about nobody");
        };
        let identity = member.record().identity;
        require(identity == verdict.identity, "a verdict about another identity")?;
        let ended = match verdict.ruling {
            Ruling::Banned { until_ms, .. } => until_ms.is_some_and(|until| until <= state.now_ms),
            Ruling::Pardoned => false,
            Ruling::Removed => return contradiction("a removed member that is still there"),
        };
        require(ended || !entry.has_lapsed(), "a ban that ended before its time")?;
        let born_ms = state.founding.genesis.created_ms;
        require(entry.since_ms() >= born_ms, "a verdict from before the genesis")?;
        let (serial, since_ms) = (verdict.serial, entry.since_ms());
        require(is_reachable(serial, since_ms, entry.stated().at()), FAR_SERIAL)?;
    }
    Ok(())
}

/// Every label is an admin's, about a member with a place in the mesh.
fn taggings(state: &State, root: &MeshRoot) -> Result<(), ChainError> {
    for (id, stated) in state.tags.iter() {
        state.admins.check(stated, root)?;
        let tagging = stated.said();
        require(tagging.member == *id, "tags under another id")?;
        require(tagging.serial > 0, "tags without a serial")?;
        require(is_reachable(tagging.serial, 0, stated.at()), FAR_SERIAL)?;
        require(check_tags(&tagging.tags).is_ok(), "too many tags")?;
        let Some(member) = state.members.present().get(id) else {
            return contradiction("tags of nobody");
        };
        require(member.record().identity == tagging.identity, "tags of another identity")?;
    }
    Ok(())
}

/// Those who are gone said so themselves, or an admin did.
fn departed(state: &State, root: &MeshRoot) -> Result<(), ChainError> {
    for (id, departed) in state.members.departed() {
        require(!state.members.present().contains_key(id), "a member both present and departed")?;
        let (member, identity) = match &departed.farewell {
            Farewell::Own(departure) => {
                let said = Departure::verify(departure, root.mesh, &departed.identity)?;
                (said.member, departed.identity)
            }
            Farewell::Removed(verdict) => {
                state.admins.check(verdict, root)?;
                let said = verdict.said();
                require(said.ruling == Ruling::Removed, "removed by a verdict that does not")?;
                (said.member, said.identity)
            }
        };
        require(member == *id, "a departure under another id")?;
        require(identity == departed.identity, "a departure of another identity")?;
    }
    Ok(())
}

/// The audit trail tells of each statement the state rests on, where the state says it was agreed, and by the same admin;
/// as far back as it goes. So whoever moves a statement to where its signer was in office tells another past than
/// everybody else does.
fn witnessed(state: &State) -> Result<(), ChainError> {
    let trail: BTreeMap<LogIndex, &Entry> =
        state.audit.iter().map(|entry| (entry.index, entry)).collect();
    let from = state.audit.told_from();
    let witness = |(at, by, event): (LogIndex, Actor, Event)| match trail.get(&at) {
        Some(entry) => entry.by == by && entry.event == event,
        None => at < from,
    };
    let decisions = state.admins.decisions().chain(state.epochs.decisions(&state.admins));
    let decisions = decisions.chain(state.keys.decisions());
    let excluded = state.exclusions.iter();
    let excluded = excluded.map(|(id, held)| (held.at(), held.actor(), held.event(*id)));
    let holds = statements(state).chain(decisions).chain(excluded).all(witness);
    require(holds, "a statement the audit trail does not tell of")
}

/// Where each statement was agreed, whose it is, and what the audit trail says of it.
fn statements(state: &State) -> impl Iterator<Item = (LogIndex, Actor, Event)> {
    fn of<T: AdminStatement>(stated: &Stated<T>) -> (LogIndex, Actor, Event) {
        (stated.at(), Actor::admin(stated.by()), stated.said().event())
    }
    let removal = |departed: &Departed| match &departed.farewell {
        Farewell::Own(_) => None,
        Farewell::Removed(verdict) => Some(of(verdict)),
    };
    let invites = state.invites.iter().map(|(_, entry)| entry);
    let revocations = invites.clone().filter_map(InviteEntry::revoked).map(of);
    invites
        .map(|entry| of(entry.stated()))
        .chain(revocations)
        .chain(state.bans.iter().map(|(_, entry)| of(entry.stated())))
        .chain(state.voters.stated().map(of))
        .chain(state.tags.iter().map(|(_, stated)| of(stated)))
        .chain(state.access.iter().map(|entry| of(entry.stated())))
        .chain(state.members.departed().values().filter_map(removal))
}
