//! Keys as the configuration socket writes them: 64 hexadecimal digits.

use std::fmt;

use crate::error::{Error, Result};

/// A Curve25519 private key.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretKey([u8; 32]);

/// A Curve25519 public key: what a peer is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PublicKey(pub [u8; 32]);

/// A secret mixed into the handshake. All zeroes is the same as none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PresharedKey(pub [u8; 32]);

impl SecretKey {
    /// The private key that is none: setting it takes the key away.
    pub const NONE: Self = Self([0; 32]);

    /// The key number `number`; the same in every run. Clamped as RFC 7748, section 5 asks, so that it
    /// is read back as it was written.
    pub fn numbered(number: usize) -> Self {
        let mut key = derived("private", number);
        key[0] &= 0xf8;
        key[31] = (key[31] & 0x7f) | 0x40;
        Self(key)
    }

    /// What others call its owner.
    pub fn public(&self) -> PublicKey {
        let secret = x25519_dalek::StaticSecret::from(self.0);
        PublicKey(x25519_dalek::PublicKey::from(&secret).to_bytes())
    }

    /// As the configuration socket writes it.
    pub fn to_hex(&self) -> String {
        to_hex(&self.0)
    }

    pub(super) fn parse(text: &str) -> Result<Self> {
        from_hex(text).map(Self)
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey(of {})", self.public())
    }
}

impl PublicKey {
    pub(super) fn parse(text: &str) -> Result<Self> {
        from_hex(text).map(Self)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&to_hex(&self.0))
    }
}

impl PresharedKey {
    /// The secret that is none.
    pub const NONE: Self = Self([0; 32]);

    /// The secret number `number`; the same in every run.
    pub fn numbered(number: usize) -> Self {
        Self(derived("preshared", number))
    }

    pub(super) fn parse(text: &str) -> Result<Self> {
        from_hex(text).map(Self)
    }
}

impl fmt::Display for PresharedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&to_hex(&self.0))
    }
}

fn derived(kind: &str, number: usize) -> [u8; 32] {
    *blake3::hash(format!("mesh-tests {kind} key {number}").as_bytes()).as_bytes()
}

fn to_hex(bytes: &[u8; 32]) -> String {
    blake3::Hash::from_bytes(*bytes).to_hex().to_string()
}

fn from_hex(text: &str) -> Result<[u8; 32]> {
    blake3::Hash::from_hex(text)
        .map(Into::into)
        .map_err(|error| Error::Failed(format!("{text} is no key: {error}")))
}
