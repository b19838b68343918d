//! Arguments of `mesh voters`.

use clap::{Args, Subcommand, ValueEnum};
use mesh_model::api::v1::VoterWish;

use super::SigningArgs;

/// What to do about who votes.
#[derive(Debug, Subcommand)]
#[command(
    after_help = "It takes an admin's key to say who shall vote: on the host that ran `mesh init` it is there, elsewhere\n\
    --admin-key names one. It is carried out as members are ready, one change at a time.\n\
    Votes are spread over the regions that tags tell.\n\n\
    Examples:\n  \
    mesh tag web1 --add region-eu1\n  \
    mesh voters target 5\n  \
    mesh voters set laptop never"
)]
pub(crate) enum VotersVerb {
    /// Show every member's vote, and what is wanted of it
    List,
    /// Say whether a member votes before others, never, or as the mesh chooses
    Set(VoterSetArgs),
    /// Say how many shall vote
    Target(VoterTargetArgs),
}

/// Arguments of `mesh voters set`.
#[derive(Debug, Args)]
pub(crate) struct VoterSetArgs {
    /// A member's name, id or overlay address
    #[arg(value_name = "NODE")]
    pub(crate) member: String,

    /// auto, always or never
    pub(crate) wish: WishArg,

    #[command(flatten)]
    pub(crate) signing: SigningArgs,
}

/// What is wanted of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum WishArg {
    /// As the mesh chooses.
    Auto,
    /// Before others.
    Always,
    /// Never.
    Never,
}

impl From<WishArg> for VoterWish {
    fn from(wish: WishArg) -> Self {
        match wish {
            WishArg::Auto => Self::Auto,
            WishArg::Always => Self::Always,
            WishArg::Never => Self::Never,
        }
    }
}

/// Arguments of `mesh voters target`.
#[derive(Debug, Args)]
pub(crate) struct VoterTargetArgs {
    /// auto, 1, 3, 5 or 7
    pub(crate) target: TargetArg,

    #[command(flatten)]
    pub(crate) signing: SigningArgs,
}

/// How many shall vote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum TargetArg {
    /// As the mesh chooses.
    Auto,
    /// One.
    #[value(name = "1")]
    One,
    /// Three.
    #[value(name = "3")]
    Three,
    /// Five.
    #[value(name = "5")]
    Five,
    /// Seven.
    #[value(name = "7")]
    Seven,
}

impl TargetArg {
    /// The number; `None` for auto.
    pub(crate) fn number(self) -> Option<u8> {
        match self {
            Self::Auto => None,
            Self::One => Some(1),
            Self::Three => Some(3),
            Self::Five => Some(5),
            Self::Seven => Some(7),
        }
    }
}
