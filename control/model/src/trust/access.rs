//! The operator's word on who may reach whom.

use serde::{Deserialize, Serialize};

use super::AdminStatement;
use crate::access::{Rule, Traffic};
use crate::audit::Event;
use crate::id::MeshId;
use crate::view::MemberView;

/// The most rules of a policy: more than people keep in their heads, and what a receiver compiles in a millisecond.
pub const MAX_RULES: usize = 128;

/// The most selectors and ranges of ports in all rules of a policy together. At 38 bytes for the longest, a tag, that is
/// 19.5 kB: a policy fits one entry of the log, which keeps every change of it whole.
pub const MAX_TERMS: usize = 512;

/// Who may reach whom. Signed by an admin; the one with the highest serial counts, so nobody can bring an
/// earlier one back.
///
/// What no rule allows is denied, except answers to what was allowed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessPolicy {
    /// The only mesh it is for.
    pub mesh: MeshId,
    /// Higher than that of every policy before it; the first is 1.
    pub serial: u64,
    /// What is allowed, at most [`MAX_RULES`] with at most [`MAX_TERMS`].
    pub rules: Vec<Rule>,
}

crate::message!(AccessPolicy, "access policy", version 1, limit 20 << 10);

/// A bound of a policy that does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum AccessBound {
    /// More than [`MAX_RULES`].
    #[error("it has more than {MAX_RULES} rules")]
    Rules,
    /// More than [`MAX_TERMS`].
    #[error("its rules have more than {MAX_TERMS} selectors and ranges of ports together")]
    Terms,
    /// A rule with ports for a protocol that has none.
    #[error("a rule names ports although its protocol is neither tcp nor udp")]
    Ports,
}

impl AdminStatement for AccessPolicy {
    fn mesh(&self) -> MeshId {
        self.mesh
    }

    fn event(&self) -> Event {
        let rules = u32::try_from(self.rules.len()).unwrap_or(u32::MAX);
        Event::AccessSet { serial: self.serial, rules }
    }
}

impl AccessPolicy {
    /// Whether it is one an admin may set.
    pub fn check_bounds(&self) -> Result<(), AccessBound> {
        if self.rules.len() > MAX_RULES {
            return Err(AccessBound::Rules);
        }
        if self.rules.iter().map(Rule::terms).sum::<usize>() > MAX_TERMS {
            return Err(AccessBound::Terms);
        }
        let coherent = |rule: &Rule| rule.ports.is_empty() || rule.protocol.has_ports();
        if self.rules.iter().all(coherent) { Ok(()) } else { Err(AccessBound::Ports) }
    }

    /// The place of the first rule by which `from` may send `traffic` to `to` unasked; `None`: it may not.
    pub fn allowing(&self, from: &MemberView, to: &MemberView, traffic: Traffic) -> Option<usize> {
        self.rules.iter().position(|rule| rule.is_between(from, to) && rule.carries(traffic))
    }
}
