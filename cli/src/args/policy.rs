//! Arguments of `mesh policy`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use mesh_model::access::Protocol;

use super::StatementArgs;

/// What to do about who may reach whom.
#[derive(Debug, Subcommand)]
#[command(
    after_help = "Without a policy everybody may reach everybody. With one, what no rule allows is denied, but for\n\
    answers. Who votes is another matter: `mesh voters`.\n\n\
    Examples:\n  \
    mesh policy set policy.toml --wait\n  \
    mesh policy test laptop db1 tcp 5432"
)]
pub(crate) enum PolicyVerb {
    /// Show the policy that stands
    Show,
    /// Set the policy, from a file
    Set(PolicySetArgs),
    /// Say whether one member may reach another, and by which rule
    Test(PolicyTestArgs),
    /// Show this policy and earlier ones
    History,
}

/// Arguments of `mesh policy set`.
#[derive(Debug, Args)]
#[command(after_help = "The file is TOML, one [[allow]] for each rule:\n\n  \
    [[allow]]\n  \
    from = [\"any\"]\n  \
    to = [\"tag:web\", \"db1\"]\n  \
    protocol = \"tcp\"            # tcp, udp, icmp or any\n  \
    ports = [443, \"8000-8999\"]  # all of them when left out\n\n\
    On a terminal it asks before members lose each other. It takes an admin's key: the host's own, or the one\n\
    --admin-key names.")]
pub(crate) struct PolicySetArgs {
    /// The file; `-` for standard input
    pub(crate) file: PathBuf,

    #[command(flatten)]
    pub(crate) statement: StatementArgs,
}

/// Arguments of `mesh policy test`.
#[derive(Debug, Args)]
#[command(
    after_help = "Exits 0 when it is allowed, 1 when it is denied. It asks the policy and the bans that this \
    host has applied;\nnothing is sent to anybody.\n\n\
    Examples:\n  \
    mesh policy test laptop db1 tcp 5432\n  \
    mesh policy test laptop db1 icmp"
)]
pub(crate) struct PolicyTestArgs {
    /// Who begins: a member's name, id or overlay address
    pub(crate) from: String,

    /// Whom it is to reach
    pub(crate) to: String,

    /// tcp, udp, icmp, or any for a protocol that is none of these
    pub(crate) protocol: ProtocolArg,

    /// To which port; for tcp and udp
    #[arg(value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) port: Option<u16>,
}

/// A protocol, as a rule names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProtocolArg {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// ICMP and ICMPv6.
    Icmp,
    /// Another one.
    Any,
}

impl From<ProtocolArg> for Protocol {
    fn from(protocol: ProtocolArg) -> Self {
        match protocol {
            ProtocolArg::Tcp => Self::Tcp,
            ProtocolArg::Udp => Self::Udp,
            ProtocolArg::Icmp => Self::Icmp,
            ProtocolArg::Any => Self::Any,
        }
    }
}
