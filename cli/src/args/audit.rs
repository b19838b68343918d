//! Arguments of `mesh audit`.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use mesh_model::audit::{AuditHash, Event};

use super::value::{self, When};

/// Arguments of `mesh audit`.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    disable_help_subcommand = true,
    after_help = "Examples:\n  \
    mesh audit --since 1d --kind admitted\n  \
    mesh audit --by n2\n  \
    mesh audit --format json > trail.json\n  \
    mesh audit verify trail.json\n\n\
    With --format json and without options it prints the whole trail with its hashes, which\n\
    `mesh audit verify` checks. A part of it cannot be checked: a part of a chain proves nothing."
)]
pub(crate) struct AuditArgs {
    /// Check a trail instead.
    #[command(subcommand)]
    pub(crate) check: Option<AuditVerb>,

    /// What to show.
    #[command(flatten)]
    pub(crate) selection: Selection,
}

/// Which entries to show.
#[derive(Debug, Args)]
pub(crate) struct Selection {
    /// Only what was decided at this time or later: 2026-11-21T22:00:00Z, 2026-11-21, or how long ago: 1h, 7d
    #[arg(long, value_name = "TIME", value_parser = value::when)]
    pub(crate) since: Option<When>,

    /// Only what was decided at this time or before
    #[arg(long, value_name = "TIME", value_parser = value::when)]
    pub(crate) until: Option<When>,

    /// Only what this one decided, alone or with others: `root`, an admin's or a member's name or id, an invite's id or its
    /// first 8 digits, or `time` for what ended by itself; may be repeated
    #[arg(long, value_name = "WHO")]
    pub(crate) by: Vec<String>,

    /// Only decisions of this kind; may be repeated
    #[arg(long, value_name = "KIND", value_parser = PossibleValuesParser::new(Event::KINDS))]
    pub(crate) kind: Vec<String>,

    /// Only the newest N of them
    #[arg(long, short = 'n', value_name = "N")]
    pub(crate) limit: Option<usize>,
}

impl Selection {
    /// Whether everything is wanted.
    pub(crate) fn is_everything(&self) -> bool {
        let Self { since, until, by, kind, limit } = self;
        since.is_none() && until.is_none() && by.is_empty() && kind.is_empty() && limit.is_none()
    }
}

/// What else to do with a trail.
#[derive(Debug, Subcommand)]
pub(crate) enum AuditVerb {
    /// Check that a trail is in one piece
    Verify(VerifyArgs),
}

/// Arguments of `mesh audit verify`.
#[derive(Debug, Args)]
#[command(
    after_help = "Needs no daemon when a file is named. Exits 0 when every entry fits, 1 when one does not.\n\n\
    Whoever writes all hashes anew from some entry on leaves a trail that fits in itself. Compare\n\
    its head with another member's, or let --head do it:\n  \
    mesh audit verify trail.json --head \"$(ssh n2 mesh audit verify --format json | jq -r .head_hash)\""
)]
pub(crate) struct VerifyArgs {
    /// What `mesh audit --format json` printed; `-` is standard input [default: ask the daemon]
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,

    /// A head that another member showed, or this one before: the trail must pass through it
    #[arg(long, value_name = "HASH")]
    pub(crate) head: Option<AuditHash>,
}
