//! The handshake: `Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s` in the notation of section 5.4, step by
//! step as in 5.4.2 and 5.4.3.
//!
//! `c` is the chaining key, `h` the hash of everything said so far. What a responder does is cut in
//! three, so that a stranger costs one Diffie-Hellman and a recording costs no second one.

#[cfg(test)]
mod tests;

use mesh_model::{PresharedKey, TunnelKey};
use rand::Rng as _;
use rand_chacha::ChaCha20Rng;
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use super::TAG;
use super::aead::Aead;
use super::hash::{Key, hash, kdf};
use super::identity::{Identity, agree};
use super::message::{INITIATION, RESPONSE, initiation, response};
use super::remote::Remote;
use super::stamp::Stamp;
use crate::drops::Drop;

/// The name of the protocol.
const CONSTRUCTION: &[u8] = b"Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s";

/// What sets WireGuard apart from whoever else uses it.
const IDENTIFIER: &[u8] = b"WireGuard v1 zx2c4 Jason@zx2c4.com";

/// What stands for a pre-shared key where there is none (5.2).
const NO_PSK: [u8; 32] = [0; 32];

/// The keys of a session, one for each direction.
pub(crate) struct Transport {
    pub(super) send: Key,
    pub(super) receive: Key,
    /// A pre-shared key was mixed in.
    pub(crate) is_paired: bool,
}

/// Both sides' running state.
#[derive(Clone)]
struct Transcript {
    c: Key,
    h: [u8; 32],
}

impl Transcript {
    fn new(responder: &TunnelKey) -> Self {
        let c = hash(&[CONSTRUCTION]);
        let mut start = Self { c: Zeroizing::new(c), h: hash(&[&c, IDENTIFIER]) };
        start.mix_hash(responder.as_bytes());
        start
    }

    fn mix_hash(&mut self, said: &[u8]) {
        self.h = hash(&[&self.h, said]);
    }

    /// C := Kdf1(C, input).
    fn mix(&mut self, input: &[u8; 32]) {
        let [c] = kdf(&self.c, input);
        self.c = c;
    }

    /// (C, k) := Kdf2(C, input).
    fn mix_to_key(&mut self, input: &[u8; 32]) -> Aead {
        let [c, k] = kdf(&self.c, input);
        self.c = c;
        Aead::new(&k)
    }

    /// Writes Aead(k, 0, text, H) into `field` and mixes it in.
    fn seal(&mut self, key: &Aead, text: &[u8], field: &mut [u8]) -> Option<()> {
        let (sealed, tag) = field.split_at_mut(text.len());
        sealed.copy_from_slice(text);
        tag.copy_from_slice(&key.seal(0, &self.h, sealed)?);
        self.mix_hash(field);
        Some(())
    }

    /// Opens what `seal` wrote: `N` bytes of text and a tag.
    fn open<const N: usize>(&mut self, key: &Aead, field: &[u8]) -> Result<[u8; N], Drop> {
        let mut text = [0; N];
        let mut scratch = [0; 32 + TAG];
        let scratch = &mut scratch[..field.len()];
        scratch.copy_from_slice(field);
        key.open(0, &self.h, scratch).ok_or(Drop::HandshakeInvalid)?;
        text.copy_from_slice(&scratch[..N]);
        self.mix_hash(field);
        Ok(text)
    }

    /// The end of both sides: the pre-shared key, then Kdf2(C, nothing).
    fn mix_preshared(&mut self, psk: Option<&PresharedKey>) -> Aead {
        let [c, t, k] = kdf(&self.c, psk.map_or(&NO_PSK[..], |psk| psk.as_bytes()));
        self.c = c;
        self.mix_hash(&*t);
        Aead::new(&k)
    }

    fn split(&self) -> [Key; 2] {
        kdf(&self.c, &[])
    }
}

fn ephemeral(rng: &mut ChaCha20Rng) -> (StaticSecret, [u8; 32]) {
    let mut bytes = Zeroizing::new([0; 32]);
    rng.fill_bytes(&mut *bytes);
    let secret = StaticSecret::from(*bytes);
    let public = PublicKey::from(&secret).to_bytes();
    (secret, public)
}

/// What an initiator must remember until the response comes.
pub(crate) struct Initiator {
    /// Which of our keys it was written with.
    own: TunnelKey,
    transcript: Transcript,
    ephemeral: StaticSecret,
}

