//! One entry of the audit trail as it came, and as far as this program understands it: a newer daemon may tell of kinds that are unknown
//! here.

use mesh_model::LogIndex;
use mesh_model::api::v1::AuditEntry;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// See the [module](self).
#[derive(Debug, Clone)]
pub(crate) struct Record {
    /// As it came.
    pub(crate) raw: Value,
    /// As it is understood; `None` when it is not.
    pub(crate) entry: Option<AuditEntry>,
}

impl<'de> Deserialize<'de> for Record {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Value::deserialize(deserializer)?;
        Ok(Self { entry: serde_json::from_value(raw.clone()).ok(), raw })
    }
}

impl Record {
    /// Where it stands in the log, if it says so.
    pub(crate) fn index(&self) -> Option<LogIndex> {
        self.raw["index"].as_u64()
    }

    /// When it was decided, if it says so.
    pub(crate) fn at_ms(&self) -> Option<u64> {
        self.raw["at_ms"].as_u64()
    }

    /// What kind of decision it was.
    pub(crate) fn kind(&self) -> &str {
        self.raw["kind"].as_str().unwrap_or("?")
    }
}
