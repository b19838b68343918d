//! Which links a fault cuts: directed, so that a way may work and the way back not.
//!
//! ```text
//! Sides        a b | c d        two groups, nothing between them
//! Bridge       a b - x - c d    two groups, and one host that sees both
//! Ring         a - b - c - a    each host sees its two neighbours
//! LastLink     l - x - a - b    the leader keeps one follower, which keeps its lease alive and is itself
//!                  x - b        wanted by the others for their majority (openraft issue 2080)
//! Mute, Deaf   a -> * or * -> a nobody hears one host, or it hears nobody
//! OneWay       a -> b           one link, one way
//! ```

use std::collections::BTreeSet;

use rand::seq::{IndexedRandom as _, SliceRandom as _};
use rand::{Rng, RngExt as _};

use crate::net::HostNo;

/// Directed links: from, to.
pub type Links = BTreeSet<(HostNo, HostNo)>;

/// How links are cut; see the [module](self).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Two groups that do not see each other.
    Sides,
    /// Two groups and a host that sees both.
    Bridge,
    /// Everybody sees two neighbours.
    Ring,
    /// The leader sees one other host, all others see each other.
    LastLink,
    /// Nobody hears the leader, which hears everybody.
    MuteLeader,
    /// The leader hears nobody, and is heard.
    DeafLeader,
    /// Nobody hears some host, which hears everybody.
    Mute,
    /// Some host hears nobody, and is heard.
    Deaf,
    /// One direction of one link.
    OneWay,
}

impl Shape {
    /// The links to cut among `hosts`, of which `leader` leads if anybody does.
    pub fn draw(self, hosts: &[HostNo], leader: Option<HostNo>, rng: &mut impl Rng) -> Links {
        let mut shuffled = hosts.to_vec();
        shuffled.shuffle(rng);
        let some = shuffled.first().copied();
        match self {
            Self::Sides => apart(halves(&shuffled, rng)),
            Self::Bridge => apart(halves(shuffled.get(1..).unwrap_or_default(), rng)),
            Self::Ring => all_but(hosts, |from, to| neighbours(&shuffled, from, to)),
            Self::LastLink => last_link(&shuffled, leader),
            Self::MuteLeader => all_from(hosts, leader.or(some)),
            Self::DeafLeader => reversed(&all_from(hosts, leader.or(some))),
            Self::Mute => all_from(hosts, some),
            Self::Deaf => reversed(&all_from(hosts, some)),
            Self::OneWay => match shuffled[..] {
                [from, to, ..] => [(from, to)].into(),
                _ => Links::new(),
            },
        }
    }
}

/// Some links, all of one kind: one, those out of a host, those into it, both, or every one.
pub fn some_links(hosts: &[HostNo], rng: &mut impl Rng) -> Links {
    let Some(&one) = hosts.choose(rng) else { return Links::new() };
    let out = all_from(hosts, Some(one));
    match rng.random_range(0..5) {
        0 => Shape::OneWay.draw(hosts, None, rng),
        1 => out,
        2 => reversed(&out),
        3 => &reversed(&out) | &out,
        _ => all_but(hosts, |_, _| false),
    }
}

/// Two groups, neither empty if that can be.
fn halves<'a>(hosts: &'a [HostNo], rng: &mut impl Rng) -> (&'a [HostNo], &'a [HostNo]) {
    let at = rng.random_range(1..hosts.len().max(2));
    hosts.split_at(at.min(hosts.len()))
}

/// Both directions of every link between the two.
fn apart((here, there): (&[HostNo], &[HostNo])) -> Links {
    let pairs = here.iter().flat_map(|a| there.iter().map(move |b| (*a, *b)));
    pairs.flat_map(|(a, b)| [(a, b), (b, a)]).collect()
}

/// The leader with one other host, that host with all.
fn last_link(shuffled: &[HostNo], leader: Option<HostNo>) -> Links {
    let Some(leader) = leader.or(shuffled.first().copied()) else { return Links::new() };
    let others: Vec<HostNo> = shuffled.iter().copied().filter(|host| *host != leader).collect();
    apart((&[leader], others.get(1..).unwrap_or_default()))
}

