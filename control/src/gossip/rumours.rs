//! Which facts are news, and how often each is still to be told.

use std::collections::BTreeMap;

use mesh_model::facts::Facts;
use mesh_model::{MemberId, Signed};

use super::book::Book;
use super::packet::facts_len;

/// Facts worth telling, by owner: at most one entry per present member.
#[derive(Debug, Default)]
pub(super) struct Rumours {
    left: BTreeMap<MemberId, u8>,
}

impl Rumours {
    /// Starts telling `member`'s facts, `times` times.
    pub(super) fn start(&mut self, member: MemberId, times: u8) {
        self.left.insert(member, times);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.left.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.left.clear();
    }

    /// Forgets rumours about those for whom `keep` is false.
    pub(super) fn retain(&mut self, keep: impl Fn(MemberId) -> bool) {
        self.left.retain(|member, _| keep(*member));
    }

    /// Facts for one datagram to `to`: the least told first, as many as `room` bytes take. Its own
    /// facts are no news to it.
    pub(super) fn take(
        &mut self,
        to: MemberId,
        mut room: usize,
        book: &Book,
    ) -> Vec<Signed<Facts>> {
        let mut order: Vec<_> = self.left.iter().map(|(m, left)| (*left, *m)).collect();
        order.sort_unstable_by_key(|(left, member)| (std::cmp::Reverse(*left), *member));
        let mut taken = Vec::new();
        for (left, member) in order {
            let Some(facts) = book.signed(member) else {
                self.left.remove(&member);
                continue;
            };
            let len = facts_len(facts);
            if member == to || len > room {
                continue;
            }
            room -= len;
            taken.push(facts.clone());
            match left {
                0 | 1 => self.left.remove(&member),
                more => self.left.insert(member, more - 1),
            };
        }
        taken
    }
}
