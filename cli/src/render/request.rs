//! A statement in words, for the person who is to sign it. They come from the bytes that are signed and from nothing else.

use std::fmt::Display;

use mesh_model::access::Rule;
use mesh_model::codec::CodecError;
use mesh_model::trust::{
    AccessPolicy, Invite, Request, Ruling, Tagging, Verdict, VoterPolicy, Wish,
};

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
        Request::Tag(cosigned) => tagging(&cosigned.peek()?),
        Request::SetAccess(cosigned) => return Ok(access(&cosigned.peek()?)),
        Request::BeginEpoch(cosigned) => cosigned.peek()?.to_string(),
    }))
}

fn invite(invite: &Invite) -> String {
    let Invite { id, uses, expires_ms, range, voter, tags, .. } = invite;
    let hosts = if *uses == 1 { "one host".to_owned() } else { format!("{uses} hosts") };
    let range = range.map(|range| format!(", with addresses of {range}")).unwrap_or_default();
    let voter = if *voter { ", with the right to vote" } else { "" };
    let tags = match tags.is_empty() {
        true => String::new(),
        false => format!(", tagged {}", list(tags)),
    };
    format!("invite {id} lets {hosts} in, until {}{range}{voter}{tags}", Moment { ms: *expires_ms })
}

fn tagging(tagging: &Tagging) -> String {
    let Tagging { member, identity, tags, .. } = tagging;
    let tags =
        if tags.is_empty() { "no tags".to_owned() } else { format!("the tags {}", list(tags)) };
    format!("member {member}, whose identity is {identity}, has {tags}")
}

/// A policy, each rule on a line of its own.
fn access(policy: &AccessPolicy) -> String {
    let AccessPolicy { serial, rules, .. } = policy;
    if rules.is_empty() {
        return format!("policy {serial}: nobody may reach anybody");
    }
    let rules: String = rules.iter().map(|rule| format!("\n  {}", safe(&sentence(rule)))).collect();
    format!("policy {serial}: this is allowed, and nothing else{rules}")
}

fn sentence(rule: &Rule) -> String {
    let Rule { from, to, protocol, ports } = rule;
    let ports: String = ports.iter().map(|range| format!(" {range}")).collect();
    format!("from {} to {}, {protocol}{ports}", list(from), list(to))
}

fn list<T: Display>(items: impl IntoIterator<Item = T>) -> String {
    let words: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    words.join(" ")
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
