//! Everyone's facts: the newest of each member, believed only with its owner's signature.

use std::collections::BTreeMap;
use std::sync::Arc;

use mesh_model::facts::{Facts, FactsError};
use mesh_model::view::ClusterView;
use mesh_model::{MemberId, Signed};

use super::drops::Drop;
use super::packet::{Digest, MAX_DIGEST};

/// What receiving facts led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Received {
    /// News about this member.
    News(MemberId),
    /// Known already.
    Known,
    /// This host's own, newer than it remembers having said: it was restarted and its clock went
    /// back. Their freshness is to be outbid.
    OwnAhead(u64, u64),
}

/// The newest facts of each present member: at most one each.
#[derive(Debug)]
pub(super) struct Book {
    me: MemberId,
    facts: BTreeMap<MemberId, (Signed<Facts>, Facts)>,
    /// Where the next digest starts.
    cursor: MemberId,
}

impl Book {
    pub(super) fn new(me: MemberId) -> Self {
        Self { me, facts: BTreeMap::new(), cursor: MemberId::default() }
    }

    /// Takes facts from another member or from disk, if they hold.
    pub(super) fn receive(
        &mut self,
        signed: Signed<Facts>,
        view: &ClusterView,
    ) -> Result<Received, Drop> {
        // Whose key to verify with, and whether that is worth it: most facts come more than once.
        let claimed =
            signed.peek().map_err(|error| Drop::from(FactsError::Signed(error.into())))?;
        let owner = view.members.get(&claimed.member).ok_or(Drop::FactsUnknownMember)?;
        if let Some((_, known)) = self.facts.get(&claimed.member) {
            if claimed.freshness() == known.freshness() {
                return Ok(Received::Known);
            }
            if claimed.freshness() < known.freshness() {
                return Err(Drop::FactsStale);
            }
        }
        let facts = Facts::verify(&signed, view.mesh(), owner.id, &owner.identity)?;
        if owner.id == self.me {
            return Ok(Received::OwnAhead(facts.boot_ms, facts.revision));
        }
        self.facts.insert(owner.id, (signed, facts));
        Ok(Received::News(owner.id))
    }

    /// Takes this host's own facts.
    pub(super) fn publish(&mut self, signed: Signed<Facts>, facts: Facts) {
        self.facts.insert(self.me, (signed, facts));
    }

    pub(super) fn facts(&self, member: MemberId) -> Option<&Facts> {
        self.facts.get(&member).map(|(_, facts)| facts)
    }

    pub(super) fn signed(&self, member: MemberId) -> Option<&Signed<Facts>> {
        self.facts.get(&member).map(|(signed, _)| signed)
    }

    /// Forgets those who are not in `view`.
    pub(super) fn keep(&mut self, view: &Arc<ClusterView>) {
        self.facts.retain(|member, _| view.members.contains_key(member));
    }

    /// What this book has, from where the last digest ended.
    pub(super) fn digest(&mut self, ask: bool) -> Digest {
        let first = self.cursor;
        let mut have: Vec<_> = self
            .facts
            .range(first..)
            .take(MAX_DIGEST + 1)
            .map(|(member, (_, facts))| (*member, facts.boot_ms, facts.revision))
            .collect();
        let cut = (have.len() > MAX_DIGEST).then(|| have.pop()).flatten();
        self.cursor = cut.map(|(next, ..)| next).unwrap_or_default();
        let last = match cut {
            Some((next, ..)) => MemberId(next.0 - 1),
            None => MemberId(u64::MAX),
        };
        Digest { first, last, have, ask }
    }

    /// The same range as `theirs`, as far as this book goes in one digest.
    pub(super) fn counter_digest(&self, theirs: &Digest) -> Digest {
        let range = self.facts.range(theirs.first..);
        let have: Vec<_> = range
            .take_while(|(member, _)| **member <= theirs.last)
            .take(MAX_DIGEST)
            .map(|(member, (_, facts))| (*member, facts.boot_ms, facts.revision))
            .collect();
        let last = match have.last() {
            Some((member, ..)) if have.len() == MAX_DIGEST => *member,
            _ => theirs.last,
        };
        Digest { first: theirs.first, last, have, ask: false }
    }

    /// Whose facts are newer here than `theirs` says they have, or absent there.
    pub(super) fn newer_than(&self, theirs: &Digest) -> Vec<MemberId> {
        if theirs.first > theirs.last {
            return Vec::new();
        }
        let have = freshness_of(theirs);
        self.facts
            .range(theirs.first..=theirs.last)
            .filter(|(member, (_, facts))| have.get(member) < Some(&facts.freshness()))
            .map(|(member, _)| *member)
            .collect()
    }

    /// Whether `theirs` names facts of someone in `view` that are newer there or absent here.
    pub(super) fn lacks(&self, theirs: &Digest, view: &ClusterView) -> bool {
        theirs.have.iter().any(|(member, boot_ms, revision)| {
            let mine = self.facts(*member).map(Facts::freshness);
            view.members.contains_key(member) && mine < Some((*boot_ms, *revision))
        })
    }
}

fn freshness_of(digest: &Digest) -> BTreeMap<MemberId, (u64, u64)> {
    let each = digest.have.iter();
    each.map(|(member, boot_ms, revision)| (*member, (*boot_ms, *revision))).collect()
}

impl From<FactsError> for Drop {
    fn from(error: FactsError) -> Self {
        match error {
            FactsError::Signed(mesh_model::signed::SignedError::Signature { .. })
            | FactsError::NotOwn => Self::FactsForged,
            FactsError::Signed(mesh_model::signed::SignedError::Codec(error))
                if error.is_newer() =>
            {
                Self::FactsNewer
            }
            FactsError::Signed(mesh_model::signed::SignedError::Codec(_))
            | FactsError::TooMany(_) => Self::FactsMalformed,
        }
    }
}
