//! A mesh is upgraded host by host while people use it, and goes back the same way.
//!
//! The version before is the commit in `tests/versions/previous`. Nothing is agreed meanwhile that only the newer one
//! knows, so the way back is open (record 36).

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::thread::JoinHandle;
use std::time::Duration;

use mesh_model::InviteId;
use mesh_model::api::v1::{BanKind, BanReply, Bans, Invites, LeaveReply, Recovered, UnbanReply};
use mesh_tests::binaries::Binaries;
use mesh_tests::lab::SETTLE_LIMIT;
use mesh_tests::rights::report_skip;
use mesh_tests::traffic::{PingSeries, RoundTrips};
use mesh_tests::{Lab, Result, eventually, needs_namespaces};

use crate::exclusions::{bans, report};
use crate::recovery::{FLAG, recover, wait_followed};
use crate::rotation::{keys, rotate};
use crate::{addresses, alone, assert_reaches};

/// The hosts that are members from the beginning to the end.
const STAYING: [usize; 4] = [1, 2, 3, 4];

/// One that comes and goes.
const GUEST: usize = 5;

/// Longer than a daemon takes to end and start.
const STREAM: Duration = Duration::from_secs(4);

/// The time from one echo to the next.
const EVERY: Duration = Duration::from_millis(20);

/// Echoes on their way, and where to.
type Stream = (IpAddr, JoinHandle<Result<Result<RoundTrips>>>);

/// A mesh on its way from one version to another.
struct Rolling {
    lab: Lab,
    /// The invites that were acknowledged.
    invites: BTreeSet<InviteId>,
    members: usize,
}

impl Rolling {
    /// A mesh of the hosts that stay, all of them running `binaries`.
    fn of(binaries: &Binaries) -> Self {
        let mut lab = Lab::switched(GUEST).unwrap();
        for number in 1..=GUEST {
            lab.host_mut(number).install(binaries);
            lab.host_mut(number).start().unwrap();
        }
        lab.host(1).init().unwrap();
        let token = lab.host(1).invite(STAYING.len() as u32 - 1).unwrap();
        for number in &STAYING[1..] {
            lab.host(*number).join(&token.token).unwrap();
        }
        lab.wait_voters_among(STAYING.len()).unwrap();
        let invites = BTreeSet::from([token.invite]);
        let mut this = Self { lab, invites, members: STAYING.len() };
        this.assert_nothing_lost();
        this
    }

    /// Installs `binaries` on host `number`, while two others talk to each other.
    fn replace(&mut self, number: usize, binaries: &Binaries) {
        let streams = self.talk_beside(number);
        self.reinstall(number, binaries);
        for (target, stream) in streams {
            let trips = stream.join().unwrap().unwrap().unwrap();
            assert_eq!(trips.times.len(), usize::from(trips.sent), "echoes to {target}");
        }
        self.lab.host(number).wait_for("ready", SETTLE_LIMIT).unwrap();
        self.invite();
        self.assert_nothing_lost();
    }

    /// Ends the daemon of host `number` and starts that of `binaries` on what it left.
    fn reinstall(&mut self, number: usize, binaries: &Binaries) {
        let host = self.lab.host_mut(number);
        assert_eq!(host.terminate().unwrap().code(), Some(0));
        host.install(binaries);
        host.start().unwrap();
    }

    /// Echoes both ways between two of the hosts that stay and are not `number`.
    fn talk_beside(&self, number: usize) -> Vec<Stream> {
        let mut others = STAYING.into_iter().filter(|other| *other != number);
        let (Some(a), Some(b)) = (others.next(), others.next()) else { unreachable!() };
        let series = PingSeries::filling(STREAM, EVERY);
        let stream = |from: usize, to: usize| {
            assert_reaches(&self.lab, from, to);
            let [_, target] = addresses(&self.lab, to);
            let netns = self.lab.host(from).netns_handle();
            (target, netns.spawn(move || series.run(target)).unwrap())
        };
        vec![stream(a, b), stream(b, a)]
    }

    fn invite(&mut self) {
        self.invites.insert(self.lab.host(1).invite(1).unwrap().invite);
    }

    /// The guest comes in with whatever it and its door run.
    fn guest_joins(&mut self) {
        let token = self.lab.host(1).invite(1).unwrap();
        self.lab.host(GUEST).join(&token.token).unwrap();
        self.invites.insert(token.invite);
        self.members += 1;
        self.assert_nothing_lost();
        for number in STAYING {
            assert_reaches(&self.lab, GUEST, number);
        }
    }

    /// The guest is cut off everywhere, taken back, and says goodbye.
    fn guest_goes(&mut self) {
        let name = self.lab.host(GUEST).name();
        let mesh = self.lab.host(1).mesh();
        let banned: BanReply = mesh.get(&["ban", &name, "--wait"]).unwrap();
        for number in STAYING {
            let bans: Bans = self.lab.host(number).mesh().get(&["bans"]).unwrap();
            assert_eq!(bans.bans.len(), 1, "applied everywhere at index {}", banned.index);
        }
        let _: UnbanReply = mesh.get(&["unban", &name]).unwrap();
        assert_reaches(&self.lab, GUEST, 2);
        let _: LeaveReply = self.lab.host(GUEST).mesh().get(&["leave", "--yes"]).unwrap();
        self.members -= 1;
        self.assert_nothing_lost();
    }

