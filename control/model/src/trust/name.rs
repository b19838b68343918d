//! Names of members and meshes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The longest name, in bytes: a DNS label (RFC 1035, section 2.3.4).
pub const MAX_NAME_LEN: usize = 63;

/// A DNS label: lower-case letters, digits and hyphens, no hyphen at either end.
///
/// Such a name needs no escaping in tables, metrics, file names or DNS.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

/// A name that is not a DNS label.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` cannot be a name: use 1 to 63 lower-case letters, digits and hyphens, with no hyphen first or last"
)]
pub struct NameError(String);

impl Name {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The nearest name to a host name: first label, lower case, other characters made hyphens.
    /// `None` when nothing is left.
    pub fn from_hostname(hostname: &str) -> Option<Self> {
        let label = hostname.split('.').next().unwrap_or_default().to_ascii_lowercase();
        let mapped: String = label
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
            .take(MAX_NAME_LEN)
            .collect();
        mapped.trim_matches('-').parse().ok()
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let fits = (1..=MAX_NAME_LEN).contains(&text.len())
            && text.bytes().all(allowed)
            && !text.starts_with('-')
            && !text.ends_with('-');
        if fits { Ok(Self(text.to_owned())) } else { Err(NameError(shorten(text))) }
    }
}

/// At most a label's worth of a text nobody has checked yet, for an error message.
fn shorten(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MAX_NAME_LEN).collect()
}

impl TryFrom<String> for Name {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_dns_labels_are_names() {
        for good in ["a", "n1", "edge-07", &"x".repeat(63)] {
            assert!(good.parse::<Name>().is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "A", "a.b", "a b", "ü", &"x".repeat(64)] {
            assert!(bad.parse::<Name>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_host_name_becomes_a_name() {
        let name = |host| Name::from_hostname(host).map(String::from);
        assert_eq!(name("Web_01.example.org"), Some("web-01".to_owned()));
        assert_eq!(name("___"), None);
    }
}
