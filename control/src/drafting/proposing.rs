//! From a request that has its signatures to what is proposed.

use mesh_model::codec::Message;
use mesh_model::trust::Request;
use mesh_model::{Cosigned, Signed};

use crate::command::Command;
use crate::state::Admins;

/// How many of `admins` have to sign `request`.
pub fn signatures_needed(request: &Request, admins: &Admins) -> u8 {
    match request {
        Request::ChangeAdmins(_) | Request::BeginEpoch(_) => admins.threshold(),
        _ => 1,
    }
}

/// Why a request is not to be proposed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unproposable {
    /// No admin has signed what one has to sign.
    #[error("no admin has signed it")]
    Unsigned,
    /// It begins an epoch, which nobody is there to agree on.
    #[error("a new epoch is not agreed on: it is for a mesh that can agree on nothing any more")]
    NewEpoch,
}

/// What is proposed to have `request` agreed, with the signatures that count.
pub fn command(request: Request, admins: &Admins) -> Result<Command, Unproposable> {
    Ok(match request {
        Request::Invite(cosigned) => Command::Invite(by_admin(&cosigned, admins)?),
        Request::Judge(cosigned) => Command::Judge(by_admin(&cosigned, admins)?),
        Request::SetVoters(cosigned) => Command::SetVoters(by_admin(&cosigned, admins)?),
        Request::Revoke(cosigned) => Command::Revoke(by_admin(&cosigned, admins)?),
        Request::ChangeAdmins(cosigned) => Command::ChangeAdmins(cosigned),
        Request::Tag(cosigned) => Command::Tag(by_admin(&cosigned, admins)?),
        Request::SetAccess(cosigned) => Command::SetAccess(by_admin(&cosigned, admins)?),
        Request::BeginEpoch(_) => return Err(Unproposable::NewEpoch),
    })
}

/// The statement with the signature of one admin.
fn by_admin<T: Message>(
    cosigned: &Cosigned<T>,
    admins: &Admins,
) -> Result<Signed<T>, Unproposable> {
    let mut keys = cosigned.signers().filter(|key| admins.by_key(key).is_some());
    keys.next().and_then(|key| cosigned.signed_by(key)).ok_or(Unproposable::Unsigned)
}
