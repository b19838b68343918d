//! End to end: real daemons, real TUN devices, real namespaces, the real command line.

// Everything here is test code: a panic is the report.
#![allow(clippy::unwrap_used)]

mod admins;
mod audit;
mod backups;
mod bad_input;
mod bans;
mod bombs;
mod chaos;
mod exclusions;
mod failed_disk;
mod failover;
mod keys;
mod lab_program;
mod membership;
mod policy;
mod post_quantum;
mod recovery;
mod restart;
mod rights;
mod rolling;
mod rootless;
mod rotation;
mod saturated;
mod snapshots;
mod state_dir;
mod stock_wg;
mod supervising;
mod syncing;
mod tokens;
mod traffic;
mod voting;
mod wg_quick;
mod wiped;

use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mesh_model::api::v1::{Role, Status};
use mesh_tests::Lab;
use mesh_tests::lab::SETTLE_LIMIT;
use mesh_tests::traffic::ping;

/// How long one answer may take on a mesh that is ready.
const LIMIT: Duration = Duration::from_secs(10);

/// Lets one cluster run at a time: their deadlines are of seconds, and several would measure each
/// other's load. Under nextest its configuration says the same across processes.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A formed mesh of `hosts` hosts on a kernel bridge.
fn bridged(hosts: usize) -> Lab {
    let mut lab = Lab::switched(hosts).unwrap();
    lab.form().unwrap();
    lab
}

/// A formed mesh of `hosts` hosts on our own wire.
fn wired(hosts: usize) -> Lab {
    let mut lab = Lab::wired(hosts, 1).unwrap();
    lab.form().unwrap();
    lab
}

/// Host 1 votes and leads, host 2 follows.
fn pair() -> Lab {
    Lab::pair().unwrap()
}

/// The overlay addresses of host `number`.
fn addresses(lab: &Lab, number: usize) -> [IpAddr; 2] {
    let (_, addrs) = lab.host(number).membership().unwrap();
    [addrs.v4.into(), addrs.v6.into()]
}

/// What all hosts say of themselves while exactly one is the supervisor: they are asked one after the other,
/// and an election may fall in between.
fn with_one_supervisor(lab: &Lab) -> Vec<Status> {
    mesh_tests::eventually(SETTLE_LIMIT, "exactly one host says that it is the supervisor", || {
        let statuses: Option<Vec<_>> = lab.hosts().iter().map(|host| host.status().ok()).collect();
        let leads = |status: &&Status| status.role == Some(Role::Supervisor);
        statuses.filter(|all| all.iter().filter(leads).count() == 1)
    })
    .unwrap()
}

/// Asserts that `from` reaches `to` through the kernel's interfaces, over both families.
fn assert_reaches(lab: &Lab, from: usize, to: usize) {
    for target in addresses(lab, to) {
        // While a tunnel comes up, the first echo may be lost: one answer is what is asked for.
        mesh_tests::eventually(SETTLE_LIMIT, &format!("n{from} reaches {target}"), || {
            ping(lab.host(from).netns(), target, Duration::from_millis(500)).ok()
        })
        .unwrap();
    }
}
