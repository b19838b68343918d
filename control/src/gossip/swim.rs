//! SWIM itself: the `foca` crate, its effects collected instead of carried out.

use std::time::Duration;

use bytes::BufMut as _;
use foca::{Codec as _, Foca, Identity as _, Member, Message, Notification, State, Timer};
use mesh_model::MemberId;
use rand_chacha::ChaCha8Rng;

use super::packet::ROOM;
use super::swim_codec::{SwimCodec, UPDATE_LEN};
use super::swim_id::SwimId;
use super::timing::Timing;

/// What SWIM wants done. Taken out and carried out after each call.
#[derive(Debug, Default)]
pub(super) struct Effects {
    pub(super) sent: Vec<(MemberId, Vec<u8>)>,
    pub(super) timers: Vec<(Duration, Timer<SwimId>)>,
    /// Someone answered for the first time, or again after everyone was silent.
    pub(super) connected: bool,
    /// Our life was declared over; we began the next.
    pub(super) reborn: bool,
}

impl foca::Runtime<SwimId> for &mut Effects {
    fn notify(&mut self, notification: Notification<'_, SwimId>) {
        match notification {
            Notification::Active => self.connected = true,
            Notification::Rejoin(_) => self.reborn = true,
            // The table of members tells the rest.
            Notification::MemberUp(_)
            | Notification::MemberDown(_)
            | Notification::Rename(_, _)
            | Notification::Idle
            | Notification::Defunct => {}
        }
    }

    fn send_to(&mut self, to: SwimId, data: &[u8]) {
        self.sent.push((to.member, data.to_vec()));
    }

    fn submit_after(&mut self, event: Timer<SwimId>, after: Duration) {
        self.timers.push((after, event));
    }
}

/// One member's standing in SWIM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) state: State,
    pub(super) generation: u64,
    pub(super) incarnation: u16,
}

/// SWIM and its pending effects.
pub(super) struct Swim {
    foca: Foca<SwimId, SwimCodec, ChaCha8Rng, foca::NoCustomBroadcast>,
    effects: Effects,
    /// Our own, as last sent.
    incarnation: u16,
}

impl Swim {
    pub(super) fn new(me: SwimId, timing: &Timing, members: usize, rng: ChaCha8Rng) -> Self {
        Self {
            foca: Foca::new(me, timing.swim(members), rng, SwimCodec),
            effects: Effects::default(),
            incarnation: 0,
        }
    }

    /// This host's present life.
    pub(super) fn me(&self) -> SwimId {
        *self.foca.identity()
    }

    /// How often this life has refuted a suspicion.
    pub(super) fn incarnation(&self) -> u16 {
        self.incarnation
    }

    /// Adjusts to a mesh of `members`.
    pub(super) fn resize(&mut self, timing: &Timing, members: usize) {
        let adjusted = self.foca.set_config(timing.swim(members));
        debug_assert!(adjusted.is_ok(), "only what may change was changed");
    }

    pub(super) fn handle_data(&mut self, data: &[u8]) -> Result<(), foca::Error> {
        self.foca.handle_data(data, &mut self.effects)
    }

    pub(super) fn handle_timer(&mut self, timer: Timer<SwimId>) -> Result<(), foca::Error> {
        self.foca.handle_timer(timer, &mut self.effects)
    }

    /// Whether there is something to pass on.
    pub(super) fn has_news(&self) -> bool {
        self.foca.updates_backlog() > 0
    }

    /// Calls on `member`, which answers with the members it knows.
    pub(super) fn announce(&mut self, member: MemberId) -> Result<(), foca::Error> {
        self.foca.announce(SwimId::any_life_of(member), &mut self.effects)
    }

    /// Begins a life that outbids `generation`, if ours does not.
    pub(super) fn outbid(&mut self, generation: u64) -> Result<(), foca::Error> {
        let me = self.me();
        if generation <= me.generation {
            return Ok(());
        }
        let Some(next) = (SwimId { generation, ..me }).renew() else {
            return Ok(());
        };
        self.effects.reborn = true;
        self.foca.change_identity(next, &mut self.effects)
    }

