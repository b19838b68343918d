//! Who sent one entry to how many.

use std::collections::{BTreeMap, BTreeSet};

use mesh_model::MemberId;

/// What was seen of one entry; see the [module](self).
#[derive(Debug, Clone, Default)]
pub struct Census {
    /// Bytes that only this entry has, empty while none is looked for.
    mark: Vec<u8>,
    /// To whom each member sent it.
    sent: BTreeMap<MemberId, BTreeSet<MemberId>>,
    /// Messages with it, repeated ones too.
    copies: u64,
}

impl Census {
    /// Looks for `mark`.
    pub fn of(mark: Vec<u8>) -> Self {
        Self { mark, ..Self::default() }
    }

    /// `from` sends `message` to `to`.
    pub fn see(&mut self, from: MemberId, to: MemberId, message: &[u8]) {
        let Some(first) = self.mark.first() else { return };
        let mut starts = message.iter().enumerate().filter(|(_, byte)| *byte == first);
        if starts.any(|(at, _)| message[at..].starts_with(&self.mark)) {
            self.sent.entry(from).or_default().insert(to);
            self.copies += 1;
        }
    }

    /// To how many members `member` sent it.
    pub fn sent_by(&self, member: MemberId) -> usize {
        self.sent.get(&member).map_or(0, BTreeSet::len)
    }

    /// The one that sent it to most, and to how many.
    pub fn busiest(&self) -> Option<(MemberId, usize)> {
        let counted = self.sent.iter().map(|(member, to)| (*member, to.len()));
        counted.max_by_key(|(_, count)| *count)
    }

    /// Messages with it.
    pub fn copies(&self) -> u64 {
        self.copies
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_carries_the_mark_counts_and_each_receiver_once() {
        let [a, b, c] = [1, 2, 3].map(MemberId);
        let mut census = Census::of(b"mark".to_vec());
        for (from, to, message) in
            [(a, b, "a mark"), (a, b, "mark again"), (a, c, "a marmark"), (b, c, "nothing")]
        {
            census.see(from, to, message.as_bytes());
        }
        assert_eq!((census.sent_by(a), census.sent_by(b), census.copies()), (2, 0, 3));
        assert_eq!(census.busiest(), Some((a, 2)));
        let mut blind = Census::default();
        blind.see(a, b, b"mark");
        assert_eq!(blind.copies(), 0);
    }
}
