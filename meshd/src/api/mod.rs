//! The local API: HTTP and JSON on a unix socket. The types and routes are `mesh_model::api::v1`.
//!
//! ```text
//! Socket   takes the name in the file system
//! Server   counts connections, asks the kernel who is calling
//! router   route -> rights -> body -> operation -> document
//! ```
//!
//! Whoever can open the socket may look; what changes something asks for root or the daemon's own user.
//! Every answer that is not a success is an `ErrorDocument`.

mod body;
mod caller;
mod consistency;
mod operations;
mod problem;
mod router;
mod server;
mod socket;

pub(crate) use server::Server;
pub(crate) use socket::Socket;
