//! `snapshots/`: what the mesh had agreed on, one file per index that somebody asked for.
//!
//! They are copies. Nothing here is read when the daemon starts, and none of them is ever this host's state by itself.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use mesh_model::LogIndex;
use mesh_model::snapshot::{self, MAX_FILE, MAX_HEAD, SnapshotHead};

use super::{StateDirError, files};
use crate::io::listing;

/// How many are kept; the one of the lowest index makes room. A mesh of a hundred members takes 40 kB each, the largest
/// 48 MB.
pub(crate) const MAX_KEPT: usize = 8;

/// What their names end in.
const SUFFIX: &str = ".meshsnap";

/// The directory.
pub(crate) struct SnapshotDir {
    path: PathBuf,
}

/// What is in it.
pub(crate) struct Listing {
    /// What each file says of itself and how long it is, by index.
    pub(crate) snapshots: BTreeMap<LogIndex, (SnapshotHead, u64)>,
    /// Names of files that are no snapshots, or not the ones they are named after.
    pub(crate) damaged: Vec<String>,
}

impl SnapshotDir {
    pub(super) fn of(state_dir: &Path) -> Self {
        Self { path: state_dir.join("snapshots") }
    }

    /// Keeps the snapshot in `file`, which begins with `head`, unless there is one of the same state that at least as many have
    /// signed; what is kept of that index then, and how long it is.
    pub(crate) fn keep(
        &self,
        head: SnapshotHead,
        file: &[u8],
    ) -> Result<(SnapshotHead, u64), StateDirError> {
        let index = head.header.index;
        // Of all of it: one that is damaged behind its head is worth nothing.
        if let Ok(Some(kept)) = self.read(Some(index))
            && let Ok((of_kept, _)) = snapshot::read(&kept)
            && of_kept.header == head.header
            && of_kept.signers().len() >= head.signers().len()
        {
            return Ok((of_kept, kept.len() as u64));
        }
        self.save(index, file)?;
        Ok((head, file.len() as u64))
    }

    /// Keeps `file`, which stands for `index`, and forgets the ones beyond the number kept.
    pub(super) fn save(&self, index: LogIndex, file: &[u8]) -> Result<(), StateDirError> {
        files::prepare_inner_dir(&self.path)?;
        listing::clear_drafts(&self.path, |name| index_of(name).is_some())?;
        files::write(&self.path_of(index), file)?;
        let indices: Vec<_> = self.indices()?.into_iter().filter(|kept| *kept != index).collect();
        let surplus = (indices.len() + 1).saturating_sub(MAX_KEPT);
        for oldest in indices.into_iter().take(surplus) {
            files::remove(&self.path_of(oldest))?;
        }
        files::sync_parent(&self.path_of(index))
    }

    /// What each says of itself. The largest of them is not read for that.
    pub(crate) fn list(&self) -> Result<Listing, StateDirError> {
        let mut listing = Listing { snapshots: BTreeMap::new(), damaged: Vec::new() };
        for index in self.indices()? {
            match self.peek(index) {
                Ok((head, len)) if head.header.index == index => {
                    listing.snapshots.insert(index, (head, len));
                }
                _ => listing.damaged.push(name_of(index)),
            }
        }
        Ok(listing)
    }

    /// The file that stands for `index`, or for the latest one.
    pub(crate) fn read(&self, index: Option<LogIndex>) -> Result<Option<Vec<u8>>, StateDirError> {
        let index = match index {
            Some(index) => index,
            None => match self.indices()?.last() {
                Some(index) => *index,
                None => return Ok(None),
            },
        };
        Ok(files::read(&self.path_of(index), MAX_FILE)?.map(|bytes| bytes.to_vec()))
    }

    /// Removes all of them.
    pub(super) fn clear(&self) -> Result<(), StateDirError> {
        files::remove_dir(&self.path)
    }

