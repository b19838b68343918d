//! Where a member that the supervisor does not feed has what is agreed from, and how its operator has it look elsewhere.

use mesh_model::api::v1::{ErrorCode, LogComparison, SyncReply, SyncState, SyncStatus, Voters};
use mesh_model::{LogIndex, MemberId};
use mesh_tests::lab::SETTLE_LIMIT;
use mesh_tests::mesh::exit;
use mesh_tests::{Lab, eventually, needs_namespaces};

use crate::{alone, bridged, wired};

/// Three that vote and two spares are fed; so two follow.
const HOSTS: usize = 7;

fn sync(lab: &Lab, number: usize) -> Option<SyncStatus> {
    lab.host(number).mesh().get(&["sync", "status"]).ok()
}

/// Whom host `number` follows.
fn source(lab: &Lab, number: usize) -> Option<MemberId> {
    sync(lab, number).filter(|sync| sync.state == SyncState::Follows)?.source.map(|of| of.member)
}

fn id(lab: &Lab, number: usize) -> MemberId {
    lab.host(number).membership().unwrap().0
}

/// The numbers of the two that follow, once everybody has found its place, and that of the supervisor.
fn places(lab: &Lab) -> ([usize; 2], usize) {
    eventually(SETTLE_LIMIT, "one leads, four are fed, two follow", || {
        let all = (1..=HOSTS).map(|number| sync(lab, number).map(|sync| (number, sync.state)));
        let all: Vec<(usize, SyncState)> = all.collect::<Option<_>>()?;
        let with = |wanted| all.iter().filter(move |(_, state)| *state == wanted);
        let follow: Vec<usize> = with(SyncState::Follows).map(|(number, _)| *number).collect();
        let (leader, _) = with(SyncState::Leads).next()?;
        let fed = with(SyncState::Fed).count();
        Some((follow.try_into().ok().filter(|_| fed == 4)?, *leader))
    })
    .unwrap()
}

#[test]
fn a_follower_moves_to_whom_its_operator_prefers_and_on_when_that_one_is_gone() {
    needs_namespaces!();
    let _alone = alone();
    let mut lab = bridged(HOSTS);
    let ([follower, preferred], leader) = places(&lab);
    let own = id(&lab, follower);
    let first = source(&lab, follower).unwrap();
    let serves = |lab: &Lab, number, whom| {
        sync(lab, number).is_some_and(|sync| sync.served.iter().any(|served| served.member == whom))
    };
    assert!(serves(&lab, lab.number_of(first).unwrap(), own), "{first} serves it");

    let wanted = id(&lab, preferred);
    let name = lab.host(preferred).name();
    let steered: SyncReply = lab.host(follower).mesh().get(&["sync", "from", &name]).unwrap();
    assert!(steered.asks);
    assert_eq!(steered.preferred.iter().map(|of| of.member).collect::<Vec<_>>(), [wanted]);
    let moved = |lab: &Lab| (source(lab, follower)? == wanted).then_some(());
    eventually(SETTLE_LIMIT, "it follows the one preferred", || moved(&lab)).unwrap();
    assert!(serves(&lab, preferred, own));

    lab.host_mut(preferred).kill().unwrap();
    lab.host(1).invite(1).unwrap();
    let agreed = lab.host(leader).status().unwrap().raft.unwrap();
    eventually(SETTLE_LIMIT, "another brings what was agreed meanwhile", || {
        let raft = lab.host(follower).status().ok()?.raft?;
        let other = source(&lab, follower)? != wanted;
        (other && raft.applied >= agreed.applied).then_some(())
    })
    .unwrap();

    lab.host_mut(preferred).start().unwrap();
    eventually(SETTLE_LIMIT, "it goes back to the one preferred", || moved(&lab)).unwrap();
    let any: SyncReply = lab.host(follower).mesh().get(&["sync", "from", "--any"]).unwrap();
    assert!(any.preferred.is_empty());
    lab.wait_equal_state(HOSTS).unwrap();
}

