//! `mesh recover`: what a stopped host could go on from without a majority, and going on.
//!
//! Between the two the statement is signed, here or elsewhere, and nothing holds the state directory. If a daemon has run
//! meanwhile, the statement is about another log than there is then, and is refused.

use std::io::Read as _;

use mesh_control::raft::{PassageError, RecoverError, Store};
use mesh_control::state::EpochError;
use mesh_model::api::v1::{Draft, ErrorBody, ErrorCode, MemberName, Recovered, Recovery};
use mesh_model::trust::{Epoch, MAX_REQUEST_LEN, Request};
use mesh_model::view::ClusterView;
use mesh_model::{Cosigned, MemberId};

use super::answer::{Answer, disk_failed, misconfigured, refusal, store_failed, unusable};
use crate::args::{RecoveryArgs, StateDirArgs};
use crate::config;
use crate::exit::expecting_panic;
use crate::io::entropy::Entropy;
use crate::io::{clock, disk};
use crate::state_dir::{Membership, StateDir};

/// What the host has, and the statement to be signed.
pub(super) fn survey(args: &RecoveryArgs) -> Answer<Recovery> {
    let (state_dir, store) = open(&args.host)?;
    let survey = store.survey().map_err(store_failed)?;
    let (me, view) = (store.me(), survey.view());
    if store.said_goodbye() || !view.members.contains_key(&me) {
        return Err(refusal(
            ErrorCode::Refused,
            format!("{me} is no member any more, or banned"),
            "nothing was changed; go on from another host",
        ));
    }
    if survey.voters() == [me] {
        return Err(refusal(
            ErrorCode::Refused,
            format!("{me} has the only vote, and needs nobody to agree with"),
            "nothing was changed; start its daemon",
        ));
    }
    let statement = survey.statement(clock::wall_ms(), args.reason.clone());
    let mut begun = Cosigned::new(&statement);
    if args.sign
        && let Some(secret) = state_dir.admin().map_err(unusable)?
        && survey.admins().by_key(&secret.public()).is_some()
    {
        begun.sign(&secret);
    }
    let request = Request::BeginEpoch(begun);
    let (term, index) = survey.last();
    Ok(Recovery {
        mesh: view.mesh(),
        mesh_name: view.mesh_name.clone(),
        member: me,
        name: named(&view, me).name,
        epoch: statement.number,
        index,
        term,
        agreed: survey.agreed(),
        last_decision_ms: survey.last_decision_ms(),
        voters: survey.voters().iter().map(|voter| named(&view, *voter)).collect(),
        members: u32::try_from(view.members.len() + view.banned.len()).unwrap_or(u32::MAX),
        draft: Draft {
            mesh: view.mesh(),
            needed: survey.admins().threshold(),
            signed_by: request.signers(),
            request: request.to_string(),
        },
    })
}

/// Begins the epoch whose statement stands on standard input.
pub(super) fn recover(args: &StateDirArgs) -> Answer<Recovered> {
    let begun = read()?;
    let (_state_dir, mut store) = open(args)?;
    let Epoch { mesh, number, from, first, .. } =
        store.begin_epoch(&begun).map_err(not_recovered)?;
    let view = store.view();
    Ok(Recovered {
        mesh,
        member: store.me(),
        epoch: number,
        head: store.epoch().head,
        from,
        first,
        state_hash: view.hash,
    })
}

/// The store of a host that nobody runs; the directory is held as long as the first lives.
fn open(args: &StateDirArgs) -> Answer<(StateDir, Store)> {
    let path = config::state_dir(args).map_err(misconfigured)?;
    let state_dir = StateDir::open_used(&path, &mut || Entropy.fresh()).map_err(unusable)?;
    let Some(Membership { root, member }) = state_dir.membership().copied() else {
        return Err(refusal(
            ErrorCode::NotJoined,
            format!("the host of {} belongs to no mesh", path.display()),
            "name the directory the daemon uses with --state-dir",
        ));
    };
    let file = disk::open_log(&state_dir.store_path()).map_err(disk_failed)?;
    let store = expecting_panic(|| Store::open(file, member, &root)).map_err(store_failed)?;
    Ok((state_dir, store))
}

fn read() -> Answer<Cosigned<Epoch>> {
    let mut text = String::new();
    let read = std::io::stdin().lock().take(MAX_REQUEST_LEN as u64 + 1).read_to_string(&mut text);
    let unreadable = |error: String| {
        let hint = "`mesh recover --out FILE` makes one";
        refusal(ErrorCode::BadRequest, format!("no statement on standard input: {error}"), hint)
    };
    read.map_err(|error| unreadable(error.to_string()))?;
    match text.trim_end().parse() {
        Ok(Request::BeginEpoch(begun)) => Ok(begun),
        Ok(_) => Err(unreadable("it says something else".to_owned())),
        Err(error) => Err(unreadable(error.to_string())),
    }
}

/// A member and what people call it; one that has left since is called by its id.
fn named(view: &ClusterView, member: MemberId) -> MemberName {
    let known = view.place_of(member).map(|place| place.name.clone());
    let unknown = || member.to_string().parse().expect("a letter and digits are a name");
    MemberName { member, name: known.unwrap_or_else(unknown) }
}

/// Why the host does not go on alone.
fn not_recovered(error: RecoverError) -> ErrorBody {
    let hint = match &error {
        RecoverError::Store(error) => return store_failed(error.clone()),
        RecoverError::OtherMember { .. } => "carry it out on the host it names",
        RecoverError::Passage(PassageError::Epoch(error)) => match error {
            EpochError::TooFewSignatures { .. } => {
                "nothing was changed; have more admins sign: `mesh recover --out FILE`, `mesh admin sign`, \
                 `mesh recover --signed FILE`"
            }
            EpochError::NoAdmin(_) => {
                "nothing was changed; an admin's key of this mesh has to sign it, as this host knows them"
            }
            EpochError::Stale(_) | EpochError::OtherLog(_) => {
                "nothing was changed; the daemon has run since the statement was made: make another and have it signed"
            }
            _ => "nothing was changed; make another statement with `mesh recover --out FILE`",
        },
        RecoverError::Passage(PassageError::State(_)) => {
            "nothing was changed; the state on this host does not hold: go on from another host"
        }
    };
    refusal(ErrorCode::Refused, error, hint)
}
