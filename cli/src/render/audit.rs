//! The audit trail, newest last, as a log is read.

use std::collections::BTreeMap;

use mesh_model::api::v1::{AuditContent, AuditEntry, AuditSaid, MemberWish, PolicyRule, VoterWish};
use mesh_model::audit::{Actor, Event};
use mesh_model::trust::Name;
use mesh_model::{InviteId, MemberId};

use super::table::Table;
use super::theme::Theme;
use super::{list, or_nothing, safe, who};
use crate::client::Record;
use crate::moment::Moment;

/// What members were called, by id: an id is given once, a name may be given again.
pub(crate) type Names = BTreeMap<MemberId, Name>;

/// How many digits of an invite's id tell it from the others of a mesh: of 11,000 the chance that two share them is
/// one in seventy.
pub(crate) const INVITE_DIGITS: usize = 8;

/// `mesh audit`.
pub(crate) fn table(
    records: &[&Record],
    (names, contents): (&Names, &[AuditContent]),
    theme: Theme,
) -> String {
    let said: BTreeMap<_, _> = contents.iter().map(|found| (found.index, &found.said)).collect();
    let mut table = Table::new(theme, &[">INDEX", "TIME", "BY", "KIND", "WHAT"]);
    for record in records {
        let time = record.at_ms().map(|ms| Moment { ms });
        let (by, what) = match &record.entry {
            Some(entry) => {
                let said = said.get(&entry.index).map(|said| content(said, names));
                (by(&entry.by, names), what(entry, names) + &said.unwrap_or_default())
            }
            None => (or_nothing(None::<u8>), "more than this mesh can read: update it".to_owned()),
        };
        table.row([
            or_nothing(record.index()).into(),
            or_nothing(time).into(),
            by.into(),
            record.kind().into(),
            what.into(),
        ]);
    }
    table.lines("")
}

/// The most rules that are shown of a policy: as many as a line can hold. `mesh policy history` shows all.
const RULES: usize = 3;

/// What an entry only refers to.
fn content(said: &AuditSaid, names: &Names) -> String {
    match said {
        AuditSaid::Invite { range, voter, tags } => {
            let range = range.map(|range| format!(", with addresses of {range}"));
            let voter = if *voter { ", with the right to vote" } else { "" };
            let tags = (!tags.is_empty()).then(|| format!(", tagged {}", list(tags)));
            format!("{}{voter}{}", range.unwrap_or_default(), tags.unwrap_or_default())
        }
        AuditSaid::Voters { target, wishes } => {
            let many = match target {
                None => "as many as the mesh chooses".to_owned(),
                Some(target) => format!("{target} vote"),
            };
            let wishes = wishes.iter().map(|MemberWish { member, wish }| {
                let wish = match wish {
                    VoterWish::Always => "always",
                    VoterWish::Never => "never",
                    VoterWish::Auto => "auto",
                };
                format!(", {} {wish}", named(*member, names))
            });
            format!(": {many}{}", wishes.collect::<String>())
        }
        AuditSaid::Access { rules } if rules.is_empty() => ", nobody may reach anybody".to_owned(),
        AuditSaid::Access { rules } => {
            let more = rules.len().saturating_sub(RULES);
            let more = if more > 0 { format!("; and {more} more") } else { String::new() };
            let rules: Vec<String> = rules.iter().take(RULES).map(rule).collect();
            format!(": {}{more}", rules.join("; "))
        }
        AuditSaid::Unknown => String::new(),
    }
}

fn rule(rule: &PolicyRule) -> String {
    let PolicyRule { from, to, protocol, ports } = rule;
    let ports: String = ports.iter().map(|range| format!(" {range}")).collect();
    safe(&format!("from {} to {}, {protocol}{ports}", from.join(" "), to.join(" ")))
}

fn named(member: MemberId, names: &Names) -> String {
    who(names.get(&member), member)
}

fn short(invite: InviteId) -> String {
    let mut digits = invite.to_string();
    digits.truncate(INVITE_DIGITS);
    digits
}

fn by(actor: &Actor, names: &Names) -> String {
    match actor {
        Actor::Root => "root".to_owned(),
        Actor::Joiner { invite, .. } => format!("invite {}", short(*invite)),
        Actor::Member { member } => named(*member, names),
        Actor::Time => "time".to_owned(),
        Actor::Admins { .. } => actor.to_string(),
        Actor::Members { members } => {
            let names: Vec<_> = members.iter().map(|member| named(*member, names)).collect();
            names.join(", ")
        }
    }
}

fn what(entry: &AuditEntry, names: &Names) -> String {
    match &entry.event {
        Event::InviteAdded { invite, uses, expires_ms } => {
            let uses = if *uses == 1 { "1 use".to_owned() } else { format!("{uses} uses") };
            format!("invite {}: {uses} until {}", short(*invite), Moment { ms: *expires_ms })
        }
        Event::Admitted { member, name } => who(Some(name), *member),
        Event::Banned { member, until_ms, reason } => {
            let until = until_ms.map(|ms| format!(" until {}", Moment { ms })).unwrap_or_default();
            let why = reason.as_ref().map(|why| format!(": {}", safe(&why.to_string())));
            format!("{}{until}{}", named(*member, names), why.unwrap_or_default())
        }
        Event::InviteRevoked { invite } => format!("invite {}", short(*invite)),
        Event::VotersSet { serial } => format!("policy {serial} on who votes"),
        Event::AdminAdded { admin, name, key } => format!("{name} ({admin}): {key}"),
        Event::AdminRemoved { admin, invites_revoked: false } => admin.to_string(),
        Event::AdminRemoved { admin, invites_revoked: true } => {
            format!("{admin} and the invites it made")
        }
        Event::AdminThreshold { threshold } => format!("{threshold} to change the admins"),
        Event::Tagged { member, tags, .. } => format!("{}: {}", named(*member, names), list(tags)),
        Event::AccessSet { serial, rules } => {
            let rules = if *rules == 1 { "1 rule".to_owned() } else { format!("{rules} rules") };
            format!("policy {serial} on who may reach whom: {rules}")
        }
        Event::EpochBegan { number, from, voter, reason } => {
            let why = reason.as_ref().map(|why| format!(": {}", safe(&why.to_string())));
            let voter = named(*voter, names);
            format!("epoch {number} from index {from} of {voter}{}", why.unwrap_or_default())
        }
        Event::Excluded { member, until_ms, lineages, misconduct } => {
            let (member, until) = (named(*member, names), Moment { ms: *until_ms });
            let lineages = format!("{lineages} lineages could have reported it");
            format!("{member} until {until}: {}; {lineages}", list(misconduct))
        }
        Event::Rekeyed { member, key, .. } => format!("{}: {key}", named(*member, names)),
        Event::Departed { member }
        | Event::Pardoned { member }
        | Event::Removed { member }
        | Event::BanLapsed { member } => named(*member, names),
    }
}
