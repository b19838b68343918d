//! Arguments of `mesh ban`, `mesh unban` and `mesh remove`.

use std::time::Duration;

use clap::Args;
use mesh_model::trust::Reason;

use super::{StatementArgs, value};

/// How to wait until every member knows.
#[derive(Debug, Args)]
pub(crate) struct WaitForAllArgs {
    /// Return only when every member has applied it; names those that have not
    #[arg(long, short)]
    pub(crate) wait: bool,

    /// How long to wait at most: 500ms, 30s, 10m; at most 1h
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = value::answer_timeout,
          requires = "wait")]
    pub(crate) timeout: Duration,
}

/// Arguments of `mesh ban`.
#[derive(Debug, Args)]
#[command(
    after_help = "Its tunnels, gossip and votes end at once on every member that hears of it; it keeps \
    its id,\nname and addresses for when it is unbanned. With --wait, exits 6 when time is up and names\n\
    who has not applied it.\n\n\
    Examples:\n  \
    mesh ban web1 --wait\n  \
    mesh ban m7 --for 1h --reason 'floods its neighbours'"
)]
pub(crate) struct BanArgs {
    /// The member's name, id or overlay address
    pub(crate) member: String,

    /// For how long: 30s, 10m, 2h, 7d; at most 3650d [default: until it is unbanned]
    #[arg(long = "for", value_name = "TIME", value_parser = value::ban)]
    pub(crate) duration: Option<Duration>,

    /// Why, for those who read `mesh bans` and the audit trail
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<Reason>,

    #[command(flatten)]
    pub(crate) statement: StatementArgs,
}

/// Arguments of `mesh unban`.
#[derive(Debug, Args)]
#[command(
    after_help = "The member is back under its old id, name and addresses; it needs no token."
)]
pub(crate) struct UnbanArgs {
    /// The member's name, id or overlay address
    pub(crate) member: String,

    #[command(flatten)]
    pub(crate) statement: StatementArgs,
}

/// Arguments of `mesh remove`.
#[derive(Debug, Args)]
#[command(
    after_help = "For a host that is gone and will not come back, or that shall not. It does what \
    `mesh leave`\ndoes on the host itself. Its identity is not admitted again, not even with a token.\n\
    The host is not told: run `mesh leave --force` there, should it ever come back.\n\
    To cut off a host that is hostile, ban it: a ban takes its tunnels at once."
)]
pub(crate) struct RemoveArgs {
    /// The member's name, id or overlay address
    pub(crate) member: String,

    #[command(flatten)]
    pub(crate) statement: StatementArgs,
}
