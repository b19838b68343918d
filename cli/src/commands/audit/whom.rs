//! Whom a word of `--by` means.

use std::collections::BTreeSet;

use mesh_model::audit::Actor;
use mesh_model::{AdminId, InviteId, MemberId};

use super::Trail;
use crate::exit::{Exit, Failure};
use crate::render::audit::{INVITE_DIGITS, Names};
use crate::render::safe;

/// How many digits an invite's id has.
const ALL_DIGITS: usize = 2 * size_of::<InviteId>();

/// What everything is called by that ended by itself.
const TIME: &str = "time";

/// Who is always called so: the holder of the mesh's root key.
const ROOT: &str = "root";

/// Everybody that one word means: whoever has that name, had it, or has that id.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Whom {
    members: BTreeSet<MemberId>,
    admins: BTreeSet<AdminId>,
    /// The first digits of an invite's id.
    invite: Option<String>,
    /// Nobody, but the time.
    time: bool,
}

impl Whom {
    /// Whom `word` means, where members are called `names`. A word that is no id and nobody's name is refused: what nobody decided
    /// would look like what is not kept.
    pub(super) fn meant(word: &str, trail: &Trail, names: &Names) -> Result<Self, Failure> {
        let called = names.iter().filter(|(_, name)| name.as_str() == word);
        let admins = trail.admins.iter().filter(|admin| admin.name.as_str() == word);
        let root = (word == ROOT).then_some(AdminId::ROOT);
        let whom = Self {
            members: called.map(|(member, _)| *member).chain(word.parse().ok()).collect(),
            admins: admins.map(|admin| admin.admin).chain(root).chain(word.parse().ok()).collect(),
            invite: is_of_an_invite(word).then(|| word.to_ascii_lowercase()),
            time: word == TIME,
        };
        match whom == Self::default() {
            true => Err(unknown(word)),
            false => Ok(whom),
        }
    }

    /// Whether `actor` is one of them, or several of whom one is.
    pub(super) fn has(&self, actor: &Actor) -> bool {
        let invite = actor.invite().map(|invite| invite.to_string());
        self.time && *actor == Actor::Time
            || actor.members().iter().any(|member| self.members.contains(member))
            || actor.signing_admins().iter().any(|admin| self.admins.contains(admin))
            || self.invite.as_ref().zip(invite).is_some_and(|(word, id)| id.starts_with(word))
    }
}

/// Whether `word` has enough of the digits that an invite's id has.
fn is_of_an_invite(word: &str) -> bool {
    (INVITE_DIGITS..=ALL_DIGITS).contains(&word.len())
        && word.bytes().all(|digit| digit.is_ascii_hexdigit())
}

fn unknown(word: &str) -> Failure {
    Failure::new(
        Exit::Failed,
        "unknown_member",
        format!("there is no member or admin `{}`", safe(word)),
        "`mesh peers` and `mesh admin list` show who is there; say whoever has left by id, such as m7, and an \
         invite by its first 8 digits",
    )
}
