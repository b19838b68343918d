//! Arguments of `mesh supervisor`.

use clap::{Args, Subcommand};

/// Arguments of `mesh supervisor`.
#[derive(Debug, Args)]
#[command(after_help = "Without a command it shows who leads.\n\n\
    Any host may ask; a supervisor that has led for less than ten seconds refuses all but its\n\
    own host, so that a broken host cannot keep the lead moving about.\n\n\
    Examples:\n  \
    mesh supervisor transfer web1\n  \
    mesh supervisor step-down && systemctl restart meshd")]
pub(crate) struct SupervisorArgs {
    /// What to do.
    #[command(subcommand)]
    pub(crate) verb: Option<SupervisorVerb>,
}

/// What to do about who leads.
#[derive(Debug, Subcommand)]
pub(crate) enum SupervisorVerb {
    /// Show who leads, since when and why
    Status,
    /// Show the leaderships and the changes of who votes that this host saw, also before its daemon's last start
    History,
    /// Have a voter lead
    Transfer(TransferArgs),
    /// Have the supervisor hand over to the best of the other voters
    StepDown,
}

/// Arguments of `mesh supervisor transfer`.
#[derive(Debug, Args)]
pub(crate) struct TransferArgs {
    /// A voter's name, id or overlay address
    #[arg(value_name = "NODE")]
    pub(crate) to: String,
}
