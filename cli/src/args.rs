//! The arguments, and the help that people read.

mod admin;
mod audit;
mod backup;
mod ban;
mod invites;
mod keys;
mod policy;
mod recover;
mod report;
mod signing;
mod snapshot;
mod supervisor;
mod sync;
mod tag;
mod value;
mod voters;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use ipnet::Ipv4Net;
use mesh_model::api::v1::WaitFor;
use mesh_model::trust::{MAX_INVITE_USES, Name, Tag};

pub(crate) use admin::{AdminVerb, KeygenArgs, SignArgs};
pub(crate) use audit::{AuditArgs, AuditVerb, Selection, VerifyArgs};
pub(crate) use backup::{BackupCreateArgs, BackupRestoreArgs, BackupVerb};
pub(crate) use ban::{BanArgs, RemoveArgs, UnbanArgs, WaitForAllArgs};
pub(crate) use invites::{InvitesArgs, InvitesVerb, RevokeArgs, TokenArgs};
pub(crate) use keys::{
    HostArgs, KeysArgs, KeysBackupArgs, KeysRestoreArgs, KeysRotateArgs, KeysVerb,
};
pub(crate) use policy::{PolicySetArgs, PolicyTestArgs, PolicyVerb};
pub(crate) use recover::RecoverArgs;
pub(crate) use report::ReportArgs;
pub(crate) use signing::{SigningArgs, StatementArgs};
pub(crate) use snapshot::{ApplyArgs, DownloadArgs, InspectArgs, SnapshotVerb, VerifySnapshotArgs};
pub(crate) use tag::TagArgs;
pub(crate) use value::When;

pub(crate) use supervisor::{SupervisorArgs, SupervisorVerb};
pub(crate) use sync::{SyncArgs, SyncVerb};
pub(crate) use voters::VotersVerb;

/// How many echoes `mesh ping` sends unless told otherwise: enough to see loss and jitter, few
/// enough that a script needs no option.
const DEFAULT_PINGS: u32 = 4;

/// The most echoes of one run: a day of one per second. The answers are kept for the summary.
const MAX_PINGS: u32 = 86_400;

/// Look after a meshd network.
#[derive(Debug, Parser)]
#[command(
    name = "mesh",
    version,
    arg_required_else_help = true,
    after_help = "Exit codes: 0 done, 1 failed, 2 usage, 3 daemon unreachable, 4 not permitted, \
                  5 no quorum, 6 timed out, 130 interrupted.\n\n\
                  Examples:\n  \
                  mesh init                        start a mesh on the first host\n  \
                  mesh invite                      print a token for the second\n  \
                  mesh join                        paste it there\n  \
                  mesh status"
)]
pub(crate) struct Cli {
    /// The daemon's socket [default: root's or this user's own daemon, then the system's]
    #[arg(long, global = true, env = "MESH_SOCKET", hide_env_values = true, value_name = "PATH",
          value_parser = value::socket, help_heading = "Global options")]
    pub(crate) socket: Option<PathBuf>,

    /// table for people, json for programs
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        value_name = "FORMAT",
        hide_possible_values = true,
        help_heading = "Global options"
    )]
    pub(crate) format: Format,

    /// Show what a majority of the voters agrees on now, not what this host has
    #[arg(long, global = true, help_heading = "Global options")]
    pub(crate) consistent: bool,

    /// No colours, not even on a terminal; NO_COLOR in the environment does the same
    #[arg(long, global = true, help_heading = "Global options")]
    pub(crate) no_color: bool,

    /// What to do.
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// How answers are shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Table,
    /// For programs.
    Json,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Start a mesh with this host as its first member
    Init(InitArgs),
    /// Make a token that lets other hosts join
    Invite(InviteArgs),
    /// Show the tokens that were made, or take one back
    Invites(InvitesArgs),
    /// Join the mesh a token is for
    Join(JoinArgs),
    /// Leave the mesh for good
    Leave(LeaveArgs),
    /// Show this host, agreement and the other members
    Status(StatusArgs),
    /// Show the other members
    Peers,
    /// Show the WireGuard tunnels
    Tunnels,
    /// Cut a member off, for a time or until it is unbanned
    Ban(BanArgs),
    /// End a member's ban
    Unban(UnbanArgs),
    /// Show who is banned or excluded
    Bans,
    /// Say that a member does wrong; enough reports exclude it for a time
    Report(ReportArgs),
    /// Show the reports of which nothing has come yet
    Reports,
    /// Remove a member for good
    Remove(RemoveArgs),
    /// Send echoes to a member over the overlay
    Ping(PingArgs),
    /// Show who leads and who led, or have another lead
    Supervisor(SupervisorArgs),
    /// Show where this host has what is agreed from, or have it look elsewhere
    Sync(SyncArgs),
    /// Show who votes, or say who shall
    #[command(subcommand)]
    Voters(VotersVerb),
    /// Show who speaks for the mesh, or say who shall
    #[command(subcommand)]
    Admin(AdminVerb),
    /// Show how members are tagged
    Tags,
    /// Give a member tags, or take some away
    Tag(TagArgs),
    /// Show who may reach whom, or say who may
    #[command(subcommand)]
    Policy(PolicyVerb),
    /// Show who decided what, or check the record of it
    Audit(AuditArgs),
    /// Make, fetch or look into copies of what the mesh has agreed on
    #[command(subcommand)]
    Snapshot(SnapshotVerb),
    /// Have a mesh that lost its majority for good go on from this host
    Recover(RecoverArgs),
    /// Show or change WireGuard keys; split the mesh's root key into shares, or make it again
    Keys(KeysArgs),
    /// Save this host into a file, or make it again from one
    #[command(subcommand)]
    Backup(BackupVerb),
    /// Wait until the mesh is in a certain state
    Wait(WaitArgs),
    /// Print a completion script for a shell
    #[command(after_help = "Examples:\n  \
        mesh completion bash > /etc/bash_completion.d/mesh\n  \
        mesh completion zsh > ~/.zfunc/_mesh\n  \
        mesh completion fish > ~/.config/fish/completions/mesh.fish")]
    Completion(CompletionArgs),
    /// Show the versions of mesh and of the daemon
    Version,
}

