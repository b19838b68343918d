//! What members that follow say to each other keeps its bounds, and contradictions are seen.

mod sample;

use mesh_model::view::StateHash;
use mesh_model::wire::sync::{
    Checkpoint, Lead, MAX_CHECKPOINTS, MAX_ENTRIES, MAX_ENTRY_BYTES, MAX_INSTEAD, News, Place,
    Pulled,
};
use mesh_model::{MemberId, Signed};

fn news(entries: Vec<Vec<u8>>, words: usize) -> Pulled {
    let word = Signed::seal(&sample::checkpoint(), &sample::identity());
    Pulled::News(Box::new(News {
        snapshot: None,
        entries,
        proven: 300,
        checkpoints: vec![word; words],
        lead: None,
        confirmed_ms: None,
        held_ms: 0,
        depth: 0,
    }))
}

#[test]
fn an_answer_out_of_bounds_is_refused() {
    let half = MAX_ENTRY_BYTES / 2;
    for fine in [
        news(vec![vec![]; MAX_ENTRIES], MAX_CHECKPOINTS),
        news(vec![vec![0; half]; 2], 0),
        news(vec![vec![0; 3 * half]], 0),
        Pulled::Busy { instead: vec![MemberId(1); MAX_INSTEAD] },
        Pulled::Adrift,
        Pulled::Elsewhere,
    ] {
        assert_eq!(fine.check(), Ok(()));
    }
    for beyond in [
        news(vec![vec![]; MAX_ENTRIES + 1], 0),
        news(vec![vec![0; half + 1]; 2], 0),
        news(vec![], MAX_CHECKPOINTS + 1),
        Pulled::Busy { instead: vec![MemberId(1); MAX_INSTEAD + 1] },
    ] {
        assert!(beyond.check().is_err());
    }
}

#[test]
fn two_words_on_one_index_contradict_each_other_in_all_but_who_leads() {
    let word = sample::checkpoint();
    let alike =
        Checkpoint { member: MemberId(8), lead: Lead { term: 9, leader: MemberId(8) }, ..word };
    assert!(!word.contradicts(&alike) && word.claim() == alike.claim());
    let other = Checkpoint { state: StateHash([9; 32]), ..alike };
    assert!(word.contradicts(&other));
    assert!(word.contradicts(&Checkpoint { at: Place { term: 2, index: 300 }, ..word }));
    let elsewhere = Checkpoint { at: Place { term: 3, index: 301 }, ..other };
    assert!(!word.contradicts(&elsewhere));
    assert!(!word.contradicts(&Checkpoint { encoding: 3, ..other }), "of another encoding");
}
