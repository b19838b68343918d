//! `mesh sync`: where this host has what is agreed from.

use std::time::Duration;

use mesh_model::api::v1::{LogComparison, LogDifference, MemberName, SyncState, SyncStatus};

use super::status::{SHORT_HASH, diverged};
use super::table::{Cell, Table};
use super::theme::Theme;
use super::{or_nothing, unit, who};

/// `mesh sync status`.
pub(crate) fn page(sync: &SyncStatus, theme: Theme) -> String {
    let mut facts = Table::facts();
    for divergence in &sync.divergences {
        facts.row([Cell::styled("diverged", theme.bad_style()), diverged(divergence).into()]);
    }
    facts.fact(theme, "state", state(sync, theme));
    facts.fact(theme, "log", log(sync));
    facts.fact(theme, "rate", rate(sync));
    facts.fact(theme, "proven", format!("up to {}", sync.proven));
    facts.fact(theme, "depth", or_nothing(sync.depth));
    let served = format!("{} of {} places taken", sync.served.len(), sync.places);
    facts.fact(theme, "serves", format!("{}; {served}", members(&sync.served)));
    facts.fact(theme, "turned away", sync.turned_away.to_string());
    facts.fact(theme, "prefers", members(&sync.preferred));
    let mut text = facts.lines("");
    if !sync.sources.is_empty() {
        text.push('\n');
        text += &sources(sync, theme);
    }
    text
}

fn state(sync: &SyncStatus, theme: Theme) -> Cell {
    let source = || sync.source.as_ref().map_or_else(|| "nobody".to_owned(), member);
    let plain = |text: &str| Cell::from(text);
    let bad = |text: &str| Cell::styled(text, theme.bad_style());
    match sync.state {
        SyncState::Leads => plain("leads"),
        SyncState::Fed => plain("fed by the supervisor"),
        SyncState::Follows => format!("follows {}", source()).into(),
        SyncState::Seeking => Cell::styled("seeking a source", theme.doubtful_style()),
        SyncState::Diverged if sync.source.is_some() => {
            bad(&format!("diverged, follows {}", source()))
        }
        SyncState::Diverged => bad("diverged"),
        SyncState::Outdated => bad("outdated: upgrade meshd on this host"),
        SyncState::Stopped => bad("stopped: `mesh status` says why"),
        SyncState::Unknown => plain("in a state that this mesh does not know"),
    }
}

fn log(sync: &SyncStatus) -> String {
    match sync.behind {
        0 => format!("{} of {}", sync.index, sync.target),
        behind => format!("{} of {}, {behind} behind", sync.index, sync.target),
    }
}

fn rate(sync: &SyncStatus) -> String {
    let rate = format!("{:.1} entries/s", sync.rate);
    match sync.left_ms {
        None => rate,
        Some(left) => format!("{rate}, level in {}", unit::duration(Duration::from_millis(left))),
    }
}

fn sources(sync: &SyncStatus, theme: Theme) -> String {
    let heads = ["SOURCE", "ID", ">RELIABILITY", ">RTT", ">APPLIED", ">WRONG"];
    let mut table = Table::new(theme, &heads);
    for source in &sync.sources {
        table.row([
            source.name.as_str().into(),
            source.member.to_string().into(),
            format!("{}%", source.reliability).into(),
            unit::rtt(source.rtt_us).into(),
            source.applied.to_string().into(),
            source.wrong.to_string().into(),
        ]);
    }
    table.lines("")
}

fn member(named: &MemberName) -> String {
    who(Some(&named.name), named.member)
}

/// Members by name and id, or `nobody`.
pub(crate) fn members(named: &[MemberName]) -> String {
    if named.is_empty() {
        return "nobody".to_owned();
    }
    named.iter().map(member).collect::<Vec<_>>().join(", ")
}

/// What came of holding two logs against each other.
pub(crate) fn comparison(compared: &LogComparison) -> String {
    let LogComparison { source, from, upto, difference } = compared;
    let source = member(source);
    let Some(LogDifference { index, here, there, upheld }) = difference else {
        return format!("from index {from} to {upto} its log is that of {source}\n");
    };
    let short = |hash: &str| super::safe(hash.get(..SHORT_HASH).unwrap_or(hash));
    let here = format!("here {} of term {}", short(&here.hash), here.term);
    let there = match there {
        Some(there) => format!("there {} of term {}", short(&there.hash), there.term),
        None => "there something else, at that index or before".to_owned(),
    };
    let verdict = match upheld {
        true => format!("a majority of the voters signed what is here: look at {source}"),
        false => {
            "which of the two is wrong is not known: compare with another, `mesh sync from PEER`"
                .to_owned()
        }
    };
    format!(
        "from index {from} on its log differs from that of {source}\nfirst at {index}: {here}, {there}\n{verdict}\n"
    )
}
