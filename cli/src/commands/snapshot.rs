//! `mesh snapshot`: what the mesh had agreed on, as files.
//!
//! The daemon makes and keeps them. Looking into a file needs nobody: what it says of itself is read here, whether that is so
//! is checked by `meshd`, which has the state machine.

use std::time::Duration;

use mesh_model::api::v1::{
    SnapshotApplied, SnapshotDownload, SnapshotInfo, SnapshotVerdict, Snapshots, route,
};
use mesh_model::snapshot::{self, MAX_FILE};

use super::Session;
use crate::args::{ApplyArgs, DownloadArgs, InspectArgs, SnapshotVerb, VerifySnapshotArgs};
use crate::exit::{Exit, Failure};
use crate::file;
use crate::offline::{self, Offline};
use crate::render::table::Table;
use crate::render::theme::Theme;
use crate::render::{json, list, safe, term, unit, who};

/// How long the daemon may take: the largest state is encoded, compressed and flushed in a few seconds.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) fn run(verb: SnapshotVerb, session: &Session) -> Result<Exit, Failure> {
    match verb {
        SnapshotVerb::Create => {
            let nothing = serde_json::Map::new();
            let answer = session.client()?.post(route::SNAPSHOTS, &nothing, PATIENCE)?;
            session.show(&answer, |info, theme| format!("made a snapshot\n{}", page(info, theme)))
        }
        SnapshotVerb::List => {
            let answer = session.client()?.get(route::SNAPSHOTS)?;
            session.show(&answer, table)
        }
        SnapshotVerb::Download(args) => download(&args, session),
        SnapshotVerb::Inspect(args) => inspect(&args, session),
        SnapshotVerb::Verify(args) => verify(&args, session),
        SnapshotVerb::Apply(args) => apply(&args, session),
    }
}

fn download(args: &DownloadArgs, session: &Session) -> Result<Exit, Failure> {
    file::check_free(&args.file)?;
    let request = SnapshotDownload { index: args.index };
    let route = route::SNAPSHOTS_DOWNLOAD;
    let bytes = session.client()?.fetch(route, &request, PATIENCE, MAX_FILE)?;
    let info = read_info("what the daemon sent", &bytes)?;
    file::make(&args.file, &bytes)?;
    tell(&info, session, "wrote", &args.file.display().to_string())
}

fn inspect(args: &InspectArgs, session: &Session) -> Result<Exit, Failure> {
    let name = args.file.display().to_string();
    let info = read_info(&name, &file::read(&args.file, MAX_FILE)?)?;
    tell(&info, session, "nothing was checked but the checksum of", &name)
}

/// What the snapshot in `bytes` says of itself.
fn read_info(name: &str, bytes: &[u8]) -> Result<SnapshotInfo, Failure> {
    let read = snapshot::read(bytes).map_err(|error| {
        let message = format!("{}: {error}", safe(name));
        Failure::new(Exit::Failed, "bad_snapshot", message, "use another copy of it")
    });
    let (head, _) = read?;
    Ok(SnapshotInfo::of(&head, bytes.len() as u64))
}

fn tell(info: &SnapshotInfo, session: &Session, what: &str, name: &str) -> Result<Exit, Failure> {
    if session.output.is_json() {
        session.output.text(&json::document(info.clone()))?;
    } else {
        let text = format!("{what} {}\n{}", safe(name), page(info, session.output.theme));
        session.output.text(&text)?;
    }
    Ok(Exit::Ok)
}

fn verify(args: &VerifySnapshotArgs, session: &Session) -> Result<Exit, Failure> {
    let mesh = args.mesh.map(|mesh| mesh.to_string());
    let mut words = offline::option("--mesh", mesh);
    words.extend(offline::switch("--unproven", args.unproven));
    words.push(offline::path(&args.file));
    let answer = Offline::new().ask::<SnapshotVerdict>("snapshot-verify", &words)?;
    session.show(&answer, |verdict, theme| {
        let members: Vec<_> =
            verdict.members.iter().map(|member| who(Some(&member.name), member.member)).collect();
        let mut facts = Table::facts();
        facts.fact(theme, "members", list(&members));
        facts.fact(theme, "banned", list(&verdict.banned));
        let proof = match verdict.proven {
            true => ", and a majority of those it says vote signed it",
            false => ", but no majority of those it says vote signed it",
        };
        let (page, facts) = (page(&verdict.snapshot, theme), facts.lines(""));
        format!("every signature holds, from the root key up{proof}\n{page}{facts}")
    })
}

fn apply(args: &ApplyArgs, session: &Session) -> Result<Exit, Failure> {
    let mut words = offline::host(&args.host);
    words.extend(offline::switch("--unproven", args.unproven));
    words.push(offline::path(&args.file));
    let answer = Offline::new().ask::<SnapshotApplied>("snapshot-apply", &words)?;
    session.show(&answer, |applied, _| {
        format!(
            "{} has now applied index {}, before {}; start the daemon again\n",
            applied.member, applied.index, applied.before
        )
    })
}

fn signers(info: &SnapshotInfo) -> String {
    match info.signed_by.as_slice() {
        [] => "by nobody".to_owned(),
        signers => format!("by {}", list(signers)),
    }
}

fn page(info: &SnapshotInfo, theme: Theme) -> String {
    let mut facts = Table::facts();
    facts.fact(theme, "mesh", format!("{} ({})", info.mesh_name, info.mesh));
    facts.fact(theme, "index", format!("{}, term {}", info.index, term(info.term)));
    facts.fact(theme, "state", info.state_hash.to_string());
    facts.fact(theme, "agreed", unit::since(info.agreed_ms));
    facts.fact(theme, "members", format!("{}, voting: {}", info.members, list(&info.voters)));
    facts.fact(theme, "signed", signers(info));
    let sizes = (unit::bytes(info.file_bytes), unit::bytes(info.state_bytes));
    facts.fact(theme, "size", format!("{}, expanded {}", sizes.0, sizes.1));
    facts.lines("")
}

fn table(snapshots: &Snapshots, theme: Theme) -> String {
    let mut text = match snapshots.snapshots.is_empty() {
        true => "this host keeps no snapshots: `mesh snapshot create` makes one\n".to_owned(),
        false => {
            let heads = [">INDEX", ">TERM", ">AGREED", ">MEMBERS", ">SIGNED", ">SIZE", "STATE"];
            let mut table = Table::new(theme, &heads);
            for info in &snapshots.snapshots {
                table.row([
                    info.index.to_string().into(),
                    term(info.term).into(),
                    unit::since(info.agreed_ms).into(),
                    info.members.to_string().into(),
                    format!("{} of {}", info.signed_by.len(), info.voters.len()).into(),
                    unit::bytes(info.file_bytes).into(),
                    info.state_hash.to_string().into(),
                ]);
            }
            table.lines("")
        }
    };
    for name in &snapshots.damaged {
        text += &format!("damaged: {}\n", safe(name));
    }
    text
}
