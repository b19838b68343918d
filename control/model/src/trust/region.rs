//! Where a member stands: what fails together.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{MAX_TAG_LEN, Tag};

/// What the label of a tag begins with that tells a region.
const PREFIX: &str = "region-";

/// Text that cannot be a region.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a region: it is what follows `{PREFIX}` in a tag, so 1 to {} lower-case letters, digits and hyphens", MAX_TAG_LEN - PREFIX.len())]
pub struct RegionError;

/// A failure domain: a site, a provider's region, a rack, whatever the admins expect to fail as a whole.
///
/// A tag tells it, as in `tag:region-eu1`, because tags are an admin's signed word: nobody is believed about where it
/// stands itself, or a host that was broken into would say that it is the only one of its region.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Region(String);

impl Region {
    /// The region that `tags` tell; the first in alphabetical order if they tell several. `None`: they tell none.
    pub fn of(tags: &BTreeSet<Tag>) -> Option<Self> {
        let told = tags.iter().filter_map(|tag| tag.label().strip_prefix(PREFIX));
        told.filter(|region| !region.is_empty()).map(|region| Self(region.to_owned())).next()
    }
}

impl FromStr for Region {
    type Err = RegionError;

    fn from_str(text: &str) -> Result<Self, RegionError> {
        let tag: Tag = format!("{PREFIX}{text}").parse().map_err(|_| RegionError)?;
        Self::of(&[tag].into()).ok_or(RegionError)
    }
}

impl TryFrom<String> for Region {
    type Error = RegionError;

    fn try_from(text: String) -> Result<Self, RegionError> {
        text.parse()
    }
}

impl From<Region> for String {
    fn from(region: Region) -> Self {
        region.0
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told_by(tags: &[&str]) -> Option<String> {
        let tags = tags.iter().map(|tag| tag.parse().expect("a tag")).collect();
        Region::of(&tags).map(|region| region.to_string())
    }

    #[test]
    fn a_tag_tells_the_region_and_the_first_of_several_counts() {
        assert_eq!(told_by(&[]), None);
        assert_eq!(told_by(&["db", "region", "region-", "eu-region-1"]), None);
        assert_eq!(told_by(&["web", "region-eu1", "db"]).as_deref(), Some("eu1"));
        assert_eq!(told_by(&["region-7", "region"]).as_deref(), Some("7"));
        assert_eq!(told_by(&["region-us-2", "region-eu1", "region-"]).as_deref(), Some("eu1"));
    }

    #[test]
    fn a_region_is_what_a_tag_can_tell() {
        let longest = "x".repeat(MAX_TAG_LEN - PREFIX.len());
        for text in ["eu1", "7", "us-2", &longest] {
            assert_eq!(text.parse::<Region>().map(|region| region.to_string()), Ok(text.into()));
        }
        for bad in ["", "EU", "eu 1", "tag:eu", "\u{1b}[2J", &format!("{longest}x")] {
            assert_eq!(bad.parse::<Region>(), Err(RegionError), "{bad:?}");
        }
    }
}
