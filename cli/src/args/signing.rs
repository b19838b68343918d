//! How what an admin says is signed, and waited for.

use std::path::PathBuf;

use clap::Args;

use super::WaitForAllArgs;

/// Whose signature, where it does not come from the daemon's own host.
#[derive(Debug, Args)]
pub(crate) struct SigningArgs {
    /// Sign with the admin's key in this file, which `mesh admin keygen` made
    #[arg(long, value_name = "FILE", help_heading = "Signing")]
    pub(crate) admin_key: Option<PathBuf>,

    /// The key's passphrase: the first line of this file [default: ask on the terminal]
    #[arg(long, value_name = "FILE", requires = "admin_key", help_heading = "Signing")]
    pub(crate) passphrase_file: Option<PathBuf>,

    /// Do nothing yet: write it to this file, to be signed with `mesh admin sign`
    #[arg(long, value_name = "FILE", help_heading = "Signing")]
    pub(crate) out: Option<PathBuf>,

    /// Do not ask, also not on a terminal
    #[arg(long, short)]
    pub(crate) yes: bool,
}

impl SigningArgs {
    /// Whether the daemon is to do it all.
    pub(crate) fn is_plain(&self) -> bool {
        self.admin_key.is_none() && self.out.is_none()
    }
}

/// How something is said for the mesh that every member is to hear of.
#[derive(Debug, Args)]
pub(crate) struct StatementArgs {
    #[command(flatten)]
    pub(crate) signing: SigningArgs,

    #[command(flatten)]
    pub(crate) wait: WaitForAllArgs,
}
