//! The table of peers: by slot, by key, by session index and by time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use mesh_model::TunnelKey;
use rand::Rng as _;
use rand_chacha::ChaCha8Rng;

use crate::peer::Peer;
use crate::tunnel::Identity;

/// Session indices carry the tunnel's in their upper 24 bits; the lower 8 count its sessions.
const SESSION_BITS: u32 = 8;

/// Indices of tunnels lie below this.
const INDICES: u32 = 1 << (32 - SESSION_BITS);

/// A place in the table. Used again after its peer is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Slot(pub(crate) u32);

/// All peers. There are as many as the plan names, which agreement bounds.
#[derive(Default)]
pub(crate) struct Peers {
    slots: Vec<Option<Entry>>,
    free: Vec<Slot>,
    by_key: BTreeMap<TunnelKey, Slot>,
    by_index: BTreeMap<u32, Slot>,
    schedule: BTreeSet<(Instant, Slot)>,
}

struct Entry {
    peer: Peer,
    /// Its place in the schedule.
    due: Option<(Instant, &'static str)>,
}

impl Peers {
    /// The peer's slot, made if there was none.
    pub(crate) fn slot_for(&mut self, key: TunnelKey, make: impl FnOnce() -> Peer) -> Slot {
        if let Some(slot) = self.by_key.get(&key) {
            return *slot;
        }
        let entry = Some(Entry { peer: make(), due: None });
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot.0 as usize] = entry;
                slot
            }
            None => {
                self.slots.push(entry);
                Slot((self.slots.len() - 1) as u32)
            }
        };
        self.by_key.insert(key, slot);
        slot
    }

    /// Removes a peer with its index and its place in the schedule.
    pub(crate) fn remove(&mut self, key: TunnelKey) -> Option<(Slot, Peer)> {
        let slot = self.by_key.remove(&key)?;
        let mut entry = self.slots[slot.0 as usize].take()?;
        if let Some((at, _)) = entry.due {
            self.schedule.remove(&(at, slot));
        }
        self.by_index.retain(|_, holder| *holder != slot);
        let _ = entry.peer.take_retired();
        self.free.push(slot);
        Some((slot, entry.peer))
    }

    /// The peer in `slot`.
    pub(crate) fn get_mut(&mut self, slot: Slot) -> Option<&mut Peer> {
        let entry = self.slots.get_mut(slot.0 as usize)?.as_mut()?;
        Some(&mut entry.peer)
    }

    /// All slots in use, by key.
    pub(crate) fn slots(&self) -> Vec<Slot> {
        self.by_key.values().copied().collect()
    }

    /// Whose key this is.
    pub(crate) fn by_key(&self, key: TunnelKey) -> Option<Slot> {
        self.by_key.get(&key).copied()
    }

    /// Whose session index this is.
    pub(crate) fn by_session(&self, session: u32) -> Option<Slot> {
        self.by_index.get(&(session >> SESSION_BITS)).copied()
    }

    /// All peers, by key.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Peer> {
        self.by_key
            .values()
            .filter_map(|slot| self.slots[slot.0 as usize].as_ref())
            .map(|entry| &entry.peer)
    }

    /// Gives the peer a tunnel if it has none.
    pub(crate) fn ensure_tunnel(
        &mut self,
        slot: Slot,
        identity: &Identity,
        now: Instant,
        next_tick: Instant,
        rng: &mut ChaCha8Rng,
    ) {
        if self.get_mut(slot).is_none_or(|peer| peer.has_tunnel()) {
            return;
        }
        self.settle(slot);
        let index = self.free_index(rng);
        if let Some(peer) = self.get_mut(slot) {
            peer.open_tunnel(
                identity.tunnel(peer.key(), peer.preshared_key(), index),
                index,
                now,
                next_tick,
            );
            self.by_index.insert(index, slot);
        }
    }

    /// A random index, so that nobody off the path can guess one; the next free one if it is taken.
    fn free_index(&self, rng: &mut ChaCha8Rng) -> u32 {
        let mut index = rng.next_u32() >> SESSION_BITS;
        while self.by_index.contains_key(&index) {
            index = (index + 1) % INDICES;
        }
        index
    }

    /// Brings indices and schedule up to date with a peer that was touched.
    pub(crate) fn settle(&mut self, slot: Slot) {
        let Some(entry) = self.slots.get_mut(slot.0 as usize).and_then(Option::as_mut) else {
            return;
        };
        if let Some(index) = entry.peer.take_retired() {
            self.by_index.remove(&index);
        }
        let due = entry.peer.due();
        if due != entry.due {
            if let Some((at, _)) = entry.due {
                self.schedule.remove(&(at, slot));
            }
            if let Some((at, _)) = due {
                self.schedule.insert((at, slot));
            }
            entry.due = due;
        }
    }

    /// When the first peer needs attention, and why.
    pub(crate) fn next_due(&self) -> Option<(Instant, &'static str)> {
        let (_, slot) = self.schedule.first()?;
        self.slots[slot.0 as usize].as_ref()?.due
    }

    /// Takes all peers that need attention by `now` off the schedule; [`settle`](Self::settle) puts
    /// each back.
    pub(crate) fn take_due(&mut self, now: Instant, due: &mut Vec<Slot>) {
        while let Some((at, slot)) = self.schedule.first().copied()
            && at <= now
        {
            self.schedule.pop_first();
            if let Some(entry) = &mut self.slots[slot.0 as usize] {
                entry.due = None;
                due.push(slot);
            }
        }
    }
}
