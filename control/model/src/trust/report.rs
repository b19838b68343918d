//! What a member says another does wrong.
//!
//! A report alone changes nothing. Enough of them, by members that came in by different ways, and the mesh shuts its
//! subject out for a time, without any admin: see `state/excluding.rs` in `mesh-control`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{ChainError, Reason};
use crate::id::{MemberId, MeshId};
use crate::key::IdentityKey;
use crate::signed::Signed;

/// How long a report counts, in milliseconds: an hour, in which those who run other hosts have seen the same. What was
/// true in the morning shall not shut anybody out at night.
pub const REPORT_LIFETIME_MS: u64 = 60 * 60 * 1000;

/// How far a reporter's clock may be ahead of the leader's, in milliseconds: five minutes, as Kerberos allows. Hosts
/// that keep time at all are closer.
pub const REPORT_SKEW_MS: u64 = 5 * 60 * 1000;

/// What a member is reported for. New kinds go to the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Misconduct {
    /// It sends what others have not said as theirs.
    Forges,
    /// It sends more than anybody can use.
    Floods,
    /// Its word on what was agreed is not what was agreed.
    Diverges,
    /// Something else; the reason tells.
    Other,
}

impl Misconduct {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::Forges, Self::Floods, Self::Diverges, Self::Other];

    /// What it is called, as in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Forges => "forges",
            Self::Floods => "floods",
            Self::Diverges => "diverges",
            Self::Other => "other",
        }
    }
}

impl fmt::Display for Misconduct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Text that names no kind of misconduct.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a member is reported for one of: forges, floods, diverges, other")]
pub struct MisconductError;

impl FromStr for Misconduct {
    type Err = MisconductError;

    fn from_str(text: &str) -> Result<Self, MisconductError> {
        Self::ALL.into_iter().find(|kind| kind.name() == text).ok_or(MisconductError)
    }
}

/// "That one does wrong." Signed by the reporter's identity key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The only mesh it is good for.
    pub mesh: MeshId,
    /// Who says so.
    pub reporter: MemberId,
    /// About whom.
    pub subject: MemberId,
    /// Whom the reporter knows under that id.
    pub identity: IdentityKey,
    /// What it does.
    pub misconduct: Misconduct,
    /// More of it, in the words of a person.
    pub reason: Option<Reason>,
    /// When this was said, in milliseconds since the Unix epoch, by the reporter's clock.
    pub made_ms: u64,
}

// A report with the longest reason takes 290 bytes.
crate::message!(Report, "report", version 1, limit 320);

impl Report {
    /// The report in `signed`, if `reporter` signed it for `mesh`.
    pub fn verify(
        signed: &Signed<Self>,
        mesh: MeshId,
        reporter: &IdentityKey,
    ) -> Result<Self, ChainError> {
        let report = signed.open(reporter)?;
        if report.mesh == mesh { Ok(report) } else { Err(ChainError::OtherMesh) }
    }

    /// When it counts no more, in milliseconds since the Unix epoch.
    pub fn expires_ms(&self) -> u64 {
        self.made_ms.saturating_add(REPORT_LIFETIME_MS)
    }

    /// Whether it counts at `now_ms`.
    pub fn is_fresh_at(&self, now_ms: u64) -> bool {
        self.made_ms <= now_ms.saturating_add(REPORT_SKEW_MS) && now_ms < self.expires_ms()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_a_name_that_means_it() {
        for kind in Misconduct::ALL {
            assert_eq!(kind.name().parse(), Ok(kind));
        }
        assert_eq!("rude".parse::<Misconduct>(), Err(MisconductError));
    }

    #[test]
    fn a_report_counts_for_an_hour_and_is_not_from_the_future() {
        let made_ms = 10 * REPORT_LIFETIME_MS;
        let report = Report {
            mesh: MeshId([0; 16]),
            reporter: MemberId(1),
            subject: MemberId(2),
            identity: IdentityKey([0; 32]),
            misconduct: Misconduct::Other,
            reason: None,
            made_ms,
        };
        assert!(!report.is_fresh_at(made_ms - REPORT_SKEW_MS - 1));
        assert!(report.is_fresh_at(made_ms - REPORT_SKEW_MS));
        assert!(report.is_fresh_at(made_ms + REPORT_LIFETIME_MS - 1));
        assert!(!report.is_fresh_at(made_ms + REPORT_LIFETIME_MS));
    }
}
