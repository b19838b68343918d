//! Whether the exclusions of a state that somebody sent rest on what they have to.
//!
//! No admin signed them, so it is the reporters who have to be believed, and each of them comes with its chain: root -> admin ->
//! invite -> admission -> report. Those that have left are no exception. A departure is signed by who departs, and proves nothing
//! but that somebody made a key.
//!
//! How many lineages there were, and when that was, is nobody's signed word. Those that are there still and came before are
//! counted; who writes another past, in which most came later, needs three lineages all the same.

use std::collections::BTreeSet;

use mesh_model::trust::{ChainError, MeshRoot, Report};
use mesh_model::{IdentityKey, MemberId};

use super::State;
use super::exclusions::{Exclusion, MAX_EXCLUDED, MAX_QUORUM, MAX_REMEMBERED, quorum};
use super::lineage::Lineage;
use super::members::{MAX_DEPARTED, Member};
use super::verify::{contradiction, require};

/// Whoever is shut out without an admin has a place in the mesh and was reported by enough members.
pub(super) fn verify(state: &State, root: &MeshRoot) -> Result<(), ChainError> {
    require(state.exclusions.iter().len() <= MAX_REMEMBERED, "too many exclusions")?;
    let holding = state.exclusions.iter().filter(|(id, _)| state.exclusion(**id).is_some());
    require(holding.count() <= MAX_EXCLUDED, "too many excluded at once")?;
    for (id, exclusion) in state.exclusions.iter() {
        let Some(subject) = state.members.present().get(id) else {
            return contradiction("an exclusion of nobody");
        };
        require(id.0 < exclusion.at(), "an exclusion of one that was no member yet")?;
        let able = usize::try_from(exclusion.lineages()).unwrap_or(usize::MAX);
        let enough = (quorum(able)..=MAX_QUORUM).contains(&exclusion.reports().len());
        require(enough, "an exclusion on too few reports, or too many")?;
        let plausible = able.saturating_add(MAX_EXCLUDED) >= lasting(state, *id, exclusion);
        require(plausible, "an exclusion by a quorum of fewer lineages than there were")?;
        let ended = exclusion.until_ms() <= state.now_ms;
        require(ended || !exclusion.has_lapsed(), "an exclusion that ended before its time")?;
        reports(state, root, (*id, subject), exclusion)?;
    }
    Ok(())
}

/// How many lineages there were besides `subject` at the time of `exclusion`, of those that are there still and about which no
/// admin has spoken. At most [`MAX_EXCLUDED`] of them had no say then, for being excluded themselves.
fn lasting(state: &State, subject: MemberId, exclusion: &Exclusion) -> usize {
    let at = exclusion.at();
    let was_there = |id: &MemberId| {
        let is_other = *id != subject && id.0 < at;
        is_other && state.bans.get(*id).is_none()
    };
    let members = state.members.present().keys().copied().filter(was_there);
    members.filter_map(|id| state.lineage(id, at)).collect::<BTreeSet<_>>().len()
}

/// Each report of an exclusion is a member's, about its subject, from then, and of another lineage than the others.
fn reports(
    state: &State,
    root: &MeshRoot,
    (id, subject): (MemberId, &Member),
    exclusion: &Exclusion,
) -> Result<(), ChainError> {
    let ruling = state.bans.get(id).filter(|ruling| ruling.stated().at() < exclusion.at());
    let (mut lineages, mut last) = (BTreeSet::new(), MemberId::default());
    for (signed, report) in exclusion.reports().iter().zip(exclusion.said()) {
        let reporter = report.reporter;
        require(last < reporter && reporter != id, "reports out of order, or of oneself")?;
        last = reporter;
        require(reporter.0 < exclusion.at(), "a report of one that was no member yet")?;
        let about = report.subject == id && report.identity == subject.record().identity;
        require(about, "a report about another member")?;
        let is_later = ruling.is_none_or(|ruling| report.made_ms > ruling.since_ms());
        let fresh = report.is_fresh_at(exclusion.since_ms()) && is_later;
        require(fresh, "a report from another time")?;
        let (identity, lineage) = reporter_of(state, root, reporter, exclusion)?;
        Report::verify(signed, root.mesh, &identity)?;
        require(lineages.insert(lineage), "a lineage that counts twice")?;
    }
    let said = |id: &MemberId| exclusion.said().iter().any(|report| report.reporter == *id);
    require(exclusion.gone().keys().all(said), "an admission of one that did not report")
}

/// Who `reporter` is or was, and by which way it came in.
fn reporter_of(
    state: &State,
    root: &MeshRoot,
    reporter: MemberId,
    exclusion: &Exclusion,
) -> Result<(IdentityKey, Lineage), ChainError> {
    const NOBODY: &str = "a report of nobody";
    let (present, at) = (state.members.present().get(&reporter), exclusion.at());
    if let Some(member) = present {
        require(!exclusion.gone().contains_key(&reporter), "a reporter both present and gone")?;
        let lineage = state.lineage(reporter, at).ok_or(ChainError::Contradiction(NOBODY))?;
        return Ok((member.record().identity, lineage));
    }
    let (identity, lineage) = match exclusion.gone().get(&reporter) {
        Some(admission) => {
            let invite = state.invites.get(&admission.invite);
            let invite =
                invite.ok_or(ChainError::Contradiction("a reporter whose invite is missing"))?;
            let lineage = state.lineage_by(admission.invite, at);
            let identity = admission.verify(invite.terms(), root)?.identity;
            (identity, lineage.ok_or(ChainError::Contradiction(NOBODY))?)
        }
        None if reporter == MemberId::FOUNDER => {
            (state.founding.genesis.founder.identity, Lineage::Founder)
        }
        None => return contradiction(NOBODY),
    };
    let departed = state.members.departed();
    let has_left = match departed.get(&reporter) {
        Some(departed) => departed.identity == identity,
        // Forgotten as the oldest of more than can be remembered.
        None => departed.len() == MAX_DEPARTED,
    };
    require(has_left, "a reporter that is neither present nor gone")?;
    Ok((identity, lineage))
}
