//! Shares of a root key as text: what is written is read again, and every slip is noticed.

mod sample;

use mesh_model::trust::{MeshRoot, RootShare, ShareError};

fn share() -> RootShare {
    RootShare {
        root: sample::root(),
        set: [0xab; 8],
        threshold: 3,
        shares: 5,
        index: 2,
        secret: [9; 32],
    }
}

fn with(threshold: u8, shares: u8, index: u8) -> RootShare {
    let mut share = share();
    (share.threshold, share.shares, share.index) = (threshold, shares, index);
    share
}

fn parsed(text: &str) -> Result<RootShare, ShareError> {
    text.parse()
}

/// The text of `share`, with a checksum that fits.
fn text_of(share: &RootShare) -> String {
    share.to_text().to_string()
}

#[test]
fn a_share_is_written_so() {
    let golden = "\
meshd root share 1
mesh: 12abf3819f2bbf184856c088556ffd60
root-public: iojj3XQJ8ZX9UtstPLpdcspnCb8dlBIb83SIAbQPb1w=
set: abababababababab
threshold: 3
shares: 5
index: 2
share: CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk=
checksum: ea3fda0f9196ef9c
";
    assert_eq!(text_of(&share()), golden);
    assert_eq!(parsed(golden), Ok(share()));
}

#[test]
fn what_an_envelope_does_to_text_does_not_matter() {
    let text = text_of(&share());
    let indented: String = text.lines().map(|line| format!("  {line} \r\n\n")).collect();
    assert_eq!(parsed(&format!("# Anna's\n\n{indented}# keep it\n")), Ok(share()));
}

#[test]
fn every_character_counts() {
    let text = text_of(&share());
    for at in 0..text.len() {
        let mut bytes = text.clone().into_bytes();
        bytes[at] = if bytes[at] == b'1' { b'2' } else { b'1' };
        let altered = String::from_utf8(bytes).expect("ASCII");
        assert!(parsed(&altered).is_err(), "character {at}: {altered}");
        assert!(parsed(&text[..at]).is_err() || text[at..].trim().is_empty(), "cut at {at}");
    }
}

#[test]
fn each_mistake_has_its_name() {
    let text = text_of(&share());
    assert_eq!(parsed(""), Err(ShareError::OtherFile));
    assert_eq!(parsed("meshd identity 1\n"), Err(ShareError::OtherFile));
    let newer = text.replace("share 1\n", "share 2\n");
    assert_eq!(parsed(&newer), Err(ShareError::Version("2".to_owned())));
    let without = text.replace("set: abababababababab\n", "");
    assert_eq!(parsed(&without), Err(ShareError::Field("set")));
    assert_eq!(parsed(&format!("{text}index: 2\n")), Err(ShareError::Field("index")));
    assert_eq!(parsed(&format!("{text}colour: red\n")), Err(ShareError::Unknown));
    assert_eq!(parsed(&text.replace("index: 2", "index: 3")), Err(ShareError::Damaged));
}

#[test]
fn numbers_no_splitting_has_are_refused() {
    for (threshold, shares, index) in [(1, 5, 1), (6, 5, 1), (3, 5, 0), (3, 5, 6), (2, 33, 1)] {
        let share = with(threshold, shares, index);
        let refused = parsed(&text_of(&share));
        assert_eq!(refused, Err(ShareError::Numbers { index, shares, threshold }));
    }
    let root = MeshRoot { key: sample::identity().public(), ..sample::root() };
    let mut share = share();
    share.root = root;
    assert_eq!(parsed(&text_of(&share)), Err(ShareError::Root));
}

#[test]
fn no_error_and_no_debug_quotes_the_share() {
    assert!(!format!("{:?}", share()).contains("CQkJ"));
    let long = text_of(&share()).replace("share: ", "share: CQkJ");
    let error = parsed(&long).expect_err("damaged");
    assert!(!error.to_string().contains("CQkJ"));
}
