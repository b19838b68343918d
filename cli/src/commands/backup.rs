//! `mesh backup`: what a host needs to come back.
//!
//! The daemon hands out nothing in the clear. For a passphrase it seals the backup for a key that was made a moment ago and is
//! forgotten a moment later, and the passphrase goes on here. What is read back is opened here too, and made a state
//! directory by `meshd`, which knows how one has to look.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use age::x25519;
use mesh_model::api::v1::{BackupRequest, BackupRestored, Backups, Schema, route};
use mesh_model::backup::{Backup, MAX_BACKUP, MAX_BACKUP_FILE};
use mesh_model::{MemberId, MeshId};
use serde::Serialize;
use zeroize::Zeroizing;

use super::Session;
use crate::args::{BackupCreateArgs, BackupRestoreArgs, BackupVerb};
use crate::exit::{Exit, Failure};
use crate::offline::{self, Offline};
use crate::render::table::Table;
use crate::render::theme::Theme;
use crate::render::{json, safe, unit};
use crate::sealed::{Opener, SealedError};
use crate::{file, passphrase, sealed};

/// How long the daemon may take: the largest state is encoded, compressed and sealed in a few seconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// The longest file of keys, in bytes: a key and its comments take 200.
const MAX_KEY_FILE: usize = 64 << 10;

/// What `mesh backup create` answers.
#[derive(Debug, Serialize)]
struct Made {
    /// The file.
    file: String,
    /// Its bytes.
    bytes: u64,
}

impl Schema for Made {
    const SCHEMA: &'static str = "mesh.backup/v1";
}

pub(super) fn run(verb: BackupVerb, session: &Session) -> Result<Exit, Failure> {
    match verb {
        BackupVerb::Create(args) => create(args, session),
        BackupVerb::List => {
            let answer = session.client()?.get(route::BACKUPS)?;
            session.show(&answer, page)
        }
        BackupVerb::Restore(args) => restore(&args, session),
    }
}

fn create(args: BackupCreateArgs, session: &Session) -> Result<Exit, Failure> {
    file::check_free(&args.file)?;
    let bytes = match args.passphrase || args.passphrase_file.is_some() {
        true => with_passphrase(args.passphrase_file.as_deref(), session)?,
        false => ask(args.recipients, session)?,
    };
    file::make(&args.file, &bytes)?;
    let made = Made { file: args.file.display().to_string(), bytes: bytes.len() as u64 };
    if session.output.is_json() {
        session.output.text(&json::document(made))?;
    } else {
        let text = format!(
            "saved this host into {}, {}\nThe mesh's root key is not in it: `mesh keys backup` saves that.\n",
            safe(&made.file),
            unit::bytes(made.bytes)
        );
        session.output.text(&text)?;
    }
    Ok(Exit::Ok)
}

/// The backup, sealed for `recipients`.
fn ask(recipients: Vec<String>, session: &Session) -> Result<Vec<u8>, Failure> {
    let request = BackupRequest { recipients };
    let mut client = session.client()?;
    Ok(client.fetch(route::BACKUPS, &request, PATIENCE, MAX_BACKUP_FILE)?.to_vec())
}

/// The backup, sealed with a passphrase.
fn with_passphrase(file: Option<&Path>, session: &Session) -> Result<Vec<u8>, Failure> {
    let passphrase = passphrase::choose(file, "Passphrase for the backup: ")?;
    let key = x25519::Identity::generate();
    let sealed = ask(vec![key.to_public().to_string()], session)?;
    let unusable = |error: SealedError| {
        let message = format!("cannot use the daemon's answer: {error}");
        Failure::new(Exit::Failed, "bad_answer", message, "")
    };
    let bytes = sealed::open(&sealed, &Opener::Keys(vec![key]), MAX_BACKUP).map_err(unusable)?;
    sealed::seal(&bytes, &passphrase).map_err(unusable)
}

