//! Arguments of `mesh snapshot`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use mesh_model::{LogIndex, MeshId};

use super::HostArgs;

/// What to do with snapshots.
#[derive(Debug, Subcommand)]
#[command(
    disable_help_subcommand = true,
    after_help = "A snapshot is everything the mesh had agreed on at one index of its log. It holds no secrets, but it\n\
    is a copy, not a backup: it says who was a member, not who this host is.\n\n\
    Examples:\n  \
    mesh snapshot create\n  \
    mesh snapshot download agreed.meshsnap\n  \
    mesh snapshot verify agreed.meshsnap"
)]
pub(crate) enum SnapshotVerb {
    /// Make one of what this host knows to be agreed; the host keeps the latest eight
    Create,
    /// Show those this host keeps
    List,
    /// Fetch one into a file
    Download(DownloadArgs),
    /// Show what a file says of itself; needs no daemon
    Inspect(InspectArgs),
    /// Check everything in a file, every signature included; needs no daemon
    Verify(VerifySnapshotArgs),
    /// Have a host that is behind, and whose daemon is stopped, start from a file
    Apply(ApplyArgs),
}

/// Arguments of `mesh snapshot download`.
#[derive(Debug, Args)]
pub(crate) struct DownloadArgs {
    /// The file to make; one that is there is never overwritten
    pub(crate) file: PathBuf,

    /// The one that stands for this index [default: the newest]
    #[arg(long, value_name = "N")]
    pub(crate) index: Option<LogIndex>,
}

/// Arguments of `mesh snapshot inspect`.
#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// The snapshot
    pub(crate) file: PathBuf,
}

/// Arguments of `mesh snapshot verify`.
#[derive(Debug, Args)]
pub(crate) struct VerifySnapshotArgs {
    /// The snapshot
    pub(crate) file: PathBuf,

    /// The mesh it must be of, as `mesh status` shows it [default: whatever it says]
    #[arg(long, value_name = "ID")]
    pub(crate) mesh: Option<MeshId>,

    /// Even if no majority of those that vote in it signed it: made while none could be heard, or by an older version
    #[arg(long)]
    pub(crate) unproven: bool,
}

/// Arguments of `mesh snapshot apply`.
#[derive(Debug, Args)]
#[command(
    after_help = "For a member that never voted: one that votes is refused, since others count on what it\n\
    acknowledged. Nothing this host has agreed to is rolled back, and nothing is changed\n\
    unless all of it is."
)]
pub(crate) struct ApplyArgs {
    /// The snapshot
    pub(crate) file: PathBuf,

    /// Even if no majority of those that vote in it signed it: made while none could be heard, or by an older version
    #[arg(long)]
    pub(crate) unproven: bool,

    /// Whose state it becomes.
    #[command(flatten)]
    pub(crate) host: HostArgs,
}
