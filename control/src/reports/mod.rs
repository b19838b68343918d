//! Reports on their way to a decision.
//!
//! ```text
//! mesh report ──> Complaints, at each host: what it says, until it has expired
//!                     │ told to whoever leads, again when another does
//!                     v
//!                 Docket, at the leader: one report of each lineage about each subject
//!                     │ a quorum of lineages
//!                     v
//!                 Command::Exclude
//! ```
//!
//! Nothing of this is agreed, and none of it is kept on disk: a report lives for an hour. A leader that loses its place
//! loses the docket with it, and every host tells the next one what it says.

mod complaints;
mod docket;

pub use complaints::{Complaint, Complaints, MAX_COMPLAINTS, TooManyComplaints};
pub use docket::{Case, Docket, MAX_PER_LINEAGE, NotTaken, Tally};
