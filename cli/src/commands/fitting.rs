//! Whether a statement is what was asked for. A daemon puts it into words, and a key signs whatever it is given: one that
//! was broken into could hand out another statement than the one wanted, and have an admin's key sign that.
//!
//! Names and overlay addresses only the daemon can tell; what it made of them is read out before it is signed.

use mesh_model::MemberId;
use mesh_model::api::v1::{VoterWish, Wanted};
use mesh_model::codec::CodecError;
use mesh_model::trust::{AdminStep, Request, Ruling, VoterPolicy, VoterTarget, Wish};

/// Whether `request` says what is `wanted`.
pub(super) fn fits(wanted: &Wanted, request: &Request) -> Result<bool, CodecError> {
    Ok(match request {
        Request::ChangeAdmins(change) => step_fits(wanted, &change.peek()?.step),
        Request::Judge(verdict) => {
            let verdict = verdict.peek()?;
            ruling_fits(wanted, verdict.member, &verdict.ruling)
        }
        Request::SetVoters(policy) => policy_fits(wanted, &policy.peek()?),
        Request::Revoke(revocation) => {
            let revoked = revocation.peek()?.invite.to_string();
            matches!(wanted, Wanted::RevokeInvite { invite }
                if revoked.starts_with(&invite.trim().to_ascii_lowercase()))
        }
        Request::Invite(_) => false,
    })
}

fn step_fits(wanted: &Wanted, step: &AdminStep) -> bool {
    match (wanted, step) {
        (Wanted::AddAdmin { name, key }, AdminStep::Add { name: named, key: held }) => {
            name == named && key == held
        }
        (
            Wanted::RemoveAdmin { admin, revoke_invites },
            AdminStep::Remove { admin: id, name, revoke_invites: revokes },
        ) => revoke_invites == revokes && (name.as_str() == admin || id.to_string() == *admin),
        (Wanted::AdminThreshold { threshold }, AdminStep::Threshold(number)) => threshold == number,
        _ => false,
    }
}

fn ruling_fits(wanted: &Wanted, about: MemberId, ruling: &Ruling) -> bool {
    match (wanted, ruling) {
        (Wanted::Ban { member, for_s, reason }, Ruling::Banned { until_ms, reason: why }) => {
            may_be(member, about) && reason == why && for_s.is_some() == until_ms.is_some()
        }
        (Wanted::Unban { member }, Ruling::Pardoned)
        | (Wanted::Remove { member }, Ruling::Removed) => may_be(member, about),
        _ => false,
    }
}

fn policy_fits(wanted: &Wanted, policy: &VoterPolicy) -> bool {
    let is = |wish: VoterWish, found: Option<&Wish>| match wish {
        VoterWish::Auto => found.is_none(),
        VoterWish::Always => found == Some(&Wish::Always),
        VoterWish::Never => found == Some(&Wish::Never),
    };
    match wanted {
        Wanted::VoterTarget { target } => policy.target.map(VoterTarget::number) == *target,
        Wanted::VoterWish { member, wish } => match member.parse::<MemberId>() {
            Ok(member) => is(*wish, policy.wishes.get(&member)),
            Err(_) => {
                *wish == VoterWish::Auto
                    || policy.wishes.values().any(|found| is(*wish, Some(found)))
            }
        },
        _ => false,
    }
}

/// Whether `text` can mean `member`: an id says whom, a name or an address does not.
fn may_be(text: &str, member: MemberId) -> bool {
    text.parse::<MemberId>().map_or(true, |meant| meant == member)
}
