//! `mesh leave`: this host says goodbye and forgets the mesh.

use mesh_control::command::{Command, Outcome};
use mesh_control::raft::Store;
use mesh_control::state::{Event, State};
use mesh_model::api::v1::{ErrorCode, LeaveReply, LeaveRequest};
use mesh_model::trust::Departure;
use mesh_model::{IdentityKey, LogIndex, MemberId, Signed};

use super::refusal::{Answer, failed, internal, not_joined, refusal};
use super::{Daemon, Mesh};
use crate::exit::Exit;
use crate::io::entropy::Entropy;
use crate::state_dir::StateDir;

impl Daemon {
    /// Has this host's departure agreed, then removes everything of the mesh from it.
    pub(crate) async fn leave(&self, request: LeaveRequest) -> Answer<LeaveReply> {
        let mut state_dir = self.state_dir.lock().await;
        let mesh = self.mesh.load_full().ok_or_else(not_joined)?;
        let view = mesh.view();
        if view.members.len() + view.banned.len() > 1 && !request.force {
            let own = state_dir.admin().map_err(failed)?;
            mesh.check_dispensable(own.map(|secret| secret.public()))?;
        }
        let departure = Departure { mesh: view.mesh(), member: mesh.me };
        let departure = Signed::seal(&departure, &mesh.identity);
        let command = Command::Depart { member: mesh.me, departure };
        let proposed = self.unless_stopping(mesh.say_goodbye(command)).await?;
        let index = match proposed {
            Ok(Goodbye::Agreed(index)) => Some(index),
            // The answer was lost with the tunnels, but the news of it was not.
            Ok(Goodbye::Seen) => mesh.group.read(|state, _| departed_at(state, mesh.me)),
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

    /// Forgets the mesh that this host's last run has left: a crash came between the mesh's agreement and the first
    /// step here. Nobody but this host could say its goodbye, so nobody else has to be asked.
    pub(super) fn finish_leaving(
        &self,
        state_dir: &mut StateDir,
        store: Store,
    ) -> Result<(), Exit> {
        let member = store.me();
        drop(store);
        tokio::task::block_in_place(|| state_dir.forget(&mut || Entropy.fresh()))?;
        tracing::info!(%member, "this host has left the mesh; what a crash cut short is done");
        self.check_host()
    }
}

/// How it became known that this host has left.
enum Goodbye {
    /// By the answer, with its place in the log.
    Agreed(LogIndex),
    /// By the agreed view, which no longer has this host.
    Seen,
}

impl Mesh {
    /// Fails if the mesh would lose an admin with this host, whose admin's key is `own`. One that was removed is none.
    fn check_dispensable(&self, own: Option<IdentityKey>) -> Answer<()> {
        let others = self.group.read(|state, _| {
            own.and_then(|own| state.admins().by_key(&own))?;
            Some(state.admins().present().count() - 1)
        });
        let without = match others {
            None => return Ok(()),
            Some(0) => "nobody can be invited any more",
            Some(_) => "only the other admins speak for the mesh",
        };
        Err(refusal(
            ErrorCode::Refused,
            format!("this host holds the mesh's root key: once it has left, {without}"),
            "keep it as a member, or leave all the same with `--force`",
        ))
    }

    /// Has this host's departure agreed. The tunnels end with it, and with them often the answer: the view, which
    /// may be here before, says the same.
    async fn say_goodbye(&self, command: Command) -> Answer<Goodbye> {
        let mut views = self.group.views();
        let gone = views.wait_for(|view| !view.has_place(self.me));
        let applied = tokio::select! {
            agreed = self.propose(command, "leaving") => agreed?,
            Ok(_) = gone => return Ok(Goodbye::Seen),
        };
        match applied.outcome {
            Outcome::Departed(_) => Ok(Goodbye::Agreed(applied.index)),
            other => Err(internal(format!("a departure came to {other:?}"))),
        }
    }
}

/// Where the departure of `me` stands in the log.
fn departed_at(state: &State, me: MemberId) -> Option<LogIndex> {
    let departure = Event::Departed { member: me };
    state.audit().iter().rev().find(|entry| entry.event == departure).map(|entry| entry.index)
}
