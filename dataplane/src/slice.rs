//! A slice of the packet core: one of several engines that share a host's peers.
//!
//! Each slice sits on a thread of its own and has peers of its own: their sessions, timers and session
//! indices are nobody else's, so no lock is on a packet's way. What all slices know is whose everything
//! is. Each takes every update of the plan, all in the same order, and gives a new peer to the slice
//! that has the fewest ([`Peers`](crate::peers::Peers)): the same arithmetic over the same history comes
//! to the same answer everywhere.
//!
//! ```text
//! inner packet                  the slice of the peer that holds its destination
//! initiation                    slice 0, whose gate judges all of them; then the slice of its sender
//! response, cookie, data        the slice that the receiver's index names: its lowest byte, modulo
//! ```
//!
//! What came to another slice leaves it through [`Sink::hand_on`](crate::Sink::hand_on), and is given to
//! [`Engine::handle_handed_inner`](crate::Engine::handle_handed_inner) or
//! [`handle_handed_datagram`](crate::Engine::handle_handed_datagram) of the one it is for. Only an
//! initiation is handed on twice. Whoever steers well hands on little; whoever steers badly loses
//! nothing but time.

use crate::tunnel::receiver;

/// Slices there may be: more have not been tried. The lowest byte of an index has room for thirty times
/// as many.
pub const MAX_SLICES: usize = 8;

/// Which slice an engine is, and of how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slice {
    this: u8,
    of: u8,
}

/// The slice whose gate judges all initiations, so that what strangers may cost does not grow with the
/// number of slices.
pub(crate) const GATEKEEPER: usize = 0;

impl Slice {
    /// The only one: an engine that has all peers.
    pub const WHOLE: Self = Self { this: 0, of: 1 };

    /// All slices of a host, first to last: `of` of them, but at least one and at most [`MAX_SLICES`].
    pub fn all(of: usize) -> impl Iterator<Item = Self> {
        let of = of.clamp(1, MAX_SLICES) as u8;
        (0..of).map(move |this| Self { this, of })
    }

    /// Its number.
    pub fn this(self) -> usize {
        self.this.into()
    }

    /// How many there are.
    pub fn of(self) -> usize {
        self.of.into()
    }

    /// Which slice a datagram is for, as far as its first bytes tell: the one its receiver index names,
    /// and the first for all that name none. Whoever chooses between several sockets can do so by this.
    pub fn named_by(datagram: &[u8], of: usize) -> usize {
        receiver(datagram).map_or(GATEKEEPER, |index| owner(index, of.clamp(1, MAX_SLICES)))
    }

    /// Whether session index `index` belongs to this slice.
    pub(crate) fn has(self, index: u32) -> bool {
        owner(index, self.of()) == self.this()
    }

    /// The slice that a datagram's receiver index names, if it is another one.
    pub(crate) fn elsewhere(self, datagram: &[u8]) -> Option<usize> {
        let index = receiver(datagram).filter(|index| !self.has(*index))?;
        Some(owner(index, self.of()))
    }
}

/// Of a whole index this takes what lies in the datagram's first byte of it: one byte to load for
/// whatever program steers datagrams in the kernel.
fn owner(index: u32, of: usize) -> usize {
    index as usize % 0x100 % of
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_index_belongs_to_one_slice() {
        for of in 1..=MAX_SLICES {
            for index in (0..0x400).chain([u32::MAX, 0xdead_be01]) {
                assert_eq!(Slice::all(of).filter(|slice| slice.has(index)).count(), 1);
            }
        }
        assert!(Slice::WHOLE.has(7));
    }

    #[test]
    fn a_datagram_is_for_whom_its_receiver_index_names() {
        let data = [&[4, 0, 0, 0, 5, 9, 9, 9][..], &[0; 24]].concat();
        let response = [&[2, 0, 0, 0, 9, 9, 9, 9, 4, 9, 9, 9][..], &[0; 80]].concat();
        let initiation = [&[1, 0, 0, 0, 1, 1, 1, 1][..], &[1; 140]].concat();
        assert_eq!(Slice::named_by(&data, 3), 2);
        assert_eq!(Slice::named_by(&response, 3), 1);
        for other in [&initiation[..], &[0xc0; 1200], &[4, 0, 0, 0, 5], &[]] {
            assert_eq!(Slice::named_by(other, 3), 0);
        }
        assert_eq!(Slice::named_by(&data, 1), 0);
        let slices: Vec<_> = Slice::all(3).map(|slice| slice.elsewhere(&data)).collect();
        assert_eq!(slices, [Some(2), Some(2), None]);
    }

    #[test]
    fn there_is_at_least_one_and_never_too_many() {
        assert_eq!(Slice::all(0).collect::<Vec<_>>(), [Slice::WHOLE]);
        assert_eq!(Slice::all(1000).count(), MAX_SLICES);
    }
}
