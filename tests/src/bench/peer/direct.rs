//! No tunnel at all: what the cable, the kernel and the measuring tools can do.

use std::path::Path;
use std::time::Instant;

use super::Peer;
use crate::bench::ground::{Ground, Side};
use crate::bench::tunnel::Tunnel;
use crate::error::Result;

/// The cable itself.
#[derive(Debug)]
pub struct Direct;

impl Peer for Direct {
    fn name(&self) -> &str {
        "direct"
    }

    fn version(&self) -> Option<String> {
        None
    }

    fn available(&self) -> Result<()> {
        Ok(())
    }

    fn start(&self, _ground: &Ground, _dir: &Path) -> Result<Tunnel> {
        Ok(Tunnel::new(Vec::new(), Side::Far.underlay(), Instant::now()))
    }
}
