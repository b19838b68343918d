//! A mesh that lost its majority for good goes on from one survivor, and whoever comes back finds that out.

use std::collections::BTreeSet;
use std::time::Duration;

use mesh_control::command::Outcome;
use mesh_control::raft::{Aside, MemoryDisk, Role, Store};
use mesh_control::state::{CrossingError, Event};
use mesh_model::trust::{EPOCH_LEAP, Epoch, EpochId};
use mesh_model::{Cosigned, MemberId};
use tokio::time::sleep;

use crate::world::{World, in_virtual_time};

/// Signs, as the mesh's root, that it goes on from `member`, and carries that out there. It does not run.
fn recover(world: &World, member: MemberId, at_ms: u64) -> Epoch {
    let mut store = world.store(member);
    let survey = store.survey().expect("readable");
    let mut begun = Cosigned::new(&survey.statement(at_ms, "burnt down".parse().ok()));
    assert!(begun.sign(&world.mesh.root_secret));
    store.begin_epoch(&begun).expect("the root's to begin")
}

fn epoch(world: &World, member: MemberId) -> EpochId {
    world.status(member).epoch.id
}

/// The hosts that `member` has in its view.
fn members(world: &World, member: MemberId) -> BTreeSet<MemberId> {
    world.group(member).views().borrow().members.keys().copied().collect()
}

/// Five members, all of which vote, with a policy that asks for it.
async fn five(seed: u8) -> (World, Vec<MemberId>) {
    let world = World::of_voters(5, seed, 5).await;
    let all = world.running();
    (world, all)
}

/// Everybody in `of` is in the epoch of `leader` and holds what it holds.
async fn follow(world: &World, leader: MemberId, of: &[MemberId]) {
    let alike = |world: &World| {
        let status = world.status(leader);
        of.iter().map(|id| world.status(*id)).all(|other| {
            other.epoch.id == status.epoch.id
                && other.applied == status.applied
                && other.state_hash == status.state_hash
        })
    };
    world.until("all follow in the new epoch", alike).await;
}

#[test]
fn a_survivor_goes_on_and_those_that_come_back_follow_it_whatever_they_hold() {
    in_virtual_time(|| async {
        let (mut world, all) = five(80).await;
        let leader = world.leader().await;
        // Two are cut off; the others, of whom three are a majority, agree on more without them.
        let kept: Vec<MemberId> = all.iter().copied().filter(|id| *id != leader).take(2).collect();
        let gone: Vec<MemberId> = all.iter().copied().filter(|id| !kept.contains(id)).collect();
        for survivor in &kept {
            world.cut(*survivor);
        }
        let lost = world.admit(leader).await.expect("three of five agree");
        for voter in &gone {
            world.crash(*voter).await;
        }
        for survivor in &kept {
            world.heal(*survivor);
        }
        let [first, second] = kept[..] else { panic!("two survive") };
        sleep(Duration::from_secs(20)).await;
        assert!(
            world.propose(first, world.filler()).await.is_err(),
            "two of five agree on nothing"
        );

        world.group(second).sync_from(&[first]).expect("a member");
        world.stop(first).await;
        let begun = recover(&world, first, 7);
        assert_eq!((begun.number, begun.voter), (1, first));
        world.restart(first).await;
        let leads = |world: &World| world.status(first).leadership.role == Role::Leader;
        world.until("it leads alone", leads).await;
        follow(&world, first, &[second]).await;
        let preferred = world.group(second).sync_status().progress.preferred;
        assert_eq!(preferred, [first], "until its daemon is restarted");
        let newcomer = world.admit(first).await.expect("agreed without the others");
        assert!(newcomer.0 > begun.first && newcomer > lost, "no id is given twice");

        // The others come back, and could agree on anything without the two.
        for voter in &gone {
            world.restart(*voter).await;
        }
        follow(&world, first, &all).await;
        for member in &all {
            let known = members(&world, *member);
            assert!(known.contains(&newcomer) && !known.contains(&lost), "{member}: {known:?}");
            let status = world.status(*member);
            let Aside { epoch, contained, last, .. } = status.epoch.aside.expect("set aside");
            assert_eq!((epoch.number, contained), (0, kept.contains(member)), "{member}");
            assert!(kept.contains(member) || last > begun.from);
            assert!(status.applied > begun.first);
            assert_eq!(status.epoch.obstacle, None);
        }
        let joined = world.join().await;
        follow(&world, first, &[joined]).await;
        // They vote again, and one more may be lost.
        let five = |world: &World| world.status(first).voters.len() == 5;
        world.until("five vote again", five).await;
        world.crash(first).await;
        let next = world.leader().await;
        world.admit(next).await.expect("four of five agree");
        // What they hold survives a restart, and the epoch with it.
        for member in world.running() {
            world.crash(member).await;
        }
        for member in all {
            world.restart(member).await;
        }
        follow(&world, next, &world.running()).await;
        assert_eq!(epoch(&world, next).number, 1);
        let told = world.group(next).read(|state, _| {
            let told = |event: &Event| matches!(event, Event::EpochBegan { number: 1, .. });
            state.audit().iter().filter(|entry| told(&entry.event)).count()
        });
        assert_eq!(told, 1);
    });
}

