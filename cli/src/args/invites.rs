//! Arguments of `mesh invites`.

use clap::{Args, Subcommand};

use super::WaitForAllArgs;

/// Arguments of `mesh invites`.
#[derive(Debug, Args)]
pub(crate) struct InvitesArgs {
    /// What to do with them [default: list].
    #[command(subcommand)]
    pub(crate) verb: Option<InvitesVerb>,
}

/// What to do with invites.
#[derive(Debug, Subcommand)]
pub(crate) enum InvitesVerb {
    /// Show the invites the mesh remembers
    List,
    /// Take an invite back: its token admits nobody any more
    Revoke(RevokeArgs),
}

/// Arguments of `mesh invites revoke`.
#[derive(Debug, Args)]
#[command(
    after_help = "Members that came in by it stay, unless they are banned with it. A ban ends with `mesh unban`, \
    a\nrevocation never does: make another invite instead.\n\n\
    Examples:\n  \
    mesh invites revoke 0505\n  \
    mesh invites revoke 0505 --with-members --wait"
)]
pub(crate) struct RevokeArgs {
    /// The invite's id, or the first digits of it
    pub(crate) invite: String,

    /// Ban every member that came in by it
    #[arg(long)]
    pub(crate) with_members: bool,

    #[command(flatten)]
    pub(crate) wait: WaitForAllArgs,
}
