//! From bytes to documents: the right name first, then the fields.

use std::fmt;

use mesh_model::api::v1::{AsOf, ErrorCode, Schema};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The daemon's own error document, read leniently: a newer daemon may have codes unknown here.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    /// The code, if this build knows it.
    pub(crate) code: Option<ErrorCode>,
    /// The code as it came.
    pub(crate) code_name: String,
    /// What happened and what it means.
    message: String,
    /// What to do about it.
    pub(crate) hint: String,
    /// The members that were waited for in vain, as they came.
    pub(crate) missing: Vec<Value>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// A document from the daemon.
#[derive(Debug, Clone)]
pub(crate) struct Answer<T> {
    /// What it says.
    pub(crate) body: T,
    /// How new it is, if it shows agreed state.
    pub(crate) as_of: Option<AsOf>,
    /// Its text as it came, on one line.
    pub(crate) text: String,
}

/// The `T` in `text`, under the right name.
pub(crate) fn read_document<T: Schema + DeserializeOwned>(
    text: &[u8],
) -> Result<Answer<T>, String> {
    #[derive(Deserialize)]
    struct Head {
        schema: String,
        #[serde(default)]
        as_of: Option<AsOf>,
    }
    let text = std::str::from_utf8(text).map_err(|_| "not JSON: not even UTF-8".to_owned())?;
    let head: Head = serde_json::from_str(text)
        .map_err(|error| format!("not a document of meshd's API: {error}"))?;
    if head.schema != T::SCHEMA {
        return Err(format!(
            "it is `{}`, this mesh understands `{}`",
            head.schema.escape_debug(),
            T::SCHEMA
        ));
    }
    let body = serde_json::from_str(text)
        .map_err(|error| format!("not a `{}` document: {error}", T::SCHEMA))?;
    // Line breaks outside of strings mean nothing in JSON, and inside they cannot occur.
    let text = text.trim().replace(['\n', '\r'], " ");
    Ok(Answer { body, as_of: head.as_of, text })
}

/// The refusal in `text`, which came with something that says it is one.
pub(crate) fn read_refusal(came_with: &str, text: &[u8]) -> Result<Refusal, String> {
    #[derive(Deserialize)]
    struct Outer {
        error: Inner,
    }
    #[derive(Deserialize)]
    struct Inner {
        code: String,
        message: String,
        #[serde(default)]
        hint: String,
        #[serde(default)]
        missing: Vec<Value>,
    }
    let Outer { error } =
        serde_json::from_slice(text).map_err(|_| format!("{came_with} without an explanation"))?;
    Ok(Refusal {
        code: serde_json::from_value(error.code.clone().into()).ok(),
        code_name: error.code,
        message: error.message,
        hint: error.hint,
        missing: error.missing,
    })
}

#[cfg(test)]
mod tests {
    use mesh_model::api::v1::VersionReply;

    use super::*;

    #[test]
    fn a_document_keeps_fields_this_build_does_not_know() {
        let text = "{\"schema\":\"mesh.version/v1\",\n \"version\":\"9\",\"new\":1}\n";
        let answer = read_document::<VersionReply>(text.as_bytes()).expect("a document");
        assert_eq!(answer.body.version, "9");
        assert_eq!(answer.text, "{\"schema\":\"mesh.version/v1\",  \"version\":\"9\",\"new\":1}");
    }

    #[test]
    fn another_schema_is_refused_by_name() {
        let text = br#"{"schema":"mesh.version/v2","version":"9"}"#;
        let reason = read_document::<VersionReply>(text).expect_err("another version");
        assert_eq!(reason, "it is `mesh.version/v2`, this mesh understands `mesh.version/v1`");
    }

    #[test]
    fn a_code_of_the_future_is_passed_on() {
        let text = br#"{"error":{"code":"moon_phase","message":"wait"}}"#;
        let refusal = read_refusal("HTTP status 409", text).expect("a refusal");
        assert_eq!((refusal.code, refusal.code_name.as_str()), (None, "moon_phase"));
    }
}
