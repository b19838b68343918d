//! The local API: HTTP and JSON on the daemon's unix socket.
//!
//! `curl --unix-socket /run/meshd/meshd.sock http://mesh/v1/status` works. Every body is one JSON
//! document whose `schema` names kind and version. A version only grows: fields are added, never
//! renamed, retyped or removed; anything else is a new version beside the old.

pub mod v1;
