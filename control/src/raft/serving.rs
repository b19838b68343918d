//! Being asked: what a member that follows by sync is told.
//!
//! Only what a majority of the voters has signed, as this host knows it, is passed on; so a member that follows never holds
//! entries that it would have to wait for a proof of. An asker waits here for news, and has one of a few places while it does.

use std::sync::Arc;
use std::time::Duration;

use mesh_model::codec;
use mesh_model::wire::sync::{
    Lead, MAX_ENTRIES, MAX_ENTRY_BYTES, MAX_HOLD_MS, News, Place, Pull, Pulled,
};
use mesh_model::{LogIndex, MemberId};
use openraft::async_runtime::AsyncRuntime as _;
use openraft::async_runtime::watch::WatchReceiver as _;
use openraft::rt::Select3;
use openraft::type_config::TypeConfigExt as _;

use super::group::Inner;
use super::records::EntryRecord;
use super::rpc::RpcError;
use super::runtime::Runtime;
use super::store::LogStore;
use super::types::Types;
use crate::sync::Seat;

impl Inner {
    /// What `from` is to hear of what was agreed.
    pub(super) async fn answer_pull(&self, from: MemberId, pull: Pull) -> Result<Pulled, RpcError> {
        let began = Types::now();
        let until = began + Duration::from_millis(pull.hold_ms.min(MAX_HOLD_MS).into());
        let mut words = self.testimony.changes();
        let mut server = self.raft.server_metrics();
        loop {
            // It may be put out while it waits.
            if !self.view().members.contains_key(&from) {
                return Err(RpcError::LeftMeanwhile(from));
            }
            if self.ended().is_some() {
                return Err(RpcError::Stopped);
            }
            let (asker, proven) = ((from, pull.proven), self.proven());
            if let Seat::Full(mut instead) = self.desk().admit(asker, proven, self.moment()) {
                instead.retain(|member| *member != from);
                return Ok(Pulled::Busy { instead });
            }
            let now = Types::now();
            if let Some(told) = self.told((from, &pull), now - began, now >= until)? {
                return Ok(told);
            }
            let sleep = Runtime::sleep(until - now);
            match Runtime::select3(words.changed(), server.changed(), sleep).await {
                Select3::First(Err(_)) | Select3::Second(Err(_)) => return Err(RpcError::Stopped),
                Select3::First(Ok(())) | Select3::Second(Ok(())) | Select3::Third(()) => {}
            }
        }
    }

    /// The answer, if there is news or the wait is `over`.
    fn told(
        &self,
        (from, pull): (MemberId, &Pull),
        held: Duration,
        over: bool,
    ) -> Result<Option<Pulled>, RpcError> {
        let proven = self.proven();
        let have = pull.have.map_or(0, |place| place.index);
        let (lead, confirmed) = self.lead_told();
        let proof = proven == have && pull.proven < have;
        let news = proven > have || proof || pull.snapshot || lead.is_some() && lead != pull.lead;
        if !news && !over {
            return Ok(None);
        }
        if !news && lead.is_none() {
            return Ok(Some(Pulled::Adrift));
        }
        let (snapshot, entries) = match self.ahead(from, pull, proven)? {
            Ahead::Entries(entries) => (None, entries),
            Ahead::Snapshot(snapshot) => (Some(snapshot), Vec::new()),
            Ahead::NoRoom => return Ok(Some(Pulled::Busy { instead: Vec::new() })),
            Ahead::Elsewhere => return Ok(Some(Pulled::Elsewhere)),
        };
        Ok(Some(Pulled::News(Box::new(News {
            snapshot,
            entries,
            proven,
            checkpoints: self.testimony.words().tell(pull.proven.min(have)),
            lead,
            confirmed_ms: confirmed.map(millis),
            held_ms: millis(held),
            depth: self.depth(),
        }))))
    }

    /// How far the log is proven here.
    pub(super) fn proven(&self) -> LogIndex {
        let electorate = self.replica.lock().electorate();
        self.testimony.words().proven(&electorate).map_or(0, |claim| claim.at.index)
    }

    /// Who leads as far as that was confirmed lately, and how long ago.
    fn lead_told(&self) -> (Option<Lead>, Option<Duration>) {
        let led = self.confirmed_leadership();
        let Some(leader) = led.leader else { return (None, None) };
        (Some(Lead { term: led.term, leader }), self.silence())
    }

    /// What follows what the asker, `from`, has.
    fn ahead(&self, from: MemberId, pull: &Pull, proven: LogIndex) -> Result<Ahead, RpcError> {
        let log = LogStore::new(Arc::clone(&self.db));
        let lost = |error| {
            tracing::error!(%error, "the log cannot be read");
            RpcError::Stopped
        };
        let first = pull.have.map_or(0, |place| place.index.saturating_add(1));
        if let Some(place) = pull.have.filter(|place| place.index <= proven) {
            let here = log.entries(place.index..=place.index).map_err(lost)?;
            let here = here.first().map(|entry| entry.log_id.leader_id.term);
            if here.is_some_and(|term| term != place.term) {
                return Ok(Ahead::Elsewhere);
            }
        }
        if proven < first && !pull.snapshot {
            return Ok(Ahead::Entries(Vec::new()));
        }
        if !pull.snapshot {
            let last = proven.min(first + MAX_ENTRIES as u64 - 1);
            let entries = log.entries(first..=last).map_err(lost)?;
            if entries.first().is_some_and(|entry| entry.log_id.index == first) {
                let entries =
                    entries.into_iter().map(|entry| codec::encode(&EntryRecord::from(entry)));
                return Ok(Ahead::Entries(bounded(entries)));
            }
        }
        // Too far behind for entries. What is in the snapshot and not yet proven is proven by the next answers.
        if !self.desk().take_snapshot(from, self.moment()) {
            return Ok(Ahead::NoRoom);
        }
        let replica = self.replica.lock().clone();
        Ok(Ahead::Snapshot(replica.to_snapshot()))
    }

    /// The last entry this host has applied.
    pub(super) fn place(&self) -> Option<Place> {
        self.replica.lock().place()
    }
}

/// What an asker lacks.
enum Ahead {
    Entries(Vec<Vec<u8>>),
    Snapshot(Vec<u8>),
    /// It lacks the whole state, and others are being sent it.
    NoRoom,
    /// Its last entry is not the one that was agreed on.
    Elsewhere,
}

/// As many as one answer may hold; at least one, however long.
fn bounded(entries: impl Iterator<Item = Vec<u8>>) -> Vec<Vec<u8>> {
    let mut taken = Vec::new();
    let mut bytes = 0;
    for entry in entries {
        bytes += entry.len();
        if bytes > MAX_ENTRY_BYTES && !taken.is_empty() {
            break;
        }
        taken.push(entry);
    }
    taken
}

fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}
