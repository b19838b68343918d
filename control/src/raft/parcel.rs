//! The whole state on its way to a member, for as long as it is in memory.
//!
//! How long that is depends on the line. So whoever sends the answer holds it, and the [`Desk`] hears when it let go.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use mesh_model::MemberId;

use crate::sync::Desk;

/// An answer with the state in it.
pub(super) struct Parcel {
    to: MemberId,
    answer: Bytes,
    desk: Arc<Mutex<Desk>>,
}

impl Parcel {
    /// `answer`, for `to`; `desk` has let it be sent.
    pub(super) fn wrap(to: MemberId, answer: Bytes, desk: &Arc<Mutex<Desk>>) -> Bytes {
        Bytes::from_owner(Self { to, answer, desk: Arc::clone(desk) })
    }
}

impl AsRef<[u8]> for Parcel {
    fn as_ref(&self) -> &[u8] {
        &self.answer
    }
}

impl Drop for Parcel {
    fn drop(&mut self) {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner).snapshot_gone(self.to);
    }
}
