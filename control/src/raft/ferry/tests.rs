//! Who names another epoch, and what is believed of it.

use std::sync::Mutex;

use bytes::Bytes;
use mesh_model::trust::EpochHead;
use mesh_model::{Cosigned, codec};
use openraft::type_config::TypeConfigExt as _;

use super::*;
use crate::ports::{Transport, TransportError};
use crate::raft::fixture::{self, Fixed, GUEST, append, guest_store, leads, passage, settled};
use crate::raft::passage::PassageRecord;
use crate::raft::rpc::{PassageReply, Question};
use crate::raft::types::Types;
use crate::raft::{Group, MemoryDisk, Timing};
use crate::state::CrossingError;

const FOUNDER: MemberId = MemberId::FOUNDER;

/// The founder, which shows whatever way it was given.
#[derive(Clone, Default)]
struct Guide {
    shows: Arc<Mutex<Option<Vec<u8>>>>,
    voted: bool,
}

impl Transport for Guide {
    async fn call(&self, to: MemberId, said: Bytes, _: Duration) -> Result<Bytes, TransportError> {
        let Question { request, .. } = codec::decode(&said).expect("our own question");
        match request {
            Request::Passage => {
                let passage = self.shows.lock().expect("no panics").take();
                let voted = self.voted;
                let told = passage.map(|passage| PassageReply { passage, voted });
                Ok(Reply::Passage(told).encode())
            }
            _ => Err(TransportError::Unreachable(to)),
        }
    }
}

/// The guest, whose leader speaks of another epoch, and what became of it once that has shown `passage`.
async fn shown(passage: Vec<u8>, voted: bool) -> Group {
    let guide = Guide { shows: Arc::new(Mutex::new(Some(passage))), voted };
    let (store, key) = (guest_store(MemoryDisk::new()), fixture::secret(4));
    let timing = Timing::default();
    let started = Group::start(store, key, guide.clone(), &Fixed, fixture::wall_ms, timing).await;
    let guest = started.expect("starts");
    let epoch = EpochId { number: 1, head: EpochHead([7; 32]) };
    let said = append(leads(FOUNDER, 1), 4, 1).ask_in(epoch);
    guest.handle_rpc(FOUNDER, &said).await.expect("told which epoch this is");
    while guide.shows.lock().expect("no panics").is_some() {
        Types::sleep(Duration::from_millis(20)).await;
    }
    Types::sleep(Duration::from_millis(500)).await;
    assert_eq!(guest.fatal(), None);
    guest
}

#[test]
fn a_way_that_the_root_signed_is_gone() {
    Types::run(async {
        let guest = shown(passage().bytes().to_vec(), false).await;
        let status = guest.status();
        assert_eq!(status.epoch.id, passage().replica().state.epoch());
        assert_eq!(status.voters, [FOUNDER]);
        let view = guest.views().borrow().clone();
        assert!(view.applied == passage().epoch().first && view.members.contains_key(&GUEST));
        let aside = status.epoch.aside.expect("something was there");
        assert!(aside.contained && aside.last == settled().index());
        // Agreement goes on until somebody ends it.
        guest.shutdown().await;
        assert_eq!(guest.failed().await, GroupFailure::Shutdown);
    });
}

#[test]
fn whoever_makes_an_epoch_up_is_not_followed() {
    Types::run(async {
        let settled = settled();
        let said = fixture::begun(&settled).peek().expect("our own");
        let unsigned = Cosigned::new(&said);
        let state = crate::raft::snapshot::compress(&codec::encode(&settled.state));
        let unsigned = codec::encode(&PassageRecord { begun: unsigned, state });
        for made_up in [unsigned, b"any bytes".to_vec()] {
            let guest = shown(made_up, false).await;
            assert_eq!(guest.status().epoch.id, fixture::epoch());
            assert_eq!(guest.status().epoch.obstacle, None, "nobody has to look into it");
            guest.shutdown().await;
        }
    });
}

#[test]
fn one_that_has_voted_there_is_told_so_and_stays() {
    Types::run(async {
        let guest = shown(passage().bytes().to_vec(), true).await;
        let status = guest.status().epoch;
        assert_eq!(status.id, fixture::epoch());
        let obstacle = status.obstacle.expect("told");
        assert_eq!((obstacle.why, obstacle.named_by), (CrossingError::HasVoted(GUEST), FOUNDER));
        guest.shutdown().await;
    });
}
