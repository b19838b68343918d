//! `mesh tag`, `mesh tags`: how members are labelled.

use mesh_control::command::{Command, Outcome};
use mesh_model::Signed;
use mesh_model::api::v1::{MemberTags, TagReply, TagRequest, Tags};
use mesh_model::view::MemberView;

use super::Daemon;
use super::refusal::Answer;

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
        let mesh = self.mesh()?;
        let (name, tagging) = mesh.drafted(|drafter| {
            let name = drafter.placed(&member)?.name.clone();
            Ok((name, drafter.tagging(&member, &add, &remove)?))
        })?;
        let admin_secret = self.admin_secret("tag members").await?;
        let command = Command::Tag(Signed::seal(&tagging, &admin_secret));
        let is_done = |outcome: &Outcome| matches!(outcome, Outcome::Tagged(_));
        let hint = "see what stands with `mesh tags`, and try again";
        let tagged = mesh.carry_out(command, "a member's tags", is_done, hint);
        let index = self.unless_stopping(tagged).await??;
        let heard = self.unless_stopping(mesh.applied_by_all_within(index, wait_ms));
        let applied_by = heard.await??;
        Ok(TagReply { member: tagging.member, name, tags: tagging.tags, index, applied_by })
    }
}