    /// Every member holds the same state, with everything in it that was acknowledged, and reaches every other.
    fn assert_nothing_lost(&mut self) {
        let members: Vec<usize> = (1..=self.members).collect();
        eventually(SETTLE_LIMIT, "every member has every invite", || {
            members.iter().all(|number| self.knows_all(*number)).then_some(())
        })
        .unwrap();
        let hosts: Vec<_> = members.iter().map(|number| self.lab.host(*number)).collect();
        mesh_tests::lab::wait_equal_state(&hosts, self.members).unwrap();
        for (from, to) in STAYING.into_iter().zip(STAYING.into_iter().cycle().skip(1)) {
            assert_reaches(&self.lab, from, to);
        }
        self.lab.check_logs().unwrap();
    }

    fn knows_all(&self, number: usize) -> bool {
        let known: Result<Invites> = self.lab.host(number).mesh().get(&["invites", "list"]);
        known.is_ok_and(|known| {
            let known: BTreeSet<_> = known.invites.iter().map(|invite| invite.invite).collect();
            self.invites.is_subset(&known)
        })
    }
}

/// The programs of the version before and the present ones; `None`, and told so, where nobody built the former.
fn both_versions() -> Option<[Binaries; 2]> {
    let Some(previous) = Binaries::previous().unwrap() else {
        let reason = "no version before this one: run `scripts/previous`, and name what it prints in MESH_PREVIOUS_BIN_DIR";
        report_skip(std::thread::current().name().unwrap_or("rolling"), reason);
        return None;
    };
    Some([previous, Binaries::find().unwrap()])
}

#[test]
fn a_mesh_rolls_from_the_version_before_to_this_one_and_back_host_by_host() {
    needs_namespaces!();
    let Some([previous, present]) = both_versions() else { return };
    let _alone = alone();
    let mut mesh = Rolling::of(&previous);

    mesh.replace(4, &present);
    mesh.replace(3, &present);
    // An old host among old and new ones.
    mesh.guest_joins();
    mesh.replace(2, &present);
    mesh.replace(1, &present);
    mesh.guest_goes();
    mesh.reinstall(GUEST, &present);

    mesh.replace(1, &previous);
    // A new host; what it asks is answered by an old one.
    mesh.guest_joins();
    mesh.replace(2, &previous);
    mesh.guest_goes();
    mesh.replace(3, &previous);
    mesh.replace(4, &previous);
}

/// Five hosts on loopback, each of which came by a token of its own. Those with even numbers run the present version.
fn half_and_half([previous, present]: &[Binaries; 2]) -> Lab {
    let mut lab = Lab::rootless(5).unwrap();
    for number in 1..=5 {
        let binaries = if number % 2 == 0 { present } else { previous };
        lab.host_mut(number).install(binaries);
        lab.host_mut(number).start().unwrap();
    }
    lab.host(1).init().unwrap();
    for number in 2..=5 {
        let token = lab.host(1).invite(1).unwrap().token;
        lab.host(number).join(&token).unwrap();
    }
    lab.wait_voters().unwrap();
    lab.wait_equal_state(5).unwrap();
    lab
}

#[test]
fn hosts_of_two_versions_agree_on_keys_and_on_whom_they_shut_out() {
    let Some(versions) = both_versions() else { return };
    let _alone = alone();
    let mut lab = half_and_half(&versions);
    let rotated = [2, 3].map(|number| rotate(&lab, number, &["--wait"]).member);
    for number in 1..=5 {
        let seen = keys(&lab, number);
        let changed = seen.members.iter().filter(|it| it.serial == 1).map(|it| it.member);
        assert_eq!(changed.collect::<Vec<_>>(), rotated, "as n{number} sees it");
    }
    // One that starts has no session left, so it begins with the new keys.
    for number in [4, 5] {
        lab.host_mut(number).terminate().unwrap();
        lab.host_mut(number).start().unwrap();
        for to in ["n2", "n3"] {
            let words = ["ping", to, "-c", "1"];
            eventually(SETTLE_LIMIT, &format!("n{number} reaches {to}"), || {
                lab.host(number).mesh().run(&words).ok()?.text().ok().map(drop)
            })
            .unwrap();
        }
    }

    for from in [2, 3, 4] {
        report(&lab, from, &["n5", "--kind", "floods"]);
    }
    for number in 1..=4 {
        let out = eventually(SETTLE_LIMIT, &format!("n5 is out for n{number}"), || {
            Some(bans(&lab, number)).filter(|bans| !bans.bans.is_empty())
        });
        assert_eq!(out.unwrap().bans[0].kind, BanKind::Exclusion);
    }
    let _: UnbanReply = lab.host(1).mesh().get(&["unban", "n5"]).unwrap();
    lab.wait_equal_state(5).unwrap();
}

#[test]
fn hosts_of_both_versions_follow_into_the_epoch_that_either_begins() {
    let Some(versions) = both_versions() else { return };
    let _alone = alone();
    for beginner in &versions {
        let mut lab = half_and_half(&versions);
        let voters = lab.host(1).status().unwrap().raft.unwrap().voters;
        let voters: Vec<usize> = voters.iter().map(|id| lab.number_of(*id).unwrap()).collect();
        assert!(voters.contains(&1), "the founder votes: {voters:?}");
        for number in &voters {
            lab.host_mut(*number).kill().unwrap();
        }
        lab.host_mut(1).install(beginner);
        recover(lab.host(1), &[FLAG]).document::<Recovered>().unwrap();
        for number in voters {
            lab.host_mut(number).start().unwrap();
        }
        for number in 2..=5 {
            wait_followed(&lab, number, 1);
        }
        lab.host(1).invite(1).unwrap();
        lab.wait_equal_state(5).unwrap();
    }
}
