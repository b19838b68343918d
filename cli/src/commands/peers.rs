//! `mesh peers`: the other members.

use mesh_model::api::v1::route;

use super::Session;
use crate::exit::{Exit, Failure};
use crate::render::peers;

pub(super) fn run(session: &Session) -> Result<Exit, Failure> {
    let answer = session.client()?.get(route::PEERS)?;
    session.show(&answer, peers::page)
}
