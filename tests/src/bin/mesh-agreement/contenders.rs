//! Who is measured.

use mesh_tests::Result;
use mesh_tests::bench::agreement::cluster::Cluster;
use mesh_tests::bench::agreement::etcd::{self, Etcd, Pace};
use mesh_tests::bench::agreement::meshd::Daemons;
use mesh_tests::bench::programs;

/// One that agrees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Contender {
    /// Ours
    Meshd,
    /// etcd as it comes: a heartbeat each 100 ms, an election after 1 to 2 s
    Etcd,
    /// etcd with an election after 0.5 to 1 s
    EtcdFast,
}

/// Starts those of `wanted` that are here, with `size` members each. Says which are not.
pub(crate) fn start(wanted: &[Contender], size: usize) -> Result<Vec<Box<dyn Cluster + Sync>>> {
    let mut started: Vec<Box<dyn Cluster + Sync>> = Vec::new();
    for contender in wanted {
        let pace = match contender {
            Contender::Meshd => None,
            Contender::Etcd => Some(Pace::Default),
            Contender::EtcdFast => Some(Pace::AsOurs),
        };
        match pace {
            None => started.push(Box::new(Daemons::start(size)?)),
            Some(pace) => match programs::find(etcd::PROGRAM) {
                Ok(_) => started.push(Box::new(Etcd::start(size, pace)?)),
                Err(error) => {
                    eprintln!("without etcd: {error} (Debian: apt-get install etcd-server)");
                }
            },
        }
    }
    Ok(started)
}
