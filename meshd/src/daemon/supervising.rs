//! `mesh supervisor`: who leads, who led, and who shall.

use mesh_control::raft::{
    Cause, HandOverRefusal, Reason, Role as GroupRole, TransferError, Transition as Seen,
};
use mesh_model::MemberId;
use mesh_model::api::v1::{
    ErrorBody, ErrorCode, Family, RaftRole, Supervisor, SupervisorHistory, TransferReply,
    TransferRequest, Transition, TransitionCause, VoteReason,
};

use super::Daemon;
use super::refusal::{Answer, internal, paused, refusal};
use super::target::resolve;

/// What could not be done, in an error.
const HANDING_OVER: &str = "handing over the lead";

impl Daemon {
    /// Who leads.
    pub(crate) async fn supervisor(&self) -> Answer<Supervisor> {
        let mesh = self.mesh()?;
        let status = mesh.group.status();
        let leader = status.leadership.leader;
        let view = mesh.view();
        let name = leader.and_then(|leader| view.members.get(&leader));
        let (seen, _) = mesh.group.history();
        Ok(Supervisor {
            term: status.leadership.term,
            leader,
            name: name.map(|member| member.name.clone()),
            is_self: leader == Some(mesh.me),
            voters: status.voters,
            last: seen.iter().rfind(|seen| !seen.cause.is_of_votes()).map(transition),
            transfers_refused: mesh.group.transfers_refused(),
        })
    }

    /// Who led and who voted, as this host saw it.
    pub(crate) async fn supervisor_history(&self) -> Answer<SupervisorHistory> {
        let (seen, forgotten) = self.mesh()?.group.history();
        Ok(SupervisorHistory { forgotten, transitions: seen.iter().map(transition).collect() })
    }

    /// Has another member lead.
    pub(crate) async fn transfer(&self, request: TransferRequest) -> Answer<TransferReply> {
        let mesh = self.mesh()?;
        let view = mesh.view();
        let to = match &request.to {
            Some(text) => Some(resolve(&view, text, Family::V6)?.0.id),
            None => None,
        };
        let led = self.unless_stopping(mesh.group.transfer(to)).await?;
        let led = led.map_err(|error| {
            mesh.without_agreement(HANDING_OVER).unwrap_or_else(|| not_transferred(&error))
        })?;
        let leader = led.leader.ok_or_else(|| internal("a transfer came to no supervisor"))?;
        let name = mesh.view().members.get(&leader).map(|member| member.name.clone());
        Ok(TransferReply { term: led.term, leader, name })
    }
}

/// A part in agreement, in the words of the API.
pub(super) fn raft_role(role: GroupRole) -> RaftRole {
    match role {
        GroupRole::Leader => RaftRole::Leader,
        GroupRole::Follower => RaftRole::Follower,
        GroupRole::Candidate => RaftRole::Candidate,
        GroupRole::Learner => RaftRole::Learner,
        GroupRole::Stopped => RaftRole::Stopped,
    }
}

fn transition(seen: &Seen) -> Transition {
    let (cause, of) = cause(seen.cause);
    Transition {
        at_ms: seen.at_ms,
        term: seen.now.term,
        leader: seen.now.leader,
        role: raft_role(seen.now.role),
        cause,
        of,
        reason: match seen.cause {
            Cause::VoteGiven(_, why) | Cause::VoteTaken(_, why) => Some(reason(why)),
            _ => None,
        },
    }
}

fn cause(cause: Cause) -> (TransitionCause, Option<MemberId>) {
    match cause {
        Cause::Started => (TransitionCause::Started, None),
        Cause::Voted(member) => (TransitionCause::Voted, Some(member)),
        Cause::Elected(after) => (TransitionCause::Elected, after),
        Cause::Transferred(member) => (TransitionCause::Transferred, Some(member)),
        Cause::Retired(member) => (TransitionCause::Retired, Some(member)),
        Cause::FellSilent(member) => (TransitionCause::FellSilent, Some(member)),
        Cause::LostMajority => (TransitionCause::LostMajority, None),
        Cause::Heard => (TransitionCause::Heard, None),
        Cause::GotVote => (TransitionCause::GotVote, None),
        Cause::LostVote => (TransitionCause::LostVote, None),
        Cause::Stopped => (TransitionCause::Stopped, None),
        Cause::VoteGiven(member, _) => (TransitionCause::VoteGiven, Some(member)),
        Cause::VoteTaken(member, _) => (TransitionCause::VoteTaken, Some(member)),
    }
}

fn reason(reason: Reason) -> VoteReason {
    match reason {
        Reason::Target(target) => VoteReason::Target { target },
        Reason::Wish => VoteReason::Wish,
        Reason::WithoutRight => VoteReason::WithoutRight,
        Reason::Gone => VoteReason::Gone,
        Reason::Silent(for_s) => VoteReason::Silent { for_s },
        Reason::InPlaceOf(member) => VoteReason::InPlaceOf { member },
        Reason::MadeRoomFor(member) => VoteReason::MadeRoomFor { member },
        Reason::Spread => VoteReason::Spread,
        Reason::Even => VoteReason::Even,
        Reason::Decided(by) => VoteReason::Decided { by },
    }
}

/// Why nobody was handed the lead.
fn not_transferred(error: &TransferError) -> ErrorBody {
    let (code, hint) = match error {
        TransferError::Refused(refused) => (ErrorCode::Refused, remedy(refused)),
        TransferError::NoQuorum => (
            ErrorCode::NoQuorum,
            "traffic goes on without it; `mesh status` shows the voters, bring one back and try again",
        ),
        TransferError::Elsewhere(_) => {
            (ErrorCode::Refused, "see `mesh supervisor history`, and try again")
        }
        TransferError::Timeout => {
            (ErrorCode::TimedOut, "`mesh supervisor status` shows who leads by now")
        }
        TransferError::Stopped => return paused(HANDING_OVER),
    };
    refusal(code, format!("the lead was not handed over: {error}"), hint)
}

fn remedy(refused: &HandOverRefusal) -> &'static str {
    match refused {
        HandOverRefusal::NotAVoter(_) => "`mesh supervisor` lists the voters",
        HandOverRefusal::NotReady(_) | HandOverRefusal::NobodyReady => {
            "`mesh peers` shows who is alive; wait until it is, or choose another voter"
        }
        HandOverRefusal::NobodyElse => {
            "a mesh of three members gets three voters; invite more with `mesh invite`"
        }
        HandOverRefusal::TooSoon { .. } => {
            "wait for that long, or ask on the supervisor's own host, which may at any time"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn that_agreement_begins_anew_is_no_bug_to_report() {
        assert_eq!(not_transferred(&TransferError::Stopped).code, ErrorCode::Unreachable);
    }
}
