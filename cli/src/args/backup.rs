//! Arguments of `mesh backup`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use mesh_model::MeshId;

use super::HostArgs;

/// What to do with backups of this host.
#[derive(Debug, Subcommand)]
#[command(
    disable_help_subcommand = true,
    after_help = "A backup has this host's keys and configuration and what it knew to be agreed, encrypted as an age file.\n\
    The mesh's root key is not in it: `mesh keys backup` saves that.\n\n\
    Examples:\n  \
    mesh backup create --recipient age1... n1.age\n  \
    mesh backup restore n1.age --identity key.txt --state-dir /var/lib/meshd"
)]
pub(crate) enum BackupVerb {
    /// Save this host into a file
    Create(BackupCreateArgs),
    /// Show the backups the daemon makes by itself
    List,
    /// Make a state directory from a backup
    Restore(BackupRestoreArgs),
}

/// Arguments of `mesh backup create`.
#[derive(Debug, Args)]
#[command(
    after_help = "Without --recipient and --passphrase-file: for the recipients of the daemon's configuration. age's\n\
    own programs read the file too: `age-keygen -o key.txt` makes a key and prints its recipient."
)]
pub(crate) struct BackupCreateArgs {
    /// The file to make; one that is there is never overwritten
    pub(crate) file: PathBuf,

    /// Who shall be able to read it: an age recipient, `age1...`; may be repeated
    #[arg(long = "recipient", value_name = "RECIPIENT", conflicts_with_all = ["passphrase", "passphrase_file"])]
    pub(crate) recipients: Vec<String>,

    /// Ask for a passphrase that opens it
    #[arg(long, conflicts_with = "passphrase_file")]
    pub(crate) passphrase: bool,

    /// A passphrase opens it: the first line of this file
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
}

/// Arguments of `mesh backup restore`.
#[derive(Debug, Args)]
#[command(
    after_help = "The host comes back without a vote and without a place in the mesh: it joins with a token. If it\n\
    never voted, it is then who it was, with its id and addresses; if it did, it comes back as somebody new."
)]
pub(crate) struct BackupRestoreArgs {
    /// The backup
    pub(crate) file: PathBuf,

    /// The file with the age key it was made for; without it, a passphrase is asked for
    #[arg(long, value_name = "FILE", conflicts_with = "passphrase_file")]
    pub(crate) identity: Option<PathBuf>,

    /// The passphrase that opens it: the first line of this file
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,

    /// The mesh it must be of [default: whatever it says]
    #[arg(long, value_name = "ID")]
    pub(crate) mesh: Option<MeshId>,

    /// Come back as somebody new in any case: the mesh said that this host has voted
    #[arg(long)]
    pub(crate) new_identity: bool,

    /// The directory to make, which must not be there or be empty.
    #[command(flatten)]
    pub(crate) host: HostArgs,
}