/// Arguments of `mesh init`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    mesh init --mesh-name home\n  \
    mesh init --name gw --ipv4-prefix 10.77.0.0/16")]
pub(crate) struct InitArgs {
    /// What to call the mesh [default: mesh]
    #[arg(long, value_name = "NAME")]
    pub(crate) mesh_name: Option<Name>,

    /// What to call this host [default: its host name]
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<Name>,

    /// Where members' IPv4 addresses come from [default: 100.88.0.0/16]
    #[arg(long, value_name = "PREFIX", value_parser = value::ipv4_prefix)]
    pub(crate) ipv4_prefix: Option<Ipv4Net>,
}

/// Arguments of `mesh invite`.
#[derive(Debug, Args)]
#[command(after_help = "The token alone goes to standard output, so that it can be piped:\n  \
    mesh invite | ssh host2 sudo mesh join\n  \
    mesh invite --uses 20 --lifetime 2h > rack.token\n\n\
    It is a secret until it is used up or expired. It takes an admin's key to make it, such as the\n\
    root key on the host that ran `mesh init`, or another one:\n  \
    mesh invite --admin-key alice.key\n\n\
    With --out, FILE goes to an admin to be signed, and the invite's secret stays in FILE.secret, from which\n\
    `mesh invites token FILE.secret` makes the token once the invite is agreed. Its lifetime begins at once.")]
pub(crate) struct InviteArgs {
    /// How many hosts it may admit
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_INVITE_USES)))]
    pub(crate) uses: u32,

    /// How long it is valid: 30s, 10m, 2h, 7d; at most 30d
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = value::lifetime)]
    pub(crate) lifetime: Duration,

    /// Where the IPv4 addresses of those it admits come from, a part of the mesh's prefix: 100.88.7.0/24, or one
    /// address as 100.88.7.9/32 [default: anywhere in it]
    #[arg(long, value_name = "PREFIX", value_parser = value::ipv4_range)]
    pub(crate) range: Option<Ipv4Net>,

    /// Give those it admits the right to vote: once three members have it, of whom the founder is one, nobody else votes
    /// but whom `mesh voters set` names; before that everybody may alike
    #[arg(long)]
    pub(crate) voter: bool,

    /// Where the new host can reach this one; may be repeated, best first [default: what the
    /// daemon knows of itself]
    #[arg(long = "endpoint", value_name = "ADDR:PORT", value_parser = value::endpoint, conflicts_with = "out")]
    pub(crate) endpoints: Vec<SocketAddr>,

    /// What to tag the new hosts with, separated by commas
    #[arg(long, value_name = "TAGS", value_delimiter = ',')]
    pub(crate) tags: Vec<Tag>,

    #[command(flatten)]
    pub(crate) signing: SigningArgs,
}

