//! Candidates that lost their vote while they campaigned.

use std::ops::Range;
use std::time::Duration;

use mesh_control::raft::{Leadership, Role, Timing};
use mesh_model::{LogIndex, MemberId};
use tokio::time::sleep;

use crate::world::{World, in_virtual_time};

/// Long enough on the way that what is said in one moment can be lost in the next.
const FAR: Duration = Duration::from_millis(20);

/// Long enough for whoever follows to have heard of everything.
const LONG: Duration = Duration::from_secs(20);

/// A voter that campaigns in a later term than that of the leader, who leads on.
struct Campaign {
    candidate: MemberId,
    leader: MemberId,
    led: Leadership,
}

impl Campaign {
    /// One whose candidate is cut off. The two that follow lose their leader for so long that one campaigns with the other's
    /// leave, and nobody hears of it.
    async fn of(world: &World) -> Self {
        let leader = world.leader().await;
        let led = world.status(leader).leadership;
        let others: Vec<_> =
            world.status(leader).voters.into_iter().filter(|id| *id != leader).collect();
        for other in &others {
            world.move_away(*other, FAR);
            world.sever(leader, *other);
        }
        let campaigns =
            |world: &World, id: &MemberId| world.status(*id).leadership.role == Role::Candidate;
        world
            .until_at_once("one campaigns", |world| others.iter().any(|id| campaigns(world, id)))
            .await;
        let candidate = *others.iter().find(|id| campaigns(world, id)).expect("just seen");
        world.cut(candidate);
        world.splice();
        assert!(world.status(candidate).leadership.term > led.term);
        assert_eq!(world.leader().await, leader);
        Self { candidate, leader, led }
    }

    /// The others give the candidate's vote to somebody else, and agree on more: up to where. `None` if somebody else has ended the
    /// term.
    async fn lose_the_vote(&self, world: &World) -> Option<LogIndex> {
        sleep(Timing::default().settle).await;
        world.replaced(self.leader, &[self.candidate]).await;
        let applied = world.propose(self.leader, world.filler()).await.expect("agreed").index;
        (world.status(self.leader).leadership == self.led).then_some(applied)
    }
}

/// How many of the worlds of `seeds` are such that `test` says something. In the others the second of the two that lost their leader
/// campaigns as well, and ends the term.
fn led_on<F: Future<Output = bool> + 'static>(seeds: Range<u8>, test: fn(u8) -> F) -> usize {
    seeds.map(|seed| in_virtual_time(move || test(seed))).filter(|led_on| *led_on).count()
}

/// When it is whole again the others are in an earlier term than it is. It must not end theirs, and has to hear what they agreed.
#[test]
fn a_candidate_that_lost_its_vote_follows_in_the_term_there_is() {
    assert!(led_on(110..122, follows_in_the_term_there_is) >= 3);
}

async fn follows_in_the_term_there_is(seed: u8) -> bool {
    let world = World::of(4, seed).await;
    let campaign = Campaign::of(&world).await;
    let Some(applied) = campaign.lose_the_vote(&world).await else { return false };
    let Campaign { candidate, leader, led } = campaign;
    world.heal(candidate);
    world
        .until("it follows", |world| {
            let seen = world.status(candidate);
            let now = seen.leadership;
            seen.applied >= applied && (now.leader, now.term) == (led.leader, led.term)
        })
        .await;
    assert_eq!(world.status(leader).leadership, led, "nobody's term ended");
    world.propose(candidate, world.filler()).await.expect("agreed");
    true
}

/// It reaches the leader it had alone, which no majority answers any more: others may be led by somebody else by now, and may
/// have given the candidate a vote.
#[test]
fn a_leader_that_nobody_confirms_frees_no_candidate() {
    assert!(led_on(110..122, is_not_freed_by_a_deposed_leader) >= 3);
}

async fn is_not_freed_by_a_deposed_leader(seed: u8) -> bool {
    let world = World::of(4, seed).await;
    let campaign = Campaign::of(&world).await;
    let Some(applied) = campaign.lose_the_vote(&world).await else { return false };
    let Campaign { candidate, leader, led } = campaign;
    for other in world.running().into_iter().filter(|id| ![leader, candidate].contains(id)) {
        world.sever(leader, other);
        world.sever(candidate, other);
    }
    world.heal(candidate);
    sleep(LONG).await;
    let bound = world.status(candidate);
    assert!(bound.leadership.term > led.term && bound.applied < applied, "{bound:?}");
    world.splice();
    world.until("it follows another", |world| world.status(candidate).applied >= applied).await;
    true
}

/// The leader hears of its term before it hears of what was agreed, and takes its word, for it votes.
#[test]
fn a_candidate_that_kept_its_vote_ends_the_earlier_term() {
    for seed in 115..118 {
        in_virtual_time(move || async move {
            let world = World::of(3, seed).await;
            let Campaign { candidate, leader, led } = Campaign::of(&world).await;
            world.propose(leader, world.filler()).await.expect("agreed");
            world.heal(candidate);
            let ended = |world: &World| {
                let seen = world.status(candidate).leadership;
                seen.leader.is_some() && seen.term > led.term
            };
            world.until("somebody leads in a later term", ended).await;
            world.settle().await;
        });
    }
}
