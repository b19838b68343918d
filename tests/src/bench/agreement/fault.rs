//! What goes wrong: members that die, links that are cut, one way or both.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// A kind of fault. The leader has a part in most, for the others stop nothing.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The leader dies.
    KillLeader,
    /// Another voter dies.
    KillVoter,
    /// One voter does not hear the leader any more.
    LeaderToOne,
    /// The leader does not hear one voter any more.
    OneToLeader,
    /// Nobody hears the leader, which hears everybody.
    MuteLeader,
    /// The leader hears nobody, and everybody hears it.
    DeafLeader,
    /// The link between the leader and one voter is cut.
    CutLink,
    /// Of the leader's links all are cut but one: two of five, no majority.
    LeaderSeesOne,
    /// Of another voter's links all are cut but one, and not the one to the leader is left.
    VoterSeesOne,
    /// The link between two other voters is cut.
    CutVoterLink,
}

/// Half of the next writes may take no longer when the leader is lost, whatever took it, in seconds.
pub const PROMISED_P50: f64 = 0.8;

/// What kinds of faults have in common, and what is promised of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// A member dies.
    Kill,
    /// Links that carry one way only.
    OneWay,
    /// Links that carry nothing, while the members still make one whole by way of others.
    Partial,
}

impl Class {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Kill, Self::OneWay, Self::Partial];

    /// What tables call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kill => "killed",
            Self::OneWay => "one way cut",
            Self::Partial => "partial partition",
        }
    }

    /// The longest that 99 of 100 next writes may take, in seconds.
    pub fn promised_p99(self) -> f64 {
        match self {
            Self::Kill => 2.0,
            Self::OneWay => 3.0,
            Self::Partial => 5.0,
        }
    }
}

impl Kind {
    /// All of them, in the order in which they happen.
    pub const ALL: [Self; 10] = [
        Self::KillLeader,
        Self::KillVoter,
        Self::LeaderToOne,
        Self::OneToLeader,
        Self::MuteLeader,
        Self::DeafLeader,
        Self::CutLink,
        Self::LeaderSeesOne,
        Self::VoterSeesOne,
        Self::CutVoterLink,
    ];

    /// What it belongs to.
    pub fn class(self) -> Class {
        match self {
            Self::KillLeader | Self::KillVoter => Class::Kill,
            Self::LeaderToOne | Self::OneToLeader | Self::MuteLeader | Self::DeafLeader => {
                Class::OneWay
            }
            Self::CutLink | Self::LeaderSeesOne | Self::VoterSeesOne | Self::CutVoterLink => {
                Class::Partial
            }
        }
    }

    /// Whether the leader is lost to a majority of the voters: no write is agreed on until another leads, or until the fault is over.
    pub fn takes_leader(self) -> bool {
        match self {
            Self::KillLeader | Self::MuteLeader | Self::DeafLeader | Self::LeaderSeesOne => true,
            Self::KillVoter
            | Self::LeaderToOne
            | Self::OneToLeader
            | Self::CutLink
            | Self::VoterSeesOne
            | Self::CutVoterLink => false,
        }
    }

    /// What tables call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::KillLeader => "kill-leader",
            Self::KillVoter => "kill-voter",
            Self::LeaderToOne => "leader-to-one",
            Self::OneToLeader => "one-to-leader",
            Self::MuteLeader => "mute-leader",
            Self::DeafLeader => "deaf-leader",
            Self::CutLink => "cut-link",
            Self::LeaderSeesOne => "leader-sees-one",
            Self::VoterSeesOne => "voter-sees-one",
            Self::CutVoterLink => "cut-voter-link",
        }
    }
}

/// A fault as it happens to a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Who dies.
    pub killed: Option<usize>,
    /// The directions that carry nothing.
    pub cuts: BTreeSet<(usize, usize)>,
    /// A member that is not the leader and that the fault leaves alone: there people go on writing.
    pub writer: usize,
}

