//! Labels that an admin puts on members, so that a policy can speak of many at once.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use super::AdminStatement;
use crate::audit::Event;
use crate::id::{MemberId, MeshId};
use crate::key::IdentityKey;

/// What a tag begins with wherever it could be taken for a member's name.
const PREFIX: &str = "tag:";

/// The longest tag, in bytes, its prefix not counted: half of a name, which is a word or three.
pub const MAX_TAG_LEN: usize = 32;

/// The most tags of one member: what it is, where it stands and who looks after it, each twice over.
pub const MAX_TAGS: usize = 8;

/// A label: lower-case letters, digits and hyphens, a letter first. Written `tag:web`; where nothing but tags can
/// stand, `web` is understood too.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(into = "String")]
pub struct Tag(String);

/// Text that cannot be a tag.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` cannot be a tag: use 1 to {MAX_TAG_LEN} lower-case letters, digits and hyphens, a letter first, as in `tag:web`"
)]
pub struct TagError(String);

impl Tag {
    /// Whether `text` says of itself that it is a tag, be it a good one or not.
    pub fn is_meant(text: &str) -> bool {
        text.starts_with(PREFIX)
    }

    /// What it says, without its prefix.
    pub fn label(&self) -> &str {
        &self.0
    }
}

impl FromStr for Tag {
    type Err = TagError;

    fn from_str(text: &str) -> Result<Self, TagError> {
        let label = text.strip_prefix(PREFIX).unwrap_or(text);
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let fits = (1..=MAX_TAG_LEN).contains(&label.len())
            && label.starts_with(|first: char| first.is_ascii_lowercase())
            && label.bytes().all(allowed);
        if fits { Ok(Self(label.to_owned())) } else { Err(TagError(shorten(text))) }
    }
}

/// At most a tag's worth of a text nobody has checked yet, for an error message.
fn shorten(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(PREFIX.len() + MAX_TAG_LEN).collect()
}

/// People may leave the prefix out. What members tell each other has one form: else what is read could be longer when it is written.
impl<'de> Deserialize<'de> for Tag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let is_typed = deserializer.is_human_readable();
        let text = String::deserialize(deserializer)?;
        match is_typed || Self::is_meant(&text) {
            true => text.parse().map_err(D::Error::custom),
            false => Err(D::Error::custom(TagError(shorten(&text)))),
        }
    }
}

impl From<Tag> for String {
    fn from(tag: Tag) -> Self {
        tag.to_string()
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{PREFIX}{}", self.0))
    }
}

/// Which tags a member has. Signed by an admin.
///
/// Always all of them. The last statement holds, and `serial` says which is last: a voter that proposes an old one
/// again changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tagging {
    /// The only mesh it is good for.
    pub mesh: MeshId,
    /// About whom.
    pub member: MemberId,
    /// Whom the admin knows under that id.
    pub identity: IdentityKey,
    /// Higher than that of every earlier statement about the member's tags; the first is 1.
    pub serial: u64,
    /// Its tags, at most [`MAX_TAGS`].
    pub tags: BTreeSet<Tag>,
}

crate::message!(Tagging, "tagging", version 1, limit 512);

impl AdminStatement for Tagging {
    fn mesh(&self) -> MeshId {
        self.mesh
    }

    fn event(&self) -> Event {
        let Self { member, serial, ref tags, .. } = *self;
        Event::Tagged { member, serial, tags: tags.iter().cloned().collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_a_short_label_with_or_without_its_prefix() {
        for (text, shown) in [("web", "tag:web"), ("tag:db-2", "tag:db-2"), ("tag:tag", "tag:tag")]
        {
            assert_eq!(text.parse::<Tag>().map(|tag| tag.to_string()), Ok(shown.to_owned()));
        }
        assert!(format!("tag:{}", "x".repeat(MAX_TAG_LEN)).parse::<Tag>().is_ok());
        for bad in [
            "",
            "tag:",
            "2web",
            "-web",
            "Web",
            "we b",
            "tag:tag:web",
            "wéb",
            "a.b",
            &"x".repeat(33),
        ] {
            assert!(bad.parse::<Tag>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_error_quotes_no_more_than_a_tags_worth() {
        let error = format!("tag:\u{9b}{}", "X".repeat(1000))
            .parse::<Tag>()
            .map_err(|error| error.to_string());
        assert!(error.is_err_and(|text| text.len() < 200 && !text.contains('\u{9b}')));
    }
}
