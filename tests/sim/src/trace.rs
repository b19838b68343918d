//! What happened, in order. Two runs of one seed must tell the same story, byte for byte.

use std::fmt;
use std::time::Duration;

/// The most lines a trace keeps for printing; the digest covers all of them. A failing run is read
/// from its end, and a minute of a five-node mesh makes about 5,000 lines.
const KEPT_LINES: usize = 200_000;

/// The story of one run.
pub struct Trace {
    digest: blake3::Hasher,
    lines: Vec<String>,
    count: u64,
    keep: bool,
}

impl Trace {
    /// An empty trace; `keep` keeps the lines for printing as well.
    pub fn new(keep: bool) -> Self {
        Self { digest: blake3::Hasher::new(), lines: Vec::new(), count: 0, keep }
    }

    /// Something happened at `elapsed`.
    pub fn note(&mut self, elapsed: Duration, what: fmt::Arguments<'_>) {
        let line = format!("{:>12.6} {what}", elapsed.as_secs_f64());
        self.digest.update(line.as_bytes());
        self.digest.update(b"\n");
        self.count += 1;
        if self.keep && self.lines.len() < KEPT_LINES {
            self.lines.push(line);
        }
    }

    /// A hash over everything noted.
    pub fn digest(&self) -> blake3::Hash {
        self.digest.finalize()
    }

    /// How many lines were noted.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The lines kept.
    pub fn lines(&self) -> &[String] {
        &self.lines
    }
}
