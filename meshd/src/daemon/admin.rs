//! An admin's key, for those verbs that take one, and who the admins are.

use mesh_control::state;
use mesh_model::api::v1::{Admin, Admins, ErrorCode};
use mesh_model::{AdminId, IdentitySecret};

use super::Daemon;
use super::refusal::{Answer, failed, refusal};

/// What to do on a host that has no admin's key.
const ELSEWHERE: &str = "sign it with any admin's key, `--admin-key FILE`; or write it to a file with `--out FILE` for `mesh admin sign`; \
                         or run it on the host that holds the root key";

impl Daemon {
    /// The admin's key on this host, which it takes to `act`.
    pub(super) async fn admin_secret(&self, act: &str) -> Answer<IdentitySecret> {
        let secret = self.own_admin_secret().await?.ok_or_else(|| {
            refusal(
                ErrorCode::NotAdmin,
                format!("this host does not hold the mesh's root key, and it takes an admin's key to {act}"),
                ELSEWHERE,
            )
        })?;
        let key = secret.public();
        match self.mesh()?.group.read(|state, _| state.admins().by_key(&key).is_some()) {
            true => Ok(secret),
            false => Err(refusal(
                ErrorCode::NotAdmin,
                format!(
                    "this host's key is that of an admin that was removed, and cannot {act} any more"
                ),
                ELSEWHERE,
            )),
        }
    }

    /// The admin's key on this host, whether it still is one or not.
    pub(super) async fn own_admin_secret(&self) -> Answer<Option<IdentitySecret>> {
        self.state_dir.lock().await.admin().map_err(failed)
    }

    /// Who the admins are, and were.
    pub(crate) async fn admins(&self) -> Answer<Admins> {
        let mesh = self.mesh()?;
        let own = self.own_admin_secret().await?.map(|secret| secret.public());
        Ok(mesh.group.read(|state, applied| {
            let admins = state.admins();
            let admin = |(id, admin): (&AdminId, &state::Admin)| Admin {
                admin: *id,
                name: admin.name.clone(),
                key: admin.key,
                since: admin.since,
                until: admin.removed.map(|removal| removal.at),
                here: own == Some(admin.key),
            };
            Admins {
                threshold: admins.threshold(),
                serial: admins.serial(),
                head: admins.head(),
                admins: admins.iter().map(admin).collect(),
                applied,
            }
        }))
    }
}
