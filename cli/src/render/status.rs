//! Everything at one glance.

use std::time::Duration;

use mesh_model::MemberId;
use mesh_model::api::v1::{
    DaemonState, Divergence, EpochInfo, FarStamp, GossipState, KeyStage, KeyStatus, RaftRole,
    RaftStatus, Status,
};
use mesh_model::trust::Name;

use super::table::{Cell, Table};
use super::theme::Theme;
use super::{list, peers, safe, term, unit, who};

/// The digits of a hash that are shown at one glance: enough to see that two hosts agree.
pub(super) const SHORT_HASH: usize = 12;

/// `mesh status`.
pub(crate) fn page(status: &Status, detailed: bool, theme: Theme) -> String {
    if status.state == DaemonState::NotJoined {
        return not_joined(status);
    }
    let mut text = head(status, detailed, theme);
    text.push('\n');
    text += &peers::summary(&status.peers, theme);
    if detailed {
        text += &details(status, theme);
    }
    text
}

fn not_joined(status: &Status) -> String {
    format!(
        "meshd {} is running and belongs to no mesh yet.\n\n  \
         mesh init    start a mesh with this host as its first member\n  \
         mesh join    join one, with a token that `mesh invite` made on a member\n",
        safe(&status.version)
    )
}

fn head(status: &Status, detailed: bool, theme: Theme) -> String {
    let mut facts = Table::facts();
    if let Some(degraded) = &status.degraded {
        facts.row([Cell::styled("degraded", theme.bad_style()), (&degraded.message).into()]);
        facts.row([Cell::styled("what to do", theme.bad_style()), (&degraded.hint).into()]);
    }
    if let Some(divergence) = status.divergences.first() {
        let alarm = diverged(divergence);
        facts.row([Cell::styled("diverged", theme.bad_style()), (&alarm).into()]);
        let remedy = "compare `mesh status` on them, and ban the one that is wrong with `mesh ban`: that ends it";
        facts.row([Cell::styled("what to do", theme.bad_style()), remedy.into()]);
    }
    if let Some(far) = &status.far_stamp {
        facts.row([Cell::styled("clock", theme.bad_style()), far_stamped(status, far).into()]);
        let remedy = "set the clock that is wrong, this host's or that one's; if none is, look at `mesh audit` and ban who led with `mesh ban`";
        facts.row([Cell::styled("what to do", theme.bad_style()), remedy.into()]);
    }
    if let Some(epoch) = &status.epoch {
        tell_epoch(epoch, &mut facts, theme);
    }
    let mut fact = |label: &str, value: String| facts.fact(theme, label, value);
    match (&status.mesh_name, &status.mesh) {
        (Some(name), Some(mesh)) => fact("mesh", format!("{name} ({mesh})")),
        (Some(name), None) => fact("mesh", name.to_string()),
        (None, mesh) => fact("mesh", super::or_nothing(mesh.as_ref())),
    }
    if let Some(member) = status.member {
        let role = match (status.role, &status.degraded) {
            (Some(role), _) => peers::role(role),
            (None, Some(_)) => "no part in agreement",
            (None, None) => "no role yet",
        };
        let host = who(status.name.as_ref(), member);
        fact("this host", format!("{host}, {role}"));
    }
    if let Some(addrs) = &status.addrs {
        fact("addresses", format!("{} {}", addrs.v4, addrs.v6));
    }
    let interface = status.interface.as_deref().unwrap_or("no interface");
    fact("device", format!("{interface}, udp port {}", status.listen_port));
    if let Some(raft) = &status.raft {
        fact("supervisor", supervisor(status, raft));
        fact("log", format!("committed {}, applied {}", raft.commit, raft.applied));
        fact("state hash", hash(raft, detailed));
    }
    fact("members", members(status));
    if let Some(told) = status.key.as_ref().and_then(key) {
        fact("key", told);
    }
    let uptime = unit::duration(Duration::from_secs(status.uptime_s));
    fact("meshd", format!("{}, up {uptime}", status.version));
    facts.lines("")
}

/// Whose stamp is from the future, and what follows from it.
fn far_stamped(status: &Status, far: &FarStamp) -> String {
    let by = far.by.map(|by| format!(" by {}", who(name_of(status, by), by))).unwrap_or_default();
    format!(
        "index {} was stamped{by} with a time that comes {} by this host's clock; bans may end early by it, and invites expire",
        far.index,
        unit::until(far.at_ms)
    )
}

/// What there is to know of this host's WireGuard key, if anything.
fn key(key: &KeyStatus) -> Option<String> {
    Some(match (key.stage, key.is_old) {
        (KeyStage::Prepared, _) => {
            "a new one is not agreed yet; `mesh keys rotate` tries again".to_owned()
        }
        (KeyStage::Agreed, _) => format!(
            "changed {}; the one before is answered still, `mesh keys` says for whom",
            unit::since(key.since_ms)
        ),
        (KeyStage::Settled, true) => {
            "more than a year old; `mesh keys rotate` changes it".to_owned()
        }
        (KeyStage::Settled, false) => return None,
    })
}

