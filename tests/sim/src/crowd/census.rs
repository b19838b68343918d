//! Who sent one entry to how many.

use std::collections::{BTreeMap, BTreeSet};

use mesh_model::MemberId;

/// What was seen of one entry; see the [module](self). A whole state counts as the entry: which entries are in it cannot be told from
/// its bytes, which are compressed, and it is the longer of the two.
#[derive(Debug, Clone, Default)]
pub struct Census {
    /// Bytes that only this entry has, empty while none is looked for.
    mark: Vec<u8>,
    /// To whom each member sent it.
    sent: BTreeMap<MemberId, BTreeSet<MemberId>>,
    /// Messages with it, repeated ones too.
    copies: u64,
    /// Those of them with a whole state.
    states: u64,
}

impl Census {
    /// Looks for `mark`.
    pub fn of(mark: Vec<u8>) -> Self {
        Self { mark, ..Self::default() }
    }

    /// `from` sends `message` to `to`; `is_state` says whether there is a whole state in it.
    pub fn see(
        &mut self,
        (from, to): (MemberId, MemberId),
        message: &[u8],
        is_state: impl FnOnce(&[u8]) -> bool,
    ) {
        let Some(first) = self.mark.first() else { return };
        let mut starts = message.iter().enumerate().filter(|(_, byte)| *byte == first);
        let is_marked = starts.any(|(at, _)| message[at..].starts_with(&self.mark));
        let is_state = is_state(message);
        if is_marked || is_state {
            self.sent.entry(from).or_default().insert(to);
            self.copies += 1;
            self.states += u64::from(is_state);
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

    /// Those of `members` whom nobody sent it.
    pub fn missed(&self, members: impl IntoIterator<Item = MemberId>) -> Vec<MemberId> {
        let was_sent = |member: &MemberId| self.sent.values().any(|to| to.contains(member));
        members.into_iter().filter(|member| !was_sent(member)).collect()
    }

    /// Messages with it.
    pub fn copies(&self) -> u64 {
        self.copies
    }

    /// Messages with a whole state.
    pub fn states(&self) -> u64 {
        self.states
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_carries_the_mark_counts_and_each_receiver_once() {
        let [a, b, c] = [1, 2, 3].map(MemberId);
        let mut census = Census::of(b"mark".to_vec());
        for (from, to, message) in
            [(a, b, "a mark"), (a, b, "mark again"), (a, c, "a marmark"), (b, c, "nothing")]
        {
            census.see((from, to), message.as_bytes(), |_| false);
        }
        assert_eq!((census.sent_by(a), census.sent_by(b), census.copies()), (2, 0, 3));
        assert_eq!(census.busiest(), Some((a, 2)));
        assert_eq!(census.missed([a, b, c]), [a]);
        let mut blind = Census::default();
        blind.see((a, b), b"mark", |_| true);
        assert_eq!((blind.copies(), blind.states()), (0, 0));
    }

    #[test]
    fn a_whole_state_counts_whatever_is_in_it() {
        let [a, b] = [1, 2].map(MemberId);
        let mut census = Census::of(b"mark".to_vec());
        census.see((a, b), b"compressed", |_| true);
        assert_eq!((census.sent_by(a), census.copies(), census.states()), (1, 1, 1));
        assert_eq!(census.missed([b]), []);
    }
}
