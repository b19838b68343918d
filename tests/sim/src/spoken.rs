//! What the root has signed under each serial, and which of it stood.

use std::collections::BTreeMap;

/// Statements by what identifies them: two under one serial may be signed, and one of them may stand.
#[derive(Debug, Clone)]
pub struct Spoken<K, T> {
    signed: BTreeMap<K, Vec<T>>,
    stood: BTreeMap<K, T>,
}

impl<K, T> Default for Spoken<K, T> {
    fn default() -> Self {
        Self { signed: BTreeMap::new(), stood: BTreeMap::new() }
    }
}

impl<K: Ord, T: Clone + PartialEq> Spoken<K, T> {
    /// The root signed `statement`.
    pub fn sign(&mut self, key: K, statement: T) {
        self.signed.entry(key).or_default().push(statement);
    }

    /// Everything signed under `keys`.
    pub fn signed(&self, keys: std::ops::RangeInclusive<K>) -> impl Iterator<Item = &T> {
        self.signed.range(keys).flat_map(|(_, statements)| statements)
    }

    /// `statement` was seen to stand. Whether that can be: it was signed, and no other stood in its place.
    #[must_use]
    pub fn stands(&mut self, key: K, statement: &T) -> bool {
        let signed = self.signed.get(&key).is_some_and(|signed| signed.contains(statement));
        signed && self.stood.entry(key).or_insert_with(|| statement.clone()) == statement
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_signed_does_not_stand_and_of_two_only_one() {
        let mut spoken = Spoken::default();
        spoken.sign(7, "ban");
        spoken.sign(7, "pardon");
        assert!(spoken.stands(7, &"pardon") && spoken.stands(7, &"pardon"));
        assert!(!spoken.stands(7, &"ban"), "another stood");
        assert!(!spoken.stands(8, &"ban"), "nobody signed that");
        assert_eq!(spoken.signed(7..=8).count(), 2);
    }
}
