//! Arguments of `mesh sync`.

use clap::{Args, Subcommand};

/// Arguments of `mesh sync`.
#[derive(Debug, Args)]
#[command(after_help = "Without a command it shows the same as `status`.\n\n\
    The supervisor sends what is agreed to the voters and a few others; everybody else asks another\n\
    member for it. On a host that leads or is sent it, `resync`, `fast` and `from` take effect only once\n\
    it has to ask.\n\n\
    Examples:\n  \
    mesh sync from gw,web1           ask these first: they are near\n  \
    mesh sync resync --from-index 40 hold this host's log against another's")]
pub(crate) struct SyncArgs {
    /// What to do.
    #[command(subcommand)]
    pub(crate) verb: Option<SyncVerb>,
}

/// What to do about where what is agreed comes from.
#[derive(Debug, Subcommand)]
pub(crate) enum SyncVerb {
    /// Show where this host has what is agreed from, how far it is, and whom it serves
    Status,
    /// Forget what is doubted about others and look for a source anew
    Resync(ResyncArgs),
    /// Ask for the whole state at once rather than for entries, once: for a host that is far behind
    Fast,
    /// Ask certain members before all others, until the daemon is restarted
    From(FromArgs),
}

/// Arguments of `mesh sync resync`.
#[derive(Debug, Args)]
#[command(
    after_help = "With --from-index nothing is taken over: the entries are compared, and the first that differs is\n\
    named; the exit code is 1 then. Entries that were cut off behind a snapshot cannot be compared."
)]
pub(crate) struct ResyncArgs {
    /// Also pull what was agreed from this index on again, and compare it with what this host has
    #[arg(long, value_name = "INDEX")]
    pub(crate) from_index: Option<u64>,
}

/// Arguments of `mesh sync from`.
#[derive(Debug, Args)]
pub(crate) struct FromArgs {
    /// Names, ids or overlay addresses, separated by commas; the first is asked most of all
    #[arg(value_name = "PEER", value_delimiter = ',', required_unless_present = "any")]
    pub(crate) members: Vec<String>,

    /// Nobody in particular again
    #[arg(long, conflicts_with = "members")]
    pub(crate) any: bool,
}
