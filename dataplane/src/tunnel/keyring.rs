//! This host's key pairs: the one it goes by and, while that changes, one more that it answers to.

use mesh_model::TunnelKey;

use super::identity::Identity;
use crate::drops::Drop;
use crate::keys::{OtherKey, OwnKeys};

/// The key pairs.
pub(crate) struct Keyring {
    current: Identity,
    other: Option<Identity>,
    /// The other one is the one before the current, which peers may know this host by.
    is_before: bool,
}

impl Keyring {
    pub(crate) fn new(keys: &OwnKeys) -> Self {
        let (other, is_before) = match &keys.other {
            None => (None, false),
            Some(OtherKey::Next(next)) => (Some(next), false),
            Some(OtherKey::Before(before)) => (Some(before), true),
        };
        let current = Identity::new(&keys.current);
        let other = other.map(Identity::new).filter(|other| other.key() != current.key());
        Self { current, other, is_before }
    }

    /// What this host goes by.
    pub(crate) fn current(&self) -> &Identity {
        &self.current
    }

    /// The key pair of `key`, if it is ours.
    pub(crate) fn of(&self, key: &TunnelKey) -> Option<&Identity> {
        [Some(&self.current), self.other.as_ref()].into_iter().flatten().find(|it| it.key() == key)
    }

    /// Which of ours the sender of a handshake message knows, by its first MAC. A message from one that knows
    /// neither costs two MACs and no more.
    pub(crate) fn addressed(&self, message: &[u8]) -> Result<&Identity, Drop> {
        match (self.current.check_mac(message), &self.other) {
            (Ok(()), _) => Ok(&self.current),
            (Err(_), Some(other)) => other.check_mac(message).map(|()| other),
            (Err(drop), None) => Err(drop),
        }
    }

    /// As whom this host begins the `nth` handshake of an attempt with a peer that answered to it as `known`
    /// before. One that may know it by the key before is greeted with both in turn.
    pub(crate) fn greeting(&self, nth: usize, known: Option<TunnelKey>) -> &Identity {
        match &self.other {
            Some(before)
                if self.is_before && nth % 2 == 1 && known != Some(*self.current.key()) =>
            {
                before
            }
            _ => &self.current,
        }
    }
}

#[cfg(test)]
mod tests {
    use mesh_model::TunnelSecret;

    use super::*;

    fn secret(n: u8) -> TunnelSecret {
        TunnelSecret::from_bytes([n; 32])
    }

    fn greetings(other: Option<OtherKey>, known: Option<TunnelKey>) -> Vec<TunnelKey> {
        let keyring = Keyring::new(&OwnKeys { current: secret(1), other });
        (0..4).map(|nth| *keyring.greeting(nth, known).key()).collect()
    }

    #[test]
    fn only_a_peer_that_may_not_know_the_current_key_is_greeted_with_the_one_before() {
        let [current, before] = [1, 2].map(|n| secret(n).public());
        let turns = [current, before, current, before];
        for known in [None, Some(before)] {
            assert_eq!(greetings(Some(OtherKey::Before(secret(2))), known), turns);
            assert_eq!(greetings(Some(OtherKey::Next(secret(2))), known), [current; 4]);
            assert_eq!(greetings(None, known), [current; 4]);
        }
        let settled = greetings(Some(OtherKey::Before(secret(2))), Some(current));
        assert_eq!(settled, [current; 4]);
    }

    #[test]
    fn a_message_is_for_the_key_its_mac_was_made_with() {
        let keyring =
            Keyring::new(&OwnKeys { current: secret(1), other: Some(OtherKey::Next(secret(2))) });
        let signed = |n| {
            let mut message = [7; 148];
            Identity::new(&secret(n)).macs.sign(&mut message, None);
            message
        };
        let addressed = |n| keyring.addressed(&signed(n)).map(|own| *own.key());
        assert_eq!(addressed(1), Ok(secret(1).public()));
        assert_eq!(addressed(2), Ok(secret(2).public()));
        assert_eq!(addressed(3), Err(Drop::BadMac));
    }
}
