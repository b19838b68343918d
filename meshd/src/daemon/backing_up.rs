//! `mesh backup create` and `list`, and the backups a daemon makes by itself.
//!
//! What leaves this process is encrypted for its recipients before it does, whoever asks: the daemon's keys are in no
//! document and no file of others in the clear, and a daemon cannot read its own backups again.

use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

use mesh_control::keeping::Keeping;
use mesh_dataplane::OtherKey;
use mesh_model::api::v1::{
    BackupFile, BackupRequest, Backups, ErrorBody, ErrorCode, MAX_RECIPIENTS,
};
use mesh_model::backup::{Backup, MAX_CONFIG};
use tokio::time::sleep;

use super::Daemon;
use super::mesh::Mesh;
use super::refusal::{Answer, failed, internal, refusal};
use crate::config::BackupPlan;
use crate::io::backup_dir::BackupDir;
use crate::io::clock;
use crate::io::sealed::{Recipient, seal};

/// How often to look whether a backup is due: the wall clock may be set meanwhile.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// How long after a failure to try again: a full disk or an absent volume is somebody's to mend.
const RETRY: Duration = Duration::from_secs(600);

impl Daemon {
    /// A backup of this host, for its recipients only.
    pub(crate) async fn make_backup(&self, request: BackupRequest) -> Answer<Vec<u8>> {
        let recipients = match request.recipients.as_slice() {
            [] => self.config.backup.as_ref().map(|plan| plan.recipients.clone()),
            some => Some(parse(some)?),
        };
        let recipients = recipients.ok_or_else(|| {
            refusal(
                ErrorCode::BadRequest,
                "nobody was named who could read the backup",
                "name an age recipient with --recipient, or `backup.recipients` in the configuration",
            )
        })?;
        let mesh = self.mesh()?;
        self.sealed(&mesh, clock::wall_ms(), &recipients).await
    }

    /// The backups that are made by themselves.
    pub(crate) async fn backups(&self) -> Answer<Backups> {
        let mesh = self.mesh()?;
        let Some(plan) = &self.config.backup else {
            return Ok(Backups {
                every_s: None,
                keep: None,
                directory: None,
                next_ms: None,
                failure: None,
                backups: Vec::new(),
            });
        };
        let dir = directory(plan, &mesh);
        let entries = tokio::task::block_in_place(|| dir.list()).map_err(failed)?;
        let made: Vec<_> = entries.iter().map(|entry| entry.made_ms).collect();
        let Keeping { every_ms, keep } = plan.keeping;
        let file = |entry: &crate::io::backup_dir::Entry| BackupFile {
            name: dir.name_of(entry.made_ms),
            made_ms: entry.made_ms,
            bytes: entry.bytes,
        };
        Ok(Backups {
            every_s: Some(every_ms / 1000),
            keep: Some(keep),
            directory: Some(plan.directory.display().to_string()),
            next_ms: Some(plan.keeping.next_ms(&made, clock::wall_ms())),
            failure: self.backup_failure.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            backups: entries.iter().map(file).collect(),
        })
    }

    /// This host as bytes that `recipients` can read.
    async fn sealed(&self, mesh: &Mesh, made_ms: u64, recipients: &[Recipient]) -> Answer<Vec<u8>> {
        let export = mesh.group.export().await;
        tokio::task::block_in_place(|| {
            let (_, snapshot) = export.to_file();
            self.seal_with(snapshot, mesh, made_ms, recipients)
        })
    }

    fn seal_with(
        &self,
        snapshot: Vec<u8>,
        mesh: &Mesh,
        made_ms: u64,
        recipients: &[Recipient],
    ) -> Answer<Vec<u8>> {
        let keys = mesh.keys();
        let other = keys.other.as_ref().map(|other| match other {
            OtherKey::Next(secret) | OtherKey::Before(secret) => *secret.to_bytes(),
        });
        let backup = Backup {
            made_ms,
            root: mesh.view().root,
            member: mesh.me,
            name: mesh.own.name.clone(),
            identity: *mesh.identity.to_seed(),
            tunnel: *keys.current.to_bytes(),
            other_tunnel: other,
            config: self.config_text(),
            snapshot,
        };
        seal(&backup.to_bytes(), recipients).map_err(internal)
    }

    /// The configuration file as it is now. One that cannot be read is no reason to have no backup.
    fn config_text(&self) -> Option<String> {
        let text = std::fs::read_to_string(self.config.file.as_ref()?).ok()?;
        (text.len() <= MAX_CONFIG).then_some(text)
    }

