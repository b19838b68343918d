//! `mesh keys backup` and `restore`: the root key out of a state directory, and into one.
//!
//! Out is harmless while a daemon runs: the file is replaced as a whole or not at all. In is not, since a daemon tells
//! the others at its start whether it has the key.

use std::io::Read as _;

use mesh_model::IdentitySecret;
use mesh_model::api::v1::{ErrorCode, RootRestored, RootSecret};
use zeroize::Zeroizing;

use super::answer::{Answer, misconfigured, refusal, unusable};
use crate::args::StateDirArgs;
use crate::config;
use crate::io::entropy::Entropy;
use crate::state_dir::{Membership, StateDir};

/// The root key of the mesh, from the host that has it.
pub(super) fn export(args: &StateDirArgs) -> Answer<RootSecret> {
    let path = state_dir(args)?;
    let (membership, secret) = StateDir::peek_admin(&path).map_err(unusable)?;
    let Some(Membership { root, .. }) = membership else { return Err(no_mesh(args)) };
    let secret = secret.ok_or_else(|| {
        refusal(
            ErrorCode::NotAdmin,
            "this host does not hold the mesh's root key",
            "run the same command on the host where `mesh init` ran",
        )
    })?;
    Ok(RootSecret { mesh: root.mesh, root: root.key, seed: *secret.to_seed() })
}

/// Gives the host the root key whose seed stands on standard input.
pub(super) fn import(args: &StateDirArgs) -> Answer<RootRestored> {
    let path = state_dir(args)?;
    let mut seed = Zeroizing::new([0; 32]);
    std::io::stdin().lock().read_exact(&mut *seed).map_err(|error| {
        refusal(
            ErrorCode::BadRequest,
            format!("no seed of 32 bytes on standard input: {error}"),
            "",
        )
    })?;
    let secret = IdentitySecret::from_seed(*seed);
    let state_dir = StateDir::open_used(&path, &mut || Entropy.fresh()).map_err(unusable)?;
    let Some(Membership { root, member }) = state_dir.membership().copied() else {
        return Err(no_mesh(args));
    };
    if secret.public() != root.key {
        return Err(refusal(
            ErrorCode::Refused,
            format!("the key is not the root key of this host's mesh, {}", root.mesh),
            "nothing was changed; restore it on a member of its own mesh",
        ));
    }
    if state_dir.is_admin() {
        return Err(refusal(
            ErrorCode::Refused,
            "this host holds the root key already",
            "nothing was changed, and nothing needs to be",
        ));
    }
    state_dir.adopt_admin(&secret).map_err(unusable)?;
    Ok(RootRestored { mesh: root.mesh, root: root.key, member })
}

fn state_dir(args: &StateDirArgs) -> Answer<std::path::PathBuf> {
    config::state_dir(args).map_err(misconfigured)
}

fn no_mesh(args: &StateDirArgs) -> mesh_model::api::v1::ErrorBody {
    let place = args.state_dir.as_deref().unwrap_or("the state directory");
    refusal(
        ErrorCode::NotJoined,
        format!("the host of {place} belongs to no mesh"),
        "name the directory the daemon uses with --state-dir",
    )
}