/// The epoch, if the mesh began another or somebody says so.
fn tell_epoch(epoch: &EpochInfo, facts: &mut Table, theme: Theme) {
    if let Some(obstacle) = &epoch.obstacle {
        facts.row([Cell::styled("other epoch", theme.bad_style()), (&obstacle.message).into()]);
        facts.row([Cell::styled("what to do", theme.bad_style()), (&obstacle.hint).into()]);
    }
    let mut head = epoch.head.to_string();
    head.truncate(SHORT_HASH);
    facts.fact(theme, "epoch", format!("{} ({head})", epoch.number));
    if let Some(aside) = &epoch.set_aside {
        let kept = match aside.contained {
            true => "nothing of it is lost",
            false => "part of it is void: look at `mesh audit`, and make what is missing again",
        };
        let told = format!(
            "the log of epoch {} up to index {} (applied {}); {kept}",
            aside.epoch, aside.last, aside.applied
        );
        facts.fact(theme, "set aside", told);
    }
}

/// Who differs, and what follows from it.
pub(super) fn diverged(divergence: &Divergence) -> String {
    let parties = divergence.parties.iter();
    let named: Vec<String> = parties
        .map(|party| {
            let hash = party.state_hash.to_string();
            format!("{} has {}", party.member, hash.get(..SHORT_HASH).unwrap_or(&hash))
        })
        .collect();
    format!(
        "at index {} members hold different states ({}); nobody comes in here and no vote changes hands",
        divergence.index,
        named.join(", ")
    )
}

fn supervisor(status: &Status, raft: &RaftStatus) -> String {
    let who = match raft.leader {
        None => "none".to_owned(),
        Some(leader) if Some(leader) == status.member => {
            format!("{}, this host", who(status.name.as_ref(), leader))
        }
        Some(leader) => who(name_of(status, leader), leader),
    };
    format!("{who}, term {}", term(raft.term))
}

fn name_of(status: &Status, member: MemberId) -> Option<&Name> {
    if status.member == Some(member) {
        return status.name.as_ref();
    }
    let peer = status.peers.iter().find(|peer| peer.member == member)?;
    Some(&peer.name)
}

fn hash(raft: &RaftStatus, whole: bool) -> String {
    let mut text = raft.state_hash.to_string();
    if !whole {
        text.truncate(SHORT_HASH);
    }
    text
}

fn members(status: &Status) -> String {
    let count = |state| {
        let peers = status.peers.iter();
        peers.filter(|peer| peer.state == state).count()
    };
    let mut text = status.members.to_string();
    for (state, word) in [
        (GossipState::Suspect, "suspect"),
        (GossipState::Dead, "dead"),
        (GossipState::Unknown, "not heard of yet"),
    ] {
        match count(state) {
            0 => {}
            some => text += &format!(", {some} {word}"),
        }
    }
    text
}

fn details(status: &Status, theme: Theme) -> String {
    let mut text = String::new();
    let mut section = |title: &str, lines: String| {
        text += &format!("\n{}\n{lines}", theme.bold(title));
    };
    if let Some(raft) = &status.raft {
        section("raft", raft_section(raft, theme));
    }
    section("gossip", gossip_section(status, theme));
    section("drops", drops_section(status));
    section("packet path", packet_path_section(status, theme));
    section("offloads", offloads_section(status));
    text
}

fn raft_section(raft: &RaftStatus, theme: Theme) -> String {
    let mut facts = Table::facts();
    facts.fact(theme, "role", role(raft.role));
    facts.fact(theme, "voters", list(&raft.voters));
    facts.fact(theme, "learners", list(&raft.learners));
    facts.fact(theme, "edition", edition(raft));
    facts.lines("  ")
}

/// What the mesh is in, and what this host would read.
fn edition(raft: &RaftStatus) -> String {
    match raft.reads > raft.edition {
        true => format!("{}, this host reads {}", raft.edition, raft.reads),
        false => raft.edition.to_string(),
    }
}

/// A part in agreement, as a word.
pub(crate) fn role(role: RaftRole) -> &'static str {
    match role {
        RaftRole::Leader => "leader",
        RaftRole::Follower => "follower",
        RaftRole::Candidate => "candidate",
        RaftRole::Learner => "learner",
        RaftRole::Stopped => "stopped",
    }
}

fn gossip_section(status: &Status, theme: Theme) -> String {
    let mut table = Table::new(theme, &["NAME", "ID", "STATE", ">INCARNATION"]);
    for seen in &status.gossip {
        table.row([
            super::or_nothing(name_of(status, seen.member)).into(),
            seen.member.to_string().into(),
            peers::state(seen.state, theme),
            seen.incarnation.to_string().into(),
        ]);
    }
    table.lines("  ")
}

fn drops_section(status: &Status) -> String {
    if status.drops.is_empty() {
        return "  none\n".to_owned();
    }
    let mut facts = Table::facts();
    for drop in &status.drops {
        facts.row([Cell::from(&drop.reason), drop.packets.to_string().into()]);
    }
    facts.lines("  ")
}

fn packet_path_section(status: &Status, theme: Theme) -> String {
    let mut facts = Table::facts();
    facts.fact(theme, "workers", status.workers.to_string());
    facts.lines("  ")
}

fn offloads_section(status: &Status) -> String {
    if status.offloads.is_empty() {
        return "  none\n".to_owned();
    }
    let mut facts = Table::facts();
    for offload in &status.offloads {
        let active = if offload.active { "on" } else { "off" };
        facts.row([Cell::from(&offload.name), active.into()]);
    }
    facts.lines("  ")
}
