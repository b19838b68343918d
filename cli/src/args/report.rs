//! Arguments of `mesh report`.

use clap::{Args, ValueEnum};
use mesh_model::trust::{Misconduct, Reason};

/// Arguments of `mesh report`.
#[derive(Debug, Args)]
#[command(
    after_help = "A report alone changes nothing. Once members of more than half of all lineages report the same\n\
    member within an hour, three at least, the supervisor has it excluded for twelve hours. Hosts that\n\
    came in by the same token are one lineage. An admin ends it at once with `mesh unban`.\n\n\
    Examples:\n  \
    mesh report web1 --kind floods\n  \
    mesh report m7 --kind other --reason 'answers for services that it does not run'"
)]
pub(crate) struct ReportArgs {
    /// The member's name, id or overlay address
    #[arg(value_name = "NODE")]
    pub(crate) member: String,

    /// What it does
    #[arg(long, value_name = "KIND")]
    pub(crate) kind: KindArg,

    /// More of it, for those who read `mesh reports`
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<Reason>,
}

/// What a member is reported for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum KindArg {
    /// It sends what others have not said as theirs
    Forges,
    /// It sends more than anybody can use
    Floods,
    /// Its word on what was agreed is not what was agreed
    Diverges,
    /// Something else, which --reason tells
    Other,
}

impl From<KindArg> for Misconduct {
    fn from(kind: KindArg) -> Self {
        match kind {
            KindArg::Forges => Self::Forges,
            KindArg::Floods => Self::Floods,
            KindArg::Diverges => Self::Diverges,
            KindArg::Other => Self::Other,
        }
    }
}
