//! `identity.key`: who this host is.
//!
//! ```text
//! meshd identity 1
//! identity-public: <base64 of the Ed25519 public key>
//! identity-secret: <base64 of its seed>
//! tunnel-public: <base64 of the X25519 public key>
//! tunnel-secret: <base64 of its secret>
//! ```
//!
//! The public halves are there to be looked at, and to notice a damaged secret: any 32 bytes are a valid
//! one, and a host must not come back as somebody else.

use mesh_model::{IdentitySecret, TunnelSecret};
use zeroize::Zeroizing;

use super::fields::{Fields, secret_line};

pub(super) const TITLE: &str = "meshd identity 1";
const FIELDS: [&str; 4] = ["identity-public", "identity-secret", "tunnel-public", "tunnel-secret"];

/// The secrets that make this host itself.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    /// Signs.
    pub(crate) identity: IdentitySecret,
    /// Encrypts.
    pub(crate) tunnel: TunnelSecret,
}

impl Identity {
    /// A fresh one from two seeds.
    pub(super) fn from_seeds(identity: [u8; 32], tunnel: [u8; 32]) -> Self {
        Self {
            identity: IdentitySecret::from_seed(identity),
            tunnel: TunnelSecret::from_bytes(tunnel),
        }
    }

    /// The one in `text`, or what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let fields = Fields::parse(text, TITLE, &FIELDS)?;
        let found =
            Self::from_seeds(*fields.secret("identity-secret")?, *fields.secret("tunnel-secret")?);
        fields.check("identity-public", &found.identity.public().to_string())?;
        fields.check("tunnel-public", &found.tunnel.public().to_string())?;
        Ok(found)
    }

    /// What the file holds.
    pub(super) fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(format!(
            "{TITLE}\nidentity-public: {}\n{}tunnel-public: {}\n{}",
            self.identity.public(),
            *secret_line("identity-secret", &self.identity.to_seed()),
            self.tunnel.public(),
            *secret_line("tunnel-secret", &self.tunnel.to_bytes()),
        ))
    }
}
