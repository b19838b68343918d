//! The kernel's offloads: what makes many packets one to it.

/// Some of them. In the configuration, and where a device or a port is made: those that may be used. In counters
/// and in `mesh status --detailed`, whose names these are: those in use, what the kernel has of the former.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Offloads {
    /// The TUN device takes and gives super-packets of TCP.
    pub(crate) tun_tcp: bool,
    /// The TUN device takes and gives super-packets of UDP; never without those of TCP.
    pub(crate) tun_udp: bool,
    /// Runs of datagrams leave in one piece.
    pub(crate) udp_gso: bool,
    /// Runs of datagrams arrive in one buffer.
    pub(crate) udp_gro: bool,
}

impl Offloads {
    /// Their names.
    pub(crate) const NAMES: [&'static str; 4] = ["tun_tcp", "tun_udp", "udp_gso", "udp_gro"];

    /// All of them.
    pub(crate) const ALL: Self = Self::of([true; 4]);

    /// None of them.
    pub(crate) const NONE: Self = Self::of([false; 4]);

    /// Each by its name, and whether it is on.
    pub(crate) fn named(self) -> [(&'static str, bool); 4] {
        let on = [self.tun_tcp, self.tun_udp, self.udp_gso, self.udp_gro];
        std::array::from_fn(|n| (Self::NAMES[n], on[n]))
    }

    /// Those whose names are `chosen`.
    pub(crate) fn those(chosen: impl FnMut(&'static str) -> bool) -> Self {
        Self::of(Self::NAMES.map(chosen))
    }

    /// What both have.
    pub(crate) fn and(self, other: Self) -> Self {
        let (one, other) = (self.named(), other.named());
        Self::of(std::array::from_fn(|n| one[n].1 && other[n].1))
    }

    /// In the order of their names.
    const fn of([tun_tcp, tun_udp, udp_gso, udp_gro]: [bool; 4]) -> Self {
        Self { tun_tcp, tun_udp, udp_gso, udp_gro }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_goes_by_its_name() {
        let two = Offloads { tun_tcp: true, udp_gro: true, ..Offloads::NONE };
        assert_eq!(Offloads::those(|name| ["udp_gro", "tun_tcp"].contains(&name)), two);
        let on = two.named().into_iter().filter(|(_, on)| *on).map(|(name, _)| name);
        assert!(on.eq(["tun_tcp", "udp_gro"]));
    }

    #[test]
    fn in_use_is_what_all_have() {
        let one = Offloads { udp_gso: false, ..Offloads::ALL };
        let other = Offloads { tun_udp: false, ..Offloads::ALL };
        let both = Offloads { udp_gso: false, tun_udp: false, ..Offloads::ALL };
        assert_eq!(one.and(other), both);
        assert_eq!(Offloads::ALL.and(Offloads::NONE), Offloads::NONE);
    }
}