fn all_but(hosts: &[HostNo], keep: impl Fn(HostNo, HostNo) -> bool) -> Links {
    let pairs = hosts.iter().flat_map(|a| hosts.iter().map(move |b| (*a, *b)));
    pairs.filter(|(from, to)| from != to && !keep(*from, *to)).collect()
}

fn all_from(hosts: &[HostNo], from: Option<HostNo>) -> Links {
    let others = hosts.iter().filter(|to| Some(**to) != from);
    others.filter_map(|to| Some((from?, *to))).collect()
}

fn reversed(links: &Links) -> Links {
    links.iter().map(|(from, to)| (*to, *from)).collect()
}

/// Whether the two stand beside each other on the ring.
fn neighbours(ring: &[HostNo], a: HostNo, b: HostNo) -> bool {
    let place = |host| ring.iter().position(|other| *other == host);
    let (Some(a), Some(b)) = (place(a), place(b)) else { return false };
    a.abs_diff(b) == 1 || a.abs_diff(b) == ring.len() - 1
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    const LEADER: HostNo = HostNo(3);

    fn hosts() -> Vec<HostNo> {
        (1..=5).map(HostNo).collect()
    }

    fn draw(shape: Shape, seed: u8) -> Links {
        shape.draw(&hosts(), Some(LEADER), &mut ChaCha8Rng::from_seed([seed; 32]))
    }

    /// How many hosts `host` can talk with, both ways.
    fn seen_by(cut: &Links, host: HostNo) -> usize {
        let open = |to: &HostNo| !cut.contains(&(host, *to)) && !cut.contains(&(*to, host));
        hosts().iter().filter(|to| **to != host && open(to)).count()
    }

    #[test]
    fn a_bridge_sees_everybody_and_nobody_else_does() {
        for seed in 0..20 {
            let cut = draw(Shape::Bridge, seed);
            let bridges = hosts().into_iter().filter(|host| seen_by(&cut, *host) == 4).count();
            assert_eq!(bridges, 1, "{cut:?}");
            assert_eq!(cut, reversed(&cut));
        }
    }

    #[test]
    fn two_sides_leave_nobody_who_sees_all() {
        for seed in 0..20 {
            let cut = draw(Shape::Sides, seed);
            assert!(hosts().into_iter().all(|host| seen_by(&cut, host) < 4), "{cut:?}");
        }
    }

    #[test]
    fn on_a_ring_everybody_has_two_neighbours() {
        let cut = draw(Shape::Ring, 1);
        assert!(hosts().into_iter().all(|host| seen_by(&cut, host) == 2), "{cut:?}");
    }

    #[test]
    fn the_leaders_last_link_is_to_one_that_sees_all() {
        let cut = draw(Shape::LastLink, 1);
        assert_eq!(seen_by(&cut, LEADER), 1);
        let others = hosts().into_iter().filter(|host| *host != LEADER);
        let mut seen: Vec<usize> = others.map(|host| seen_by(&cut, host)).collect();
        seen.sort_unstable();
        assert_eq!(seen, [3, 3, 3, 4]);
    }

    #[test]
    fn one_that_is_mute_hears_and_one_that_is_deaf_speaks() {
        let (mute, deaf) = (draw(Shape::MuteLeader, 1), draw(Shape::DeafLeader, 1));
        assert_eq!(mute.len(), 4);
        assert!(mute.iter().all(|(from, _)| *from == LEADER));
        assert_eq!(deaf, reversed(&mute));
        assert_eq!(draw(Shape::OneWay, 1).len(), 1);
    }

    #[test]
    fn a_mesh_of_one_has_no_links_to_cut() {
        let mut rng = ChaCha8Rng::from_seed([1; 32]);
        for shape in [Shape::Sides, Shape::Bridge, Shape::Ring, Shape::LastLink, Shape::Deaf] {
            assert_eq!(shape.draw(&[LEADER], Some(LEADER), &mut rng), Links::new());
            assert_eq!(shape.draw(&[], None, &mut rng), Links::new());
        }
    }
}
