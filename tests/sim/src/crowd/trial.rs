//! What is tried with a crowd, and what must come of it.

use std::collections::BTreeMap;
use std::time::Duration;

use mesh_control::raft::roles::SPARES;
use mesh_model::{InviteId, LogIndex, MemberId};

use super::Crowd;
use super::census::Census;
use crate::invariants::Violation;

/// How soon everybody that can be reached must have what was agreed.
pub const SOON: Duration = Duration::from_secs(15);

/// The fewest whom the leader of a crowd feeds: five voters and the spares.
pub const LEAST_FED: usize = 5 + SPARES;

/// The most members that anybody may send one entry to. Who leads feeds nine others (seven vote, and two spares), and everybody
/// has eight places; a place that its holder left is another's after a while, so there are a few more over the time. A
/// number of its own, because it is the promise: it holds whatever those constants become.
const MOST_COPIES: usize = 24;

/// How long an agreement may take when its leader has just died.
const AGREEMENT: Duration = Duration::from_secs(30);

/// What happens to the mesh while something is agreed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing.
    Quiet,
    /// One message of twenty is lost.
    Loss,
    /// A tenth of those that follow lose power, and are back after three seconds.
    Blackout,
    /// The leader dies, and a tenth of those that follow with it.
    Beheaded,
    /// A tenth of those that follow are cut off for half a minute.
    Split,
}

/// All of them, in the order in which they are tried.
pub const ALL: [Trouble; 5] =
    [Trouble::Quiet, Trouble::Loss, Trouble::Blackout, Trouble::Beheaded, Trouble::Split];

/// How a trial went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// What happened meanwhile.
    pub trouble: Trouble,
    /// From the first member that had applied the entry to half of them, and to the last that could be reached.
    pub median: Duration,
    /// See `median`.
    pub last: Duration,
    /// From the end of the trouble until those had it too that could not be reached.
    pub rest: Duration,
    /// To how many the leader sent it, or a whole state.
    pub by_leader: usize,
    /// To how many anybody did at the most.
    pub by_busiest: usize,
    /// Messages with it, or with a whole state.
    pub copies: u64,
    /// Those with a whole state.
    pub states: u64,
    /// The most questions a member turned away so far.
    pub turned_away: u64,
}

impl Crowd {
    /// Has something agreed under `trouble`.
    pub async fn suffer(&mut self, trouble: Trouble) -> Result<Report, Violation> {
        let hit = self.begin(trouble).await;
        let proposer = self.some_proposer(&hit);
        let ticket = self.ticket(1);
        self.wires.count(ticket.invite.key.as_bytes().to_vec());
        let group = self.group(proposer);
        let group = group.ok_or_else(|| Violation::new("liveness", "nobody is left"))?;
        let proposed = tokio::spawn(super::propose(group, ticket.command(), AGREEMENT));
        let mut seen: BTreeMap<MemberId, Duration> = BTreeMap::new();
        let mut leader = None;
        self.until("the entry is everywhere", AGREEMENT + SOON, |crowd| {
            crowd.note_arrivals(ticket.invite.id, &mut seen);
            leader = leader.or_else(|| crowd.leader().filter(|_| !seen.is_empty()));
            let first = seen.values().min().copied();
            let late = first.is_some_and(|first| crowd.clock.elapsed() > first + SOON);
            late || crowd.running().all(|(one, _)| seen.contains_key(&one) || hit.contains(&one))
        })
        .await?;
        let index =
            proposed.await.map_err(|error| Violation::new("no_panic", error.to_string()))?;
        let index = index.ok_or_else(|| Violation::new("liveness", "nothing was agreed"))?;
        let times = self.judge_arrivals(&seen, &hit)?;
        let rest = self.mend(trouble, &hit, index).await?;
        self.check_states()?;
        let census = self.wires.census();
        let holders = self.running().map(|(member, _)| member);
        let (by_leader, by_busiest) = judge_copies(&census, leader, holders)?;
        Ok(Report {
            trouble,
            median: times[times.len() / 2],
            last: times.last().copied().unwrap_or_default(),
            rest,
            by_leader,
            by_busiest,
            copies: census.copies(),
            states: census.states(),
            turned_away: self.most_turned_away(),
        })
    }

    /// A member at random that nobody feeds and that was not `hit`: one that is cut off could have nothing agreed.
    fn some_proposer(&mut self, hit: &[MemberId]) -> MemberId {
        loop {
            match self.some_followers(1).first() {
                Some(follower) if hit.contains(follower) => {}
                Some(follower) => return *follower,
                None => return MemberId::FOUNDER,
            }
        }
    }

    /// Brings it about; whom it hits.
    async fn begin(&mut self, trouble: Trouble) -> Vec<MemberId> {
        let tenth = self.machines.len() / 10;
        match trouble {
            Trouble::Quiet => Vec::new(),
            Trouble::Loss => {
                self.wires.lose(0.05);
                Vec::new()
            }
            Trouble::Blackout => {
                let hit = self.some_followers(tenth);
                hit.iter().for_each(|member| self.crash(*member));
                hit
            }
            Trouble::Beheaded => {
                let mut hit = self.some_followers(tenth);
                hit.extend(self.leader());
                hit.iter().for_each(|member| self.crash(*member));
                hit
            }
            Trouble::Split => {
                let hit = self.some_followers(tenth);
                self.wires.cut(hit.iter().copied());
                self.pass(Duration::from_secs(30)).await;
                hit
            }
        }
    }

