//! The table of session indices: whose session does a datagram name?
//!
//! ```text
//! index, 32 bits:  | random, 12 bits | place in the table, 20 bits |
//! ```
//!
//! The place makes finding the peer a matter of one array access. Of several slices each uses the
//! places that are its own ([`Slice::has`]), so that the low bits also say whose a datagram is before
//! anything is looked up. The random part changes each time a place is used again: a datagram for the
//! session before is not mistaken for one of this.

use rand::RngExt as _;
use rand_chacha::ChaCha20Rng;

use crate::peers::Slot;
use crate::slice::Slice;

/// Bits that name the place.
const PLACE_BITS: u32 = 20;

/// Places there can be: a million sessions and handshakes under way, for some hundred thousand
/// peers. The table grows to what is in use.
const PLACES: usize = 1 << PLACE_BITS;

/// Values of the random part.
const TAGS: u32 = 1 << (32 - PLACE_BITS);

/// The table.
#[derive(Debug)]
pub(crate) struct Indices {
    slice: Slice,
    /// With several slices most places are other slices', and stay empty here.
    places: Vec<Place>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Place {
    /// The index in use, or the last one that was.
    index: u32,
    holder: Option<Slot>,
}

impl Indices {
    /// All of `slice`'s places free.
    pub(crate) fn new(slice: Slice) -> Self {
        Self { slice, places: Vec::new(), free: Vec::new() }
    }

    /// An index for a session of the peer in `holder`; `None` when there are no more.
    pub(crate) fn claim(&mut self, holder: Slot, rng: &mut ChaCha20Rng) -> Option<u32> {
        if let Some(place) = self.free.pop() {
            let entry = &mut self.places[place as usize];
            // Never the same twice running.
            let before = entry.index >> PLACE_BITS;
            let tag = (before + rng.random_range(1..TAGS)) % TAGS;
            *entry = Place { index: tag << PLACE_BITS | place, holder: Some(holder) };
            return Some(entry.index);
        }
        let place = self.new_place()?;
        let index = rng.random_range(0..TAGS) << PLACE_BITS | place as u32;
        self.places.push(Place { index, holder: Some(holder) });
        Some(index)
    }

    /// The next place of this slice's that was never used; the others' before it are laid out empty.
    fn new_place(&mut self) -> Option<usize> {
        let begun = self.places.len();
        let place = (begun..PLACES).find(|place| self.slice.has(*place as u32))?;
        self.places.resize_with(place, || Place { index: 0, holder: None });
        Some(place)
    }

    /// Gives `index` back.
    pub(crate) fn release(&mut self, index: u32) {
        let place = index % PLACES as u32;
        let entry = self.places.get_mut(place as usize);
        if let Some(entry) = entry.filter(|entry| entry.index == index && entry.holder.is_some()) {
            entry.holder = None;
            self.free.push(place);
        }
    }

    /// Whose session `index` names.
    pub(crate) fn holder(&self, index: u32) -> Option<Slot> {
        let entry = self.places.get(index as usize % PLACES)?;
        entry.holder.filter(|_| entry.index == index)
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;

    #[test]
    fn a_place_is_used_again_under_another_index() {
        let mut rng = ChaCha20Rng::from_seed([1; 32]);
        let mut indices = Indices::new(Slice::WHOLE);
        let mut index = indices.claim(Slot(7), &mut rng).expect("the first");
        for slot in 0..10_000 {
            let before = index;
            indices.release(before);
            indices.release(before);
            assert_eq!(indices.holder(before), None);
            index = indices.claim(Slot(slot), &mut rng).expect("a free place");
            assert_ne!(index, before);
            assert_eq!(indices.holder(index), Some(Slot(slot)));
            assert_eq!(indices.holder(before), None);
        }
        assert_eq!(indices.places.len(), 1, "and given back once");
    }

    #[test]
    fn slices_share_the_places_and_no_two_have_the_same() {
        let mut rng = ChaCha20Rng::from_seed([1; 32]);
        for of in 1..=8 {
            let mut tables: Vec<_> =
                Slice::all(of).map(|slice| (slice, Indices::new(slice))).collect();
            for n in 0..1000 {
                for (slice, indices) in &mut tables {
                    let index = indices.claim(Slot(n), &mut rng).expect("a free place");
                    assert!(slice.has(index));
                    assert_eq!(indices.holder(index), Some(Slot(n)));
                }
            }
            assert!(
                tables.iter().all(|(_, indices)| indices.places.len() <= 1000 * of + of + 0x100)
            );
        }
    }

    #[test]
    fn nobody_holds_what_was_never_given() {
        let mut rng = ChaCha20Rng::from_seed([1; 32]);
        let mut indices = Indices::new(Slice::WHOLE);
        let index = indices.claim(Slot(0), &mut rng).expect("the first");
        for guess in (0..TAGS).map(|tag| tag << PLACE_BITS).filter(|guess| *guess != index) {
            assert_eq!(indices.holder(guess), None);
        }
        assert_eq!(indices.holder(index + 1), None);
        assert_eq!(indices.holder(u32::MAX), None);
    }
}
