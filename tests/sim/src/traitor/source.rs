//! What the traitor tells those that follow it.

use mesh_model::wire::sync::News;
use rand::RngExt as _;
use rand::seq::SliceRandom as _;

use super::speech::{Entry, close, open};
use super::{Traitor, Way};

/// By how many entries it says that it knows more than it does.
const BOAST: u64 = 1000;

impl Traitor {
    /// What it tells in place of `news`; `None` if it leaves them as they are.
    pub(super) fn bend(&mut self, mut news: News) -> Option<News> {
        let honest = news.clone();
        if let Some(words) = self.retell(std::mem::take(&mut news.checkpoints)) {
            news.checkpoints = words;
        } else {
            news.checkpoints.clone_from(&honest.checkpoints);
        }
        if self.does(Way::Boast) {
            news.proven += self.rng.random_range(1..BOAST);
            news.confirmed_ms = Some(0);
            news.depth = 0;
        }
        if self.does(Way::Lead) {
            news.lead = news.lead.map(|lead| self.no_such_lead(lead));
        }
        self.bend_state(&mut news);
        self.bend_entries(&mut news.entries);
        (news != honest).then_some(news)
    }

    /// Whoever asked for entries may get a state, and whoever asked for a state an old one.
    fn bend_state(&mut self, news: &mut News) {
        if let Some(state) = &news.snapshot {
            self.old_state.get_or_insert_with(|| state.clone());
        }
        if self.old_state.is_some() && self.does(Way::OldState) {
            news.snapshot.clone_from(&self.old_state);
        }
        if let Some(state) = &mut news.snapshot
            && !state.is_empty()
            && self.does(Way::DamagedState)
        {
            let at = self.rng.random_range(0..state.len());
            state[at] ^= 1 << self.rng.random_range(0..8);
        }
    }

    fn bend_entries(&mut self, entries: &mut Vec<Vec<u8>>) {
        if entries.len() > 1 && self.does(Way::Shuffle) {
            match self.rng.random_range(0..3) {
                0 => entries.shuffle(&mut self.rng),
                1 => drop(entries.remove(self.rng.random_range(0..entries.len()))),
                _ => entries.reverse(),
            }
        }
        if entries.len() > 1 && self.does(Way::Swap) {
            self.swap_contents(entries);
        }
        if self.does(Way::Terms) {
            let later = self.rng.random_range(1..5);
            let from = self.rng.random_range(0..=entries.len());
            for bytes in &mut entries[from..] {
                if let Some(mut entry) = open::<Entry>(bytes) {
                    entry.id.term += later;
                    *bytes = close(&entry).into();
                }
            }
        }
    }

    /// Two entries say what the other does, each in its own place.
    fn swap_contents(&mut self, entries: &mut [Vec<u8>]) {
        let (one, other) =
            (self.rng.random_range(0..entries.len()), self.rng.random_range(0..entries.len()));
        let (Some(mut first), Some(mut second)) =
            (open::<Entry>(&entries[one]), open::<Entry>(&entries[other]))
        else {
            return;
        };
        std::mem::swap(&mut first.payload, &mut second.payload);
        entries[one] = close(&first).into();
        entries[other] = close(&second).into();
    }
}
