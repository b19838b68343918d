//! A statement of an admin, as it was agreed.

use mesh_model::codec::{CodecError, Message};
use mesh_model::{AdminId, LogIndex, Signed};
use serde::{Deserialize, Serialize};

/// What an admin signed, who that was, and where in the log it was agreed.
///
/// The last two are what an admin's word rests on once it is an admin no more: [`Admins`](super::Admins) knows from which
/// index to which it was one. Neither is signed, so a snapshot may lie about them; the audit trail has to tell the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Stored<T>", bound = "")]
pub struct Stated<T: Message> {
    signed: Signed<T>,
    by: AdminId,
    at: LogIndex,
    /// What `signed` says, decoded.
    #[serde(skip_serializing)]
    said: T,
}

/// A statement as it is encoded: the signed bytes once.
#[derive(Deserialize)]
#[serde(bound = "")]
struct Stored<T: Message> {
    signed: Signed<T>,
    by: AdminId,
    at: LogIndex,
}

impl<T: Message> TryFrom<Stored<T>> for Stated<T> {
    type Error = CodecError;

    fn try_from(stored: Stored<T>) -> Result<Self, CodecError> {
        let Stored { signed, by, at } = stored;
        Ok(Self { said: signed.peek()?, signed, by, at })
    }
}

impl<T: Message> Stated<T> {
    /// `signed`, which says `said` and which `by` signed, agreed at `at`.
    pub fn new(signed: Signed<T>, said: T, by: AdminId, at: LogIndex) -> Self {
        Self { signed, by, at, said }
    }

    /// What it says.
    pub fn said(&self) -> &T {
        &self.said
    }

    /// The same, as it was signed.
    pub fn signed(&self) -> &Signed<T> {
        &self.signed
    }

    /// Who signed it.
    pub fn by(&self) -> AdminId {
        self.by
    }

    /// Where in the log it was agreed.
    pub fn at(&self) -> LogIndex {
        self.at
    }
}
