//! Documents about what members say against others: report, reports.

use serde::{Deserialize, Serialize};

use super::document::schema;
use crate::id::MemberId;
use crate::trust::{Misconduct, Name, Reason};

/// Report a member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportRequest {
    /// Its name, id or overlay address.
    pub member: String,
    /// What it does.
    pub kind: Misconduct,
    /// More of it, in words.
    #[serde(default)]
    pub reason: Option<Reason>,
}

/// How far a case against a member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportTally {
    /// Members of how many lineages have reported it.
    pub have: u32,
    /// How many have to, for it to be excluded.
    pub needed: u32,
    /// How many lineages could report it.
    pub lineages: u32,
}

/// This host reports the member from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportReply {
    /// Who is reported.
    pub member: MemberId,
    /// Its name.
    pub name: Name,
    /// What for.
    pub kind: Misconduct,
    /// Until when the report counts, in milliseconds since the Unix epoch.
    pub expires_ms: u64,
    /// The supervisor that was told; `None`: none was reached, the next one will be told.
    pub told: Option<MemberId>,
    /// How far the case is, by the supervisor that was told.
    pub tally: Option<ReportTally>,
}

/// What this host says against a member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnReport {
    /// Against whom.
    pub member: MemberId,
    /// Its name.
    pub name: Name,
    /// What for.
    pub kind: Misconduct,
    /// More of it.
    pub reason: Option<Reason>,
    /// Since when, in milliseconds since the Unix epoch.
    pub made_ms: u64,
    /// As in [`ReportReply::expires_ms`].
    pub expires_ms: u64,
    /// The supervisor that was told last, if one was.
    pub told: Option<MemberId>,
    /// As in [`ReportReply::tally`].
    pub tally: Option<ReportTally>,
    /// Why that supervisor does not count it.
    pub refused: Option<String>,
}

/// What was said to this host against a member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportCase {
    /// Against whom.
    pub member: MemberId,
    /// Its name.
    pub name: Name,
    /// Whose reports count, one of each lineage.
    pub reporters: Vec<MemberId>,
    /// What for.
    pub kinds: Vec<Misconduct>,
    /// How far the case is.
    pub tally: ReportTally,
}

/// Reports of which nothing has come yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reports {
    /// By this host.
    pub own: Vec<OwnReport>,
    /// To this host, by the members they are about; `None` where another one is the supervisor.
    pub cases: Option<Vec<ReportCase>>,
}

schema! {
    ReportReply => "mesh.report/v1",
    Reports => "mesh.reports/v1",
}
