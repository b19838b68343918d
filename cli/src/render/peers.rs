//! The other members, in columns.

use anstyle::Style;
use mesh_model::api::v1::{GossipState, Path, Peer, Peers, Role};

use super::table::{Cell, Table};
use super::theme::Theme;
use super::{or_nothing, unit};

/// What is said instead of an empty table.
const NOBODY: &str = "no other members yet: `mesh invite` makes a token for the next host\n";

/// `mesh peers`: who they are and what they run, beside how they are reached.
pub(crate) fn page(peers: &Peers, theme: Theme) -> String {
    if peers.peers.is_empty() {
        return NOBODY.to_owned();
    }
    let mut table = Table::new(
        theme,
        &[
            "NAME", "ID", "IPV4", "IPV6", "ROLE", "STATE", "PATH", "ENDPOINT", ">RTT", ">SEEN",
            ">APPLIED", "VERSION",
        ],
    );
    for peer in &peers.peers {
        table.row([
            peer.name.as_str().into(),
            peer.member.to_string().into(),
            peer.addrs.v4.to_string().into(),
            peer.addrs.v6.to_string().into(),
            role(peer.role).into(),
            state(peer.state, theme),
            path(peer, theme),
            or_nothing(peer.endpoint).into(),
            unit::rtt(peer.rtt_us).into(),
            unit::ago(peer.last_seen_ms).into(),
            or_nothing(peer.applied).into(),
            or_nothing(peer.version.as_deref()).into(),
        ]);
    }
    table.lines("")
}

/// The peers of `mesh status`: how they are reached.
pub(crate) fn summary(peers: &[Peer], theme: Theme) -> String {
    if peers.is_empty() {
        return NOBODY.to_owned();
    }
    let mut table = Table::new(
        theme,
        &[
            "NAME",
            "ID",
            "ADDRESS",
            "ROLE",
            "STATE",
            "PATH",
            "ENDPOINT",
            ">HANDSHAKE",
            ">RTT",
            ">RX",
            ">TX",
        ],
    );
    for peer in peers {
        table.row([
            peer.name.as_str().into(),
            peer.member.to_string().into(),
            peer.addrs.v4.to_string().into(),
            role(peer.role).into(),
            state(peer.state, theme),
            path(peer, theme),
            or_nothing(peer.endpoint).into(),
            unit::ago(peer.last_handshake_ms).into(),
            unit::rtt(peer.rtt_us).into(),
            unit::bytes(peer.rx_bytes).into(),
            unit::bytes(peer.tx_bytes).into(),
        ]);
    }
    table.lines("")
}

/// A role as a word.
pub(crate) fn role(role: Role) -> &'static str {
    match role {
        Role::Supervisor => "supervisor",
        Role::Voter => "voter",
        Role::Learner => "learner",
    }
}

/// Gossip's opinion as a field.
pub(crate) fn state(state: GossipState, theme: Theme) -> Cell {
    let (word, style) = match state {
        GossipState::Alive => ("alive", theme.good_style()),
        GossipState::Suspect => ("suspect", theme.doubtful_style()),
        GossipState::Dead => ("dead", theme.bad_style()),
        GossipState::Unknown => ("unknown", Style::new()),
    };
    Cell::styled(word, style)
}

/// `word`, and the note that the session has the pair's key in it.
pub(super) fn with_post_quantum(word: &str, post_quantum: bool) -> String {
    match post_quantum {
        true => format!("{word}, pq"),
        false => word.to_owned(),
    }
}

/// A path as a word.
pub(crate) fn path_word(path: Path) -> &'static str {
    match path {
        Path::Direct => "direct",
        Path::Relay => "relay",
        Path::None => "none",
    }
}

/// How a peer is reached, and whether a quantum computer would read along.
fn path(peer: &Peer, theme: Theme) -> Cell {
    let style = match peer.path {
        Path::Direct => Style::new(),
        Path::Relay => theme.doubtful_style(),
        Path::None => theme.bad_style(),
    };
    Cell::styled(with_post_quantum(path_word(peer.path), peer.post_quantum), style)
}