    /// Ends `trouble` and waits until everybody has the entry at `index`.
    async fn mend(
        &mut self,
        trouble: Trouble,
        hit: &[MemberId],
        index: LogIndex,
    ) -> Result<Duration, Violation> {
        self.wires.lose(0.0);
        self.wires.cut([]);
        if matches!(trouble, Trouble::Blackout | Trouble::Beheaded) {
            self.pass(Duration::from_secs(3)).await;
            for member in hit {
                self.restart(*member).await?;
            }
        }
        self.until("everybody is back", SOON, |crowd| {
            crowd.running().all(|(_, group)| group.views().borrow().applied >= index)
        })
        .await
    }

    /// Keeps in `seen` who has invite `id`, and since when.
    fn note_arrivals(&self, id: InviteId, seen: &mut BTreeMap<MemberId, Duration>) {
        let now = self.clock.elapsed();
        for (member, group) in self.running() {
            if !seen.contains_key(&member)
                && group.read(|state, _| state.invites().get(&id).is_some())
            {
                seen.insert(member, now);
            }
        }
    }

    /// How long after the first each had it, ascending; all that were not `hit` must have it soon.
    fn judge_arrivals(
        &self,
        seen: &BTreeMap<MemberId, Duration>,
        hit: &[MemberId],
    ) -> Result<Vec<Duration>, Violation> {
        let first = seen.values().min().copied();
        let first = first.ok_or_else(|| Violation::new("liveness", "nobody applied the entry"))?;
        let reached: Vec<_> = self
            .running()
            .filter(|(member, _)| !hit.contains(member))
            .map(|(one, _)| one)
            .collect();
        let missing: Vec<_> = reached.iter().filter(|member| !seen.contains_key(member)).collect();
        if !missing.is_empty() {
            let some = &missing[..missing.len().min(5)];
            let message = format!(
                "{} of {} members did not have it after {SOON:?}, {some:?} among them",
                missing.len(),
                reached.len()
            );
            return Err(Violation::new("followers_converge", message));
        }
        let mut times: Vec<_> = seen.values().map(|at| *at - first).collect();
        times.sort_unstable();
        Ok(times)
    }

    /// Equal states at equal indexes, and nobody who says otherwise.
    fn check_states(&self) -> Result<(), Violation> {
        let mut hashes = BTreeMap::new();
        for (member, group) in self.running() {
            let view = group.views().borrow().clone();
            let (first, hash) = hashes.entry(view.applied).or_insert((member, view.hash));
            if *hash != view.hash {
                let message = format!("{first} and {member} differ at {}", view.applied);
                return Err(Violation::new("equal_hash_at_equal_index", message));
            }
            if !group.divergences().is_empty() {
                let message = format!("{member} saw members diverge");
                return Err(Violation::new("no_divergence", message));
            }
        }
        Ok(())
    }

    fn most_turned_away(&self) -> u64 {
        self.running().map(|(_, group)| group.sync_status().turned_away).max().unwrap_or(0)
    }
}

/// To how many `leader`, which led when the entry was agreed, and the busiest sent it. All `holders` came by it where it could be
/// seen, but for one that led and proposed it: a census that sees nothing finds nobody busy.
fn judge_copies(
    census: &Census,
    leader: Option<MemberId>,
    holders: impl IntoIterator<Item = MemberId>,
) -> Result<(usize, usize), Violation> {
    let violation = |message| Err(Violation::new("bounded_fan_out", message));
    if let [first, second, ..] = *census.missed(holders) {
        return violation(format!("{first}, {second} have the entry, and nobody sent it to them"));
    }
    let by_leader = leader.map_or(0, |leader| census.sent_by(leader));
    let (busiest, by_busiest) = census.busiest().unwrap_or((MemberId::FOUNDER, 0));
    match (by_leader, by_busiest) {
        (0, _) => violation(format!("{leader:?} had the entry agreed and sent it to nobody")),
        (_, sent) if sent > MOST_COPIES => {
            violation(format!("{busiest} sent one entry to {by_busiest}, not {MOST_COPIES}"))
        }
        both => Ok(both),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEADER: MemberId = MemberId(1);

    /// What comes of it that the first of so many members sends an entry to some.
    fn judged(
        members: u64,
        sent_to: impl Iterator<Item = u64>,
    ) -> Result<(usize, usize), Violation> {
        let mut census = Census::of(b"mark".to_vec());
        for to in sent_to {
            census.see((LEADER, MemberId(to)), b"mark", |_| false);
        }
        judge_copies(&census, Some(LEADER), (1..=members).map(MemberId))
    }

    #[test]
    fn what_nobody_was_seen_to_send_and_what_one_sends_to_many_is_noticed() {
        let most = MOST_COPIES as u64;
        assert_eq!(judged(1 + most, 2..2 + most), Ok((MOST_COPIES, MOST_COPIES)));
        assert!(judged(2 + most, 2..3 + most).is_err(), "too many");
        assert!(judged(5, 2..5).is_err(), "one came by it unseen, besides the leader");
        assert!(judged(5, 0..0).is_err(), "nothing was seen");
        assert!(judged(1, 0..0).is_err(), "the leader sent nothing");
    }
}
