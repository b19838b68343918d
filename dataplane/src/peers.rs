//! The table of peers: by slot, by key and by time.
//!
//! Of several slices each has the same table with the same slots, but of the peers that are another
//! slice's it holds nothing except whose they are and which prefixes they have.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use ipnet::IpNet;
use mesh_model::TunnelKey;

use crate::peer::Peer;
use crate::slice::Slice;

/// A place in the table. Used again after its peer is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Slot(pub(crate) u32);

/// All peers. There are as many as the plan names: ten thousand at most in a mesh, which agreement sees
/// to, and [`MAX_PEERS`](mesh_model::uapi::MAX_PEERS) on a plain device, whose requests name no more.
pub(crate) struct Peers {
    slice: Slice,
    /// How many peers each slice has.
    loads: Vec<u32>,
    slots: Vec<Option<Entry>>,
    free: Vec<Slot>,
    by_key: BTreeMap<TunnelKey, Slot>,
    /// By the key before, of those that have another one now.
    by_key_before: BTreeMap<TunnelKey, Slot>,
    schedule: BTreeSet<(Instant, Slot)>,
}

struct Entry {
    /// Whose it is.
    slice: usize,
    /// The peer, if it is ours.
    peer: Option<Peer>,
    /// The key it went by before.
    before: Option<TunnelKey>,
    /// The prefixes that the table of prefixes gives to it, in order: others take them one by one.
    allowed_ips: BTreeSet<IpNet>,
    /// Its place in the schedule: not after it needs attention, but maybe long before.
    wake: Option<(Instant, &'static str)>,
}

impl Peers {
    /// No peers.
    pub(crate) fn new(slice: Slice) -> Self {
        Self {
            slice,
            loads: vec![0; slice.of()],
            slots: Vec::new(),
            free: Vec::new(),
            by_key: BTreeMap::new(),
            by_key_before: BTreeMap::new(),
            schedule: BTreeSet::new(),
        }
    }

    /// The peer's slot, made if there was none. A new peer goes to the slice that has the fewest, the
    /// first of several: all slices count the same, so all agree. `make` is called in its slice only.
    pub(crate) fn slot_for(&mut self, key: TunnelKey, make: impl FnOnce(Slot) -> Peer) -> Slot {
        if let Some(slot) = self.by_key.get(&key) {
            return *slot;
        }
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            Slot((self.slots.len() - 1) as u32)
        });
        let least = self.loads.iter().enumerate().min_by_key(|(_, load)| **load);
        let slice = least.map_or(0, |(slice, _)| slice);
        self.loads[slice] += 1;
        let peer = (slice == self.slice.this()).then(|| make(slot));
        let entry = Entry { slice, peer, before: None, allowed_ips: BTreeSet::new(), wake: None };
        self.slots[slot.0 as usize] = Some(entry);
        self.by_key.insert(key, slot);
        slot
    }

    /// Removes a peer and its place in the schedule. Returns the prefixes it had, and the peer itself
    /// if it was ours.
    pub(crate) fn remove(&mut self, key: TunnelKey) -> Option<(BTreeSet<IpNet>, Option<Peer>)> {
        let slot = self.by_key.remove(&key)?;
        self.set_before(slot, None);
        let entry = self.slots[slot.0 as usize].take()?;
        if let Some((at, _)) = entry.wake {
            self.schedule.remove(&(at, slot));
        }
        self.loads[entry.slice] -= 1;
        self.free.push(slot);
        Some((entry.allowed_ips, entry.peer))
    }

    /// The peer in `slot`, if it is ours.
    #[inline]
    pub(crate) fn get_mut(&mut self, slot: Slot) -> Option<&mut Peer> {
        self.slots.get_mut(slot.0 as usize)?.as_mut()?.peer.as_mut()
    }

    /// The slice of the peer in `slot`, if it is another one.
    pub(crate) fn elsewhere(&self, slot: Slot) -> Option<usize> {
        let entry = self.slots.get(slot.0 as usize)?.as_ref()?;
        Some(entry.slice).filter(|slice| *slice != self.slice.this())
    }

    /// The prefixes of the peer in `slot`, wherever that is.
    pub(crate) fn allowed_ips(&mut self, slot: Slot) -> Option<&mut BTreeSet<IpNet>> {
        let entry = self.slots.get_mut(slot.0 as usize)?.as_mut()?;
        Some(&mut entry.allowed_ips)
    }

    /// Whose key this is, or was before.
    pub(crate) fn by_key(&self, key: TunnelKey) -> Option<Slot> {
        self.by_key.get(&key).or_else(|| self.by_key_before.get(&key)).copied()
    }

    /// Whether a peer goes by this key.
    pub(crate) fn is_peer(&self, key: TunnelKey) -> bool {
        self.by_key.contains_key(&key)
    }

    /// The peer that goes by `before` goes by `key` now, which is no other peer's. Its slot, if there is such a peer.
    pub(crate) fn rekey(&mut self, before: TunnelKey, key: TunnelKey) -> Option<Slot> {
        let slot = self.by_key.remove(&before)?;
        self.by_key.insert(key, slot);
        self.set_before(slot, Some(before));
        Some(slot)
    }

    /// What the peer in `slot` went by before, in place of what was known of that.
    pub(crate) fn set_before(&mut self, slot: Slot, before: Option<TunnelKey>) {
        let Some(entry) = self.slots.get_mut(slot.0 as usize).and_then(Option::as_mut) else {
            return;
        };
        if let Some(forgotten) = std::mem::replace(&mut entry.before, before) {
            self.by_key_before.remove(&forgotten);
        }
        if let Some(before) = before {
            self.by_key_before.insert(before, slot);
        }
    }

    /// All slots in use, by key.
    pub(crate) fn slots(&self) -> Vec<Slot> {
        self.by_key.values().copied().collect()
    }

    /// All peers of ours with their prefixes, by key.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Peer, &BTreeSet<IpNet>)> {
        let entries = self.by_key.values().filter_map(|slot| self.slots[slot.0 as usize].as_ref());
        entries.filter_map(|entry| Some((entry.peer.as_ref()?, &entry.allowed_ips)))
    }

    /// Brings the schedule up to date with a peer that was touched. Packets put deadlines off far
    /// more often than forward, so a wake that has become too early stays: it finds nothing to do
    /// and settles again.
    #[inline]
    pub(crate) fn settle(&mut self, slot: Slot) {
        let Some(entry) = self.slots.get_mut(slot.0 as usize).and_then(Option::as_mut) else {
            return;
        };
        let Some(due) = entry.peer.as_ref().and_then(Peer::due) else { return };
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