    /// Forgets a member that has left the mesh.
    pub(super) fn forget(&mut self, member: MemberId) -> Result<(), foca::Error> {
        let known = self.foca.iter_membership_state();
        let Some(id) = known.map(|m| *m.id()).find(|id| id.member == member) else {
            return Ok(());
        };
        let gone = std::iter::once(Member::down(id));
        self.foca.apply_many(gone, false, &mut self.effects)?;
        self.handle_timer(Timer::RemoveDown(id))
    }

    /// Every member SWIM has heard of, in no particular order.
    pub(super) fn standings(&self) -> impl Iterator<Item = (MemberId, Standing)> + '_ {
        self.foca.iter_membership_state().map(|member| {
            let standing = Standing {
                state: member.state(),
                generation: member.id().generation,
                incarnation: member.incarnation(),
            };
            (member.id().member, standing)
        })
    }

    pub(super) fn take_effects(&mut self) -> Effects {
        let effects = std::mem::take(&mut self.effects);
        // The crate keeps it to itself, but every message says it.
        if let Some((_, message)) = effects.sent.last()
            && let Ok(header) = SwimCodec.decode_header(&message[..])
        {
            self.incarnation = header.src_incarnation;
        }
        effects
    }
}

/// Tells a suspect that it is one, on a message that goes to it anyway (the buddy system of
/// Lifeguard): otherwise it depends on luck whether the rumour comes by before time is up.
pub(super) fn tell_suspect(message: &mut Vec<u8>, to: MemberId, standing: Standing) {
    let mut rest = &message[..];
    let Ok(header) = SwimCodec.decode_header(&mut rest) else {
        return;
    };
    let bare =
        matches!(header.message, Message::Announce | Message::Broadcast | Message::TurnUndead);
    let at = message.len() - rest.len();
    let Some(tally) = message.get(at..at + 2).filter(|_| !bare) else {
        return;
    };
    let count = u16::from_be_bytes([tally[0], tally[1]]).saturating_add(1);
    if message.len() + UPDATE_LEN > ROOM {
        return;
    }
    let suspect = SwimId { member: to, generation: standing.generation };
    message[at..at + 2].copy_from_slice(&count.to_be_bytes());
    let update = Member::new(suspect, standing.incarnation, State::Suspect);
    let mut end = message.limit(UPDATE_LEN);
    let appended = SwimCodec.encode_member(&update, &mut end);
    debug_assert!(appended.is_ok(), "room was checked");
}

#[cfg(test)]
mod tests {
    use foca::Header;

    use super::*;

    const SUSPECT: Standing = Standing { state: State::Suspect, generation: 5, incarnation: 3 };

    fn message(message: Message<SwimId>, tally: Option<u16>) -> Vec<u8> {
        let id = SwimId::any_life_of(MemberId(1));
        let header = Header { src: id, src_incarnation: 0, dst: id, message };
        let mut bytes = Vec::new();
        SwimCodec.encode_header(&header, &mut bytes).expect("room");
        if let Some(tally) = tally {
            bytes.put_u16(tally);
        }
        bytes
    }

    #[test]
    fn a_suspect_is_told_on_what_goes_to_it_anyway() {
        let mut ping = message(Message::Ping(1), Some(0));
        let tally_at = ping.len() - 2;
        tell_suspect(&mut ping, MemberId(2), SUSPECT);
        assert_eq!(ping[tally_at..tally_at + 2], [0, 1]);
        let told = SwimCodec.decode_member(&ping[tally_at + 2..]).expect("one update");
        let suspect = SwimId { member: MemberId(2), generation: 5 };
        assert_eq!(told, Member::new(suspect, 3, State::Suspect));
    }

    #[test]
    fn messages_without_updates_or_room_stay_as_they_are() {
        let mut full = message(Message::Ping(1), Some(0));
        full.resize(ROOM, 0);
        for before in [message(Message::Announce, None), message(Message::TurnUndead, None), full] {
            let mut after = before.clone();
            tell_suspect(&mut after, MemberId(2), SUSPECT);
            assert_eq!(after, before);
        }
    }
}
