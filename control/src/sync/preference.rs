//! Whom the operator wants to be asked first.

use mesh_model::MemberId;

/// The most members that may be preferred: more than anybody names one by one.
pub const MAX_PREFERRED: usize = 16;

/// Why somebody is not preferred.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PreferenceError {
    /// Too long a list.
    #[error("{0} members are too many to prefer: at most {MAX_PREFERRED}")]
    TooMany(usize),
    /// This member.
    #[error("this host cannot follow itself")]
    Itself,
    /// Somebody that is not there.
    #[error("{0} is no member")]
    NotAMember(MemberId),
}

/// `wanted` without repetition, if `me` can prefer them.
pub(super) fn check(
    wanted: &[MemberId],
    me: MemberId,
    is_member: impl Fn(&MemberId) -> bool,
) -> Result<Vec<MemberId>, PreferenceError> {
    let mut preferred: Vec<MemberId> = Vec::new();
    for member in wanted {
        if *member == me {
            return Err(PreferenceError::Itself);
        }
        if !is_member(member) {
            return Err(PreferenceError::NotAMember(*member));
        }
        if preferred.contains(member) {
            continue;
        }
        if preferred.len() == MAX_PREFERRED {
            return Err(PreferenceError::TooMany(wanted.len()));
        }
        preferred.push(*member);
    }
    Ok(preferred)
}
