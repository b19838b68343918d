//! Who a SWIM message is from and about.

use mesh_model::MemberId;

/// The highest generation anyone but the member itself may claim for it. Generations start from
/// milliseconds since 1970, so no honest clock comes near; above it a member still has as many
/// generations of its own to outbid a lie with.
pub(super) const HIGHEST_RUMOURED: u64 = 1 << 62;

/// One life of one member.
///
/// A member starts each life with the time of its start as generation and adds one whenever the
/// others have declared that life dead while it was not. Of two lives the greater generation counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SwimId {
    pub(super) member: MemberId,
    pub(super) generation: u64,
}

impl SwimId {
    /// Some life of `member`, whichever it is in: enough to address an announcement.
    pub(super) fn any_life_of(member: MemberId) -> Self {
        Self { member, generation: 0 }
    }
}

impl foca::Identity for SwimId {
    type Addr = MemberId;

    fn renew(&self) -> Option<Self> {
        let generation = self.generation.checked_add(1)?;
        Some(Self { generation, ..*self })
    }

    fn addr(&self) -> MemberId {
        self.member
    }

    fn win_addr_conflict(&self, adversary: &Self) -> bool {
        self.generation > adversary.generation
    }
}
