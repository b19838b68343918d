//! What this host says about others.

use std::collections::BTreeMap;

use mesh_model::trust::Report;
use mesh_model::{MemberId, Signed};

use super::{NotTaken, Tally};
use crate::state::State;

/// The most members one host reports at once: more are not excluded in an hour, and whoever sees more has another
/// problem.
pub const MAX_COMPLAINTS: usize = 4;

/// One report of this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    /// As it was signed.
    pub signed: Signed<Report>,
    /// What it says.
    pub report: Report,
    /// Who led when it was last told, and what that member made of it.
    pub answer: Option<(MemberId, Result<Tally, NotTaken>)>,
}

/// This host says something about as many members as it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this host reports {MAX_COMPLAINTS} members already, the most it may at once")]
pub struct TooManyComplaints;

/// All reports of this host, by their subjects: the last about each.
#[derive(Debug, Default)]
pub struct Complaints(BTreeMap<MemberId, Complaint>);

impl Complaints {
    /// From now on this host says `report`, in place of what it said about the same member before.
    pub fn file(
        &mut self,
        signed: Signed<Report>,
        report: Report,
    ) -> Result<(), TooManyComplaints> {
        let subject = report.subject;
        if self.0.len() >= MAX_COMPLAINTS && !self.0.contains_key(&subject) {
            return Err(TooManyComplaints);
        }
        self.0.insert(subject, Complaint { signed, report, answer: None });
        Ok(())
    }

    /// What `leader` made of `report`, if this host still says that.
    pub fn note(&mut self, report: &Report, leader: MemberId, answer: Result<Tally, NotTaken>) {
        let complaint = self.0.get_mut(&report.subject);
        if let Some(complaint) = complaint.filter(|complaint| complaint.report == *report) {
            complaint.answer = Some((leader, answer));
        }
    }

    /// Forgets what is of no use any more at `now_ms`: it has expired, or its subject is out.
    pub fn tidy(&mut self, state: &State, now_ms: u64) {
        self.0.retain(|subject, complaint| {
            now_ms < complaint.report.expires_ms()
                && state.members().present().contains_key(subject)
                && !state.is_out(*subject)
        });
    }

    /// All of them, by subject.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Complaint> {
        self.0.values()
    }

    /// Whether there is one about `subject`.
    pub fn is_about(&self, subject: MemberId) -> bool {
        self.0.contains_key(&subject)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
