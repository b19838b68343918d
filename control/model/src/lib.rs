//! The words of the house.
//!
//! Everything two packages have to agree on lives here and nowhere else: identifiers, keys, overlay
//! addresses, the trust chain, the audit trail, the agreed view of the cluster, the plan handed to the packet core,
//! wire formats and the local API. No behaviour beyond what makes a word well-formed: nothing here
//! reads a clock, a socket, a file or entropy.
//!
//! ```text
//! trust::Genesis ── signed by the mesh's root key ─┐
//! trust::Invite  ── signed by an admin's key       ├─> view::ClusterView ──> plan::Plan ──> plan::Update
//! trust::MemberRecord ── signed by the invite key ─┘
//! ```

pub mod access;
pub mod addr;
pub mod api;
pub mod audit;
pub mod backup;
pub mod codec;
pub mod cosigned;
pub mod edition;
pub mod facts;
pub mod fault;
pub mod id;
pub mod key;
pub mod plan;
#[cfg(any(test, feature = "recall"))]
mod recall;
pub mod signed;
pub mod snapshot;
pub mod trust;
pub mod uapi;
pub mod view;
pub mod wire;

pub use addr::{OverlayAddrs, Prefixes};
pub use cosigned::Cosigned;
pub use edition::Edition;
pub use fault::Fault;
pub use id::{AdminId, InviteId, LogIndex, MemberId, MeshId, Term};
pub use key::{IdentityKey, IdentitySecret, PresharedKey, Signature, TunnelKey, TunnelSecret};
pub use signed::Signed;
