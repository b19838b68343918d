//! `mesh backup restore`: a state directory for a host to come back with.
//!
//! What comes back is not a member yet: no log, no vote, no store. If it never voted, its identity comes along, and the mesh
//! gives it its old place when it asks with a token. If it did, the mesh would refuse it under that identity, since it
//! cannot know any more what it acknowledged; so it comes back as somebody new.

use std::io::Read as _;

use mesh_control::raft::Snapshot;
use mesh_model::api::v1::{BackupRestored, ErrorBody, ErrorCode};
use mesh_model::backup::{Backup, MAX_BACKUP};
use mesh_model::{IdentitySecret, TunnelSecret};
use zeroize::Zeroizing;

use super::answer::{Answer, misconfigured, refusal, unusable};
use crate::args::RestoreArgs;
use crate::config;
use crate::state_dir::{Identity, Restored};

/// Makes the state directory from the backup on standard input.
pub(super) fn restore(args: &RestoreArgs) -> Answer<BackupRestored> {
    let backup = read()?;
    let path = config::state_dir(&args.host).map_err(misconfigured)?;
    let snapshot = Snapshot::open(&backup.snapshot, Some(&backup.root))
        .map_err(|error| damaged(format!("the snapshot in it: {error}")))?;
    if let Some(expected) = args.mesh
        && expected != backup.root.mesh
    {
        let found = backup.root.mesh;
        let message = format!("the backup is of a host of the mesh {found}, not of {expected}");
        return Err(refusal(ErrorCode::Refused, message, "use a backup of a host of that mesh"));
    }
    let identity = Identity {
        identity: IdentitySecret::from_seed(backup.identity),
        tunnel: TunnelSecret::from_bytes(backup.tunnel),
        other: backup.other_tunnel.map(TunnelSecret::from_bytes),
        aside: Vec::new(),
    };
    let view = snapshot.view();
    let own = view.place_of(backup.member);
    if own.is_some_and(|own| own.identity != identity.identity.public()) {
        return Err(damaged(format!("the identity in it is not that of {}", backup.member)));
    }
    let header = &snapshot.head().header;
    let known = own.is_some() && !snapshot.has_voted(backup.member) && !args.new_identity;
    let restored = Restored {
        identity: known.then_some(identity),
        config: backup.config.as_deref(),
        snapshot: (header.index, &backup.snapshot),
    };
    restored.write(&path).map_err(unusable)?;
    Ok(BackupRestored {
        mesh: backup.root.mesh,
        mesh_name: header.mesh_name.clone(),
        member: backup.member,
        name: backup.name.clone(),
        identity: known,
        made_ms: backup.made_ms,
        index: header.index,
        directory: path.display().to_string(),
    })
}

fn read() -> Answer<Backup> {
    let mut bytes = Zeroizing::new(Vec::new());
    let stdin = std::io::stdin().lock();
    let read = stdin.take(MAX_BACKUP as u64 + 1).read_to_end(&mut bytes);
    match read {
        Err(error) => Err(damaged(format!("it cannot be read: {error}"))),
        Ok(len) if len > MAX_BACKUP => {
            Err(damaged(format!("it is longer than {MAX_BACKUP} bytes")))
        }
        Ok(_) => Backup::from_bytes(&bytes).map_err(|error| damaged(error.to_string())),
    }
}

fn damaged(what: String) -> ErrorBody {
    refusal(
        ErrorCode::Refused,
        format!("the backup does not hold: {what}"),
        "nothing was made; use another copy of it, or an older one",
    )
}
