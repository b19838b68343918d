//! The table of peers: by slot, by key and by time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use mesh_model::TunnelKey;

use crate::peer::Peer;

/// A place in the table. Used again after its peer is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Slot(pub(crate) u32);

/// All peers. There are as many as the plan names, which agreement bounds.
#[derive(Default)]
pub(crate) struct Peers {
    slots: Vec<Option<Entry>>,
    free: Vec<Slot>,
    by_key: BTreeMap<TunnelKey, Slot>,
    schedule: BTreeSet<(Instant, Slot)>,
}

struct Entry {
    peer: Peer,
    /// Its place in the schedule: not after it needs attention, but maybe long before.
    wake: Option<(Instant, &'static str)>,
}

impl Peers {
    /// The peer's slot, made if there was none.
    pub(crate) fn slot_for(&mut self, key: TunnelKey, make: impl FnOnce(Slot) -> Peer) -> Slot {
        if let Some(slot) = self.by_key.get(&key) {
            return *slot;
        }
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            Slot((self.slots.len() - 1) as u32)
        });
        self.slots[slot.0 as usize] = Some(Entry { peer: make(slot), wake: None });
        self.by_key.insert(key, slot);
        slot
    }

    /// Removes a peer and its place in the schedule.
    pub(crate) fn remove(&mut self, key: TunnelKey) -> Option<Peer> {
        let slot = self.by_key.remove(&key)?;
        let entry = self.slots[slot.0 as usize].take()?;
        if let Some((at, _)) = entry.wake {
            self.schedule.remove(&(at, slot));
        }
        self.free.push(slot);
        Some(entry.peer)
    }

    /// The peer in `slot`.
    #[inline]
    pub(crate) fn get_mut(&mut self, slot: Slot) -> Option<&mut Peer> {
        let entry = self.slots.get_mut(slot.0 as usize)?.as_mut()?;
        Some(&mut entry.peer)
    }

    /// Whose key this is.
    pub(crate) fn by_key(&self, key: TunnelKey) -> Option<Slot> {
        self.by_key.get(&key).copied()
    }

    /// All slots in use, by key.
    pub(crate) fn slots(&self) -> Vec<Slot> {
        self.by_key.values().copied().collect()
    }

    /// All peers, by key.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Peer> {
        self.by_key
            .values()
            .filter_map(|slot| self.slots[slot.0 as usize].as_ref())
            .map(|entry| &entry.peer)
    }

    /// Brings the schedule up to date with a peer that was touched. Packets put deadlines off far
    /// more often than forward, so a wake that has become too early stays: it finds nothing to do
    /// and settles again.
    #[inline]
    pub(crate) fn settle(&mut self, slot: Slot) {
        let Some(entry) = self.slots.get_mut(slot.0 as usize).and_then(Option::as_mut) else {
            return;
        };
        let Some(due) = entry.peer.due() else { return };
        if entry.wake.is_some_and(|(at, _)| at <= due.0) {
            return;
        }
        if let Some((at, _)) = entry.wake.replace(due) {
            self.schedule.remove(&(at, slot));
        }
        self.schedule.insert((due.0, slot));
    }

    /// When the first peer needs attention at the earliest, and why.
    pub(crate) fn next_wake(&self) -> Option<(Instant, &'static str)> {
        let (_, slot) = self.schedule.first()?;
        self.slots[slot.0 as usize].as_ref()?.wake
    }

    /// Takes all peers whose wake has come by `now` off the schedule; [`settle`](Self::settle) puts
    /// each back.
    pub(crate) fn take_due(&mut self, now: Instant, due: &mut Vec<Slot>) {
        while let Some((at, slot)) = self.schedule.first().copied()
            && at <= now
        {
            self.schedule.pop_first();
            if let Some(entry) = &mut self.slots[slot.0 as usize] {
                entry.wake = None;
                due.push(slot);
            }
        }
    }
}
