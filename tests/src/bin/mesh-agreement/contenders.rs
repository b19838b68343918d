//! Who is measured.

use mesh_tests::Result;
use mesh_tests::bench::agreement::cluster::Cluster;
use mesh_tests::bench::agreement::etcd::{self, Etcd, Setup};
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
    /// etcd with TLS between its members
    EtcdTls,
}

/// Starts those of `wanted` that are here, with `size` members each. Says which are not.
pub(crate) fn start(wanted: &[Contender], size: usize) -> Result<Vec<Box<dyn Cluster + Sync>>> {
    let mut started: Vec<Box<dyn Cluster + Sync>> = Vec::new();
    for contender in wanted {
        let setup = match contender {
            Contender::Meshd => None,
            Contender::Etcd => Some(Setup::Default),
            Contender::EtcdFast => Some(Setup::Fast),
            Contender::EtcdTls => Some(Setup::Tls),
        };
        match setup {
            None => started.push(Box::new(Daemons::start(size)?)),
            Some(setup) => match programs::find(etcd::PROGRAM) {
                Ok(_) => started.push(Box::new(Etcd::start(size, setup)?)),
                Err(error) => {
                    eprintln!("without etcd: {error} (Debian: apt-get install etcd-server)");
                }
            },
        }
    }
    Ok(started)
}
