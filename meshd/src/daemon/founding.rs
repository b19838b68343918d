//! `mesh init`: a mesh begins with this host.

use mesh_control::raft::{Start, Store};
use mesh_model::addr::DEFAULT_IPV4_PREFIX;
use mesh_model::api::v1::{ErrorCode, InitRequest, JoinedReply};
use mesh_model::trust::{Genesis, MemberRecord, MeshRoot, Name};
use mesh_model::{IdentitySecret, MemberId, Prefixes, Signed};

use super::ground::Ground;
use super::refusal::{Answer, failed, refusal};
use super::{Daemon, Mesh};
use crate::io::{clock, disk, entropy::Entropy};
use crate::state_dir::Membership;

/// What a mesh is called unless said otherwise.
const DEFAULT_MESH_NAME: &str = "mesh";

impl Daemon {
    /// Starts a mesh with this host as its first member.
    pub(crate) async fn init(&self, request: InitRequest) -> Answer<JoinedReply> {
        let mut state_dir = self.unjoined().await?;
        let name = self.own_name(request.name)?;
        let identity = state_dir.identity().clone();
        let root_secret = IdentitySecret::from_seed(Entropy.fresh());
        let root = MeshRoot::of(root_secret.public());
        let v4 = request.ipv4_prefix.unwrap_or(DEFAULT_IPV4_PREFIX);
        let prefixes = Prefixes::for_mesh(root.mesh, v4).map_err(|error| {
            refusal(ErrorCode::BadRequest, error, "for example `--ipv4-prefix 10.77.0.0/16`")
        })?;
        let founder = MemberRecord {
            mesh: root.mesh,
            name,
            identity: identity.identity.public(),
            tunnel: identity.tunnel.public(),
        };
        let genesis = Genesis {
            root,
            name: request.mesh_name.unwrap_or_else(default_mesh_name),
            prefixes,
            founder,
            created_ms: clock::wall_ms(),
        };
        let genesis = Signed::seal(&genesis, &root_secret);

        let port = self.bind().map_err(failed)?;
        let membership = Membership { root, member: MemberId::FOUNDER };
        let store = tokio::task::block_in_place(|| {
            let draft = state_dir.store_draft().map_err(failed)?;
            let file = disk::open_log(&draft).map_err(failed)?;
            Store::create(file, &root, Start::Genesis(genesis)).map_err(failed)
        })?;
        let ground = Ground::lay(&self.config, &store, &identity).await.map_err(failed)?;
        tokio::task::block_in_place(|| state_dir.commit(membership, Some(&root_secret)))
            .map_err(failed)?;
        Ok(self.enter(&state_dir, store, ground, port, Vec::new()).await?.joined())
    }

    /// The name this host goes by: the request's, the configuration's, or the host name's.
    pub(super) fn own_name(&self, wanted: Option<Name>) -> Answer<Name> {
        let host_name = || {
            let host = nix::unistd::gethostname().ok()?;
            Name::from_hostname(&host.to_string_lossy())
        };
        wanted.or_else(|| self.config.name.clone()).or_else(host_name).ok_or_else(|| {
            refusal(
                ErrorCode::BadRequest,
                "this host has no name that could serve",
                "say how it shall be called with `--name`",
            )
        })
    }
}

fn default_mesh_name() -> Name {
    DEFAULT_MESH_NAME.parse().expect("a DNS label")
}

impl Mesh {
    /// What `mesh init` and `mesh join` answer.
    pub(super) fn joined(&self) -> JoinedReply {
        let view = self.view();
        JoinedReply {
            mesh: view.mesh(),
            mesh_name: view.mesh_name.clone(),
            member: self.me,
            name: self.own.name.clone(),
            addrs: self.own.addrs,
        }
    }
}
