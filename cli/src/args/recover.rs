//! Arguments of `mesh recover`.

use std::path::PathBuf;

use clap::Args;
use mesh_model::trust::Reason;

use super::HostArgs;

/// Arguments of `mesh recover`.
#[derive(Debug, Args)]
#[command(
    after_help = "For a mesh whose voters are gone for good, more than half of them, so that nothing is agreed any more.\n\
    If one of the lost can still be brought back with its disk, bring it back instead.\n\n\
    Stop the daemon, and run `mesh recover` without options on each host that is left: it shows what that\n\
    host has and changes nothing. Go on from the one with the highest term, and among those with the\n\
    highest index, then start its daemon. The others follow by themselves, also those that come back later;\n\
    what they had agreed on without this host is void. On one host only: two hosts that go on by themselves\n\
    make two meshes.\n\n\
    It takes as many admins as a change of admins. The root key signs if this host has it, and\n\
    so does each key that --admin-key names. Keys can be elsewhere, too:\n  \
    mesh recover --out recover.json                        on the host\n  \
    mesh admin sign --key alice.key recover.json           wherever the key is\n  \
    mesh recover --signed recover.json --i-accept-losing-unreplicated-writes"
)]
pub(crate) struct RecoverArgs {
    /// Do it. What others agreed on and this host has not heard of is void from then on
    #[arg(long)]
    pub(crate) i_accept_losing_unreplicated_writes: bool,

    /// Why, as the audit trail will tell it: one line
    #[arg(long, value_name = "TEXT", conflicts_with = "signed")]
    pub(crate) reason: Option<Reason>,

    /// Do not ask, also not on a terminal
    #[arg(long, short)]
    pub(crate) yes: bool,

    /// Sign with the admin's key in this file; may be repeated. The root key signs too, if this host has it
    #[arg(long = "admin-key", value_name = "FILE", help_heading = "Signing")]
    pub(crate) admin_keys: Vec<PathBuf>,

    /// The passphrase of the key at the same place among them: the first line of this file; may be repeated [default:
    /// ask on the terminal]
    #[arg(
        long = "passphrase-file",
        value_name = "FILE",
        requires = "admin_keys",
        help_heading = "Signing"
    )]
    pub(crate) passphrase_files: Vec<PathBuf>,

    /// Do nothing yet: write the statement to this file, to be signed with `mesh admin sign`
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = ["i_accept_losing_unreplicated_writes", "signed"],
        help_heading = "Signing"
    )]
    pub(crate) out: Option<PathBuf>,

    /// The statement that `--out` wrote, signed
    #[arg(long, value_name = "FILE", help_heading = "Signing")]
    pub(crate) signed: Option<PathBuf>,

    /// Which host goes on.
    #[command(flatten)]
    pub(crate) host: HostArgs,
}
