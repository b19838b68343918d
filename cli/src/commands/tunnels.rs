//! `mesh tunnels`: the WireGuard tunnels.

use mesh_model::api::v1::route;

use super::Session;
use crate::exit::{Exit, Failure};
use crate::render::tunnels;

pub(super) fn run(session: &Session) -> Result<Exit, Failure> {
    let answer = session.client()?.get(route::TUNNELS)?;
    session.show(&answer, tunnels::page)
}