fn restore(args: &BackupRestoreArgs, session: &Session) -> Result<Exit, Failure> {
    let sealed = file::read(&args.file, MAX_BACKUP_FILE)?;
    let opener = match &args.identity {
        Some(path) => Opener::Keys(keys(path)?),
        None => {
            let file = args.passphrase_file.as_deref();
            Opener::Passphrase(passphrase::read(file, "Passphrase of the backup: ")?)
        }
    };
    let name = safe(&args.file.display().to_string());
    let unreadable = |reason: String| {
        let hint = "nothing was made; use another copy of it, or an older one";
        Failure::new(Exit::Failed, "bad_backup", format!("{name}: {reason}"), hint)
    };
    let bytes = sealed::open(&sealed, &opener, MAX_BACKUP)
        .map_err(|error| unreadable(error.to_string()))?;
    Backup::from_bytes(&bytes).map_err(|error| unreadable(error.to_string()))?;
    let mut words = offline::host(&args.host);
    words.extend(offline::option("--mesh", args.mesh.map(|mesh| mesh.to_string())));
    words.extend(args.new_identity.then(|| OsString::from("--new-identity")));
    let answer = Offline::new().ask_with("backup-restore", &words, &bytes)?;
    session.show(&answer, |restored, _| told(restored))
}

/// The keys in the file at `path`, one per line as `age-keygen` writes them.
fn keys(path: &Path) -> Result<Vec<x25519::Identity>, Failure> {
    let bytes = Zeroizing::new(file::read(path, MAX_KEY_FILE)?);
    let wrong = |what: &str| {
        let message = format!("{}: {what}", safe(&path.display().to_string()));
        Failure::new(Exit::Failed, "input", message, "`age-keygen -o FILE` makes such a file")
    };
    let text = std::str::from_utf8(&bytes).map_err(|_| wrong("it is not text"))?;
    let lines =
        text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let parsed: Result<Vec<x25519::Identity>, _> = lines.map(str::parse).collect();
    match parsed {
        Ok(keys) if !keys.is_empty() => Ok(keys),
        Ok(_) => Err(wrong("there is no key in it")),
        Err(_) => Err(wrong("a line of it is no age key")),
    }
}

fn told(restored: &BackupRestored) -> String {
    let BackupRestored { name, member, mesh_name, index, directory, .. } = restored;
    let (name, member): (_, MemberId) = (name.as_str(), *member);
    let mesh: MeshId = restored.mesh;
    let back = match restored.identity {
        true => format!(
            "It had not voted by then: `mesh join` brings it back as {member} with its addresses. If the mesh says that \
             it votes, its supervisor counts on what it acknowledged: have another lead (`mesh supervisor step-down`) and \
             join again; if that says the same, it has voted since: restore again with --new-identity."
        ),
        false => format!(
            "It comes back as somebody new, with another id and other addresses: `mesh join`, then `mesh remove {member}` \
             on the host with the root key."
        ),
    };
    format!(
        "made {} from {name} ({member}) of `{mesh_name}` ({mesh}), saved {} at index {index}\n{back}\n",
        safe(directory),
        unit::since(restored.made_ms),
    )
}

fn page(backups: &Backups, theme: Theme) -> String {
    let (Some(every_s), Some(keep), Some(directory)) =
        (backups.every_s, backups.keep, &backups.directory)
    else {
        return "no backups are made by themselves: see `[backup]` in meshd.toml\n".to_owned();
    };
    let mut facts = Table::facts();
    let every = unit::duration(Duration::from_secs(every_s));
    facts.fact(theme, "made", format!("every {every}, the newest {keep} are kept"));
    facts.fact(theme, "in", directory.clone());
    facts.fact(theme, "next", backups.next_ms.map_or_else(|| "-".to_owned(), unit::until));
    if let Some(failure) = &backups.failure {
        facts.fact(theme, "failed", failure.clone());
    }
    let mut table = Table::new(theme, &[">MADE", ">SIZE", "FILE"]);
    for backup in &backups.backups {
        table.row([
            unit::since(backup.made_ms).into(),
            unit::bytes(backup.bytes).into(),
            backup.name.as_str().into(),
        ]);
    }
    match backups.backups.is_empty() {
        true => facts.lines(""),
        false => format!("{}\n{}", facts.lines(""), table.lines("")),
    }
}