#[test]
fn those_that_the_leader_does_not_feed_hear_of_it_from_each_other() {
    in_virtual_time(|| async {
        let mut world = World::of_voters(3, 88, 12).await;
        let voters = world.status(MemberId::FOUNDER).voters;
        let (survivor, gone) = (voters[0], &voters[1..]);
        for voter in gone {
            world.crash(*voter).await;
        }
        world.stop(survivor).await;
        recover(&world, survivor, 7);
        world.restart(survivor).await;
        follow(&world, survivor, &world.running()).await;
        let status = world.status(survivor);
        assert!(status.voters.len() + status.learners.len() < world.running().len(), "fed to all");
    });
}

#[test]
fn an_old_majority_that_runs_is_ended_by_the_first_word_of_the_new_epoch() {
    in_virtual_time(|| async {
        let (mut world, all) = five(81).await;
        let leader = world.leader().await;
        let alone = *all.iter().find(|id| **id != leader).expect("five");
        world.cut(alone);
        world.admit(leader).await.expect("four of five agree");
        let last = world.status(leader).applied;
        // An operator who sees only that one takes the others for dead.
        world.stop(alone).await;
        let begun = recover(&world, alone, 7);
        assert!(begun.from < last);
        world.restart(alone).await;
        world.admit(leader).await.expect("they do not know yet");
        world.heal(alone);
        follow(&world, alone, &all).await;
        assert_eq!(members(&world, leader).len(), 5, "what four agreed on is void");
        assert!(world.status(leader).epoch.aside.is_some_and(|aside| !aside.contained));
        let refused: u64 = all.iter().map(|id| world.status(*id).epoch.refused).sum();
        assert!(refused > 0);
    });
}

#[test]
fn an_entry_that_nobody_knows_to_be_agreed_goes_along() {
    in_virtual_time(|| async {
        let (mut world, all) = five(82).await;
        let leader = world.leader().await;
        // The leader's last words reach nobody: they may have been agreed for all it can know after a crash.
        for other in all.iter().filter(|id| **id != leader) {
            world.crash(*other).await;
        }
        let hung = world.admission();
        assert!(world.propose(leader, hung.clone()).await.is_err());
        world.stop(leader).await;
        let agreed = world.store(leader).view().applied;
        let begun = recover(&world, leader, 7);
        assert!(begun.from > agreed);
        world.restart(leader).await;
        world.until("it leads", |world| world.status(leader).leadership.leader.is_some()).await;
        assert_eq!(members(&world, leader).len(), 6);
        let again = world.propose(leader, hung).await.expect("agreed").outcome;
        assert!(matches!(again, Outcome::Admitted { .. }));
    });
}

#[test]
fn two_halves_that_are_recovered_by_themselves_never_mix_and_say_so() {
    in_virtual_time(|| async {
        let (mut world, all) = five(83).await;
        let [a, b, c, ..] = all[..] else { panic!("five") };
        for voter in &all {
            world.stop(*voter).await;
        }
        let (one, other) = (recover(&world, a, 7), recover(&world, b, 8));
        assert_eq!(one.number, other.number);
        world.restart(a).await;
        world.restart(c).await;
        follow(&world, a, &[c]).await;
        world.restart(b).await;
        let rivals = |world: &World| {
            [a, c].iter().all(|id| {
                let obstacle = world.status(*id).epoch.obstacle;
                obstacle.is_some_and(|it| matches!(it.why, CrossingError::Rival { .. }))
            })
        };
        // Each leads alone, or with those it found first, and asks the others.
        world.until("both are named", rivals).await;
        assert_ne!(epoch(&world, a), epoch(&world, b));
        assert_eq!(epoch(&world, a), epoch(&world, c));
        let before = world.status(b).state_hash;
        world.admit(a).await.expect("its own epoch goes on");
        sleep(Duration::from_secs(30)).await;
        assert_eq!(world.status(b).state_hash, before);
        assert_eq!(world.group(b).fatal(), None);
    });
}

