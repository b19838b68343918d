//! How answers look: tables for people, JSON for programs.

pub(crate) mod age;
pub(crate) mod audit;
pub(crate) mod json;
pub(crate) mod peers;
pub(crate) mod request;
pub(crate) mod status;
pub(crate) mod sync;
pub(crate) mod table;
pub(crate) mod theme;
pub(crate) mod tunnels;
pub(crate) mod unit;

use std::fmt::Display;

use mesh_model::trust::{EpochId, Name};
use mesh_model::{MemberId, Term};

/// Text from outside, made fit for a terminal: another member's version or a daemon's message must
/// not move the cursor or colour the screen.
pub(crate) fn safe(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// What stands where there is nothing to show.
const NOTHING: &str = "-";

/// `value` as text, or the sign for none.
pub(crate) fn or_nothing<T: Display>(value: Option<T>) -> String {
    value.map_or_else(|| NOTHING.to_owned(), |value| value.to_string())
}

/// A list as words, or `none`.
pub(crate) fn list<T: Display>(items: impl IntoIterator<Item = T>) -> String {
    let words: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    if words.is_empty() { "none".to_owned() } else { words.join(" ") }
}

/// A member as people say it: `n1 (m1)`, or `m1` when its name is not known.
pub(crate) fn who(name: Option<&Name>, member: MemberId) -> String {
    match name {
        Some(name) => format!("{name} ({member})"),
        None => member.to_string(),
    }
}

/// A term as people say it: the number of elections, and of which epoch unless the mesh never began another.
pub(crate) fn term(term: Term) -> String {
    match EpochId::elections(term) {
        (0, elections) => elections.to_string(),
        (epoch, elections) => format!("{elections} of epoch {epoch}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_outside_cannot_steer_the_terminal() {
        assert_eq!(safe("1.0\x1b[2J\r\n\u{9b}x"), "1.0?[2J???x");
    }
}
