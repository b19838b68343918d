//! Agreement: one order of commands for the whole mesh, on openraft.
//!
//! A few members vote; one of them leads and is the supervisor. Whatever the mesh has to agree on goes to
//! it as a [`Proposal`](crate::command::Proposal), into the log, to a majority of the voters' disks, and
//! from there into everybody's [`State`](crate::state::State). This module is the one place that knows
//! openraft; nothing of it shows outside.
//!
//! ```text
//!  Group::propose ──> leader's log ──Append──> voters, learners         the order
//!                        │  majority flushed
//!                        └─ commit ──> Machine::apply ──> views()        the state
//!  steward: members of the mesh ──next_step──> who votes, who follows    the membership
//! ```
//!
//! - [`store`] keeps log, vote and snapshot; nothing is acknowledged before it is flushed.
//! - `machine` applies; `snapshot` packs and checks; `replica` is the state and how far it has come; `export` is a
//!   snapshot as a file of its own.
//! - `network` asks, `notices` says what can wait for the next question, and `answer` answers; `rpc` is what they say; `speaker` is who may say it, `leaps` of which terms; `contact` is
//!   whether the leader is still there, and `refusing` counts what is not listened to.
//! - [`roles`] decides who votes; `steward` has it carried out, going by what `followers` knows of the others, how `lines` to
//!   them have been, and for how long, as `tenure` says, the same have voted. Who is about to go, by `farewell`, is given no vote.
//! - `warden` has bans end when their time is over, `tribunal` has members excluded that many report, as `hearing` knows.
//! - `place` is what stays when admins begin another epoch, `ferry` goes over into it by a `passage`, and `lookout` hears of it. By the same
//!   way a candidate that has no vote any more takes back what it promised, as `withdrawal` says.
//! - `recollection` asks the others, at each start, whether this host signed what its disk does not have.
//! - `aftermath` says what is left when agreement has ended.
//! - `outdated` is what a member does that hears a newer version spoken, `editions` what a leader does so that it need not.
//! - `herald` tells who leads and `history` remembers it; `transfer` has another lead on request.
//! - `following` asks another member for what was agreed, where the leader does not send it: `draft` holds it until it is
//!   proven, `serving` answers such questions, `notary` signs what the log led to and `testimony` keeps what others
//!   signed; `feeding` hands it to Raft. Whom to ask is [`sync`](crate::sync)'s to say, by what `bearings` tells it. `comparing` pulls again what is held here already.
//! - `welcome` is what a joining host starts from, and `starting` how any does.
//! - `pulse` says when a leader shows itself and when a voter asks for votes, `patience` how long that takes.
//! - `runtime` makes it repeatable: **its head says how equal seeds give equal runs**.
//!
//! Founding: index 0 holds the founding membership, index 1 the blank entry of the first leader, so the
//! founder's id, 1, can never be given to an admission.

mod aftermath;
mod answer;
mod bearings;
mod comparing;
mod contact;
mod doubt;
mod draft;
mod editions;
mod export;
mod farewell;
mod feeding;
mod ferry;
#[cfg(test)]
mod fixture;
mod followers;
mod following;
mod group;
mod hearing;
mod herald;
mod history;
#[cfg(test)]
mod hostile;
mod leaps;
mod lines;
mod lookout;
mod machine;
mod memory;
mod network;
mod notary;
mod notices;
mod outdated;
mod parcel;
mod passage;
mod patience;
mod place;
mod propose;
mod pulse;
mod reading;
mod recollection;
mod records;
mod refusing;
mod replica;
pub mod roles;
mod rpc;
mod runtime;
mod serving;
mod snapshot;
mod speaker;
mod stamps;
mod starting;
mod status;
mod steward;
pub mod store;
mod sync_status;
mod tenure;
mod testimony;
mod timing;
mod transfer;
mod tribunal;
mod types;
mod warden;
mod watch;
mod welcome;
mod withdrawal;

pub use aftermath::Aftermath;
pub use comparing::{CompareError, Comparison, Difference, Held};
pub use editions::HeldBack;
pub use export::{ExportError, Snapshot};
pub use group::{Group, GroupError};
pub use hearing::ReportError;
pub use history::{Cause, MAX_KEPT, MAX_TRANSITIONS, Reason, Transition};
pub use lookout::Obstacle;
pub use memory::MemoryDisk;
pub use passage::PassageError;
pub use propose::{Applied, ProposeError};
pub use reading::{Freshness, ReadError};
pub use rpc::RpcError;
pub use snapshot::SnapshotError;
pub use stamps::{FAR_AHEAD_MS, FarStamp};
pub use status::{EpochStatus, Follower, GroupFailure, GroupStatus, Leadership, Role};
pub use store::{Aside, CatchUpError, RecoverError, Start, Store, StoreError, Survey};
pub use sync_status::{SyncState, SyncStatus};
pub use timing::Timing;
pub use transfer::{HandOverRefusal, TransferError};
