//! One message on one direction of a QUIC stream: four bytes of length, then that many bytes.
//!
//! The length is there because quinn finishes a stream that is dropped half written: without it a
//! cancelled request would look like a complete, shorter one.

use bytes::Bytes;
use quinn::{RecvStream, SendStream};

/// Why no whole message was read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameError {
    /// More than the reader is willing to hold.
    #[error("a message of {len} bytes, the limit is {limit}")]
    TooLong {
        /// Announced by the sender.
        len: usize,
        /// Allowed by the reader.
        limit: usize,
    },
    /// The sender gave up half way.
    #[error("the message was cut off after {got} of {len} bytes")]
    CutOff {
        /// Bytes read.
        got: usize,
        /// Bytes announced.
        len: usize,
    },
    /// The stream ended before a length.
    #[error("no message: {0}")]
    Header(#[from] quinn::ReadExactError),
    /// The stream or its connection broke, or more followed than was announced.
    #[error("cannot read the message: {0}")]
    Read(#[from] quinn::ReadToEndError),
    /// The stream or its connection broke.
    #[error("cannot send the message: {0}")]
    Write(#[from] quinn::WriteError),
}

/// Sends `message` and finishes the stream. It is let go of when all of it has arrived.
pub(crate) async fn write(stream: &mut SendStream, message: Bytes) -> Result<(), FrameError> {
    let len = u32::try_from(message.len())
        .map_err(|_| FrameError::TooLong { len: message.len(), limit: u32::MAX as usize })?;
    // In one piece: quinn sends the first as soon as it has it, in a datagram of its own.
    let header = Bytes::copy_from_slice(&len.to_be_bytes());
    stream.write_all_chunks(&mut [header, message]).await?;
    // Fails only on a stream that was finished or reset before, which `write` is the one to do.
    let _ = stream.finish();
    Ok(())
}

/// Reads the one message of `stream`, at most `limit` bytes. Memory grows with what really arrives,
/// not with what is announced.
pub(crate) async fn read(stream: &mut RecvStream, limit: usize) -> Result<Bytes, FrameError> {
    let len = read_len(stream, limit).await?;
    read_rest(stream, len).await
}

/// Reads how long the message of `stream` is, at most `limit` bytes. Until [`read_rest`] no more of it
/// arrives than the stream's window.
pub(crate) async fn read_len(stream: &mut RecvStream, limit: usize) -> Result<usize, FrameError> {
    let mut header = [0; 4];
    stream.read_exact(&mut header).await?;
    let len = u32::from_be_bytes(header) as usize;
    if len > limit { Err(FrameError::TooLong { len, limit }) } else { Ok(len) }
}

/// Reads the message of `stream` whose length `len` is read already.
pub(crate) async fn read_rest(stream: &mut RecvStream, len: usize) -> Result<Bytes, FrameError> {
    let message = stream.read_to_end(len).await?;
    if message.len() < len {
        return Err(FrameError::CutOff { got: message.len(), len });
    }
    Ok(message.into())
}
