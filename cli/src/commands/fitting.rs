//! Whether a statement is what was asked for. A daemon puts it into words, and a key signs whatever it is given: one that
//! was broken into could hand out another statement than the one wanted, and have an admin's key sign that.
//!
//! What only the daemon can tell is read out before it is signed: whom a name or an overlay address means, which tags a member has
//! besides, and what else stands of a policy on who votes.

use mesh_model::access::{PortRange, Rule, Selector};
use mesh_model::api::v1::{PolicyRule, VoterWish, Wanted};
use mesh_model::codec::CodecError;
use mesh_model::trust::{
    AccessPolicy, AdminStep, Invite, Request, Ruling, Tag, Tagging, VoterPolicy, VoterTarget, Wish,
};
use mesh_model::{InviteId, MemberId};

use crate::moment::Moment;

/// How far the daemon's clock may be from this one: it puts lengths of time into words as points in time. Ten minutes are more
/// than any two clocks differ that keep time at all, and make no ban or invite another one.
const CLOCK_TOLERANCE_MS: u64 = 10 * 60 * 1000;

/// Whether `request`, which was made a moment before `now`, says what is `wanted`.
pub(super) fn fits(wanted: &Wanted, request: &Request, now: Moment) -> Result<bool, CodecError> {
    Ok(match request {
        Request::ChangeAdmins(change) => step_fits(wanted, &change.peek()?.step),
        Request::Judge(verdict) => {
            let verdict = verdict.peek()?;
            ruling_fits(wanted, verdict.member, &verdict.ruling, now)
        }
        Request::SetVoters(policy) => policy_fits(wanted, &policy.peek()?),
        Request::Revoke(revocation) => {
            let revoked = revocation.peek()?.invite.to_string();
            matches!(wanted, Wanted::RevokeInvite { invite }
                if revoked.starts_with(&invite.trim().to_ascii_lowercase()))
        }
        Request::Invite(invite) => invite_fits(wanted, &invite.peek()?, now),
        Request::Tag(tagging) => tags_fit(wanted, &tagging.peek()?),
        Request::SetAccess(policy) => access_fits(wanted, &policy.peek()?),
        Request::BeginEpoch(_) => false,
    })
}

fn invite_fits(wanted: &Wanted, invite: &Invite, now: Moment) -> bool {
    let Wanted::Invite { key, uses, lifetime_s, range, voter, tags } = wanted else { return false };
    // Its key above all: the secret of another one would be somebody else's.
    invite.key == *key
        && invite.id == InviteId::of_key(key)
        && invite.uses == *uses
        && invite.expires_ms.checked_sub(invite.created_ms) == lifetime_s.checked_mul(1000)
        && is_near(invite.created_ms, now.ms)
        && invite.range == *range
        && invite.voter == *voter
        && invite.tags == *tags
}

/// Which tags the member has besides, only the daemon can tell.
fn tags_fit(wanted: &Wanted, tagging: &Tagging) -> bool {
    let Wanted::Tag { member, add, remove } = wanted else { return false };
    may_be(member, tagging.member)
        && tagging.tags.is_superset(add)
        && tagging.tags.is_disjoint(remove)
}

fn access_fits(wanted: &Wanted, policy: &AccessPolicy) -> bool {
    let Wanted::Policy { rules } = wanted else { return false };
    rules.len() == policy.rules.len()
        && rules.iter().zip(&policy.rules).all(|(words, rule)| rule_fits(words, rule))
}

fn rule_fits(words: &PolicyRule, rule: &Rule) -> bool {
    let side = |words: &[String], side: &[Selector]| {
        words.len() == side.len() && words.iter().zip(side).all(|(word, is)| selects(word, is))
    };
    let ports: Result<Vec<PortRange>, _> = words.ports.iter().map(|text| text.parse()).collect();
    side(&words.from, &rule.from)
        && side(&words.to, &rule.to)
        && words.protocol == rule.protocol
        && ports.is_ok_and(|ports| ports == rule.ports)
}

/// Whether `word` can stand for `selector`.
fn selects(word: &str, selector: &Selector) -> bool {
    match selector {
        Selector::Any => word == Selector::ANY,
        Selector::Tag(tag) => {
            Tag::is_meant(word) && word.parse().is_ok_and(|meant: Tag| meant == *tag)
        }
        Selector::Member(member) => {
            word != Selector::ANY && !Tag::is_meant(word) && may_be(word, *member)
        }
    }
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

fn ruling_fits(wanted: &Wanted, about: MemberId, ruling: &Ruling, now: Moment) -> bool {
    let ends = |for_s: Option<u64>, until_ms: Option<u64>| match (for_s, until_ms) {
        (None, None) => true,
        (Some(for_s), Some(until_ms)) => {
            is_near(until_ms, now.ms.saturating_add(for_s.saturating_mul(1000)))
        }
        _ => false,
    };
    match (wanted, ruling) {
        (Wanted::Ban { member, for_s, reason }, Ruling::Banned { until_ms, reason: why }) => {
            may_be(member, about) && reason == why && ends(*for_s, *until_ms)
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

fn is_near(ms: u64, expected_ms: u64) -> bool {
    ms.abs_diff(expected_ms) <= CLOCK_TOLERANCE_MS
}

/// Whether `text` can mean `member`: an id says whom, a name or an address does not.
fn may_be(text: &str, member: MemberId) -> bool {
    text.parse::<MemberId>().map_or(true, |meant| meant == member)
}