impl Initiator {
    /// Writes the fields of an initiation (5.4.2).
    pub(crate) fn write(
        own: &Identity,
        peer: &mut Remote,
        stamp: Stamp,
        rng: &mut ChaCha20Rng,
        out: &mut [u8; INITIATION],
    ) -> Result<Self, Drop> {
        let mut transcript = Transcript::new(&peer.key);
        let (secret, public) = ephemeral(rng);
        transcript.mix(&public);
        out[initiation::EPHEMERAL].copy_from_slice(&public);
        transcript.mix_hash(&public);
        let shared = agree(&secret, peer.key.as_bytes()).ok_or(Drop::LowOrderKey)?;
        let key = transcript.mix_to_key(&shared);
        let field = &mut out[initiation::STATIC];
        transcript.seal(&key, own.key().as_bytes(), field).ok_or(Drop::HandshakeInvalid)?;
        let key = transcript.mix_to_key(peer.shared(own)?);
        let field = &mut out[initiation::STAMP];
        transcript.seal(&key, &stamp.0, field).ok_or(Drop::HandshakeInvalid)?;
        Ok(Self { own: *own.key(), transcript, ephemeral: secret })
    }

    /// Which of our keys it was written with.
    pub(crate) fn own(&self) -> &TunnelKey {
        &self.own
    }

    /// Reads the response (5.4.3). May be tried again: a forged one changes nothing. `own` is the key pair it was
    /// written with.
    pub(crate) fn read(
        &self,
        own: &Identity,
        psk: Option<&PresharedKey>,
        message: &[u8; RESPONSE],
    ) -> Result<Transport, Drop> {
        let mut transcript = self.transcript.clone();
        let theirs = key_at(message, response::EPHEMERAL);
        transcript.mix(&theirs);
        transcript.mix_hash(&theirs);
        let both = agree(&self.ephemeral, &theirs).ok_or(Drop::HandshakeInvalid)?;
        transcript.mix(&both);
        transcript.mix(&*own.agree(&theirs).ok_or(Drop::HandshakeInvalid)?);
        let key = transcript.mix_preshared(psk);
        let [] = transcript.open(&key, &message[response::EMPTY])?;
        let [send, receive] = transcript.split();
        Ok(Transport { send, receive, is_paired: psk.is_some() })
    }
}

/// An initiation that was read: somebody who knows our key claims to be `peer`.
pub(crate) struct Hello {
    /// Who it claims to be. Proven by its stamp only.
    pub(crate) peer: TunnelKey,
    transcript: Transcript,
    theirs: [u8; 32],
}

impl Hello {
    /// Reads who it is (5.4.2, first half).
    pub(crate) fn read(own: &Identity, message: &[u8; INITIATION]) -> Result<Self, Drop> {
        let mut transcript = Transcript::new(own.key());
        let theirs = key_at(message, initiation::EPHEMERAL);
        transcript.mix(&theirs);
        transcript.mix_hash(&theirs);
        let shared = own.agree(&theirs).ok_or(Drop::HandshakeInvalid)?;
        let key = transcript.mix_to_key(&shared);
        let peer = TunnelKey(transcript.open(&key, &message[initiation::STATIC])?);
        Ok(Self { peer, transcript, theirs })
    }

    /// Reads its stamp (5.4.2, second half), which proves that the peer holds its key. `shared`
    /// follows from both static keys.
    pub(crate) fn stamp(
        &mut self,
        shared: &Key,
        message: &[u8; INITIATION],
    ) -> Result<Stamp, Drop> {
        let key = self.transcript.mix_to_key(shared);
        self.transcript.open(&key, &message[initiation::STAMP]).map(Stamp)
    }

    /// Writes the fields of the response (5.4.3).
    pub(crate) fn answer(
        mut self,
        psk: Option<&PresharedKey>,
        rng: &mut ChaCha20Rng,
        out: &mut [u8; RESPONSE],
    ) -> Result<Transport, Drop> {
        let transcript = &mut self.transcript;
        let (secret, public) = ephemeral(rng);
        transcript.mix(&public);
        out[response::EPHEMERAL].copy_from_slice(&public);
        transcript.mix_hash(&public);
        for theirs in [&self.theirs, self.peer.as_bytes()] {
            transcript.mix(&*agree(&secret, theirs).ok_or(Drop::HandshakeInvalid)?);
        }
        let key = transcript.mix_preshared(psk);
        let field = &mut out[response::EMPTY];
        transcript.seal(&key, &[], field).ok_or(Drop::HandshakeInvalid)?;
        let [receive, send] = transcript.split();
        Ok(Transport { send, receive, is_paired: psk.is_some() })
    }
}

fn key_at(message: &[u8], field: std::ops::Range<usize>) -> [u8; 32] {
    let mut key = [0; 32];
    key.copy_from_slice(&message[field]);
    key
}
