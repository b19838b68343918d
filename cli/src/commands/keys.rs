//! `mesh keys`: WireGuard keys, which the daemon has; and the mesh's root key as shares, and back.

use std::path::{Path, PathBuf};

use mesh_model::api::v1::{RootRestored, RootSecret, Schema};
use mesh_model::trust::{MAX_SHARE_FILE, RootShare};
use mesh_model::{IdentityKey, IdentitySecret, MeshId};
use serde::Serialize;
use zeroize::{Zeroize as _, Zeroizing};

use super::{Session, tunnel_keys};
use crate::args::{HostArgs, KeysArgs, KeysBackupArgs, KeysRestoreArgs, KeysVerb};
use crate::exit::{Exit, Failure};
use crate::file;
use crate::offline::{self, Offline};
use crate::render::{json, safe};
use crate::splitting::{self, SplitError};

/// What `mesh keys backup` answers.
#[derive(Debug, Serialize)]
struct KeyShares {
    /// The mesh.
    mesh: MeshId,
    /// Its root key's public half.
    root: IdentityKey,
    /// How many shares make the key.
    threshold: u8,
    /// The files, in the order of their numbers.
    files: Vec<String>,
}

impl Schema for KeyShares {
    const SCHEMA: &'static str = "mesh.key_shares/v1";
}

pub(super) fn run(args: KeysArgs, session: &Session) -> Result<Exit, Failure> {
    match args.verb {
        None | Some(KeysVerb::Show) => tunnel_keys::show(session),
        Some(KeysVerb::Rotate(args)) => tunnel_keys::rotate(&args, session),
        Some(KeysVerb::Backup(args)) => backup(&args, session),
        Some(KeysVerb::Restore(args)) => restore(&args, session),
    }
}

fn backup(args: &KeysBackupArgs, session: &Session) -> Result<Exit, Failure> {
    if args.threshold > args.shares {
        let (threshold, shares) = (args.threshold, args.shares);
        return Err(Failure::usage(format!(
            "--threshold {threshold} is more than --shares {shares}: nobody could make the key again"
        )));
    }
    let secret = root_secret(&args.host)?;
    let set = rand::random();
    let shares = splitting::split(&secret, set, args.threshold, args.shares);
    prove(&shares, args.threshold)?;
    let paths: Vec<_> = shares.iter().map(|share| args.out.join(name_of(share))).collect();
    file::make_dir(&args.out)?;
    write_all(&paths, &shares)?;
    let root = mesh_model::trust::MeshRoot::of(secret.public());
    let files: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
    if session.output.is_json() {
        let (mesh, root, threshold) = (root.mesh, root.key, args.threshold);
        session.output.text(&json::document(KeyShares { mesh, root, threshold, files }))?;
    } else {
        let lines: String = files.iter().map(|file| format!("{}\n", safe(file))).collect();
        let text = format!(
            "split the root key of mesh {} into {} shares, any {} of which make it again\n{lines}\
             Give each to somebody else, and keep none beside another.\n",
            root.mesh, args.shares, args.threshold
        );
        session.output.text(&text)?;
    }
    Ok(Exit::Ok)
}

/// The root key, from the state directory.
fn root_secret(host: &HostArgs) -> Result<IdentitySecret, Failure> {
    let mut answer = Offline::new().ask::<RootSecret>("root-export", &offline::host(host))?;
    answer.text.zeroize();
    Ok(IdentitySecret::from_seed(answer.body.seed))
}

/// Fails unless the shares make the key: a bug here would be found in the worst hour.
fn prove(shares: &[RootShare], threshold: u8) -> Result<(), Failure> {
    let mut windows = shares.windows(threshold.into());
    match windows.all(|few| splitting::join(few).is_ok()) {
        true => Ok(()),
        false => Err(Failure::new(
            Exit::Failed,
            "internal",
            "the shares do not make the key again; nothing was written",
            "this is a bug in mesh, please report it",
        )),
    }
}

fn name_of(share: &RootShare) -> String {
    format!("root-share-{}-of-{}.txt", share.index, share.shares)
}

/// All files or none.
fn write_all(paths: &[PathBuf], shares: &[RootShare]) -> Result<(), Failure> {
    for path in paths {
        file::check_free(path)?;
    }
    for (at, (path, share)) in paths.iter().zip(shares).enumerate() {
        file::make(path, share.to_text().as_bytes()).inspect_err(|_| {
            for made in &paths[..at] {
                let _ = std::fs::remove_file(made);
            }
        })?;
    }
    Ok(())
}

fn restore(args: &KeysRestoreArgs, session: &Session) -> Result<Exit, Failure> {
    let mut shares = Vec::new();
    for path in &args.shares {
        shares.push(read_share(path)?);
    }
    let secret = splitting::join(&shares).map_err(|error| unfit(&error, &args.shares))?;
    let offline = Offline::new();
    let seed = secret.to_seed();
    let answer =
        offline.ask_with::<RootRestored>("root-import", &offline::host(&args.host), &*seed)?;
    session.show(&answer, |restored, _| {
        format!(
            "{} holds the root key of mesh {} now; start its daemon again\n",
            restored.member, restored.mesh
        )
    })
}

fn read_share(path: &Path) -> Result<RootShare, Failure> {
    let bytes = Zeroizing::new(file::read(path, MAX_SHARE_FILE)?);
    let name = safe(&path.display().to_string());
    let text = std::str::from_utf8(&bytes);
    let share = match text {
        Ok(text) => text.parse::<RootShare>().map_err(|error| error.to_string()),
        Err(_) => Err("it is not text".to_owned()),
    };
    share.map_err(|reason| {
        let hint = "use another copy of it, or another share";
        Failure::new(Exit::Failed, "bad_share", format!("{name}: {reason}"), hint)
    })
}

/// Why the shares in `files` do not make the key.
fn unfit(error: &SplitError, files: &[PathBuf]) -> Failure {
    let name = |at: usize| safe(&files[at].display().to_string());
    let message = match error {
        SplitError::OtherMesh { at, first } => {
            format!("{} is of the mesh {}, {} of {first}", name(at.0), at.1, name(0))
        }
        SplitError::OtherSet(at) => format!(
            "{} was made at another time than {}: shares of two splittings do not mix",
            name(*at),
            name(0)
        ),
        SplitError::Twice(one, other) => {
            format!("{} and {} are the same share", name(*one), name(*other))
        }
        SplitError::TooFew { .. } | SplitError::Altered => error.to_string(),
    };
    Failure::new(Exit::Failed, "bad_share", message, "nothing was changed")
}