    /// Those there are, in order.
    fn indices(&self) -> Result<Vec<LogIndex>, StateDirError> {
        let names = listing::names(&self.path)?;
        let mut indices: Vec<_> = names.iter().filter_map(|name| index_of(name)).collect();
        indices.sort_unstable();
        Ok(indices)
    }

    fn peek(&self, index: LogIndex) -> Result<(SnapshotHead, u64), String> {
        let path = self.path_of(index);
        files::check_file(&path).map_err(|error| error.to_string())?;
        let read = || {
            let file = File::open(&path)?;
            let len = file.metadata()?.len();
            let mut start = Vec::new();
            file.take(MAX_HEAD as u64).read_to_end(&mut start)?;
            Ok((start, len))
        };
        let (start, len) = read().map_err(|error: io::Error| error.to_string())?;
        let head = snapshot::peek(&start, len).map_err(|error| error.to_string())?;
        Ok((head, len))
    }

    fn path_of(&self, index: LogIndex) -> PathBuf {
        self.path.join(name_of(index))
    }
}

/// Twenty digits, so that names sort as their numbers do.
fn name_of(index: LogIndex) -> String {
    format!("{index:020}{SUFFIX}")
}

/// What the file `name` stands for. What is named otherwise was not put there by us: not ours to count, list or remove.
fn index_of(name: &OsStr) -> Option<LogIndex> {
    let index = name.to_str()?.strip_suffix(SUFFIX)?.parse().ok()?;
    (*name == *name_of(index)).then_some(index)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::os::unix::fs::PermissionsExt as _;

    use mesh_model::snapshot::SnapshotHeader;
    use mesh_model::view::StateHash;
    use mesh_model::wire::sync::{Checkpoint, ElectorateHash, Lead, LogHash, Place};
    use mesh_model::{IdentitySecret, MemberId, Signed};

    use super::*;
    use crate::io::fixture::root;

    fn file(index: LogIndex) -> Vec<u8> {
        snapshot::write(&head(index, &[]), b"abc")
    }

    /// What a file of `index` begins with that these voters say they have signed.
    fn head(index: LogIndex, signers: &[u64]) -> SnapshotHead {
        let key = IdentitySecret::from_seed([1; 32]);
        let word = |signer: &u64| Checkpoint {
            mesh: root().mesh,
            member: MemberId(*signer),
            at: Place { term: 1, index },
            log: LogHash::default(),
            state: StateHash([0; 32]),
            electorate: ElectorateHash([0; 32]),
            encoding: 1,
            lead: Lead { term: 1, leader: MemberId(1) },
        };
        let words = signers.iter().map(|signer| Signed::seal(&word(signer), &key)).collect();
        let header = SnapshotHeader {
            root: root(),
            mesh_name: "test".parse().expect("a name"),
            index,
            term: 1,
            state_hash: StateHash([0; 32]),
            agreed_ms: 0,
            members: 1,
            voters: BTreeSet::new(),
            state_len: 9,
            payload_len: 3,
        };
        SnapshotHead { header, words }
    }

    fn kept(dir: &SnapshotDir) -> Vec<LogIndex> {
        dir.list().expect("listed").snapshots.into_keys().collect()
    }

    #[test]
    fn the_oldest_makes_room_and_nobody_else_can_read_them() {
        let state_dir = tempfile::tempdir().expect("a directory");
        let dir = SnapshotDir::of(state_dir.path());
        assert_eq!(kept(&dir), [0; 0]);
        assert_eq!(dir.read(None).expect("read"), None);
        for index in (0..MAX_KEPT as u64 + 3).map(|step| 5 + 100 * step) {
            dir.save(index, &file(index)).expect("saved");
        }
        let expected: Vec<_> = (3..MAX_KEPT as u64 + 3).map(|step| 5 + 100 * step).collect();
        assert_eq!(kept(&dir), expected);
        assert_eq!(dir.read(Some(305)).expect("read"), Some(file(305)));
        assert_eq!(dir.read(Some(5)).expect("read"), None);
        assert_eq!(dir.read(None).expect("read"), Some(file(1005)));
        let mode = |path: &Path| std::fs::metadata(path).expect("there").permissions().mode();
        assert_eq!(mode(&dir.path) & 0o777, 0o700);
        assert_eq!(mode(&dir.path_of(305)) & 0o777, 0o600);
        // The same once more is no reason to forget another.
        dir.save(305, &file(305)).expect("saved");
        assert_eq!(kept(&dir), expected);
    }

    #[test]
    fn one_that_fewer_have_signed_does_not_replace_another_of_the_same_state() {
        let state_dir = tempfile::tempdir().expect("a directory");
        let dir = SnapshotDir::of(state_dir.path());
        let keep = |head: &SnapshotHead| {
            let file = snapshot::write(head, b"abc");
            let (kept, bytes) = dir.keep(head.clone(), &file).expect("kept");
            assert_eq!(dir.read(None).expect("read").map(|file| file.len() as u64), Some(bytes));
            kept.signers().len()
        };
        assert_eq!(keep(&head(5, &[])), 0);
        assert_eq!(keep(&head(5, &[1, 2])), 2);
        assert_eq!(keep(&head(5, &[])), 2);
        assert_eq!(keep(&head(5, &[1])), 2);
        let mut damaged = snapshot::write(&head(5, &[1, 2]), b"abc");
        *damaged.last_mut().expect("not empty") ^= 1;
        dir.save(5, &damaged).expect("saved");
        assert_eq!(keep(&head(5, &[1])), 1, "one that is damaged is worth nothing");
        let mut other = head(5, &[]);
        other.header.state_hash = StateHash([9; 32]);
        assert_eq!(keep(&other), 0, "of another state it is another snapshot");
    }

    #[test]
    fn a_new_one_with_a_low_index_is_not_the_one_to_go() {
        let state_dir = tempfile::tempdir().expect("a directory");
        let dir = SnapshotDir::of(state_dir.path());
        for index in 100..100 + MAX_KEPT as u64 {
            dir.save(index, &file(index)).expect("saved");
        }
        dir.save(7, &file(7)).expect("saved");
        assert!(kept(&dir).contains(&7) && !kept(&dir).contains(&100));
    }

    #[test]
    fn what_a_crash_left_half_written_goes_with_the_next_and_nothing_else_does() {
        let state_dir = tempfile::tempdir().expect("a directory");
        let dir = SnapshotDir::of(state_dir.path());
        dir.save(8, &file(8)).expect("saved");
        for name in [name_of(9) + ".new", "9.meshsnap.new".to_owned(), "mine.new".to_owned()] {
            std::fs::write(dir.path.join(name), "half").expect("written");
        }
        dir.save(10, &file(10)).expect("saved");
        let names = listing::names(&dir.path).expect("listed").into_iter().collect::<BTreeSet<_>>();
        let left = [name_of(8), name_of(10), "9.meshsnap.new".to_owned(), "mine.new".to_owned()];
        assert_eq!(names, left.into_iter().map(Into::into).collect());
    }

    #[test]
    fn damaged_files_are_named_and_strange_ones_left_alone() {
        let state_dir = tempfile::tempdir().expect("a directory");
        let dir = SnapshotDir::of(state_dir.path());
        dir.save(8, &file(8)).expect("saved");
        dir.save(9, &file(8)).expect("saved under another's name");
        dir.save(10, &file(10)[..20]).expect("saved in part");
        std::fs::write(dir.path.join("notes.txt"), "mine").expect("written");
        std::fs::write(dir.path.join("7.meshsnap"), "mine").expect("written");
        let listing = dir.list().expect("listed");
        assert_eq!(listing.snapshots.into_keys().collect::<Vec<_>>(), [8]);
        assert_eq!(listing.damaged, [name_of(9), name_of(10)]);
    }
}
