//! Leaders that come back to a mesh which has gone on without them.

use std::collections::BTreeSet;
use std::time::Duration;

use mesh_control::command::Command;
use mesh_control::raft::{Role, Timing};
use mesh_control::refusals::Refused;
use mesh_model::MemberId;
use mesh_model::trust::{VoterTarget, Wish};
use tokio::time::sleep;

use crate::world::{World, in_virtual_time};

/// Time for a change of voters, beyond the silence before it.
const CHANGE: Duration = Duration::from_secs(5);

/// Three voters, two spares, and three more to take the places of those that are gone.
const MEMBERS: usize = 8;

/// `out` shall not vote, nor follow the leader to vote later.
async fn take_out(world: &World, at: MemberId, serial: u64, out: &[MemberId]) {
    let wishes: Vec<_> = out.iter().map(|id| (*id, Wish::Never)).collect();
    let policy = world.mesh.policy(serial, VoterTarget::of(3), &wishes);
    world.propose(at, Command::SetVoters(policy)).await.expect("agreed");
}

/// A leader is cut off together with one that follows it. Of the voters that elected it one is lost for good, and the last
/// gives up its vote and goes on as a plain member. When the leader is whole again nobody feeds it. It asks the one that
/// follows it for news, which has none but that this leader leads. Only the last of its voters can tell it that its term is over.
#[test]
fn a_leader_that_was_away_while_its_voters_were_replaced_hears_that_its_term_is_over() {
    for seed in 100..105 {
        in_virtual_time(move || async move {
            let world = World::of(MEMBERS, seed).await;
            let old = world.leader().await;
            world.until("two spares", |world| world.status(old).learners.len() == 2).await;
            let before = world.status(old);
            let mut others = before.voters.iter().copied().filter(|id| *id != old);
            let [last, lost] = [others.next(), others.next()].map(|id| id.expect("three voters"));
            let away = [old, before.learners[0]];
            for other in world.running().into_iter().filter(|id| !away.contains(id)) {
                away.iter().for_each(|id| world.sever(*id, other));
            }
            world
                .until("the others have a leader", |world| {
                    let leader = world.status(last).leadership.leader;
                    leader.is_some_and(|leader| leader != old)
                })
                .await;
            take_out(&world, last, 1, &away).await;
            world.replaced(last, &away).await;
            world.vanish(lost).await;
            sleep(Timing::default().settle + CHANGE).await;
            world.replaced(last, &[old, lost]).await;
            take_out(&world, last, 2, &[old, away[1], last]).await;
            world.replaced(last, &before.voters).await;
            let status = world.status(last);
            let fed: BTreeSet<_> = status.voters.iter().chain(&status.learners).collect();
            for id in away {
                assert!(!fed.contains(&id), "{id} is fed: {fed:?}");
                assert_eq!(world.status(id).leadership.term, before.leadership.term);
            }

            world.splice();
            world
                .until("those that were away follow the mesh's leader", |world| {
                    let now = world.status(last).leadership;
                    away.iter().all(|id| {
                        let seen = world.status(*id).leadership;
                        (seen.role, seen.leader, seen.term) == (Role::Learner, now.leader, now.term)
                    })
                })
                .await;
            assert!(world.group(last).refusals().of(Refused::AgreementTermOver) > 0);
            let applied = world.propose(old, world.filler()).await.expect("agreed").index;
            world
                .until("they have what is agreed", |world| {
                    away.iter().all(|id| world.status(*id).applied >= applied)
                })
                .await;
        });
    }
}
