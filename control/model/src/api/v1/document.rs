//! The envelope of every answer.

use serde::{Deserialize, Serialize};

use crate::id::LogIndex;

/// The query that asks a route that reads for what is agreed now: `GET /v1/bans?consistent`.
pub const CONSISTENT: &str = "consistent";

/// A body with a name and a version.
pub trait Schema {
    /// Kind and version, such as `mesh.status/v1`.
    const SCHEMA: &'static str;
}

macro_rules! schema {
    ($($type:ty => $name:literal),* $(,)?) => {
        $(impl $crate::api::v1::Schema for $type {
            const SCHEMA: &'static str = $name;
        })*
    };
}
pub(super) use schema;

/// How new it is what an answer tells of the agreed state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AsOf {
    /// The host had applied at least the log up to this index.
    pub applied: LogIndex,
    /// For how many milliseconds the host had heard nothing of the supervisor: what was agreed since may be missing.
    /// `None` when it had heard nothing since its start.
    pub age_ms: Option<u64>,
    /// A majority of the voters confirmed that everything agreed before the question is in it.
    pub consistent: bool,
}

/// A body under its schema name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document<T> {
    /// [`Schema::SCHEMA`] of the body.
    pub schema: String,
    /// How new it is; only where an answer shows agreed state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of: Option<AsOf>,
    /// The fields of the body stand beside `schema`.
    #[serde(flatten)]
    pub body: T,
}

impl<T: Schema> From<T> for Document<T> {
    fn from(body: T) -> Self {
        Self { schema: T::SCHEMA.to_owned(), as_of: None, body }
    }
}
