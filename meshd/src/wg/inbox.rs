//! Requests out of a stream of bytes.

use std::ops::Range;

use mesh_model::uapi::{MAX_REQUEST, frame_len};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use zeroize::{Zeroize as _, Zeroizing};

/// What a connection begins with, in bytes: all but whole configurations fit.
const FIRST_ROOM: usize = 4096;

/// What came in and was not taken out yet. Requests hold keys: whatever memory they were in is wiped.
pub(super) struct Inbox {
    bytes: Zeroizing<Vec<u8>>,
    filled: usize,
    /// The request that was taken last, until the next one is asked for.
    taken: usize,
}

/// Why there is no next request.
#[derive(Debug)]
pub(super) enum NoRequest {
    /// The other end has left, or the stream is broken. Half a request is none.
    Closed,
    /// It is longer than [`MAX_REQUEST`].
    TooLong,
}

impl Inbox {
    pub(super) fn new() -> Self {
        Self { bytes: Zeroizing::new(vec![0; FIRST_ROOM]), filled: 0, taken: 0 }
    }

    /// The next request, its empty line included.
    pub(super) async fn next(
        &mut self,
        stream: &mut (impl AsyncRead + Unpin),
    ) -> Result<&[u8], NoRequest> {
        self.discard();
        let mut seen = 0;
        loop {
            if let Some(len) = frame_len(&self.bytes[..self.filled], seen) {
                self.taken = len;
                return Ok(&self.bytes[..len]);
            }
            seen = self.filled;
            let room = self.room().ok_or(NoRequest::TooLong)?;
            match stream.read(&mut self.bytes[room]).await {
                Ok(0) | Err(_) => return Err(NoRequest::Closed),
                Ok(len) => self.filled += len,
            }
        }
    }

    /// Forgets the request that was taken.
    fn discard(&mut self) {
        let taken = std::mem::take(&mut self.taken);
        self.bytes.copy_within(taken..self.filled, 0);
        let rest = self.filled - taken;
        self.bytes[rest..self.filled].zeroize();
        self.filled = rest;
    }

    /// Where to read to: twice as much as before once everything is full, up to the bound.
    fn room(&mut self) -> Option<Range<usize>> {
        if self.filled > MAX_REQUEST {
            return None;
        }
        if self.filled == self.bytes.len() {
            // By hand, so that what is left behind is wiped.
            let mut larger = Zeroizing::new(vec![0; self.bytes.len() * 2]);
            larger[..self.filled].copy_from_slice(&self.bytes);
            self.bytes = larger;
        }
        Some(self.filled..self.bytes.len())
    }
}
