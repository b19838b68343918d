//! The mesh's root key, for those verbs that take one.

use mesh_model::IdentitySecret;
use mesh_model::api::v1::ErrorCode;

use super::Daemon;
use super::refusal::{Answer, failed, refusal};

impl Daemon {
    /// The mesh's root key, which it takes to `act`.
    pub(super) async fn root_secret(&self, act: &str) -> Answer<IdentitySecret> {
        self.state_dir.lock().await.admin().map_err(failed)?.ok_or_else(|| {
            refusal(
                ErrorCode::NotAdmin,
                format!("this host does not hold the mesh's root key, and only that can {act}"),
                "run the same command on the host where `mesh init` ran",
            )
        })
    }
}
