//! Keys: Ed25519 for who someone is, X25519 for the tunnel.
//!
//! Public keys print, secrets do not: their `Debug` says only that there is one, and their bytes are
//! wiped when dropped. A signature always names what it is for (`context`), so that a signature
//! over one kind of message can never pass for another.

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE64;
use ed25519_dalek::Signer as _;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroize;

/// Text that is not a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a key: expected 32 bytes in base64 (44 characters)")]
pub struct KeyError;

/// A signature that does not match key, context and bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not match")]
pub struct SignatureError;

macro_rules! public_key {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 32]);

        impl $name {
            /// The 32 bytes of the key.
            pub fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&BASE64.encode(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = KeyError;

            fn from_str(text: &str) -> Result<Self, KeyError> {
                let bytes = BASE64.decode(text.as_bytes()).map_err(|_| KeyError)?;
                bytes.try_into().map(Self).map_err(|_| KeyError)
            }
        }

        crate::codec::text_or_bytes!($name, 32);
    };
}

public_key! {
    /// An Ed25519 public key: a node's long-lived identity, a mesh's root, or an invite.
    IdentityKey
}

public_key! {
    /// An X25519 public key: what WireGuard calls the peer.
    TunnelKey
}

impl TunnelKey {
    /// Whether it is no public key that a correct host would have: a point of low order, with which everybody agrees on the
    /// same secret, or a second way to write another key.
    pub fn is_degenerate(&self) -> bool {
        // The field has 2^255 - 19 elements; X25519 reduces what is beyond, and ignores the highest bit.
        let [low, middle @ .., high] = &self.0;
        let reduced = *high == 0x7f && middle.iter().all(|byte| *byte == 0xff) && *low >= 0xed;
        if *high > 0x7f || reduced {
            return true;
        }
        // Any secret will do: all are multiples of the cofactor.
        let any = x25519_dalek::StaticSecret::from([1; 32]);
        !any.diffie_hellman(&x25519_dalek::PublicKey::from(self.0)).was_contributory()
    }
}

impl IdentityKey {
    /// Checks that the holder of this key signed `bytes` for `context`.
    ///
    /// Strict verification (RFC 8032 with small-order and non-canonical points refused): two
    /// encodings of one key or signature never both pass.
    pub fn verify(
        &self,
        context: &'static str,
        bytes: &[u8],
        signature: &Signature,
    ) -> Result<(), SignatureError> {
        let said = bound(context, bytes);
        #[cfg(feature = "recall")]
        let checked =
            crate::recall::or_check(self, &said, signature, || self.check(&said, signature));
        #[cfg(not(feature = "recall"))]
        let checked = self.check(&said, signature);
        checked
    }

    fn check(&self, said: &[u8], signature: &Signature) -> Result<(), SignatureError> {
        let key = ed25519_dalek::VerifyingKey::from_bytes(&self.0).map_err(|_| SignatureError)?;
        let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
        key.verify_strict(said, &signature).map_err(|_| SignatureError)
    }
}

/// What is really signed: the context, a zero byte no context contains, and the bytes.
fn bound(context: &'static str, bytes: &[u8]) -> Vec<u8> {
    [context.as_bytes(), &[0], bytes].concat()
}

/// An Ed25519 secret. Made from 32 bytes of entropy that the caller supplies.
pub struct IdentitySecret(ed25519_dalek::SigningKey);

impl IdentitySecret {
    /// The secret grown from `seed`, which is wiped.
    pub fn from_seed(mut seed: [u8; 32]) -> Self {
        let secret = Self(ed25519_dalek::SigningKey::from_bytes(&seed));
        seed.zeroize();
        secret
    }

    /// The seed, for the one file or token that stores it. The caller wipes it.
    pub fn to_seed(&self) -> zeroize::Zeroizing<[u8; 32]> {
        zeroize::Zeroizing::new(self.0.to_bytes())
    }

    /// The public half.
    pub fn public(&self) -> IdentityKey {
        IdentityKey(self.0.verifying_key().to_bytes())
    }

    /// Signs `bytes` for `context`.
    pub fn sign(&self, context: &'static str, bytes: &[u8]) -> Signature {
        Signature(self.0.sign(&bound(context, bytes)).to_bytes())
    }
}

impl Clone for IdentitySecret {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl fmt::Debug for IdentitySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdentitySecret(..)")
    }
}

/// An X25519 secret: what WireGuard calls the private key.
#[derive(Clone)]
pub struct TunnelSecret(x25519_dalek::StaticSecret);

impl TunnelSecret {
    /// The secret with these (clamped) bytes, which are wiped.
    pub fn from_bytes(mut bytes: [u8; 32]) -> Self {
        let secret = Self(x25519_dalek::StaticSecret::from(bytes));
        bytes.zeroize();
        secret
    }

    /// The bytes, for the one file that stores them and for the tunnel library.
    pub fn to_bytes(&self) -> zeroize::Zeroizing<[u8; 32]> {
        zeroize::Zeroizing::new(self.0.to_bytes())
    }

    /// The public half.
    pub fn public(&self) -> TunnelKey {
        TunnelKey(x25519_dalek::PublicKey::from(&self.0).to_bytes())
    }
}

impl PartialEq for TunnelSecret {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl fmt::Debug for TunnelSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TunnelSecret(..)")
    }
}

/// A secret that two peers share beforehand: WireGuard mixes it into every handshake, so that
/// recorded traffic stays closed should X25519 ever be broken. All zeros mean "none", as in the
/// protocol itself.
#[derive(Clone, Zeroize, zeroize::ZeroizeOnDrop)]
pub struct PresharedKey([u8; 32]);

impl PresharedKey {
    /// The key with these bytes. The caller wipes its copy.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes, for the handshake and for whoever may see the configuration.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl PartialEq for PresharedKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for PresharedKey {}

impl fmt::Debug for PresharedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PresharedKey(..)")
    }
}

/// An Ed25519 signature.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature(pub [u8; 64]);

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64.encode(&self.0))
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Signature {
    type Err = SignatureError;

    fn from_str(text: &str) -> Result<Self, SignatureError> {
        let bytes = BASE64.decode(text.as_bytes()).map_err(|_| SignatureError)?;
        bytes.try_into().map(Self).map_err(|_| SignatureError)
    }
}

crate::codec::text_or_bytes!(Signature, 64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_do_not_print() {
        let identity = IdentitySecret::from_seed([7; 32]);
        let tunnel = TunnelSecret::from_bytes([7; 32]);
        let shared = PresharedKey::from_bytes([7; 32]);
        assert_eq!(
            format!("{identity:?} {tunnel:?} {shared:?}"),
            "IdentitySecret(..) TunnelSecret(..) PresharedKey(..)"
        );
    }

    #[test]
    fn a_signature_holds_for_its_context_only() {
        let secret = IdentitySecret::from_seed([1; 32]);
        let signature = secret.sign("invite", b"bytes");
        assert_eq!(secret.public().verify("invite", b"bytes", &signature), Ok(()));
        assert!(secret.public().verify("record", b"bytes", &signature).is_err());
        assert!(secret.public().verify("invite", b"other", &signature).is_err());
        let stranger = IdentitySecret::from_seed([2; 32]).public();
        assert!(stranger.verify("invite", b"bytes", &signature).is_err());
    }

    #[test]
    fn a_small_order_key_signs_nothing() {
        // The identity point: lenient verification accepts a forged signature under it.
        let mut neutral = [0; 32];
        neutral[0] = 1;
        let mut forged = [0; 64];
        forged[0] = 1;
        assert!(IdentityKey(neutral).verify("invite", b"x", &Signature(forged)).is_err());
    }
}
