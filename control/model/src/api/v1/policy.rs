//! Documents about who may reach whom: the policy, its history, what it would change, what it says of one thing.

use serde::{Deserialize, Serialize};

use super::ban::{AppliedBy, Ban};
use super::document::schema;
use super::invite::MemberName;
use crate::access::Protocol;
use crate::id::LogIndex;

/// One rule, in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyRule {
    /// Who may begin: members by name or id, `tag:web`, or `any`.
    pub from: Vec<String>,
    /// With whom, in the same words.
    pub to: Vec<String>,
    /// `tcp`, `udp`, `icmp` or `any`.
    pub protocol: Protocol,
    /// To which ports, such as `22` or `8000-8999`; to all of them when empty.
    #[serde(default)]
    pub ports: Vec<String>,
}

/// The policy that stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// How often the policy was said; 0 while there is none and everybody may reach everybody.
    pub serial: u64,
    /// When it was agreed, in milliseconds since the Unix epoch; `None` while there is none.
    pub since_ms: Option<u64>,
    /// What is allowed. While there is a policy, everything else is not.
    pub rules: Vec<PolicyRule>,
    /// Up to where this host has applied the log.
    pub applied: LogIndex,
}

/// The policies that are remembered, the one that stands last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyHistory {
    /// The policies.
    pub policies: Vec<Policy>,
}

/// Say who may reach whom.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyRequest {
    /// What shall be allowed, and nothing else.
    pub rules: Vec<PolicyRule>,
    /// Wait until every member has applied it, for so many milliseconds at most; not at all when absent.
    #[serde(default)]
    pub wait_ms: Option<u64>,
}

/// The policy is agreed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyReply {
    /// Its serial.
    pub serial: u64,
    /// How many rules it has.
    pub rules: usize,
    /// Where it stands in the log.
    pub index: LogIndex,
    /// Who has applied it, when that was waited for.
    pub applied_by: Option<AppliedBy>,
}

/// Say what a policy would change. Nothing is changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyPreviewRequest {
    /// What would be allowed, and nothing else.
    pub rules: Vec<PolicyRule>,
}

/// What a policy would change. A pair is a member and another one that it may begin something with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyPreview {
    /// All pairs of present members, each way counted.
    pub pairs: u64,
    /// Pairs in which something is allowed now.
    pub before: u64,
    /// Pairs in which something would be.
    pub after: u64,
    /// Pairs in which something is allowed now, and nothing would be.
    pub lost: u64,
}

/// Ask what the policy says of one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyTestRequest {
    /// Who begins: a member's name, id or overlay address.
    pub from: String,
    /// With whom.
    pub to: String,
    /// `tcp`, `udp` or `icmp`; `any` stands for a protocol that is none of these.
    pub protocol: Protocol,
    /// To which port; of TCP and UDP only.
    #[serde(default)]
    pub port: Option<u16>,
}

/// What is decided of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyTest {
    /// Who begins.
    pub from: MemberName,
    /// With whom.
    pub to: MemberName,
    /// Whether it may.
    pub allowed: bool,
    /// The policy's serial; 0 while there is none, which allows everything.
    pub serial: u64,
    /// The place of the first rule that allows it, counted from 1.
    pub rule: Option<usize>,
    /// That rule.
    pub because: Option<PolicyRule>,
    /// The ban or exclusion of one of the two, of whoever begins if of both: with it the policy is not asked.
    #[serde(default)]
    pub ban: Option<Ban>,
}

schema! {
    Policy => "mesh.policy/v1",
    PolicyHistory => "mesh.policy_history/v1",
    PolicyReply => "mesh.policy_set/v1",
    PolicyPreview => "mesh.policy_preview/v1",
    PolicyTest => "mesh.policy_test/v1",
}
