//! Arguments of `mesh keys`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use mesh_model::trust::{MAX_SHARES, MIN_THRESHOLD};

use super::WaitForAllArgs;

/// Arguments of `mesh keys`.
#[derive(Debug, Args)]
#[command(
    disable_help_subcommand = true,
    after_help = "WireGuard keys: `show` and `rotate`. The root key: `backup` and `restore`; whoever has as many shares as the\n\
    threshold has the mesh, so give each to somebody else.\n\n\
    Examples:\n  \
    mesh keys rotate --wait\n  \
    mesh keys backup --shares 5 --threshold 3 --out shares\n  \
    mesh keys restore root-share-1-of-5.txt root-share-4-of-5.txt root-share-5-of-5.txt"
)]
pub(crate) struct KeysArgs {
    /// What to do with them [default: show].
    #[command(subcommand)]
    pub(crate) verb: Option<KeysVerb>,
}

/// What to do with keys.
#[derive(Debug, Subcommand)]
pub(crate) enum KeysVerb {
    /// Show the WireGuard keys of this host and of all members
    Show,
    /// Give this host another WireGuard key, without losing a packet
    Rotate(KeysRotateArgs),
    /// Split the mesh's root key into shares, a few of which make it again
    Backup(KeysBackupArgs),
    /// Give this host the root key that the shares make
    Restore(KeysRestoreArgs),
}

/// Arguments of `mesh keys rotate`.
#[derive(Debug, Args)]
#[command(
    after_help = "Tunnels go on as they are, and each takes the new key up with its next handshake, within two minutes. The\n\
    identity never changes. The host answers to the old key until every member knows the new one, at most for 30\n\
    days; until then another change is refused without --force. With --wait, exits 6 when time is up and names\n\
    who has not applied it.\n\n\
    Backups made before do not have the new key: a host that comes back from one cannot speak with the mesh.\n\n\
    Example:\n  \
    mesh keys rotate --wait"
)]
pub(crate) struct KeysRotateArgs {
    /// Even though some members have not heard of the last change, and may know this host by the key before only
    #[arg(long)]
    pub(crate) force: bool,

    #[command(flatten)]
    pub(crate) wait: WaitForAllArgs,
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
