//! What `mesh version` and `mesh ping` make themselves, and errors. Most other documents are the daemon's, passed on
//! as they came.

use std::net::IpAddr;

use mesh_model::MemberId;
use mesh_model::api::v1::{AsOf, Document, PingReply, Schema};
use mesh_model::trust::Name;
use serde::Serialize;

use crate::exit::Told;

/// What `mesh version` answers.
#[derive(Debug, Serialize)]
pub(crate) struct Versions {
    /// This program's.
    pub(crate) client: &'static str,
    /// The daemon's; `None` when it does not answer.
    pub(crate) daemon: Option<String>,
}

impl Schema for Versions {
    const SCHEMA: &'static str = "mesh.versions/v1";
}

/// What `mesh ping` answers: the whole run, also when it was one echo.
#[derive(Debug, Serialize)]
pub(crate) struct Pings {
    /// The target as it was given.
    pub(crate) target: String,
    /// Who answered; `None` when nobody did.
    pub(crate) member: Option<MemberId>,
    /// Its name.
    pub(crate) name: Option<Name>,
    /// The overlay address that answered.
    pub(crate) addr: Option<IpAddr>,
    /// Echoes sent.
    pub(crate) sent: u32,
    /// Echoes answered.
    pub(crate) received: u32,
    /// Round trips; `None` when nobody answered.
    pub(crate) rtt_us: Option<RoundTrips>,
    /// The answers, in order.
    pub(crate) replies: Vec<Echo>,
    /// The echoes without an answer, in order.
    pub(crate) lost: Vec<Loss>,
}

impl Schema for Pings {
    const SCHEMA: &'static str = "mesh.pings/v1";
}

/// Round trips in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct RoundTrips {
    /// The shortest.
    pub(crate) min: u64,
    /// The mean, rounded down.
    pub(crate) avg: u64,
    /// The longest.
    pub(crate) max: u64,
}

/// One answered echo.
#[derive(Debug, Serialize)]
pub(crate) struct Echo {
    /// Which one, from 1.
    pub(crate) seq: u32,
    /// The daemon's word on it.
    #[serde(flatten)]
    pub(crate) reply: PingReply,
}

/// One echo without an answer.
#[derive(Debug, Serialize)]
pub(crate) struct Loss {
    /// Which one, from 1.
    pub(crate) seq: u32,
    /// The API's error code.
    pub(crate) code: String,
    /// Why there was none.
    pub(crate) message: String,
}

/// `body` under its name, as one line.
pub(crate) fn document<T: Schema + Serialize>(body: T) -> String {
    document_as_of(body, None)
}

/// `body` under its name, made of what is as new as `as_of`, as one line.
pub(crate) fn document_as_of<T: Schema + Serialize>(body: T, as_of: Option<AsOf>) -> String {
    line(&Document { as_of, ..Document::from(body) })
}

/// An error document, as one line.
pub(crate) fn error(told: &Told) -> String {
    #[derive(Serialize)]
    struct Outer<'a> {
        error: &'a Told,
    }
    line(&Outer { error: told })
}

fn line(value: &impl Serialize) -> String {
    let text = serde_json::to_string(value).expect("plain fields and string keys always serialise");
    format!("{text}\n")
}