/// Arguments of `mesh join`.
#[derive(Debug, Args)]
#[command(
    after_help = "Give the token on standard input to keep it out of the shell's history and \
    of `ps`:\n  \
    mesh join < token\n  \
    mesh join                 asks for it on a terminal\n  \
    mesh join --name web1 mesh1-..."
)]
pub(crate) struct JoinArgs {
    /// The token; read from standard input when absent or `-`
    #[arg(value_name = "TOKEN")]
    pub(crate) token: Option<String>,

    /// What to call this host [default: its host name]
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<Name>,
}

/// Arguments of `mesh leave`.
#[derive(Debug, Args)]
#[command(after_help = "There is no way back: to return, a host joins anew and gets a new id and \
    new addresses.")]
pub(crate) struct LeaveArgs {
    /// Leave although this host holds the root key, or although no majority can be reached
    #[arg(long)]
    pub(crate) force: bool,

    /// Do not ask, also not on a terminal
    #[arg(long, short)]
    pub(crate) yes: bool,
}

/// Arguments of `mesh status`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    mesh status --watch\n  \
    mesh status --format json | jq -r .raft.state_hash\n\n\
    With --watch, --format json prints one document per line, one line per second.")]
pub(crate) struct StatusArgs {
    /// Agreement, gossip, drops by reason and offloads as well
    #[arg(long, short)]
    pub(crate) detailed: bool,

    /// Show it again every second until Ctrl-C
    #[arg(long, short)]
    pub(crate) watch: bool,
}

/// Arguments of `mesh ping`.
#[derive(Debug, Args)]
#[command(after_help = "Exits 0 when at least one echo was answered, 1 when none was.\n\n\
    Examples:\n  \
    mesh ping web1\n  \
    mesh ping -4 -c 1 -W 0.5 m7\n  \
    mesh ping 100.88.0.2")]
pub(crate) struct PingArgs {
    /// A member's name, id or overlay address
    pub(crate) target: String,

    /// How many echoes to send
    #[arg(short, long, value_name = "N", default_value_t = DEFAULT_PINGS,
          value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_PINGS)))]
    pub(crate) count: u32,

    /// Seconds from one echo to the next
    #[arg(short, long, value_name = "SECONDS", default_value = "1", value_parser = value::interval)]
    pub(crate) interval: Duration,

    /// Seconds to wait for each answer
    #[arg(short = 'W', long, value_name = "SECONDS", default_value = "2",
          value_parser = value::echo_timeout)]
    pub(crate) timeout: Duration,

    /// Use the member's IPv4 address
    #[arg(short = '4', long, conflicts_with = "ipv6")]
    pub(crate) ipv4: bool,

    /// Use the member's IPv6 address (the default)
    #[arg(short = '6', long)]
    pub(crate) ipv6: bool,
}

/// Arguments of `mesh wait`.
#[derive(Debug, Args)]
#[command(after_help = "Also waits for the daemon to start. Exits 6 when time is up, 3 when the \
    daemon never answered.\n\n\
    ready      a supervisor is known, this host has applied what it knows to be committed,\n           \
    and has a tunnel to every member that is alive\n\
    leader     a supervisor is known\n\
    applied=N  this host has applied the log up to index N\n\n\
    Example:\n  \
    mesh wait --for ready --timeout 1m && mesh status")]
pub(crate) struct WaitArgs {
    /// ready, leader or applied=N
    #[arg(long = "for", value_name = "CONDITION", value_parser = value::condition)]
    pub(crate) wait_for: WaitFor,

    /// How long at most: 500ms, 30s, 10m; at most 7d
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = value::wait_timeout)]
    pub(crate) timeout: Duration,
}

/// Arguments of `mesh completion`.
#[derive(Debug, Args)]
pub(crate) struct CompletionArgs {
    /// The shell
    pub(crate) shell: clap_complete::Shell,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_grammar_is_sound() {
        Cli::command().debug_assert();
    }
}
