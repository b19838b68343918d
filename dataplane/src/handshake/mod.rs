//! The gate every handshake passes before anything dear is spent on it.
//!
//! ```text
//! first MAC wrong ................................. drop      1 us: knows our key?
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

use std::net::IpAddr;
use std::time::Instant;

use mesh_model::{TunnelKey, TunnelSecret};

use crate::drops::Drop;
use crate::tunnel::{Challenge, Identity};
use budget::Budget;

/// Our identity and what strangers may cost it.
pub(crate) struct Gate {
    /// Checks MACs, reads initiations, makes tunnels. Without one every handshake is refused.
    pub(crate) identity: Option<Identity>,
    budget: Budget,
}

/// The gate's answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// Worth the work.
    Pass,
    /// Not before this many bytes, a cookie, have come back.
    Challenge(usize),
    /// Not at all.
    Refuse(Drop),
}

impl Gate {
    /// A gate with full budgets.
    pub(crate) fn new(
        secret: Option<&TunnelSecret>,
        budget: HandshakeBudget,
        now: Instant,
    ) -> Self {
        Self { identity: secret.map(Identity::new), budget: Budget::new(budget, now) }
    }

    /// Takes another identity, or none.
    pub(crate) fn set_identity(&mut self, secret: Option<&TunnelSecret>) {
        self.identity = secret.map(Identity::new);
    }

    /// Our own key.
    pub(crate) fn own_key(&self) -> Option<TunnelKey> {
        self.identity.as_ref().map(Identity::key)
    }

    /// Judges an initiation.
    pub(crate) fn admit_initiation(
        &mut self,
        from: IpAddr,
        datagram: &[u8],
        now: Instant,
        out: &mut [u8],
    ) -> Admission {
        if let Err(drop) = self.check_mac(datagram) {
            return Admission::Refuse(drop);
        }
        if self.budget.spend_free(from, now) {
            return Admission::Pass;
        }
        self.admit_proven(from, datagram, now, out)
    }

    /// Judges a response that names an index of ours. Nobody off the path can guess one, so it does
    /// not compete with a flood of initiations: only its own source's budget counts.
    pub(crate) fn admit_response(
        &mut self,
        from: IpAddr,
        datagram: &[u8],
        now: Instant,
        out: &mut [u8],
    ) -> Admission {
        if let Err(drop) = self.check_mac(datagram) {
            return Admission::Refuse(drop);
        }
        if self.budget.spend_source(from, now) {
            return Admission::Pass;
        }
        self.admit_proven(from, datagram, now, out)
    }

    fn check_mac(&self, datagram: &[u8]) -> Result<(), Drop> {
        self.identity.as_ref().ok_or(Drop::NoPrivateKey)?.check_mac(datagram)
    }

    fn admit_proven(
        &mut self,
        from: IpAddr,
        datagram: &[u8],
        now: Instant,
        out: &mut [u8],
    ) -> Admission {
        let Some(identity) = &self.identity else {
            return Admission::Refuse(Drop::NoPrivateKey);
        };
        match identity.challenge(from, datagram, out) {
            Ok(Challenge::Cookie(len)) => Admission::Challenge(len),
            Ok(Challenge::Proven) if self.budget.spend_proven(from, now) => Admission::Pass,
            Ok(Challenge::Proven) => Admission::Refuse(Drop::HandshakeBudget),
            Err(drop) => Admission::Refuse(drop),
        }
    }
}
