//! What gossip does after every input: carry out SWIM's wishes and its own.

use std::time::Instant;

use super::Gossip;
use super::wakes::Wake;

/// How much faster than usual a newcomer compares facts at first; the pause doubles from there.
const NEW_SYNCS_FASTER: u32 = 10;

impl Gossip {
    /// Carries out what SWIM asked for.
    pub(super) fn settle(&mut self, now: Instant) {
        let effects = self.swim.take_effects();
        for (member, active) in self.table.refresh(&self.swim) {
            if active {
                self.reach.found(member);
            } else {
                self.reach.lost(member, now);
            }
        }
        for (after, timer) in effects.timers {
            self.wakes.set_swim(timer, now + after);
        }
        if self.swim.has_news() {
            self.wakes.resume_rounds(now + self.timing.gossip_interval);
        } else {
            self.wakes.rest_rounds();
        }
        for (to, message) in effects.sent {
            self.send_swim(to, message);
        }
        if effects.connected {
            self.sync_pause = self.timing.sync_interval / NEW_SYNCS_FASTER;
            self.wakes.set(Wake::Sync, now);
        }
        if effects.reborn {
            // The others still talk to our life before, and SWIM hears only what is meant for this.
            self.table.ids().for_each(|id| self.reach.restart(id, now));
        }
    }

    /// Does what is due of our own: calls, facts; and sees to the next wake of each.
    pub(super) fn work(&mut self, now: Instant) {
        if self.removed {
            return;
        }
        for member in self.reach.take_due(now) {
            let announced = self.swim.announce(member);
            self.expect_swim(announced);
        }
        self.settle(now);
        if let Some(due) = self.own.due(self.timing.facts_interval, now) {
            if due <= now {
                let (signed, facts) = self.own.publish(now);
                self.book.publish(signed, facts);
                self.rumours.start(self.me, self.tellings());
            } else {
                self.wakes.set(Wake::Facts, due);
            }
        }
        if let Some(due) = self.reach.due() {
            self.wakes.set(Wake::Reach, due);
        }
        if !self.rumours.is_empty() && !self.table.alive().is_empty() {
            let round = now + self.timing.gossip_interval;
            self.wakes.at_latest(Wake::Rumours, round);
        }
    }

    /// Whether we overslept and put everything off once: what looks like silence of others may
    /// lie unread in our own socket. Answers that waited there get one probe's time to be read.
    pub(super) fn excuse_lateness(&mut self, now: Instant) -> bool {
        let Some((due, _)) = self.wakes.next().filter(|(due, _)| *due <= now) else {
            return false;
        };
        let late = now - due;
        if late <= self.timing.probe_rtt || self.excused {
            self.excused = false;
            return false;
        }
        tracing::debug!(?late, "woke late; excusing silent members once");
        self.wakes.postpone(late + self.timing.probe_rtt);
        self.excused = true;
        true
    }

    pub(super) fn stop(&mut self) {
        self.removed = true;
        self.wakes.clear();
        self.reach.clear();
        self.rumours.clear();
        self.news.clear();
        self.outbox.clear();
    }

    /// SWIM fails on our own calls only when this module misuses it.
    pub(super) fn expect_swim(&self, done: Result<(), foca::Error>) {
        if let Err(error) = done {
            tracing::error!(%error, member = %self.me, "gossip lost its thread");
        }
    }
}
