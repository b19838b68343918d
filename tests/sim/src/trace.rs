//! What happened, in order. Two runs of one seed must tell the same story, byte for byte: what hosts sent each other
//! included, of which a line says no more than how long it is.

use std::fmt;
use std::time::Duration;

/// The most lines a trace keeps for printing; the digest covers all of them. A failing run is read
/// from its end, and a minute of a five-node mesh makes about 5,000 lines.
const KEPT_LINES: usize = 200_000;

/// A line that was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// When, and what.
    pub text: String,
    /// A hash over everything up to it, in which two runs differ whose lines do not.
    pub digest: blake3::Hash,
}

/// The story of one run.
pub struct Trace {
    digest: blake3::Hasher,
    lines: Vec<Line>,
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
        let text = format!("{:>12.6} {what}", elapsed.as_secs_f64());
        self.digest.update(text.as_bytes());
        self.digest.update(b"\n");
        self.count += 1;
        if self.keep && self.lines.len() < KEPT_LINES {
            self.lines.push(Line { text, digest: self.digest.finalize() });
        }
    }

    /// Somebody sends `bytes`: nothing to print, but no two runs may differ in them.
    pub fn note_bytes(&mut self, bytes: &[u8]) {
        self.digest.update(&(bytes.len() as u64).to_le_bytes());
        self.digest.update(bytes);
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
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A trace of one line, with `bytes` sent before it.
    fn told(bytes: &[u8]) -> Trace {
        let mut trace = Trace::new(true);
        trace.note_bytes(bytes);
        trace.note(Duration::from_secs(1), format_args!("datagram of 3"));
        trace
    }

    #[test]
    fn stories_that_differ_in_nothing_but_what_was_sent_differ() {
        let [one, same, other] = [b"abc", b"abc", b"abd"].map(|bytes| told(bytes));
        assert_eq!(one.digest(), same.digest());
        assert_eq!(one.lines(), same.lines());
        assert_ne!(one.digest(), other.digest());
        assert_eq!(one.lines()[0].text, other.lines()[0].text);
        assert_ne!(one.lines()[0], other.lines()[0]);
    }
}
