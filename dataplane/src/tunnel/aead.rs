//! ChaCha20-Poly1305 (RFC 8439) in place, with WireGuard's nonce: a counter.

use std::hint::black_box;

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};

use super::TAG;
use super::hash::Key;

/// A key for one direction of a session, or for one field of a handshake.
pub(crate) struct Aead(LessSafeKey);

impl Aead {
    pub(crate) fn new(key: &Key) -> Self {
        Self(ready(key))
    }

    /// Encrypts `text` where it lies and returns its tag. `None` when it is too long for the cipher,
    /// 256 GB.
    pub(crate) fn seal(&self, counter: u64, extra: &[u8], text: &mut [u8]) -> Option<[u8; TAG]> {
        let tag = self.0.seal_in_place_separate_tag(nonce(counter), Aad::from(extra), text).ok()?;
        tag.as_ref().try_into().ok()
    }

    /// Decrypts `sealed`, text and tag, where it lies; the text's length, or `None` when it is not
    /// authentic.
    pub(crate) fn open(&self, counter: u64, extra: &[u8], sealed: &mut [u8]) -> Option<usize> {
        let text = self.0.open_in_place(nonce(counter), Aad::from(extra), sealed).ok()?;
        Some(text.len())
    }
}

impl Drop for Aead {
    /// ring keeps the key inside the struct and does not wipe it: another one is written over it.
    fn drop(&mut self) {
        self.0 = black_box(ready(&[0; 32]));
        black_box(&self.0);
    }
}

fn ready(key: &[u8; 32]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, key).expect("a key of 32 bytes"))
}

fn nonce(counter: u64) -> Nonce {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&counter.to_le_bytes());
    Nonce::assume_unique_for_key(nonce)
}
