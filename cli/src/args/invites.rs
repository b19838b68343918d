//! Arguments of `mesh invites`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{StatementArgs, value};

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
    /// Make the token of an invite that was written with `--out`, once it is agreed
    Token(TokenArgs),
}

/// Arguments of `mesh invites token`.
#[derive(Debug, Args)]
#[command(
    after_help = "`mesh invite --out rack.request` leaves the invite's secret in rack.request.secret, which stays where it\n\
    is. When the request was signed and submitted, anywhere, this puts the secret and what the mesh knows together.\n\n\
    Example:\n  \
    mesh invites token rack.request.secret > rack.token"
)]
pub(crate) struct TokenArgs {
    /// The file with the invite's secret
    pub(crate) secret: PathBuf,

    /// Where the new host can reach this one; may be repeated, best first [default: what the
    /// daemon knows of itself]
    #[arg(long = "endpoint", value_name = "ADDR:PORT", value_parser = value::endpoint)]
    pub(crate) endpoints: Vec<SocketAddr>,
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

    /// Ban every member that came in by it, but for the host that is asked
    #[arg(long, conflicts_with = "out")]
    pub(crate) with_members: bool,

    #[command(flatten)]
    pub(crate) statement: StatementArgs,
}
