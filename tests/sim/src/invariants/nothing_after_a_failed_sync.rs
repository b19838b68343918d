//! A host whose disk has failed to write or to sync vouches for nothing more until it has started anew: it
//! answers no request of another member that came later, and decides nothing that a program of its own or a newcomer at
//! its door asked later. That it cannot is no promise, and may be said.
//!
//! What the disk was given may be gone although later syncs succeed, so nothing short of silence will do.
//! Agreement has the rest of the moment in which its disk fails to end itself; answers to what came before
//! may be on their way.

use std::fmt;
use std::time::Duration;

use mesh_model::MemberId;

use super::Violation;
use crate::net::HostNo;

/// Who asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asker {
    /// Another member.
    Member(MemberId),
    /// A program on the host itself.
    Program,
    /// A host that wants to be let in.
    Newcomer,
}

impl fmt::Display for Asker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Member(member) => member.fmt(f),
            Self::Program => f.write_str("a program of its own"),
            Self::Newcomer => f.write_str("a newcomer"),
        }
    }
}

/// See the [module](self). For one life of one host.
#[derive(Debug, Default)]
pub struct NothingAfterAFailedSync {
    /// When the failure was first seen.
    failed_at: Option<Duration>,
}

impl NothingAfterAFailedSync {
    /// At `now` the disk has `failed`, or not.
    pub fn see(&mut self, failed: bool, now: Duration) {
        if failed {
            self.failed_at.get_or_insert(now);
        }
    }

    /// `host` has answered what `asker` asked at `asked`.
    pub fn check(&self, host: HostNo, asker: Asker, asked: Duration) -> Result<(), Violation> {
        match self.failed_at.filter(|failed_at| *failed_at < asked) {
            None => Ok(()),
            Some(failed_at) => {
                let (failed, asked) = (failed_at.as_secs_f64(), asked.as_secs_f64());
                let message = format!(
                    "the disk of {host} failed at {failed:.6} or before, and what {asker} asked at {asked:.6} was answered"
                );
                Err(Violation::new("nothing_after_a_failed_sync", message))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn an_answer_to_a_later_request_is_seen() {
        let mut silence = NothingAfterAFailedSync::default();
        silence.see(false, SECOND);
        silence.check(HostNo(1), Asker::Program, 2 * SECOND).unwrap();
        silence.see(true, 3 * SECOND);
        silence.see(true, 4 * SECOND);
        silence.check(HostNo(1), Asker::Program, 3 * SECOND).unwrap();
        assert!(silence.check(HostNo(1), Asker::Program, 4 * SECOND).is_err());
    }
}