impl Fault {
    /// The fault of `kind` when `leader` leads `size` members, five or more. `turn` decides whom else it meets:
    /// everybody in turn, and of links between two others each.
    pub fn of(kind: Kind, leader: usize, size: usize, turn: usize) -> Self {
        let others = size - 1;
        let other = |nth: usize| 1 + (leader + nth % others) % size;
        // Next to each other around the leader; once all such links were cut, those between the next but one.
        let apart = match kind {
            Kind::CutVoterLink => 1 + turn / others % (others / 2),
            _ => 1,
        };
        let (victim, confidant, writer) =
            (other(turn), other(turn + apart), other(turn + apart + 1));
        let everybody = || (1..=size).filter(|number| *number != leader);
        let both = |a: usize, b: usize| [(a, b), (b, a)];
        let cuts = match kind {
            Kind::KillLeader | Kind::KillVoter => BTreeSet::new(),
            Kind::LeaderToOne => BTreeSet::from([(leader, victim)]),
            Kind::OneToLeader => BTreeSet::from([(victim, leader)]),
            Kind::MuteLeader => everybody().map(|number| (leader, number)).collect(),
            Kind::DeafLeader => everybody().map(|number| (number, leader)).collect(),
            Kind::CutLink => BTreeSet::from(both(leader, victim)),
            Kind::LeaderSeesOne => everybody()
                .filter(|number| *number != confidant)
                .flat_map(|number| both(leader, number))
                .collect(),
            Kind::VoterSeesOne => (1..=size)
                .filter(|number| *number != victim && *number != confidant)
                .flat_map(|number| both(victim, number))
                .collect(),
            Kind::CutVoterLink => BTreeSet::from(both(victim, confidant)),
        };
        let killed = match kind {
            Kind::KillLeader => Some(leader),
            Kind::KillVoter => Some(victim),
            _ => None,
        };
        Self { killed, cuts, writer }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whom each of five members still exchanges packets with both ways, itself included.
    fn sees(fault: &Fault, number: usize) -> usize {
        let whole = |other: &usize| {
            !fault.cuts.contains(&(number, *other)) && !fault.cuts.contains(&(*other, number))
        };
        (1..=5).filter(|other| Some(*other) != fault.killed).filter(whole).count()
    }

    #[test]
    fn who_writes_is_no_leader_and_keeps_a_majority() {
        for kind in Kind::ALL {
            for (leader, turn) in (1..=5).flat_map(|leader| (0..8).map(move |turn| (leader, turn)))
            {
                let fault = Fault::of(kind, leader, 5, turn);
                assert_ne!(fault.writer, leader, "{kind:?}");
                assert_ne!(Some(fault.writer), fault.killed, "{kind:?}");
                assert!(sees(&fault, fault.writer) >= 3, "{kind:?} {fault:?}");
            }
        }
    }

    #[test]
    fn a_leader_that_sees_one_has_no_majority_and_everybody_has_a_turn() {
        let fault = Fault::of(Kind::LeaderSeesOne, 3, 5, 0);
        assert_eq!(sees(&fault, 3), 2);
        let fault = Fault::of(Kind::VoterSeesOne, 3, 5, 1);
        assert_eq!((1..=5).filter(|number| sees(&fault, *number) == 2).count(), 1);
        assert_eq!(sees(&fault, 3), 4);
        let victims: BTreeSet<_> =
            (0..4).map(|turn| Fault::of(Kind::KillVoter, 3, 5, turn).killed).collect();
        assert_eq!(victims, [1, 2, 4, 5].map(Some).into());
        let links: BTreeSet<_> =
            (0..4).flat_map(|turn| Fault::of(Kind::CutLink, 3, 5, turn).cuts).collect();
        assert_eq!(links.len(), 8);
    }

    #[test]
    fn every_link_between_two_voters_that_do_not_lead_is_cut_alone() {
        let faults: Vec<_> = (0..8).map(|turn| Fault::of(Kind::CutVoterLink, 3, 5, turn)).collect();
        for fault in &faults {
            assert_eq!((fault.cuts.len(), sees(fault, 3), sees(fault, fault.writer)), (2, 5, 5));
        }
        let links: BTreeSet<_> = faults.into_iter().flat_map(|fault| fault.cuts).collect();
        assert_eq!(links.len(), 12);
    }

    #[test]
    fn who_loses_its_leader_is_whoever_has_no_majority_with_it() {
        for kind in Kind::ALL {
            let fault = Fault::of(kind, 3, 5, 0);
            let lost = fault.killed == Some(3) || sees(&fault, 3) < 3;
            assert_eq!(kind.takes_leader(), lost, "{kind:?}");
        }
    }
}
