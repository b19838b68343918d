//! A root key split into shares, and made again from them (Shamir, "How to Share a Secret", CACM 22(11), 1979).

use std::collections::BTreeMap;

use blahaj::{Share, Sharks};
use mesh_model::IdentitySecret;
use mesh_model::trust::{MeshRoot, RootShare};
use zeroize::Zeroizing;

/// Why shares do not make a key. Each is known by its place in what was given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SplitError {
    /// One is of another mesh than the first.
    #[error("{} is of the mesh {}, the first one of {}", .at.0, .at.1, .first)]
    OtherMesh {
        /// Which, and whose.
        at: (usize, String),
        /// The first one's mesh.
        first: String,
    },
    /// One is of another splitting than the first.
    #[error("{0} was made at another time than the first: shares of two splittings do not mix")]
    OtherSet(usize),
    /// Two are the same one.
    #[error("{0} and {1} are the same share")]
    Twice(usize, usize),
    /// There are not enough.
    #[error("{given} of the {threshold} shares that are needed were given")]
    TooFew {
        /// How many there are.
        given: usize,
        /// How many are needed.
        threshold: u8,
    },
    /// They make another key.
    #[error("together they do not make the root key: one of them was altered")]
    Altered,
}

/// Splits `secret` so that `threshold` of `shares` make it again; `set` marks what was split together.
pub(crate) fn split(
    secret: &IdentitySecret,
    set: [u8; 8],
    threshold: u8,
    shares: u8,
) -> Vec<RootShare> {
    let root = MeshRoot::of(secret.public());
    let seed = secret.to_seed();
    let dealer = Sharks(threshold).dealer(&*seed).take(shares.into());
    let made = dealer.map(|share| {
        let bytes = Zeroizing::new(Vec::from(&share));
        let (index, rest) = bytes.split_first().expect("a share starts with its number");
        let secret = rest.try_into().expect("a share is as long as the secret");
        RootShare { root, set, threshold, shares, index: *index, secret }
    });
    made.collect()
}

/// The key that `shares` make.
pub(crate) fn join(shares: &[RootShare]) -> Result<IdentitySecret, SplitError> {
    let Some(first) = shares.first() else {
        return Err(SplitError::TooFew { given: 0, threshold: mesh_model::trust::MIN_THRESHOLD });
    };
    let mut seen: BTreeMap<u8, usize> = BTreeMap::new();
    for (at, share) in shares.iter().enumerate() {
        if share.root != first.root {
            let at = (at, share.root.mesh.to_string());
            return Err(SplitError::OtherMesh { at, first: first.root.mesh.to_string() });
        }
        if (share.set, share.threshold, share.shares) != (first.set, first.threshold, first.shares)
        {
            return Err(SplitError::OtherSet(at));
        }
        if let Some(before) = seen.insert(share.index, at) {
            return Err(SplitError::Twice(before, at));
        }
    }
    let (given, threshold) = (shares.len(), first.threshold);
    if given < usize::from(threshold) {
        return Err(SplitError::TooFew { given, threshold });
    }
    let points: Vec<Share> = shares.iter().map(point).collect();
    let seed = Zeroizing::new(Sharks(threshold).recover(&points).unwrap_or_default());
    let seed: Zeroizing<[u8; 32]> =
        Zeroizing::new(seed.as_slice().try_into().map_err(|_| SplitError::Altered)?);
    let secret = IdentitySecret::from_seed(*seed);
    match secret.public() == first.root.key {
        true => Ok(secret),
        false => Err(SplitError::Altered),
    }
}

fn point(share: &RootShare) -> Share {
    let bytes = Zeroizing::new([&[share.index], &share.secret[..]].concat());
    Share::try_from(bytes.as_slice()).expect("33 bytes are a number and a secret")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret() -> IdentitySecret {
        IdentitySecret::from_seed([7; 32])
    }

    fn shares() -> Vec<RootShare> {
        split(&secret(), [1; 8], 3, 5)
    }

    #[test]
    fn any_threshold_of_them_make_the_key_and_fewer_do_not() {
        let shares = shares();
        for a in 0..5 {
            for b in 0..5 {
                for c in 0..5 {
                    let picked = [&shares[a], &shares[b], &shares[c]].map(Clone::clone);
                    let joined = join(&picked);
                    match a != b && b != c && a != c {
                        true => assert_eq!(joined.map(|key| key.to_seed()), Ok(secret().to_seed())),
                        false => assert!(matches!(joined, Err(SplitError::Twice(..)))),
                    }
                }
            }
        }
        assert_eq!(join(&shares).map(|key| key.public()), Ok(secret().public()));
        let few = join(&shares[..2]).err();
        assert_eq!(few, Some(SplitError::TooFew { given: 2, threshold: 3 }));
        assert_eq!(join(&[]).err(), Some(SplitError::TooFew { given: 0, threshold: 2 }));
    }

    #[test]
    fn shares_that_do_not_belong_together_are_told_by_their_place() {
        let ours = shares();
        let mixed = [ours[0].clone(), ours[1].clone(), split(&secret(), [2; 8], 3, 5)[2].clone()];
        assert_eq!(join(&mixed).err(), Some(SplitError::OtherSet(2)));
        let theirs = split(&IdentitySecret::from_seed([8; 32]), [1; 8], 3, 5);
        let mixed = [ours[0].clone(), theirs[1].clone(), ours[2].clone()];
        assert!(matches!(join(&mixed), Err(SplitError::OtherMesh { at: (1, _), .. })));
        let mut altered = ours[..3].to_vec();
        altered[1].secret[0] ^= 1;
        assert_eq!(join(&altered).err(), Some(SplitError::Altered));
    }

    #[test]
    fn a_share_does_not_show_the_key() {
        for share in shares() {
            assert_ne!(share.secret, [7; 32]);
            assert!(!format!("{share:?}").contains("secret"));
        }
    }
}
