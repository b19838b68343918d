//! The envelope of every answer.

use serde::{Deserialize, Serialize};

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

/// A body under its schema name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document<T> {
    /// [`Schema::SCHEMA`] of the body.
    pub schema: String,
    /// The fields of the body stand beside `schema`.
    #[serde(flatten)]
    pub body: T,
}

impl<T: Schema> From<T> for Document<T> {
    fn from(body: T) -> Self {
        Self { schema: T::SCHEMA.to_owned(), body }
    }
}
