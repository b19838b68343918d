//! Joining, carried out: a stranger asks, a member answers, over QUIC on the underlay.
//!
//! The joiner asks through the daemon's own UDP port, before the packet thread takes that over: NAT
//! mapping and source address are then those the tunnels will use, and the member that answers
//! already knows where its new peer is. It tries the token's doors one after another without
//! waiting for each to fail, and believes only the identity the token names for a door.
//!
//! The member does no work for a source address that did not prove it receives (QUIC's Retry, RFC
//! 9000 section 8.1). Whoever did may come in, up to a number in all and a smaller one per source,
//! and has a few seconds to ask. Only a request that is there takes one of the few places where the
//! mesh decides, so that silent strangers keep nobody waiting.
//!
//! ```text
//! source proven ──> visitor ── request read ──> place ── reply sent ──> farewell
//!   (Retry)         64 in all, 4 per source     16        15 s           2 s
//!                   5 s to ask
//! ```

mod answer;
mod ask;
#[cfg(test)]
mod tests;
mod visitors;

use std::time::Duration;

use quinn::VarInt;

pub(crate) use answer::{Doorkeeper, JoinServer};
pub(crate) use ask::{JoinError, ask};

/// How long a door may take to have the request agreed: it may be in the midst of electing a
/// supervisor.
const REPLY_LIMIT: Duration = Duration::from_secs(15);

/// All was said.
const DONE: VarInt = VarInt::from_u32(0);
