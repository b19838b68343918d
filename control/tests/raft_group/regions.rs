//! Votes spread over the regions that admins tell of.

use std::collections::BTreeSet;
use std::time::Duration;

use mesh_control::raft::Timing;
use mesh_model::MemberId;
use tokio::time::sleep;

use crate::world::{World, in_virtual_time};

/// Time for a change of voters, beyond the wait before it.
const CHANGE: Duration = Duration::from_secs(5);

fn stay() -> Duration {
    Timing::default().stay
}

/// A mesh whose members stand in `regions`, by id, as admins said just now.
async fn across(regions: &[&str], seed: u8) -> (World, Vec<MemberId>) {
    let world = World::of(regions.len(), seed).await;
    let members = world.running();
    for (member, region) in members.iter().zip(regions) {
        world.tag(*member, &["web", region]).await;
    }
    (world, members)
}

async fn voters(world: &World) -> BTreeSet<MemberId> {
    let leader = world.leader().await;
    world.status(leader).voters.into_iter().collect()
}

#[test]
fn a_vote_moves_to_a_region_without_one_once_and_not_at_once() {
    in_virtual_time(|| async {
        let regions = ["region-eu", "region-eu", "region-eu", "region-us", "region-us"];
        let (mut world, members) = across(&regions, 90).await;
        let before = voters(&world).await;
        assert_eq!(before, members[..3].iter().copied().collect());
        let leader = world.leader().await;
        sleep(stay() - CHANGE).await;
        assert_eq!(voters(&world).await, before, "not yet");
        sleep(2 * CHANGE).await;
        let after = voters(&world).await;
        assert_eq!(after.difference(&before).copied().collect::<Vec<_>>(), [members[3]]);
        sleep(2 * stay()).await;
        assert_eq!(voters(&world).await, after, "it stays there");
        assert_eq!(world.leader().await, leader, "and nobody else had to lead");
        world.admit(leader).await.expect("agreed");
    });
}

#[test]
fn votes_move_one_at_a_time_with_a_pause_between_them() {
    in_virtual_time(|| async {
        let regions = ["region-eu", "region-eu", "region-eu", "region-us", "region-ap"];
        let (world, members) = across(&regions, 91).await;
        let mut before = voters(&world).await;
        for _ in 0..2 {
            sleep(stay() - CHANGE).await;
            assert_eq!(voters(&world).await, before, "not yet");
            let known = before.iter().copied().collect::<Vec<_>>();
            let moved = |world: &World| {
                let status = world.status(MemberId::FOUNDER);
                !status.changing && status.voters != known
            };
            world.until("a vote moved", moved).await;
            let after = voters(&world).await;
            assert_eq!((after.len(), after.difference(&before).count()), (3, 1));
            before = after;
        }
        let regions: BTreeSet<&str> = members
            .iter()
            .zip(regions)
            .filter_map(|(id, region)| before.contains(id).then_some(region))
            .collect();
        assert_eq!(regions.len(), 3, "no region has a majority");
    });
}

#[test]
fn a_region_that_fails_takes_no_majority_along() {
    in_virtual_time(|| async {
        // None of those in us votes or follows at first.
        let regions = ["eu", "eu", "eu", "eu", "eu", "us", "us", "ap"];
        let regions = regions.map(|name| format!("region-{name}"));
        let (mut world, members) = across(&regions.each_ref().map(String::as_str), 92).await;
        sleep(2 * (stay() + CHANGE)).await;
        let leader = world.leader().await;
        for (member, region) in members.iter().zip(&regions) {
            if region == "region-eu" {
                world.cut(*member);
            }
        }
        let next = world.leader().await;
        assert!(next != leader && members[5..].contains(&next));
        world.admit(next).await.expect("what is left agrees");
    });
}

#[test]
fn no_vote_moves_while_a_voter_is_silent() {
    in_virtual_time(|| async {
        let regions = ["region-eu", "region-eu", "region-eu", "region-us"];
        let (world, members) = across(&regions, 93).await;
        let before = voters(&world).await;
        let leader = world.leader().await;
        let away = members[..3].iter().find(|id| **id != leader).expect("a follower");
        sleep(stay() - CHANGE).await;
        world.cut(*away);
        // Shorter than what makes it lost.
        sleep(Timing::default().settle / 2).await;
        assert_eq!(voters(&world).await, before);
        world.heal(*away);
        let moved = |world: &World| world.status(leader).voters.contains(&members[3]);
        world.until("all is well", moved).await;
    });
}