#[test]
fn an_old_copy_of_a_voters_disk_is_not_taken_over_again() {
    in_virtual_time(|| async {
        let (mut world, all) = five(84).await;
        let leader = world.leader().await;
        let copied = *all.iter().find(|id| **id != leader).expect("five");
        for voter in &all {
            world.stop(*voter).await;
        }
        let old = MemoryDisk::holding(world.disk(copied).bytes());
        recover(&world, leader, 7);
        for voter in &all {
            world.restart(*voter).await;
        }
        let five = |world: &World| world.status(leader).voters.len() == 5;
        world.until("five vote again", five).await;
        world.stop(copied).await;
        world.replace_disk(copied, old);
        world.restart(copied).await;
        let refused = |world: &World| {
            let obstacle = world.status(copied).epoch.obstacle;
            obstacle.is_some_and(|it| it.why == CrossingError::HasVoted(copied))
        };
        world.until("it is told that it has voted", refused).await;
        sleep(Duration::from_secs(30)).await;
        assert_eq!(epoch(&world, copied).number, 0);
    });
}

#[test]
fn a_crash_while_it_begins_leaves_the_old_store_or_the_new_one() {
    in_virtual_time(|| async {
        let (world, all) = five(85).await;
        let member = all[0];
        for voter in &all {
            world.stop(*voter).await;
        }
        let before = world.store(member).view();
        let mut seen = BTreeSet::new();
        for flushes in 0.. {
            let disk = MemoryDisk::holding(world.disk(member).bytes());
            disk.fail_flushes_after(flushes);
            let begun = {
                let opened = Store::open(disk.attach(), member, &world.mesh.root);
                opened.ok().map(|mut store| {
                    let survey = store.survey().expect("readable");
                    let mut begun = Cosigned::new(&survey.statement(7, None));
                    assert!(begun.sign(&world.mesh.root_secret));
                    store.begin_epoch(&begun).is_ok()
                })
            };
            disk.crash();
            let store = Store::open(disk.attach(), member, &world.mesh.root).expect("whole");
            let number = store.survey().expect("whole").epoch().number;
            seen.insert(number);
            match number {
                0 => assert_eq!(store.view().hash, before.hash),
                _ => assert!(store.view().applied > EPOCH_LEAP),
            }
            if begun == Some(true) {
                assert_eq!(number, 1, "what was said to be done is done");
                break;
            }
        }
        assert_eq!(seen, [0, 1].into());
    });
}

#[test]
fn a_host_that_is_stopped_while_it_goes_over_ends_in_one_epoch_or_the_other() {
    in_virtual_time(|| async {
        let mut world = World::of(3, 87).await;
        let all = world.running();
        let leader = world.leader().await;
        let stopped = *all.iter().find(|id| **id != leader).expect("three");
        for voter in &all {
            world.stop(*voter).await;
        }
        let old = world.disk(stopped).bytes();
        recover(&world, leader, 7);
        world.restart(leader).await;
        world.until("it leads", |world| world.status(leader).leadership.leader.is_some()).await;
        let mut seen = BTreeSet::new();
        for wait in (0..400).step_by(3) {
            world.replace_disk(stopped, MemoryDisk::holding(old.clone()));
            world.restart(stopped).await;
            sleep(Duration::from_millis(wait)).await;
            world.stop(stopped).await;
            seen.insert(world.store(stopped).epoch().number);
            // It was shown the way, and is not again before that.
            sleep(Duration::from_secs(20)).await;
        }
        assert_eq!(seen, [0, 1].into());
    });
}

#[test]
fn a_statement_is_carried_out_where_it_says_and_by_whom_it_says() {
    in_virtual_time(|| async {
        let (world, all) = five(86).await;
        for voter in &all {
            world.stop(*voter).await;
        }
        let [a, b, ..] = all[..] else { panic!("five") };
        let mut store = world.store(a);
        let said = store.survey().expect("readable").statement(7, None);
        let unsigned = Cosigned::new(&said);
        assert!(store.begin_epoch(&unsigned).is_err());
        let mut for_another = Cosigned::new(&Epoch { voter: b, ..said.clone() });
        assert!(for_another.sign(&world.mesh.root_secret));
        let refused = store.begin_epoch(&for_another).expect_err("for another host");
        assert!(refused.to_string().contains("as the one to go on from"), "{refused}");
        let mut stranger = Cosigned::new(&said);
        assert!(stranger.sign(&world.mesh.founder.identity));
        assert!(store.begin_epoch(&stranger).is_err());
        assert_eq!(store.survey().expect("readable").epoch().number, 0);
    });
}
