//! Whether one state can have come of another: what was agreed is neither taken back nor told differently.
//!
//! Signatures show that a statement was made, not in which order or that none is left out. So a host holds a snapshot
//! against what it has itself before it takes it: members keep their ids, records and addresses until they leave, those that
//! left stay so, time, the use of invites and the serials of verdicts, tags and policies only grow, and the past is told as
//! before. Nobody came in, and nothing was said, up to the last decision that this host knows of without its knowing: such
//! things have their signatures, of one who is no admin any more perhaps.

use mesh_model::trust::Tagging;
use mesh_model::{IdentityKey, InviteId, LogIndex, MemberId};

use super::bans::RulingEntry;
use super::exclusions::Exclusion;
use super::invites::InviteEntry;
use super::members::{Departed, MAX_DEPARTED, Member, Members};
use super::{State, Stated};

impl State {
    /// Whether this state can have come of `earlier`. Signatures do not show a member left out, another's
    /// address or a clock set back; knowing what was agreed before does.
    pub fn continues(&self, earlier: &Self) -> bool {
        let last = earlier.last_index();
        self.founding == earlier.founding
            && self.now_ms >= earlier.now_ms
            && members(&self.members, &earlier.members, last)
            && invites(self, earlier, last)
            && rulings(self, earlier, last)
            && exclusions(self, earlier, last)
            && tags(self, earlier, last)
            && votes(self, earlier)
            && self.audit.continues(&earlier.audit)
            && self.voters.continues(&earlier.voters, last)
            && self.admins.continues(&earlier.admins, last)
            && self.access.continues(&earlier.access, last)
            && self.epochs.continues(&earlier.epochs, last)
            && self.keys.continues(&earlier.keys, last, &self.members)
            && self.edition >= earlier.edition
    }
}

fn members(later: &Members, earlier: &Members, last: LogIndex) -> bool {
    let forgets = later.departed().len() == MAX_DEPARTED;
    let kept = |(id, member): (&MemberId, &Member)| match later.present().get(id) {
        Some(same) => same == member,
        None => forgets || departed_as(later, *id, &member.record().identity),
    };
    let still_gone = |(id, departed): (&MemberId, &Departed)| {
        forgets && !later.present().contains_key(id) || departed_as(later, *id, &departed.identity)
    };
    let came = |id: &MemberId| id.0 > last || earlier.present().contains_key(id);
    earlier.present().iter().all(kept)
        && earlier.departed().iter().all(still_gone)
        && later.present().keys().all(came)
}

fn departed_as(members: &Members, id: MemberId, identity: &IdentityKey) -> bool {
    members.departed().get(&id).is_some_and(|departed| departed.identity == *identity)
}

fn invites(later: &State, earlier: &State, last: LogIndex) -> bool {
    let used = |(id, entry): (&InviteId, &InviteEntry)| {
        later.invites.get(id).is_none_or(|same| {
            let revoked = same.revoked();
            let is_news = revoked.is_some_and(|revoked| revoked.at() > last);
            same.stated() == entry.stated()
                && same.used() >= entry.used()
                && (is_news && entry.revoked().is_none() || revoked == entry.revoked())
        })
    };
    let made = |(id, entry): (&InviteId, &InviteEntry)| {
        entry.stated().at() > last || earlier.invites.get(id).is_some()
    };
    earlier.invites.iter().all(used) && later.invites.iter().all(made)
}

fn rulings(later: &State, earlier: &State, last: LogIndex) -> bool {
    let said = |(id, entry): (&MemberId, &RulingEntry)| {
        entry.stated().at() > last || earlier.bans.get(*id).is_some()
    };
    let ruled = |(id, before): (&MemberId, &RulingEntry)| match later.bans.get(*id) {
        Some(after) => succeeds(after, before, last),
        None => !later.members.present().contains_key(id),
    };
    later.bans.iter().all(said) && earlier.bans.iter().all(ruled)
}

/// Whether the ruling `after` can have followed `before` behind index `last`, or be the same.
fn succeeds(after: &RulingEntry, before: &RulingEntry, last: LogIndex) -> bool {
    let same = after.stated() == before.stated()
        && after.since_ms() == before.since_ms()
        && (after.has_lapsed() || !before.has_lapsed());
    let is_later = after.verdict().serial > before.verdict().serial;
    same || is_later && after.stated().at() > last
}

fn exclusions(later: &State, earlier: &State, last: LogIndex) -> bool {
    let shut_out = |(id, after): (&MemberId, &Exclusion)| {
        after.at() > last || earlier.exclusions.get(*id).is_some()
    };
    let excluded = |(id, before): (&MemberId, &Exclusion)| match later.exclusions.get(*id) {
        Some(after) => {
            let is_later = after.at() > last && after.since_ms() >= before.again_ms();
            after.goes_on_from(before) || is_later
        }
        None => !later.members.present().contains_key(id) || before.again_ms() <= later.now_ms,
    };
    later.exclusions.iter().all(shut_out) && earlier.exclusions.iter().all(excluded)
}

fn tags(later: &State, earlier: &State, last: LogIndex) -> bool {
    let labelled = |(id, after): (&MemberId, &Stated<Tagging>)| {
        after.at() > last || earlier.tags.get(*id).is_some()
    };
    let tagged = |(id, before): (&MemberId, &Stated<Tagging>)| match later.tags.get(*id) {
        Some(after) => {
            let is_later = after.said().serial > before.said().serial;
            after == before || is_later && after.at() > last
        }
        None => !later.members.present().contains_key(id),
    };
    later.tags.iter().all(labelled) && earlier.tags.iter().all(tagged)
}

/// Who ever voted is remembered, as long as it is a member. In another epoch nobody has promised anything yet.
fn votes(later: &State, earlier: &State) -> bool {
    let voted =
        |id: &MemberId| later.voted.contains(id) || !later.members.present().contains_key(id);
    later.epochs != earlier.epochs || earlier.voted.iter().all(voted)
}
