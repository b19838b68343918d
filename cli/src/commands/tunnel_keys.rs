//! `mesh keys show` and `mesh keys rotate`: the WireGuard keys.

use mesh_model::api::v1::{
    KeyBefore, KeysRotated, MemberKey, MemberName, RotateKeysRequest, TunnelKeys, route,
};

use super::Session;
use super::ban::heard;
use crate::args::KeysRotateArgs;
use crate::exit::{Exit, Failure};
use crate::render::table::Table;
use crate::render::theme::Theme;
use crate::render::{or_nothing, unit, who};

/// Names of members that a line tells; more are counted.
const NAMED: usize = 10;

pub(super) fn show(session: &Session) -> Result<Exit, Failure> {
    let answer = session.client()?.get(route::KEYS)?;
    session.show(&answer, page)
}

pub(super) fn rotate(args: &KeysRotateArgs, session: &Session) -> Result<Exit, Failure> {
    let request = RotateKeysRequest { force: args.force, wait_ms: args.wait.millis() };
    let answer = session.client()?.post(route::KEYS_ROTATE, &request, args.wait.patience())?;
    session.show(&answer, |rotated, _| done(rotated))
}

fn done(rotated: &KeysRotated) -> String {
    let who = who(Some(&rotated.name), rotated.member);
    let kept = match rotated.keeps_before {
        true => "the key before is answered until every member knows of it\n",
        false => "the key before is gone\n",
    };
    format!(
        "{who} has the key {} now; agreed at index {}\n{}{kept}",
        rotated.key,
        rotated.index,
        heard(rotated.applied_by.as_ref()),
    )
}

fn page(keys: &TunnelKeys, theme: Theme) -> String {
    let mut facts = Table::facts();
    facts.fact(theme, "this host", who(Some(&keys.own.name), keys.own.member));
    facts.fact(theme, "key", keys.own.key.to_string());
    facts.fact(theme, "changed", changed(&keys.own));
    if let Some(before) = &keys.before {
        facts.fact(theme, "before", answered(before));
    }
    if let Some(next) = &keys.next {
        facts.fact(
            theme,
            "next",
            format!("{next}, not agreed yet; `mesh keys rotate` tries again"),
        );
    }
    let mut table = Table::new(theme, &["MEMBER", "ID", "KEY", ">CHANGES", ">SINCE"]);
    for member in &keys.members {
        table.row([
            member.name.as_str().into(),
            member.member.to_string().into(),
            member.key.to_string().into(),
            member.serial.to_string().into(),
            or_nothing(member.since_ms.map(unit::since)).into(),
        ]);
    }
    format!("{}\n{}", facts.lines(""), table.lines(""))
}

fn changed(own: &MemberKey) -> String {
    match (own.serial, own.since_ms) {
        (0, _) | (_, None) => "never: it is the one the host joined with".to_owned(),
        (1, Some(since_ms)) => format!("once, {}", unit::since(since_ms)),
        (times, Some(since_ms)) => format!("{times} times, last {}", unit::since(since_ms)),
    }
}

/// For whom the key before is answered still.
fn answered(before: &KeyBefore) -> String {
    let name = |member: &MemberName| who(Some(&member.name), member.member);
    let named: Vec<_> = before.behind.iter().take(NAMED).map(name).collect();
    let more = before.behind.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let whom = match named.is_empty() {
        true => "nobody any more".to_owned(),
        false => format!("{}{more}", named.join(", ")),
    };
    format!(
        "{}, answered for {whom}; ends {} at the latest",
        before.key,
        unit::until(before.until_ms)
    )
}