    /// Makes a backup if one is due, forgets those beyond the number kept, and says when to look again.
    async fn keep_backups(&self, plan: &BackupPlan) -> Answer<Duration> {
        let Some(mesh) = self.mesh.load_full() else { return Ok(LOOK_AGAIN) };
        let now_ms = clock::wall_ms();
        let made = self.make_if_due(plan, &mesh, now_ms).await;
        let made = made.map_err(|error| meaning("no backup was made", error))?;
        // Only now that there is one more.
        let surplus = plan.keeping.surplus(&made, now_ms);
        tokio::task::block_in_place(|| forget(&directory(plan, &mesh), &surplus))?;
        let next_ms = plan.keeping.next_ms(&made, now_ms);
        Ok(Duration::from_millis(next_ms.saturating_sub(now_ms)).min(LOOK_AGAIN))
    }

    /// Makes a backup if one is due; when those that are there then were made.
    async fn make_if_due(&self, plan: &BackupPlan, mesh: &Mesh, now_ms: u64) -> Answer<Vec<u64>> {
        let dir = directory(plan, mesh);
        let listed = tokio::task::block_in_place(|| dir.list()).map_err(failed)?;
        let mut made: Vec<_> = listed.iter().map(|entry| entry.made_ms).collect();
        if plan.keeping.next_ms(&made, now_ms) <= now_ms {
            let file = self.sealed(mesh, now_ms, &plan.recipients).await?;
            tokio::task::block_in_place(|| dir.save(now_ms, &file)).map_err(failed)?;
            tracing::info!(directory = %plan.directory.display(), bytes = file.len(), "backup made");
            made.push(now_ms);
        }
        Ok(made)
    }
}

/// Removes those made then. Every backup that was due is there by now.
fn forget(dir: &BackupDir, surplus: &[u64]) -> Answer<()> {
    let removed = surplus.iter().try_for_each(|made_ms| dir.remove(*made_ms));
    removed.map_err(|error| {
        meaning("what was due is made, but an old backup was not removed", failed(error))
    })
}

/// `error`, told by what it means for the backups.
fn meaning(what: &str, error: ErrorBody) -> ErrorBody {
    ErrorBody { message: format!("{what}: {}", error.message), ..error }
}

fn directory(plan: &BackupPlan, mesh: &Mesh) -> BackupDir {
    BackupDir::of(&plan.directory, mesh.view().mesh(), mesh.me)
}

fn parse(recipients: &[String]) -> Answer<Vec<Recipient>> {
    let bad = |message: String| {
        refusal(ErrorCode::BadRequest, message, "`age-keygen -y KEYFILE` prints a key's recipient")
    };
    if recipients.len() > MAX_RECIPIENTS {
        return Err(bad(format!("more than {MAX_RECIPIENTS} recipients")));
    }
    let parsed = recipients.iter().map(|text| {
        text.parse().map_err(|_| bad(format!("`{text}` is no age recipient such as age1...")))
    });
    parsed.collect()
}

/// Makes backups as `plan` says, until the daemon is gone.
pub(super) async fn run(daemon: Weak<Daemon>, plan: BackupPlan) {
    loop {
        let Some(strong) = daemon.upgrade() else { return };
        let pause = look(&strong, &plan).await;
        drop(strong);
        sleep(pause).await;
    }
}

async fn look(daemon: &Arc<Daemon>, plan: &BackupPlan) -> Duration {
    let kept = daemon.keep_backups(plan).await;
    let mut failure = daemon.backup_failure.lock().unwrap_or_else(PoisonError::into_inner);
    match kept {
        Ok(pause) => {
            *failure = None;
            pause
        }
        Err(ErrorBody { message, hint, .. }) => {
            tracing::warn!(error = message, hint, "backups are not kept as they should be");
            *failure = Some(message);
            RETRY
        }
    }
}

#[cfg(test)]
mod tests {
    use mesh_model::{MemberId, MeshId};

    use super::*;

    #[test]
    fn an_old_one_that_stays_is_not_told_as_a_new_one_that_was_not_made() {
        let base = tempfile::tempdir().expect("a directory");
        let dir = BackupDir::of(base.path(), MeshId([0xab; 16]), MemberId(1));
        dir.save(2, b"old").expect("saved");
        // Nobody can remove a directory as a file.
        std::fs::create_dir(base.path().join(dir.name_of(1))).expect("made");
        let told = forget(&dir, &[1, 2]).expect_err("it stays");
        assert!(told.message.starts_with("what was due is made, but an old backup"), "{told:?}");
        assert!(told.message.contains(&dir.name_of(1)), "{told:?}");
        assert_eq!(forget(&dir, &[2]), Ok(()));
        assert_eq!(dir.list().expect("listed"), []);
    }
}
