//! A message that has grown: who reads what of it.

use mesh_model::codec::{self, CodecError, Message};
use serde::{Deserialize, Serialize};

/// Two kinds of a thing, of which the second came later.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Thing {
    First(u8),
    Second(u8),
}

impl Message for Thing {
    const NAME: &'static str = "thing";
    const VERSION: u8 = 2;
    const OLDEST: u8 = 1;
    const LIMIT: usize = 16;

    fn version(&self) -> u8 {
        match self {
            Self::First(_) => 1,
            Self::Second(_) => 2,
        }
    }
}

#[test]
fn what_the_older_version_can_say_is_said_in_it() {
    for (thing, bytes) in [(Thing::First(7), [1, 0, 7]), (Thing::Second(7), [2, 1, 7])] {
        assert_eq!(codec::encode(&thing), bytes);
        assert_eq!(codec::decode(&bytes), Ok(thing));
    }
}

#[test]
fn an_older_build_reads_what_it_knows_and_calls_the_rest_newer() {
    let read = |bytes: &[u8]| codec::decode_up_to::<Thing>(bytes, 1);
    assert_eq!(read(&[1, 0, 7]), Ok(Thing::First(7)));
    let newer = read(&[2, 1, 7]).expect_err("beyond it");
    assert_eq!(newer, CodecError::Version { name: "thing", found: 2, known: 1 });
    assert!(newer.is_newer());
    let unknown = codec::decode::<Thing>(&[3, 2, 7]).expect_err("beyond any");
    assert!(unknown.is_newer());
    let before = codec::decode::<Thing>(&[0, 0, 7]).expect_err("before the first");
    assert!(matches!(before, CodecError::Version { .. }) && !before.is_newer());
}

#[test]
fn bytes_that_say_another_version_than_they_are_of_are_malformed() {
    for bytes in [[1, 1, 7], [2, 0, 7]] {
        let refused = codec::decode::<Thing>(&bytes);
        assert!(matches!(refused, Err(CodecError::Malformed { .. })), "{refused:?}");
    }
}
