//! Arguments of `mesh tag`.

use clap::Args;
use mesh_model::trust::Tag;

use super::StatementArgs;

/// Arguments of `mesh tag`.
#[derive(Debug, Args)]
#[command(
    after_help = "A tag is a lower-case label such as `web`; policies call it `tag:web`. A member has at most 8.\n\
    It takes an admin's key to give and take them: the host's own, or the one --admin-key names.\n\n\
    Examples:\n  \
    mesh tag web1 --add web,eu\n  \
    mesh tag m7 --add db --remove web --wait"
)]
pub(crate) struct TagArgs {
    /// The member's name, id or overlay address
    #[arg(value_name = "NODE")]
    pub(crate) member: String,

    /// Tags it shall have too, separated by commas
    #[arg(long, value_name = "TAGS", value_delimiter = ',', required_unless_present = "remove")]
    pub(crate) add: Vec<Tag>,

    /// Tags it shall not have any more
    #[arg(long, value_name = "TAGS", value_delimiter = ',')]
    pub(crate) remove: Vec<Tag>,

    #[command(flatten)]
    pub(crate) statement: StatementArgs,
}
