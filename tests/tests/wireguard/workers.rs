//! Several packet threads, each with some of the peers, are one device.
//!
//! Red when: a packet that came to another peer's thread is lost or overtakes, a session's datagrams go to a
//! thread that does not know it, threads do not agree on whose a peer is, one of them is not there.

use std::thread;

use mesh_tests::needs_namespaces;
use mesh_tests::traffic::Transfer;
use mesh_tests::wireguard::{End, Family, Tunnel};

use crate::{assert_none_is_lost, assert_order_is_kept, assert_reaches, program};

/// Bytes of one transfer: enough for full super-packets and a window that opens.
const BULK: u64 = 8_000_000;

/// The packet threads of a device.
fn threads(end: &End) -> usize {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", end.device_pid())).unwrap();
    let names =
        tasks.map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).unwrap());
    names.filter(|name| name.starts_with("packets")).count()
}

#[test]
fn threads_that_share_the_peers_carry_what_one_carries() {
    needs_namespaces!();
    let (one, two, three) = (program(), program().with_workers(2), program().with_workers(3));
    let tunnel = Tunnel::new(&[&two, &one, &two, &three, &one], 0).unwrap();
    tunnel.introduce(Family::V4).unwrap();
    for (end, program) in tunnel.ends().iter().zip([&two, &one, &two, &three, &one]) {
        if let Some(workers) = program.workers() {
            assert_eq!(threads(end), workers);
        }
    }
    let ends = tunnel.ends();
    for from in ends {
        for to in ends.iter().filter(|to| to.number() != from.number()) {
            assert_reaches(from, to);
        }
    }
    everywhere_at_once(ends, assert_none_is_lost);
    everywhere_at_once(ends, |from, to, family| {
        assert_order_is_kept(from, to, family);
        let transfer = Transfer::of(BULK, 21);
        let report = transfer.run(from.netns(), to.netns(), to.inner(family)).unwrap();
        transfer.check(&report).unwrap();
    });
}

/// Sends from the first end to all others and back, all at once: flows of every peer through every queue.
fn everywhere_at_once(ends: &[End], send: impl Fn(&End, &End, Family) + Copy + Send) {
    thread::scope(|scope| {
        for other in &ends[1..] {
            for (from, to) in [(&ends[0], other), (other, &ends[0])] {
                for family in Family::BOTH {
                    scope.spawn(move || send(from, to, family));
                }
            }
        }
    });
}
