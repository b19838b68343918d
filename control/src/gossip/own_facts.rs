//! What this host says of itself.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mesh_model::facts::{Capability, Facts, MAX_ENDPOINTS, MAX_VERSION_LEN};
use mesh_model::{Edition, IdentitySecret, LogIndex, MemberId, MeshId, Signed};

/// This host's facts and when they were last published.
#[derive(Debug)]
pub(super) struct OwnFacts {
    identity: IdentitySecret,
    facts: Facts,
    /// Whether they ever said where this host is.
    is_placed: bool,
    changed: bool,
    published: Option<Instant>,
}

impl OwnFacts {
    pub(super) fn new(
        (mesh, member): (MeshId, MemberId),
        identity: IdentitySecret,
        boot_ms: u64,
        (version, reads): (&str, Edition),
        mut capabilities: Vec<Capability>,
    ) -> Self {
        capabilities.sort_unstable();
        capabilities.dedup();
        let printable = version.chars().filter(char::is_ascii);
        let facts = Facts {
            mesh,
            member,
            boot_ms,
            revision: 0,
            version: printable.take(MAX_VERSION_LEN).collect(),
            reads,
            capabilities,
            applied: 0,
            endpoints: Vec::new(),
        };
        Self { identity, facts, is_placed: false, changed: true, published: None }
    }

    /// When this life began, or what outbids the one before.
    pub(super) fn boot_ms(&self) -> u64 {
        self.facts.boot_ms
    }

    pub(super) fn set_applied(&mut self, applied: LogIndex) {
        self.changed |= self.facts.applied != applied;
        self.facts.applied = applied;
    }

    /// The first that are known do not wait for the interval: whoever hears facts without them forgets where the life
    /// before was, and nobody finds this one by them.
    pub(super) fn set_endpoints(&mut self, mut endpoints: Vec<SocketAddr>) {
        endpoints.truncate(MAX_ENDPOINTS);
        if !self.is_placed && !endpoints.is_empty() {
            self.is_placed = true;
            self.published = None;
        }
        self.changed |= self.facts.endpoints != endpoints;
        self.facts.endpoints = endpoints;
    }

    /// Makes the next publication newer than `freshness`, which others have seen from us.
    pub(super) fn outbid(&mut self, (boot_ms, revision): (u64, u64)) {
        if (boot_ms, revision) >= self.facts.freshness() {
            (self.facts.boot_ms, self.facts.revision) = (boot_ms, revision);
            self.changed = true;
        }
    }

    /// When there is something to publish; `None` while nothing has changed.
    pub(super) fn due(&self, interval: Duration, now: Instant) -> Option<Instant> {
        let earliest = self.published.map_or(now, |last| (last + interval).max(now));
        self.changed.then_some(earliest)
    }

    /// The next revision, signed.
    pub(super) fn publish(&mut self, now: Instant) -> (Signed<Facts>, Facts) {
        self.facts.revision = self.facts.revision.saturating_add(1);
        self.changed = false;
        self.published = Some(now);
        (Signed::seal(&self.facts, &self.identity), self.facts.clone())
    }
}
