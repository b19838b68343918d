//! Arguments of `mesh admin`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use mesh_model::IdentityKey;
use mesh_model::trust::{MAX_ADMINS, Name};

use super::{StatementArgs, WaitForAllArgs};

/// What to do about admins.
#[derive(Debug, Subcommand)]
#[command(
    after_help = "An admin's key speaks for the mesh: it makes invites, bans, removes. The first is the root key on the\n\
    host that ran `mesh init`. A second one, on another machine:\n  \
    mesh admin keygen alice.key             there; prints the public key\n  \
    mesh admin add alice PUBLIC-KEY         on the first host\n  \
    mesh ban web1 --admin-key alice.key     on any member, from then on\n\n\
    Where several have to sign (`mesh admin threshold 2`):\n  \
    mesh admin add bob PUBLIC-KEY --out bob.request\n  \
    mesh admin sign --key alice.key bob.request     needs no daemon\n  \
    mesh admin submit bob.request"
)]
pub(crate) enum AdminVerb {
    /// Show who the admins are, and were
    List,
    /// Make somebody an admin
    Add(AdminAddArgs),
    /// Make somebody an admin no more, for good
    Remove(AdminRemoveArgs),
    /// Say how many admins have to sign a change of admins
    Threshold(AdminThresholdArgs),
    /// Make a key; needs no daemon
    Keygen(KeygenArgs),
    /// Sign what `--out` wrote; needs no daemon
    Sign(SignArgs),
    /// Have what was signed agreed
    Submit(SubmitArgs),
}

/// Arguments of `mesh admin add`.
#[derive(Debug, Args)]
pub(crate) struct AdminAddArgs {
    /// What to call it
    pub(crate) name: Name,

    /// Its public key, which `mesh admin keygen` printed
    #[arg(value_name = "PUBLIC-KEY")]
    pub(crate) key: IdentityKey,

    #[command(flatten)]
    pub(crate) statement: StatementArgs,
}

/// Arguments of `mesh admin remove`.
#[derive(Debug, Args)]
#[command(
    after_help = "What it has signed stands: bans, and members that came in by its invites. Its key is refused\n\
    everywhere from then on and cannot come back; a person can, with another key."
)]
pub(crate) struct AdminRemoveArgs {
    /// Its name or id
    #[arg(value_name = "NAME")]
    pub(crate) admin: String,

    /// End the invites it made as well
    #[arg(long)]
    pub(crate) revoke_invites: bool,

    #[command(flatten)]
    pub(crate) statement: StatementArgs,
}

/// Arguments of `mesh admin threshold`.
#[derive(Debug, Args)]
#[command(
    after_help = "Only changes of admins need several signatures; invites, bans and the rest always need one. Lost keys\n\
    count: keep the threshold below the number of admins by as many as may get lost."
)]
pub(crate) struct AdminThresholdArgs {
    /// How many
    #[arg(value_name = "K", value_parser = clap::value_parser!(u8).range(1..=MAX_ADMINS as i64))]
    pub(crate) threshold: u8,

    #[command(flatten)]
    pub(crate) statement: StatementArgs,
}

/// Arguments of `mesh admin keygen`.
#[derive(Debug, Args)]
#[command(
    after_help = "The file is encrypted with a passphrase, asked for twice on the terminal, or the first line of\n\
    the --passphrase-file. It is an age file: `age --decrypt` opens it too. Nobody can recover a passphrase.\n\n\
    Example:\n  \
    mesh admin keygen alice.key --passphrase-file /dev/fd/3 3< passphrase"
)]
pub(crate) struct KeygenArgs {
    /// Where to put the key; must not exist
    pub(crate) file: PathBuf,

    /// The passphrase: the first line of this file [default: ask on the terminal]
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
}

/// Arguments of `mesh admin sign`.
#[derive(Debug, Args)]
pub(crate) struct SignArgs {
    /// The admin's key
    #[arg(long, value_name = "FILE")]
    pub(crate) key: PathBuf,

    /// The key's passphrase: the first line of this file [default: ask on the terminal]
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,

    /// Do not ask, also not on a terminal
    #[arg(long, short)]
    pub(crate) yes: bool,

    /// What to sign; the signature is added to the file
    pub(crate) request: PathBuf,
}

/// Arguments of `mesh admin submit`.
#[derive(Debug, Args)]
pub(crate) struct SubmitArgs {
    /// What to have agreed
    pub(crate) request: PathBuf,

    #[command(flatten)]
    pub(crate) wait: WaitForAllArgs,
}
