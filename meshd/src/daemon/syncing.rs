//! `mesh sync`: how this host follows what is agreed, and what its operator wants of that.
//!
//! Everything here is the group's to say and to do; this only puts names to ids.

use mesh_control::raft::{CompareError, Comparison, Difference, Held, SyncState as Seen};
use mesh_control::sync::{PLACES, PreferenceError, SourceReport};
use mesh_model::MemberId;
use mesh_model::api::v1::{
    ErrorBody, ErrorCode, Family, LogComparison, LogDifference, LogEntryHash, MemberName,
    ResyncRequest, SyncFromRequest, SyncReply, SyncSource, SyncState, SyncStatus,
};
use mesh_model::view::ClusterView;

use super::refusal::{Answer, paused, refusal};
use super::report::divergence;
use super::target::resolve;
use super::{Daemon, Mesh};

/// What could not be done, in an error.
const COMPARING: &str = "comparing the log";

impl Daemon {
    /// How this host follows.
    pub(crate) async fn sync(&self) -> Answer<SyncStatus> {
        Ok(self.mesh()?.sync())
    }

    /// Looks for a source anew, and holds this host's log against another's if that is wanted.
    pub(crate) async fn resync(&self, request: ResyncRequest) -> Answer<SyncReply> {
        let mesh = self.mesh()?;
        mesh.group.resync();
        let Some(from) = request.from_index else { return Ok(mesh.steered()) };
        let compared = self.unless_stopping(mesh.group.compare(from)).await?;
        let compared = compared.map_err(|error| {
            mesh.without_agreement(COMPARING).unwrap_or_else(|| not_compared(&error))
        })?;
        let comparison = Some(comparison(&mesh.view(), compared)?);
        Ok(SyncReply { comparison, ..mesh.steered() })
    }

    /// Asks for the whole state.
    pub(crate) async fn sync_fast(&self) -> Answer<SyncReply> {
        let mesh = self.mesh()?;
        mesh.group.sync_fast();
        Ok(mesh.steered())
    }

    /// Asks some members before all others.
    pub(crate) async fn sync_from(&self, request: SyncFromRequest) -> Answer<SyncReply> {
        let mesh = self.mesh()?;
        let view = mesh.view();
        let resolved =
            request.members.iter().map(|text| Ok(resolve(&view, text, Family::V6)?.0.id));
        let members = resolved.collect::<Answer<Vec<MemberId>>>()?;
        mesh.group.sync_from(&members).map_err(|error| not_preferred(&error))?;
        Ok(mesh.steered())
    }
}

impl Mesh {
    fn sync(&self) -> SyncStatus {
        let seen = self.group.sync_status();
        let view = self.view();
        let progress = seen.progress;
        let source = progress.supply.source();
        let report = |source: &SourceReport| {
            let rtt_us = source.round_trip.map(|way| way.as_micros());
            Some(SyncSource {
                member: source.member,
                name: view.members.get(&source.member)?.name.clone(),
                reliability: source.reliability,
                rtt_us: rtt_us.and_then(|us| u64::try_from(us).ok()),
                applied: source.applied,
                wrong: source.wrong,
            })
        };
        SyncStatus {
            state: state(seen.state),
            asks: progress.supply.asks(),
            source: source.and_then(|source| named(&view, source)),
            index: progress.index,
            target: progress.target,
            behind: progress.behind(),
            proven: seen.proven,
            rate: progress.rate,
            left_ms: progress.left().and_then(|left| u64::try_from(left.as_millis()).ok()),
            depth: seen.depth,
            places: PLACES,
            served: all_named(&view, &seen.served),
            turned_away: seen.turned_away,
            preferred: all_named(&view, &progress.preferred),
            sources: progress.sources.iter().filter_map(report).collect(),
            divergences: seen.divergences.into_iter().map(divergence).collect(),
        }
    }

    /// How this host follows, once something was asked of it.
    fn steered(&self) -> SyncReply {
        let SyncStatus { state, asks, preferred, .. } = self.sync();
        SyncReply { state, asks, preferred, comparison: None }
    }
}

/// A state in the words of the API.
fn state(seen: Seen) -> SyncState {
    match seen {
        Seen::Leads => SyncState::Leads,
        Seen::Fed => SyncState::Fed,
        Seen::Follows(_) => SyncState::Follows,
        Seen::Seeking => SyncState::Seeking,
        Seen::Diverged => SyncState::Diverged,
        Seen::Outdated => SyncState::Outdated,
        Seen::Stopped => SyncState::Stopped,
    }
}

/// `member` with its name; `None` if it is none any more.
fn named(view: &ClusterView, member: MemberId) -> Option<MemberName> {
    let name = view.members.get(&member)?.name.clone();
    Some(MemberName { member, name })
}

fn all_named(view: &ClusterView, members: &[MemberId]) -> Vec<MemberName> {
    members.iter().filter_map(|member| named(view, *member)).collect()
}

fn comparison(view: &ClusterView, compared: Comparison) -> Answer<LogComparison> {
    let Comparison { source, from, upto, difference } = compared;
    let source = named(view, source).ok_or_else(|| {
        refusal(
            ErrorCode::UnknownMember,
            format!("{source}, whose log was compared, has left meanwhile"),
            "ask again: another member is asked then",
        )
    })?;
    let difference = difference.map(|Difference { index, here, there, is_upheld }| LogDifference {
        index,
        here: entry(here),
        there: there.map(entry),
        upheld: is_upheld,
    });
    Ok(LogComparison { source, from, upto, difference })
}

fn entry(Held { term, hash }: Held) -> LogEntryHash {
    LogEntryHash { term, hash }
}

/// Why nobody is preferred.
fn not_preferred(error: &PreferenceError) -> ErrorBody {
    let (code, hint) = match error {
        PreferenceError::TooMany(_) => (
            ErrorCode::BadRequest,
            "name those that are nearest; the mesh finds the others by itself",
        ),
        PreferenceError::Itself => {
            (ErrorCode::BadRequest, "name other members; `mesh peers` lists them")
        }
        PreferenceError::NotAMember(_) => {
            (ErrorCode::UnknownMember, "`mesh peers` lists names, ids and addresses")
        }
    };
    refusal(code, error, hint)
}

/// Why no logs were compared.
fn not_compared(error: &CompareError) -> ErrorBody {
    let (code, hint) = match error {
        CompareError::NotApplied { .. } => {
            (ErrorCode::Refused, "`mesh sync status` shows how far this host has come")
        }
        CompareError::NotKept { .. } => (
            ErrorCode::Refused,
            "begin there or later; of what came before compare the state hashes in `mesh status --detailed` at equal \
             index, and if this host lacks something, `mesh sync fast` asks for the whole state",
        ),
        CompareError::NoSource(_) => (
            ErrorCode::Unreachable,
            "`mesh peers` shows who is alive; a later index is kept by more members",
        ),
        CompareError::Stopped => return paused(COMPARING),
    };
    refusal(code, format!("the log was not compared: {error}"), hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn that_agreement_begins_anew_is_no_bug_to_report() {
        assert_eq!(not_compared(&CompareError::Stopped).code, ErrorCode::Unreachable);
    }
}
