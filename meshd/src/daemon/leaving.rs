//! `mesh leave`: this host says goodbye and forgets the mesh.

use mesh_control::command::{Command, Outcome};
use mesh_model::Signed;
use mesh_model::api::v1::{ErrorCode, LeaveReply, LeaveRequest};
use mesh_model::trust::Departure;

use super::Daemon;
use super::refusal::{Answer, failed, internal, not_joined, refusal};
use crate::io::entropy::Entropy;

impl Daemon {
    /// Has this host's departure agreed, then removes everything of the mesh from it.
    pub(crate) async fn leave(&self, request: LeaveRequest) -> Answer<LeaveReply> {
        let mut state_dir = self.state_dir.lock().await;
        let mesh = self.mesh.load_full().ok_or_else(not_joined)?;
        let view = mesh.view();
        if mesh.is_admin && view.members.len() > 1 && !request.force {
            return Err(refusal(
                ErrorCode::Refused,
                "this host holds the mesh's root key: once it has left, nobody can be invited any more",
                "keep it as a member, or leave all the same with `--force`",
            ));
        }
        let departure = Departure { mesh: view.mesh(), member: mesh.me };
        let departure = Signed::seal(&departure, &mesh.identity.identity);
        let command = Command::Depart { member: mesh.me, departure };
        let index = match mesh.propose(command, "leaving").await {
            Ok(applied) => match applied.outcome {
                Outcome::Departed(_) => Some(applied.index),
                other => return Err(internal(format!("a departure came to {other:?}"))),
            },
            Err(error) if request.force => {
                tracing::warn!(error = error.message, "leaving without agreement");
                None
            }
            Err(mut error) => {
                error.hint.push_str("; or forget the mesh on this host alone with `--force`");
                return Err(error);
            }
        };
        self.mesh.store(None);
        mesh.stop().await;
        tokio::task::block_in_place(|| state_dir.forget(&mut || Entropy.fresh()))
            .map_err(failed)?;
        tracing::info!(member = %mesh.me, ?index, "left the mesh");
        Ok(LeaveReply { mesh: view.mesh(), member: mesh.me, index })
    }
}
