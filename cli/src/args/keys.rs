//! Arguments of `mesh keys`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use mesh_model::trust::{MAX_SHARES, MIN_THRESHOLD};

/// What to do with the mesh's root key.
#[derive(Debug, Subcommand)]
#[command(
    disable_help_subcommand = true,
    after_help = "Whoever has as many shares as the threshold has the mesh. Give each to somebody else.\n\n\
    Examples:\n  \
    mesh keys backup --shares 5 --threshold 3 --out shares\n  \
    mesh keys restore root-share-1-of-5.txt root-share-4-of-5.txt root-share-5-of-5.txt"
)]
pub(crate) enum KeysVerb {
    /// Split the mesh's root key into shares, a few of which make it again
    Backup(KeysBackupArgs),
    /// Give this host the root key that the shares make
    Restore(KeysRestoreArgs),
}

/// Arguments of `mesh keys backup`.
#[derive(Debug, Args)]
pub(crate) struct KeysBackupArgs {
    /// How many shares to make
    #[arg(long, value_name = "N",
          value_parser = clap::value_parser!(u8).range(i64::from(MIN_THRESHOLD)..=i64::from(MAX_SHARES)))]
    pub(crate) shares: u8,

    /// How many of them make the key again
    #[arg(long, value_name = "K",
          value_parser = clap::value_parser!(u8).range(i64::from(MIN_THRESHOLD)..=i64::from(MAX_SHARES)))]
    pub(crate) threshold: u8,

    /// The directory to make the files in, which is made if it is missing
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(crate) out: PathBuf,

    /// Whose key it is.
    #[command(flatten)]
    pub(crate) host: HostArgs,
}

/// Arguments of `mesh keys restore`.
#[derive(Debug, Args)]
pub(crate) struct KeysRestoreArgs {
    /// The shares, as many as the threshold says
    #[arg(value_name = "SHARE", required = true)]
    pub(crate) shares: Vec<PathBuf>,

    /// Whose key it becomes.
    #[command(flatten)]
    pub(crate) host: HostArgs,
}

/// Which host on this machine, where no daemon is asked.
#[derive(Debug, Args)]
pub(crate) struct HostArgs {
    /// The configuration file of its daemon
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// Its state directory [default: as the configuration says]
    #[arg(long, value_name = "DIR")]
    pub(crate) state_dir: Option<PathBuf>,
}
