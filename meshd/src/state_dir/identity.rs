//! `identity.key`: who this host is.
//!
//! ```text
//! meshd identity 1
//! identity-public: <base64 of the Ed25519 public key>
//! identity-secret: <base64 of its seed>
//! tunnel-public: <base64 of the X25519 public key>
//! tunnel-secret: <base64 of its secret>
//! other-tunnel-public: ...                 only while the tunnel key changes: the one that comes,
//! other-tunnel-secret: ...                 or the one that goes
//! ```
//!
//! The public halves are there to be looked at, and to notice a damaged secret: any 32 bytes are a valid
//! one, and a host must not come back as somebody else.

use mesh_model::{IdentitySecret, TunnelSecret};
use zeroize::Zeroizing;

use super::fields::{Fields, secret_line};

pub(super) const TITLE: &str = "meshd identity 1";
const FIELDS: [&str; 6] = [
    "identity-public",
    "identity-secret",
    "tunnel-public",
    "tunnel-secret",
    OTHER_PUBLIC,
    OTHER_SECRET,
];
const OTHER_PUBLIC: &str = "other-tunnel-public";
const OTHER_SECRET: &str = "other-tunnel-secret";

/// The secrets that make this host itself.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    /// Signs.
    pub(crate) identity: IdentitySecret,
    /// Encrypts.
    pub(crate) tunnel: TunnelSecret,
    /// Encrypts as well while the tunnel key changes. Which of the two counts is agreed.
    pub(crate) other: Option<TunnelSecret>,
}

impl Identity {
    /// A fresh one from two seeds.
    pub(super) fn from_seeds(identity: [u8; 32], tunnel: [u8; 32]) -> Self {
        Self {
            identity: IdentitySecret::from_seed(identity),
            tunnel: TunnelSecret::from_bytes(tunnel),
            other: None,
        }
    }

    /// The one in `text`, or what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let fields = Fields::parse(text, TITLE, &FIELDS)?;
        let mut found =
            Self::from_seeds(*fields.secret("identity-secret")?, *fields.secret("tunnel-secret")?);
        fields.check("identity-public", &found.identity.public().to_string())?;
        fields.check("tunnel-public", &found.tunnel.public().to_string())?;
        if fields.has(OTHER_PUBLIC) || fields.has(OTHER_SECRET) {
            let other = TunnelSecret::from_bytes(*fields.secret(OTHER_SECRET)?);
            fields.check(OTHER_PUBLIC, &other.public().to_string())?;
            found.other = Some(other);
        }
        Ok(found)
    }

    /// What the file holds.
    pub(super) fn to_text(&self) -> Zeroizing<String> {
        let other = self.other.as_ref().map(|other| {
            let secret = secret_line(OTHER_SECRET, &other.to_bytes());
            Zeroizing::new(format!("{OTHER_PUBLIC}: {}\n{}", other.public(), *secret))
        });
        Zeroizing::new(format!(
            "{TITLE}\nidentity-public: {}\n{}tunnel-public: {}\n{}{}",
            self.identity.public(),
            *secret_line("identity-secret", &self.identity.to_seed()),
            self.tunnel.public(),
            *secret_line("tunnel-secret", &self.tunnel.to_bytes()),
            other.as_deref().map_or("", String::as_str),
        ))
    }
}
