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
//! aside-1-tunnel-public: ...               up to four that were to come and that others took first
//! aside-1-tunnel-secret: ...
//! ```
//!
//! The public halves are there to be looked at, and to notice a damaged secret: any 32 bytes are a valid
//! one, and a host must not come back as somebody else.

use mesh_control::rotation::MAX_ASIDE;
use mesh_model::{IdentitySecret, TunnelSecret};
use zeroize::Zeroizing;

use super::fields::{Fields, MAX_KEY_FILE, secret_line};

pub(super) const TITLE: &str = "meshd identity 1";
const FIELDS: [&str; 14] = [
    "identity-public",
    "identity-secret",
    "tunnel-public",
    "tunnel-secret",
    OTHER.0,
    OTHER.1,
    ASIDE[0].0,
    ASIDE[0].1,
    ASIDE[1].0,
    ASIDE[1].1,
    ASIDE[2].0,
    ASIDE[2].1,
    ASIDE[3].0,
    ASIDE[3].1,
];

/// What both halves of a key are called.
type Pair = (&'static str, &'static str);

const OTHER: Pair = ("other-tunnel-public", "other-tunnel-secret");

const ASIDE: [Pair; MAX_ASIDE] = [
    ("aside-1-tunnel-public", "aside-1-tunnel-secret"),
    ("aside-2-tunnel-public", "aside-2-tunnel-secret"),
    ("aside-3-tunnel-public", "aside-3-tunnel-secret"),
    ("aside-4-tunnel-public", "aside-4-tunnel-secret"),
];

/// The secrets that make this host itself.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    /// Signs.
    pub(crate) identity: IdentitySecret,
    /// Encrypts.
    pub(crate) tunnel: TunnelSecret,
    /// Encrypts as well while the tunnel key changes. Which of the two counts is agreed.
    pub(crate) other: Option<TunnelSecret>,
    /// To be agreed once, and taken by others; [`MAX_ASIDE`] at most. One of them may be the agreed one some day.
    pub(crate) aside: Vec<TunnelSecret>,
}

impl Identity {
    /// A fresh one from two seeds.
    pub(super) fn from_seeds(identity: [u8; 32], tunnel: [u8; 32]) -> Self {
        Self {
            identity: IdentitySecret::from_seed(identity),
            tunnel: TunnelSecret::from_bytes(tunnel),
            other: None,
            aside: Vec::new(),
        }
    }

    /// All its tunnel keys, those that were put aside last.
    pub(crate) fn tunnels(&self) -> impl Iterator<Item = &TunnelSecret> {
        std::iter::once(&self.tunnel).chain(&self.other).chain(&self.aside)
    }

    /// The one in `text`, or what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let fields = Fields::parse(text, TITLE, &FIELDS)?;
        let mut found =
            Self::from_seeds(*fields.secret("identity-secret")?, *fields.secret("tunnel-secret")?);
        fields.check("identity-public", &found.identity.public().to_string())?;
        fields.check("tunnel-public", &found.tunnel.public().to_string())?;
        found.other = tunnel(&fields, OTHER)?;
        for pair in ASIDE {
            found.aside.extend(tunnel(&fields, pair)?);
        }
        Ok(found)
    }

    /// What the file holds.
    pub(super) fn to_text(&self) -> Zeroizing<String> {
        let others =
            self.other.iter().map(|other| (OTHER, other)).chain(ASIDE.into_iter().zip(&self.aside));
        // Room for everything at once: growing would leave copies of secrets behind.
        let mut more = Zeroizing::new(String::with_capacity(MAX_KEY_FILE));
        for ((public, secret), key) in others {
            more.push_str(&format!("{public}: {}\n", key.public()));
            more.push_str(&secret_line(secret, &key.to_bytes()));
        }
        Zeroizing::new(format!(
            "{TITLE}\nidentity-public: {}\n{}tunnel-public: {}\n{}{}",
            self.identity.public(),
            *secret_line("identity-secret", &self.identity.to_seed()),
            self.tunnel.public(),
            *secret_line("tunnel-secret", &self.tunnel.to_bytes()),
            *more,
        ))
    }
}

/// The tunnel key whose halves are called so, if there is one.
fn tunnel(fields: &Fields<'_>, (public, secret): Pair) -> Result<Option<TunnelSecret>, String> {
    if !fields.has(public) && !fields.has(secret) {
        return Ok(None);
    }
    let key = TunnelSecret::from_bytes(*fields.secret(secret)?);
    fields.check(public, &key.public().to_string())?;
    Ok(Some(key))
}
