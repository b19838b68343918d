//! A member never accepts a packet whose inner source is not its sender's, and never accepts one
//! packet twice.
//!
//! Each packet says in its payload who really sent it; the packet core does not look there. So a
//! forged source that got through shows.

use std::collections::BTreeSet;
use std::net::IpAddr;

use mesh_model::MemberId;

use super::Violation;
use crate::reference::Reference;

/// See the [module](self).
#[derive(Default)]
pub struct HonestSources {
    accepted: BTreeSet<u64>,
}

impl HonestSources {
    /// `by` accepted packet `nonce` with inner source `source`, really sent by `sender`.
    pub fn check(
        &mut self,
        by: MemberId,
        (nonce, sender, source): (u64, MemberId, IpAddr),
        reference: &Reference,
    ) -> Result<(), Violation> {
        if !reference.owns(sender, source) {
            let message = format!("{by} accepted packet {nonce} from {source}, sent by {sender}");
            return Err(Violation::new("honest_sources", message));
        }
        if !self.accepted.insert(nonce) {
            let message = format!("{by} accepted packet {nonce} a second time");
            return Err(Violation::new("honest_sources", message));
        }
        Ok(())
    }

    /// `by` heard a control frame it took to be `taken_for`'s, with inner source `source`, really sent
    /// by `sender`.
    pub fn check_control(
        &self,
        by: MemberId,
        (taken_for, sender, source): (MemberId, MemberId, IpAddr),
        reference: &Reference,
    ) -> Result<(), Violation> {
        if taken_for == sender && reference.owns(sender, source) {
            return Ok(());
        }
        let message =
            format!("{by} heard {sender} as {taken_for} with source {source} on a control port");
        Err(Violation::new("honest_sources", message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invariants::sample::view;

    #[test]
    fn forged_sources_and_second_copies_are_seen() {
        let mut reference = Reference::default();
        reference.see(&view(4, 1, &[(1, [0, 1]), (3, [0, 2])]));
        let (one, three) = (MemberId(1), MemberId(3));
        let source: IpAddr = [100, 88, 0, 2].into();
        let mut sources = HonestSources::default();
        sources.check(one, (1, three, source), &reference).unwrap();
        assert!(sources.check(one, (1, three, source), &reference).is_err(), "twice");
        assert!(sources.check(three, (2, one, source), &reference).is_err(), "not its own");
        assert!(sources.check_control(one, (three, three, source), &reference).is_ok());
        assert!(sources.check_control(one, (three, one, source), &reference).is_err());
    }
}
