//! Every file of the committed corpora, through the targets as they are now.

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

use mesh_fuzz::TARGETS;

/// The largest corpus file, in bytes: they are read by people, and kept for good.
const MAX_FILE: usize = 4096;

#[test]
fn every_input_ever_kept_passes() {
    let mut failed = Vec::new();
    for (name, run) in TARGETS {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
        let mut count = 0;
        for entry in fs::read_dir(&corpus).unwrap_or_else(|error| panic!("{name}: {error}")) {
            let path = entry.expect("a corpus that can be read").path();
            let input = fs::read(&path).expect("a corpus that can be read");
            assert!(input.len() <= MAX_FILE, "{} is too large", path.display());
            count += 1;
            if catch_unwind(|| run(&input)).is_err() {
                failed.push(path);
            }
        }
        assert!(count > 0, "{name} has no corpus");
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn nothing_at_all_passes() {
    for (_, run) in TARGETS {
        run(&[]);
    }
}
