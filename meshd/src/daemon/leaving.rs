//! `mesh leave`: this host says goodbye and forgets the mesh.

use mesh_control::command::{Command, Outcome};
use mesh_model::Signed;
use mesh_model::api::v1::{ErrorCode, LeaveReply, LeaveRequest};
use mesh_model::trust::Departure;

use super::Daemon;
use super::refusal::{Answer, failed, internal, not_joined, refusal};
use crate::exit::Exit;
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
        let proposed = self.unless_stopping(mesh.propose(command, "leaving")).await?;
        let index = match proposed {
            Ok(applied) => match applied.outcome {
                Outcome::Departed(_) => Some(applied.index),
                other => return Err(internal(format!("a departure came to {other:?}"))),
            },
            // The answer was lost with the tunnels, but the news of it was not.
            Err(_) if !mesh.group.views().borrow().members.contains_key(&mesh.me) => None,
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
        let forgotten = tokio::task::block_in_place(|| state_dir.forget(&mut || Entropy.fresh()));
        if let Err(error) = forgotten {
            // Half forgotten: the next start finishes the work.
            let exit = Exit::from(error);
            self.end.send_replace(Some(exit.clone()));
            return Err(failed(exit));
        }
        tracing::info!(member = %mesh.me, ?index, "left the mesh");
        Ok(LeaveReply { mesh: view.mesh(), member: mesh.me, index })
    }
}