#[test]
fn what_cannot_be_is_refused_and_what_has_to_wait_says_so() {
    let _alone = alone();
    let mut lab = Lab::rootless(2).unwrap();
    lab.form().unwrap();
    let mesh = lab.host(2).mesh();
    let fed = eventually(SETTLE_LIMIT, "it is fed", || {
        sync(&lab, 2).filter(|sync| sync.state == SyncState::Fed)
    })
    .unwrap();
    assert_eq!((fed.asks, fed.depth, fed.source), (false, Some(0), None));
    let steered: SyncReply = mesh.get(&["sync", "fast"]).unwrap();
    assert_eq!((steered.asks, steered.state), (false, SyncState::Fed));
    let leads = sync(&lab, 1).unwrap();
    assert_eq!((leads.state, leads.behind), (SyncState::Leads, 0));

    for (words, status, code) in [
        (&["sync", "from", "nobody"][..], exit::FAILED, ErrorCode::UnknownMember),
        (&["sync", "from", "n2"], exit::USAGE, ErrorCode::BadRequest),
        (&["sync", "resync", "--from-index", "999999"], exit::FAILED, ErrorCode::Refused),
        (&["sync", "resync", "--from-index", "1"], exit::FAILED, ErrorCode::Refused),
    ] {
        let error = mesh.run(words).unwrap().error(status).unwrap();
        assert_eq!(error.code, code, "{words:?}: {error:?}");
    }
    let error = mesh.run(&["sync", "resync", "--from-index", "1"]).unwrap();
    let error = error.error(exit::FAILED).unwrap();
    assert!(error.message.contains("snapshot") && error.hint.contains("sync fast"), "{error:?}");

    lab.host(1).invite(1).unwrap();
    lab.wait_equal_state(2).unwrap();
    let last = lab.host(1).status().unwrap().raft.unwrap().applied.to_string();
    let compared = eventually(SETTLE_LIMIT, "the last entry is proven and compared", || {
        mesh.get::<SyncReply>(&["sync", "resync", "--from-index", &last]).ok()?.comparison
    })
    .unwrap();
    assert_eq!((compared.source.name.as_str(), compared.difference), ("n1", None));
}

/// Cuts host `number` off, has the others agree on something, and has it catch up once `meanwhile` is done.
fn left_behind(lab: &mut Lab, number: usize, members: usize, meanwhile: impl FnOnce(&Lab)) {
    lab.wire().isolate(number);
    for _ in 0..3 {
        lab.host(1).invite(1).unwrap();
    }
    meanwhile(lab);
    lab.wire().heal();
    lab.wait_equal_state(members).unwrap();
}

#[test]
fn a_follower_compares_its_log_and_takes_the_whole_state_when_it_is_told_to() {
    needs_namespaces!();
    let _alone = alone();
    let mut lab = wired(5);
    // One votes and two are fed, so two follow; n1, which is told things, is not one of them.
    let _: Voters = lab.host(1).mesh().get(&["voters", "set", "n1", "always"]).unwrap();
    let _: Voters = lab.host(1).mesh().get(&["voters", "target", "1"]).unwrap();
    let followers: Vec<usize> = eventually(SETTLE_LIMIT, "n1 leads and two follow", || {
        let states: Option<Vec<SyncState>> =
            (1..=5).map(|number| Some(sync(&lab, number)?.state)).collect();
        let states = states.filter(|states| states[0] == SyncState::Leads)?;
        let follow = (1..=5).filter(|number| states[number - 1] == SyncState::Follows);
        Some(follow.collect()).filter(|follow: &Vec<usize>| follow.len() == 2)
    })
    .unwrap();
    let (follower, mesh) = (followers[0], lab.host(followers[0]).mesh());
    lab.host(1).invite(1).unwrap();
    lab.wait_equal_state(5).unwrap();
    let early = lab.host(follower).status().unwrap().raft.unwrap().applied;
    let from = early.to_string();
    let compared = |wanted: LogIndex| -> LogComparison {
        let what = format!("it compares {early} to {wanted}");
        eventually(SETTLE_LIMIT, &what, || {
            let words = ["sync", "resync", "--from-index", &from];
            let told: SyncReply = mesh.run(&words).unwrap().document().ok()?;
            assert!(told.asks);
            told.comparison.filter(|compared| compared.upto >= wanted)
        })
        .unwrap()
    };
    let own = compared(early);
    assert_eq!((own.from, own.difference), (early, None));
    assert_ne!(own.source.member, id(&lab, follower));

    // What it missed it is sent entry by entry, so its log goes on from there.
    left_behind(&mut lab, follower, 5, |_| ());
    let late = lab.host(follower).status().unwrap().raft.unwrap().applied;
    assert!(late >= early + 3);
    assert_eq!(compared(late).difference, None);

    // The state as a whole leaves nothing of the log before it.
    left_behind(&mut lab, follower, 5, |_| {
        let told: SyncReply = mesh.get(&["sync", "fast"]).unwrap();
        assert!(told.asks, "{told:?}");
    });
    let words = ["sync", "resync", "--from-index", &from];
    let refused = mesh.run(&words).unwrap().error(exit::FAILED).unwrap();
    assert_eq!(refused.code, ErrorCode::Refused);
    assert!(refused.message.contains("snapshot"), "{refused:?}");

    let told: SyncReply = mesh.get(&["sync", "resync"]).unwrap();
    assert_eq!((told.asks, told.comparison), (true, None));
    lab.host(1).invite(1).unwrap();
    lab.wait_equal_state(5).unwrap();
}
