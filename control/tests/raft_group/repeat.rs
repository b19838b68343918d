//! Equal seeds, equal runs.

use std::time::Duration;

use crate::world::{World, in_virtual_time};

/// Everything that was sent, with its virtual time, while leaders came and went.
fn trace(seed: u8) -> Vec<String> {
    in_virtual_time(move || async move {
        let mut world = World::of(4, seed).await;
        for _ in 0..3 {
            let leader = world.leader().await;
            world.cut(leader);
            let next = world.leader().await;
            world.admit(next).await.expect("a majority agrees");
            world.heal(leader);
            world.crash(next).await;
            world.restart(next).await;
        }
        tokio::time::sleep(Duration::from_secs(5)).await;
        world.trace()
    })
}

#[test]
fn one_seed_gives_one_trace_and_another_gives_another() {
    let first = trace(1);
    assert!(first.len() > 100);
    for (at, (one, other)) in first.iter().zip(trace(1)).enumerate() {
        assert_eq!(*one, other, "message {at}");
    }
    assert_eq!(first.len(), trace(1).len());
    assert_ne!(first, trace(2));
}
