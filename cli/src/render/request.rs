//! A statement in words, for the person who is to sign it. They come from the bytes that are signed and from nothing else.

use mesh_model::codec::CodecError;
use mesh_model::trust::{Invite, Request, Ruling, Verdict, VoterPolicy, Wish};

use super::safe;
use crate::moment::Moment;

/// What `request` says.
pub(crate) fn words(request: &Request) -> Result<String, CodecError> {
    Ok(safe(&match request {
        Request::Invite(cosigned) => invite(&cosigned.peek()?),
        Request::Judge(cosigned) => verdict(&cosigned.peek()?),
        Request::SetVoters(cosigned) => policy(&cosigned.peek()?),
        Request::Revoke(cosigned) => {
            format!("invite {} admits nobody any more", cosigned.peek()?.invite)
        }
        Request::ChangeAdmins(cosigned) => cosigned.peek()?.step.to_string(),
    }))
}

fn invite(invite: &Invite) -> String {
    let Invite { id, uses, expires_ms, .. } = invite;
    format!("invite {id} lets {uses} hosts in, until {}", Moment { ms: *expires_ms })
}

fn verdict(verdict: &Verdict) -> String {
    let Verdict { member, identity, ruling, .. } = verdict;
    let what = match ruling {
        Ruling::Banned { until_ms, reason } => {
            let until = until_ms.map(|ms| format!(" until {}", Moment { ms })).unwrap_or_default();
            let why = reason.as_ref().map(|why| format!(", because: {why}")).unwrap_or_default();
            format!("is banned{until}{why}")
        }
        Ruling::Pardoned => "is banned no more".to_owned(),
        Ruling::Removed => "is removed for good".to_owned(),
    };
    format!("member {member}, whose identity is {identity}, {what}")
}

fn policy(policy: &VoterPolicy) -> String {
    let many = match policy.target {
        None => "as many members vote as the mesh chooses".to_owned(),
        Some(target) => format!("{} members vote", target.number()),
    };
    let wishes = policy.wishes.iter().map(|(member, wish)| match wish {
        Wish::Always => format!(", {member} before others"),
        Wish::Never => format!(", {member} never"),
    });
    format!("{many}{}", wishes.collect::<String>())
}
