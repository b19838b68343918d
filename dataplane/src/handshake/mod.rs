//! The gate every handshake passes before anything dear is spent on it.
//!
//! ```text
//! first MAC wrong ................................. drop      1 us: knows a key of ours? Before the gate
//! within the free budget .......................... pass      nothing asked
//! else, no valid cookie ........................... challenge 64 bytes for 148 or 92: no amplification
//! else, within the source's proven budget ......... pass
//! else ............................................ drop
//! ```
//!
//! The free budget is the cookie mechanism of the WireGuard paper (section 5.3) with "under load"
//! made precise: a rate over all sources, and one per source. Without proof the source address may
//! be forged, so spending the free budget of a source must never lock it out; it only costs it a
//! round trip. What can be exhausted for good is the budget of a source that has shown it reads
//! what is sent to it.

mod budget;

pub use budget::{HandshakeBudget, Rate};

use std::net::SocketAddr;
use std::time::Instant;

use crate::drops::Drop;
use crate::tunnel::{COOKIE, Identity, Oven};
use budget::Budget;

/// What strangers may cost us, and how they prove where they are.
pub(crate) struct Gate {
    budget: Budget,
    oven: Oven,
}

/// The gate's answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// Worth the work.
    Pass,
    /// Not before a cookie, from [`Gate::challenge`], has come back.
    Challenge,
    /// Not at all.
    Refuse(Drop),
}

impl Gate {
    /// A gate with full budgets.
    pub(crate) fn new(budget: HandshakeBudget, seed: [u8; 32], now: Instant) -> Self {
        Self { budget: Budget::new(budget, now), oven: Oven::new(seed, now) }
    }

    /// Judges an initiation whose first MAC is right.
    pub(crate) fn admit_initiation(
        &mut self,
        from: SocketAddr,
        message: &[u8],
        now: Instant,
    ) -> Admission {
        if self.budget.spend_free(from.ip(), now) {
            return Admission::Pass;
        }
        self.admit_proven(from, message, now)
    }

    /// Judges a response that names an index of ours and whose first MAC is right. Hardly anybody off the path can guess one, so
    /// it does not compete with a flood of initiations: only its own source's budget counts.
    pub(crate) fn admit_response(
        &mut self,
        from: SocketAddr,
        message: &[u8],
        now: Instant,
    ) -> Admission {
        if self.budget.spend_source(from.ip(), now) {
            return Admission::Pass;
        }
        self.admit_proven(from, message, now)
    }

    /// Writes the cookie that [`Admission::Challenge`] asks for.
    pub(crate) fn challenge(
        &mut self,
        own: &Identity,
        from: SocketAddr,
        message: &[u8],
        now: Instant,
        out: &mut [u8; COOKIE],
    ) {
        self.oven.challenge(own, from, message, now, out);
    }

    fn admit_proven(&mut self, from: SocketAddr, message: &[u8], now: Instant) -> Admission {
        if !self.oven.is_proven(from, message, now) {
            Admission::Challenge
        } else if self.budget.spend_proven(from.ip(), now) {
            Admission::Pass
        } else {
            Admission::Refuse(Drop::HandshakeBudget)
        }
    }
}
