use mesh_model::TunnelSecret;
use rand::SeedableRng as _;

use super::*;
use crate::wall::WallTime;

struct Both {
    ours: Identity,
    theirs: Identity,
    rng: ChaCha20Rng,
}

fn both() -> Both {
    let identity = |n| Identity::new(&TunnelSecret::from_bytes([n; 32]));
    Both { ours: identity(1), theirs: identity(2), rng: ChaCha20Rng::from_seed([3; 32]) }
}

impl Both {
    fn initiate(&mut self) -> (Initiator, [u8; INITIATION]) {
        let mut out = [0; INITIATION];
        let mut peer = Remote::new(*self.theirs.key());
        let stamp = Stamp::at(WallTime::default());
        let written = Initiator::write(&self.ours, &mut peer, stamp, &mut self.rng, &mut out);
        (written.expect("a good key"), out)
    }

    fn answer(
        &mut self,
        psk: Option<&PresharedKey>,
        initiation: &[u8; INITIATION],
    ) -> Result<(Transport, [u8; RESPONSE]), Drop> {
        let mut hello = Hello::read(&self.theirs, initiation)?;
        let mut peer = Remote::new(hello.peer);
        hello.stamp(peer.shared(&self.theirs)?, initiation)?;
        let mut out = [0; RESPONSE];
        let keys = hello.answer(psk, &mut self.rng, &mut out)?;
        Ok((keys, out))
    }
}

#[test]
fn both_ends_agree_and_a_forged_response_spoils_nothing() {
    let mut both = both();
    let psk = PresharedKey::from_bytes([9; 32]);
    let (initiator, initiation) = both.initiate();
    let hello = Hello::read(&both.theirs, &initiation).expect("genuine");
    assert_eq!(hello.peer, *both.ours.key());
    let (far, response) = both.answer(Some(&psk), &initiation).expect("genuine");
    for at in 12..60 {
        let mut forged = response;
        forged[at] ^= 1;
        assert!(initiator.read(&both.ours, Some(&psk), &forged).is_err(), "byte {at}");
    }
    assert!(initiator.read(&both.ours, None, &response).is_err());
    let near = initiator.read(&both.ours, Some(&psk), &response).expect("genuine");
    assert_eq!(near.send, far.receive);
    assert_eq!(near.receive, far.send);
    assert_ne!(near.send, near.receive);
}

#[test]
fn every_byte_of_an_initiation_counts() {
    let mut both = both();
    let (_, initiation) = both.initiate();
    for at in 8..116 {
        let mut forged = initiation;
        forged[at] ^= 1;
        assert!(both.answer(None, &forged).is_err(), "byte {at}");
    }
    assert!(both.answer(None, &initiation).is_ok());
}

#[test]
fn ephemeral_keys_of_low_order_are_refused() {
    let mut both = both();
    let (initiator, initiation) = both.initiate();
    let (_, response) = both.answer(None, &initiation).expect("genuine");
    for low in [0, 1] {
        let mut ephemeral = [0; 32];
        ephemeral[0] = low;
        let mut forged = initiation;
        forged[initiation::EPHEMERAL].copy_from_slice(&ephemeral);
        assert_eq!(Hello::read(&both.theirs, &forged).err(), Some(Drop::HandshakeInvalid));
        assert!(both.theirs.agree(&ephemeral).is_none());
        let mut forged = response;
        forged[response::EPHEMERAL].copy_from_slice(&ephemeral);
        let read = initiator.read(&both.ours, None, &forged);
        assert_eq!(read.err(), Some(Drop::HandshakeInvalid));
    }
}
