//! Handshake initiations that look right and are not.

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::key::PublicKey;
use super::message::{INITIATION_LEN, mac1};

/// Makes initiations whose first code is valid, which anybody can who knows the victim's public key, and
/// whose rest is random: all that an outsider can make a device compute for.
#[derive(Debug)]
pub struct Forger {
    victim: PublicKey,
    chance: ChaCha8Rng,
}

impl Forger {
    /// Forgeries for the owner of `victim`.
    pub fn new(victim: PublicKey, seed: u64) -> Self {
        Self { victim, chance: ChaCha8Rng::seed_from_u64(seed) }
    }

    /// The next one.
    pub fn initiation(&mut self) -> [u8; INITIATION_LEN] {
        let mut message = [0; INITIATION_LEN];
        message[0] = 1;
        self.chance.fill_bytes(&mut message[4..116]);
        let mac = mac1(self.victim, &message[..116]);
        message[116..132].copy_from_slice(&mac);
        message
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wireguard::SecretKey;
    use crate::wireguard::message::{Kind, is_for};

    #[test]
    fn a_forgery_is_for_its_victim_and_never_the_same() {
        let [victim, other] = [1, 2].map(|number| SecretKey::numbered(number).public());
        let mut forger = Forger::new(victim, 1);
        let forged = forger.initiation();
        assert_eq!(Kind::of(&forged), Some(Kind::Initiation));
        assert!(is_for(&forged, victim) && !is_for(&forged, other));
        assert_ne!(forged, forger.initiation());
    }
}
