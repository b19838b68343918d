//! BLAKE2s in the three uses WireGuard makes of it (WireGuard paper, section 5.4).

use blake2::digest::consts::U16;
use blake2::digest::{FixedOutput as _, KeyInit as _, Update as _};
use blake2::{Blake2s256, Blake2sMac, Digest as _};
use zeroize::Zeroizing;

/// 32 secret bytes, wiped when dropped.
pub(crate) type Key = Zeroizing<[u8; 32]>;

/// Bytes that BLAKE2s takes in at once, which HMAC pads its key to.
const BLOCK: usize = 64;

/// Hash(input): all parts, one behind the other.
pub(super) fn hash(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Blake2s256::new();
    for part in parts {
        blake2::Digest::update(&mut hash, part);
    }
    hash.finalize().into()
}

/// Mac(key, input): keyed BLAKE2s with an output of 16 bytes.
pub(super) fn mac(key: &[u8], input: &[u8]) -> [u8; 16] {
    let mut mac = Blake2sMac::<U16>::new_from_slice(key).expect("our keys have 16 or 32 bytes");
    mac.update(input);
    mac.finalize_fixed().into()
}

/// Hmac(key, input): HMAC (RFC 2104) over BLAKE2s.
fn hmac(key: &[u8; 32], parts: &[&[u8]]) -> Key {
    let pad = |with: u8| {
        let mut block = Zeroizing::new([with; BLOCK]);
        block.iter_mut().zip(key).for_each(|(pad, key)| *pad ^= key);
        block
    };
    let (inner, outer) = (pad(0x36), pad(0x5c));
    let mut hash = Blake2s256::new();
    blake2::Digest::update(&mut hash, inner.as_slice());
    for part in parts {
        blake2::Digest::update(&mut hash, part);
    }
    let digest: Key = Zeroizing::new(hash.finalize().into());
    Zeroizing::new(self::hash(&[outer.as_slice(), digest.as_slice()]))
}

/// Kdf_n(key, input): HKDF (RFC 5869) with `N` outputs.
pub(super) fn kdf<const N: usize>(key: &[u8; 32], input: &[u8]) -> [Key; N] {
    let root = hmac(key, &[input]);
    let mut previous: Option<Key> = None;
    std::array::from_fn(|n| {
        let count = [n as u8 + 1];
        let previous_bytes = previous.as_deref().map_or(&[][..], |bytes| bytes);
        let output = hmac(&root, &[previous_bytes, &count]);
        previous = Some(output.clone());
        output
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chain_of_a_kdf_does_not_depend_on_its_length() {
        let [one] = kdf::<1>(&[1; 32], b"input");
        let [first, second, third] = kdf::<3>(&[1; 32], b"input");
        assert_eq!(one, first);
        assert_ne!(first, second);
        assert_ne!(second, third);
        assert_ne!(kdf::<1>(&[2; 32], b"input")[0], one);
    }

    #[test]
    fn known_answers() {
        // BLAKE2s-256 of "abc" (RFC 7693, appendix B).
        assert_eq!(hash(&[b"a", b"bc"])[..4], [0x50, 0x8c, 0x5e, 0x8c]);
        // The construction's hash, as every WireGuard implementation starts from it.
        let start = hash(&[b"Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s"]);
        assert_eq!(start[..4], [96, 226, 109, 174]);
    }
}
