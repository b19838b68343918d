//! What is going to happen, in order.

use std::collections::BTreeMap;
use std::time::Duration;

use mesh_control::command::{Command, Outcome};
use mesh_control::raft::{
    Applied, Group, GroupError, GroupFailure, Leadership, ProposeError, ReadError, TransferError,
};
use mesh_model::trust::Admission;
use mesh_model::view::ClusterView;
use mesh_model::wire::join::PeerHint;
use mesh_model::{InviteId, LogIndex, MemberId};

use super::rotating::NextStep;
use crate::faults::Kind;
use crate::invariants::{Asker, Invocation};
use crate::life::LifeId;
use crate::net::HostNo;

/// A joining host, in one of its incarnations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Joiner {
    pub(super) host: HostNo,
    pub(super) incarnation: u64,
}

/// What a door answers a joiner.
pub(super) enum Reply {
    Welcome { member: MemberId, snapshot: Vec<u8>, hints: Vec<PeerHint> },
    Refused,
}

/// Something that is going to happen at a time known in advance.
pub(super) enum Event {
    /// A datagram of `sender` on `from` arrives at `to`.
    Datagram { from: HostNo, sender: MemberId, to: HostNo, bytes: Vec<u8> },
    /// Somebody does something.
    Load,
    /// Something breaks or mends.
    Fault,
    /// Something of this kind does, because the script says so.
    Scripted(Kind),
    /// A dead host starts again.
    Restart(HostNo),
    /// An admin has the mesh go on from this host.
    Recover(HostNo),
    /// A host that was lost is `back`, or another takes its place.
    Replace { host: HostNo, back: bool },
    /// It is looked whether somebody stays in an epoch that is over.
    Muster,
    /// Peer caches are saved.
    SaveHints,
    /// A joiner asks a door, for the first time or again.
    TryJoin(Joiner),
    /// The request arrives at the door.
    AskDoor { door: HostNo, joiner: Joiner, admission: Box<Admission> },
    /// The answer arrives at the joiner.
    Answer { joiner: Joiner, reply: Reply },
    /// A leaving member asks, for the first time or again.
    TryLeave { host: HostNo, incarnation: u64 },
    /// An admin does something.
    Rule,
    /// Operators do something about builds.
    Operate,
    /// Admins make admins, or say what only they can.
    Govern,
    /// Some host changes its WireGuard key.
    Rotate,
    /// Daemons look whether changes of their keys have come further.
    SettleKeys,
    /// A host is removed, for the first time or again.
    TryRemove { host: HostNo, incarnation: u64 },
    /// Whoever is still banned is pardoned.
    Pardon,
    /// The traitor does something by itself.
    Betray,
    /// The forger proposes something.
    Forge,
    /// Somebody looks whether the traitor was found out, and has it banned.
    Watch,
    /// Nothing breaks from now on.
    Calm,
    /// Everything acknowledged is proposed again.
    Repeat,
    /// Every member sends every other a packet in both families.
    Probe,
    /// All sessions end.
    EndSessions,
    /// The run is over.
    End,
}

/// Events by time; those of one time in the order they were added.
#[derive(Default)]
pub(super) struct Queue {
    events: BTreeMap<(Duration, u64), Event>,
    added: u64,
}

impl Queue {
    pub(super) fn add(&mut self, at: Duration, event: Event) {
        self.added += 1;
        self.events.insert((at, self.added), event);
    }

    /// When the first event is.
    pub(super) fn first(&self) -> Option<Duration> {
        self.events.first_key_value().map(|((at, _), _)| *at)
    }

    /// The first event, if it is due.
    pub(super) fn due(&mut self, now: Duration) -> Option<Event> {
        let entry = self.events.first_entry()?;
        (entry.key().0 <= now).then(|| entry.remove())
    }
}

/// What a proposal is for.
#[derive(Debug, Clone)]
pub(super) enum Purpose {
    /// An invite the load made.
    Invite,
    /// To let a joiner in.
    Admit(Joiner, InviteId),
    /// To let an intruder in, which must not come to pass.
    Intrude,
    /// To let a member go.
    Depart(u64),
    /// To have a ruling, a policy or the end of a ban stand.
    Rule,
    /// To have what only the newer build has.
    Trial,
    /// To have what admins say of each other, of labels or of who may reach whom stand; whether enough of them signed it.
    Govern(bool),
    /// To have a member's word on its key stand.
    Rekey,
    /// To see whether the acknowledgement of this number still holds.
    Repeat(usize),
}

impl Purpose {
    /// Who wants it.
    fn asker(&self) -> Asker {
        match self {
            Self::Admit(..) | Self::Intrude => Asker::Newcomer,
            _ => Asker::Program,
        }
    }
}

/// What tasks tell the world, at once.
pub(super) enum Notice {
    Started(Result<Group, GroupError>),
    View(std::sync::Arc<ClusterView>),
    Leadership(Leadership),
    Failed(GroupFailure),
    /// A daemon has on disk how far it knows the log to be agreed, if its disk did not fail.
    Kept {
        asked: Duration,
        step: NextStep,
        done: bool,
    },
    Transferred {
        asked: Duration,
        result: Result<Leadership, TransferError>,
    },
    Read {
        asked: Duration,
        begun: LogIndex,
        result: Result<LogIndex, ReadError>,
        applied: LogIndex,
    },
    Proposed {
        asked: Duration,
        command: Box<Command>,
        purpose: Purpose,
        begun: Invocation,
        result: Result<Applied, ProposeError>,
    },
    Forged {
        command: Command,
        answer: Option<Outcome>,
    },
    Welcome {
        asked: Duration,
        joiner: Joiner,
        outcome: Outcome,
        snapshot: Option<Vec<u8>>,
    },
}

impl Notice {
    /// Who asked, and when, if this is an answer that the host vouches for.
    pub(super) fn vouched(&self) -> Option<(Asker, Duration)> {
        match self {
            Self::Proposed { asked, purpose, result: Ok(_), .. } => Some((purpose.asker(), *asked)),
            Self::Welcome { asked, snapshot: Some(_), .. } => Some((Asker::Newcomer, *asked)),
            Self::Read { asked, result: Ok(_), .. }
            | Self::Transferred { asked, result: Ok(_) }
            | Self::Kept { asked, done: true, .. } => Some((Asker::Program, *asked)),
            _ => None,
        }
    }
}

/// A notice and who says so.
pub(super) struct Said {
    pub(super) host: HostNo,
    pub(super) life: LifeId,
    pub(super) notice: Notice,
}
