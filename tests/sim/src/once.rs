//! A register that is written once: something that happens at one place in the log and is never undone.
//!
//! Where it happened need not be known. Every answer bounds it: one that shows it had not happened yet from
//! below, one that shows it had from above. There is a place that explains all answers as long as the two
//! bounds do not meet, whatever was never answered.

use mesh_model::LogIndex;

/// See the [module](self).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Once {
    /// The last place at which it had not happened.
    not_yet: Option<LogIndex>,
    /// The first at which it had.
    done: Option<LogIndex>,
}

impl Once {
    /// At `place` it had not happened. Whether that can be.
    #[must_use]
    pub fn not_yet_at(&mut self, place: LogIndex) -> bool {
        self.not_yet = self.not_yet.max(Some(place));
        self.is_possible()
    }

    /// At `place` it had happened. Whether that can be.
    #[must_use]
    pub fn done_at(&mut self, place: LogIndex) -> bool {
        self.done = Some(self.done.map_or(place, |first| first.min(place)));
        self.is_possible()
    }

    fn is_possible(&self) -> bool {
        self.not_yet.zip(self.done).is_none_or(|(before, after)| before < after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_that_leave_a_place_for_it_are_possible_in_any_order() {
        let mut once = Once::default();
        assert!(once.done_at(9) && once.not_yet_at(4) && once.done_at(7) && once.not_yet_at(6));
        assert!(!once.not_yet_at(7), "seen at 7 and not seen at 7");
        assert!(!Once { not_yet: Some(3), done: None }.done_at(3));
    }
}
