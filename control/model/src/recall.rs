//! Signatures that this thread has checked before.
//!
//! Every host checks every signature for itself. Where a whole mesh runs in one thread, in the simulator, each of its hosts comes to
//! the same result about the same bytes, and half of its time goes there: one check is enough. A check depends on nothing but
//! what is checked, so that nothing else changes. A daemon has nobody to share with, and does without (feature `recall`).

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::key::{IdentityKey, Signature, SignatureError};

/// How many are remembered before all are forgotten: some hundred of one simulated mesh's commands and gossip rounds are under way at
/// a time. 4 MB.
const MAX_RECALLED: usize = 1 << 16;

thread_local! {
    static RECALLED: RefCell<BTreeMap<[u8; 32], Result<(), SignatureError>>> = const { RefCell::new(BTreeMap::new()) };
}

/// What came of `check` for the same key, bytes and signature before, or comes of it now.
pub(crate) fn or_check(
    key: &IdentityKey,
    said: &[u8],
    signature: &Signature,
    check: impl FnOnce() -> Result<(), SignatureError>,
) -> Result<(), SignatureError> {
    let mut hasher = blake3::Hasher::new();
    hasher.update(key.as_bytes()).update(&signature.0).update(said);
    let asked = hasher.finalize().into();
    if let Some(before) = RECALLED.with_borrow(|recalled| recalled.get(&asked).copied()) {
        return before;
    }
    let checked = check();
    RECALLED.with_borrow_mut(|recalled| {
        if recalled.len() == MAX_RECALLED {
            recalled.clear();
        }
        recalled.insert(asked, checked);
    });
    checked
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::IdentitySecret;

    #[test]
    fn what_was_checked_once_is_not_checked_again_and_nothing_else_passes_for_it() {
        let secret = IdentitySecret::from_seed([1; 32]);
        let (key, signature) = (secret.public(), secret.sign("test", b"said"));
        let said = b"test\0said";
        assert_eq!(or_check(&key, said, &signature, || Ok(())), Ok(()));
        let never = || unreachable!("it was checked");
        assert_eq!(or_check(&key, said, &signature, never), Ok(()));
        let (other, mut forged) = (IdentitySecret::from_seed([2; 32]).public(), signature);
        forged.0[0] ^= 1;
        let fails = || Err(SignatureError);
        assert_eq!(or_check(&other, said, &signature, fails), Err(SignatureError));
        assert_eq!(or_check(&key, b"test\0else", &signature, fails), Err(SignatureError));
        assert_eq!(or_check(&key, said, &forged, fails), Err(SignatureError));
        assert_eq!(or_check(&key, said, &forged, never), Err(SignatureError));
    }
}
