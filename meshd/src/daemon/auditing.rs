//! `mesh audit`: who decided what.

use mesh_model::api::v1::{Audit, AuditEntry};
use mesh_model::audit::Beginning;

use super::Daemon;
use super::refusal::Answer;

impl Daemon {
    /// The audit trail as this host has applied it.
    pub(crate) async fn audit(&self) -> Answer<Audit> {
        let mesh = self.mesh()?;
        let root = mesh.view().root;
        Ok(mesh.group.read(|state, _| {
            let trail = state.audit();
            Audit {
                mesh: root.mesh,
                root: root.key,
                genesis: Beginning(state.signed_genesis().clone()),
                before_hash: trail.before(),
                entries: trail.links().cloned().map(AuditEntry::from).collect(),
                head_hash: trail.head(),
            }
        }))
    }
}
