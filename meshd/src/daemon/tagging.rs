//! `mesh tag`, `mesh tags`: how members are labelled.

use mesh_control::command::{Command, Outcome};
use mesh_model::Signed;
use mesh_model::api::v1::{ErrorCode, MemberTags, TagReply, TagRequest, Tags};
use mesh_model::trust::MAX_TAGS;
use mesh_model::view::MemberView;

use super::Daemon;
use super::refusal::{Answer, refusal};
use super::target::resolve_any;

impl Daemon {
    /// How members are labelled.
    pub(crate) async fn tags(&self) -> Answer<Tags> {
        let view = self.mesh()?.view();
        let tags = |member: &MemberView| MemberTags {
            member: member.id,
            name: member.name.clone(),
            tags: member.tags.clone(),
        };
        Ok(Tags { members: view.members.values().map(tags).collect(), applied: view.applied })
    }

    /// Labels a member.
    pub(crate) async fn tag(&self, request: TagRequest) -> Answer<TagReply> {
        let TagRequest { member, add, remove, wait_ms } = request;
        if let Some(both) = add.intersection(&remove).next() {
            let message = format!("{both} is to be given and taken at once");
            return Err(refusal(ErrorCode::BadRequest, message, ""));
        }
        let mesh = self.mesh()?;
        let view = mesh.view();
        let MemberView { id, name, .. } = resolve_any(&view, &member)?.clone();
        let admin_secret = self.admin_secret("tag members").await?;
        let tagging = mesh.group.read(|state, _| {
            state.next_tagging(id, |tags| {
                tags.retain(|tag| !remove.contains(tag));
                tags.extend(add);
            })
        });
        let tagging = tagging.ok_or_else(|| {
            let message = format!("{name} ({id}) is no member any more");
            refusal(ErrorCode::UnknownMember, message, "`mesh tags` lists members")
        })?;
        if tagging.tags.len() > MAX_TAGS {
            return Err(refusal(
                ErrorCode::Refused,
                format!(
                    "{name} would have {} tags; a member has at most {MAX_TAGS}",
                    tagging.tags.len()
                ),
                "take some away with `--remove`",
            ));
        }
        let command = Command::Tag(Signed::seal(&tagging, &admin_secret));
        let is_done = |outcome: &Outcome| matches!(outcome, Outcome::Tagged(_));
        let hint = "see what stands with `mesh tags`, and try again";
        let tagged = mesh.carry_out(command, "a member's tags", is_done, hint);
        let index = self.unless_stopping(tagged).await??;
        let heard = self.unless_stopping(mesh.applied_by_all_within(index, wait_ms));
        let applied_by = heard.await??;
        Ok(TagReply { member: id, name, tags: tagging.tags, index, applied_by })
    }
}
