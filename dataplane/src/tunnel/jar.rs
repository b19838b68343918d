//! A cookie we were given, for the next handshake messages to that peer (section 5.4.7).

use std::time::{Duration, Instant};

use chacha20poly1305::aead::AeadInPlace as _;
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305, XNonce};

use super::mac::MAC;
use super::message::{COOKIE, cookie};
use super::remote::Remote;
use crate::drops::Drop;

/// How long a cookie is shown. Its maker takes it for 120 s from when the secret was made, so it
/// may die earlier; then another one comes.
const FRESH: Duration = Duration::from_secs(120);

/// Messages a cookie may answer: those of an attempt that are under way on a slow path.
const ASKED: usize = 4;

/// The cookie of one peer, and the messages that may yet be answered with one.
#[derive(Debug, Default)]
pub(crate) struct Jar {
    cookie: Option<([u8; MAC], Instant)>,
    /// The last messages, in a ring.
    asked: [Option<Asked>; ASKED],
    next: usize,
}

/// A message that may be answered with a cookie.
#[derive(Debug)]
struct Asked {
    /// Our index.
    index: u32,
    first: [u8; MAC],
    /// What the cookie is sealed with: it follows from the key that the message was for.
    seal: [u8; 32],
}

impl Jar {
    /// Signs a handshake message of ours, with the cookie if there is one.
    pub(crate) fn sign(&mut self, peer: &Remote, index: u32, message: &mut [u8], now: Instant) {
        let fresh = |(_, kept): &([u8; MAC], Instant)| now.saturating_duration_since(*kept) < FRESH;
        let cookie = self.cookie.take_if(|kept| !fresh(kept)).map_or(self.cookie, |_| None);
        let first = peer.macs.sign(message, cookie.as_ref().map(|(cookie, _)| cookie));
        self.asked[self.next] = Some(Asked { index, first, seal: peer.macs.cookie });
        self.next = (self.next + 1) % ASKED;
    }

    /// Keeps the cookie that answers the message with our `index`.
    pub(crate) fn keep(
        &mut self,
        index: u32,
        message: &[u8; COOKIE],
        now: Instant,
    ) -> Result<(), Drop> {
        let is_it = |asked: &Option<Asked>| asked.as_ref().is_some_and(|it| it.index == index);
        let slot = self.asked.iter_mut().find(|asked| is_it(asked));
        let slot = slot.ok_or(Drop::HandshakeUnexpected)?;
        let Some(Asked { first, seal, .. }) = slot else { return Err(Drop::HandshakeUnexpected) };
        let mut cookie = [0; MAC];
        cookie.copy_from_slice(&message[cookie::SEALED]);
        let nonce = XNonce::from_slice(&message[cookie::NONCE]);
        let tag = chacha20poly1305::Tag::from_slice(&message[cookie::TAG]);
        XChaCha20Poly1305::new(&(*seal).into())
            .decrypt_in_place_detached(nonce, first, &mut cookie, tag)
            .map_err(|_| Drop::HandshakeInvalid)?;
        // One message, one cookie: a copy of it is nothing new.
        *slot = None;
        self.cookie = Some((cookie, now));
        Ok(())
    }
}
