//! `mesh version`: both versions. A daemon that does not answer has none, and that is an answer.

use mesh_model::api::v1::{VersionReply, route};

use super::Session;
use crate::client::ClientError;
use crate::exit::{Exit, Failure};
use crate::render::json::{self, Versions};
use crate::render::safe;

pub(super) fn run(session: &Session) -> Result<Exit, Failure> {
    let client = env!("CARGO_PKG_VERSION");
    let answer = session.client()?.get::<VersionReply>(route::VERSION);
    let (daemon, shown) = match answer {
        Ok(answer) => (Some(answer.body.version.clone()), answer.body.version),
        Err(ClientError::Interrupted) => return Err(Failure::Interrupted),
        Err(error) => (None, format!("unknown: {error}")),
    };
    if session.output.is_json() {
        let versions = Versions { client, daemon };
        session.output.text(&json::document(versions))?;
    } else {
        let shown = safe(&shown);
        session.output.text(&format!("mesh   {client}\nmeshd  {shown}\n"))?;
    }
    Ok(Exit::Ok)
}
