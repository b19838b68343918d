//! All voters are killed, for good: the other members' packets do not notice.
//!
//! Six hosts, three of which shall never vote. Two of those ping each other, before and after the voters die and for
//! as long as asked; the third is killed and started again in between. Nobody can be elected, so nothing is agreed,
//! and not one echo may be lost.

use std::net::IpAddr;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mesh_model::api::v1::{Peers, Voters};
use mesh_model::id::MemberId;

use crate::error::{Error, Result};
use crate::lab::{Lab, SETTLE_LIMIT};
use crate::traffic::{PingSeries, RoundTrips, ping};
use crate::wait::eventually;

/// Who is killed.
const VOTERS: [usize; 3] = [1, 2, 3];

/// The two that ping each other.
const PAIR: [usize; 2] = [4, 5];

/// The one that is killed and comes back.
const REBOOTED: usize = 6;

/// How often each target is pinged.
const EVERY: Duration = Duration::from_millis(100);

/// How long one echo may take to bring a tunnel up.
const FIRST_ECHO: Duration = Duration::from_millis(500);

/// After this long a session must have been replaced at least once: it is good for two minutes (WireGuard,
/// section 6.1), then for one more while its successor is made.
const REPLACED_BY: Duration = Duration::from_secs(180);

/// A mesh whose voters are about to die.
#[derive(Debug)]
pub struct Outlive {
    lab: Lab,
}

/// What was seen without voters.
#[derive(Debug, Clone)]
pub struct Survived {
    /// Echoes that were sent, and all came back.
    pub echoes: u64,
    /// The slowest of them.
    pub slowest: Duration,
    /// From the restart of the third survivor until it reached both others and both reached it.
    pub back_after: Duration,
    /// The oldest session of the pair at the end.
    pub oldest_session: Duration,
}

impl Outlive {
    /// The longest run: echoes are numbered with 16 bits.
    pub const LONGEST: Duration = Duration::from_millis(EVERY.as_millis() as u64 * u16::MAX as u64);

    /// Six members, of which the first three vote and the others never will.
    pub fn prepare() -> Result<Self> {
        let mut lab = Lab::switched(VOTERS.len() + PAIR.len() + 1)?;
        lab.form()?;
        for number in PAIR.into_iter().chain([REBOOTED]) {
            let name = lab.host(number).name();
            let _: Voters = lab.host(1).mesh().get(&["voters", "set", &name, "never"])?;
        }
        eventually(SETTLE_LIMIT, "the first three vote, and nobody else", || {
            let seen: Voters = lab.host(PAIR[0]).mesh().get(&["voters", "list"]).ok()?;
            let voting = seen.members.iter().filter(|member| member.vote);
            let voting: Option<Vec<usize>> =
                voting.map(|member| lab.number_of(member.member).ok()).collect();
            (voting? == VOTERS).then_some(())
        })?;
        let this = Self { lab };
        for (from, to) in this.ways() {
            this.wait_reaches(from, to)?;
        }
        Ok(this)
    }

    /// The voters die, the pair pings each other for `span`, of [`LONGEST`](Self::LONGEST) at most, the third host is started anew.
    pub fn run(&mut self, span: Duration) -> Result<Survived> {
        if span > Self::LONGEST {
            return Err(Error::Failed(format!("there are not enough echoes for {span:?}")));
        }
        let targets: Vec<(usize, IpAddr)> = [PAIR, [PAIR[1], PAIR[0]]]
            .into_iter()
            .map(|[from, to]| Ok(self.addresses(to)?.map(|target| (from, target))))
            .collect::<Result<Vec<_>>>()?
            .concat();
        let streams: Vec<_> = targets
            .into_iter()
            .map(|(from, target)| Ok((target, self.stream(from, target, span)?)))
            .collect::<Result<_>>()?;
        for number in VOTERS {
            self.lab.host_mut(number).kill()?;
        }
        for number in PAIR.into_iter().chain([REBOOTED]) {
            self.wait_without_supervisor(number)?;
        }
        let back_after = self.reboot()?;
        let (mut echoes, mut slowest) = (0, Duration::ZERO);
        for (target, stream) in streams {
            let trips = stream.join().map_err(|_| "a pinging thread panicked")???;
            if trips.times.len() != usize::from(trips.sent) {
                let (sent, came) = (trips.sent, trips.times.len());
                return Err(Error::Failed(format!(
                    "{came} of {sent} echoes to {target} came back"
                )));
            }
            echoes += u64::from(trips.sent);
            slowest = slowest.max(trips.times.into_iter().max().unwrap_or_default());
        }
        for number in PAIR.into_iter().chain([REBOOTED]) {
            self.wait_without_supervisor(number)?;
        }
        let oldest_session = self.oldest_session()?;
        if oldest_session > REPLACED_BY {
            return Err(Error::Failed(format!("a session of {oldest_session:?} is still in use")));
        }
        Ok(Survived { echoes, slowest, back_after, oldest_session })
    }

    /// Echoes from host `from` to `target` for `span`, each with its round trip.
    fn stream(
        &self,
        from: usize,
        target: IpAddr,
        span: Duration,
    ) -> Result<JoinHandle<Result<Result<RoundTrips>>>> {
        let series = PingSeries::filling(span, EVERY);
        self.lab.host(from).netns_handle().spawn(move || series.run(target))
    }

    /// Kills the third survivor and starts it again; how long its tunnels took.
    fn reboot(&mut self) -> Result<Duration> {
        self.lab.host_mut(REBOOTED).kill()?;
        self.lab.host_mut(REBOOTED).start()?;
        let started = Instant::now();
        for (from, to) in self.ways().filter(|&(from, to)| from == REBOOTED || to == REBOOTED) {
            self.wait_reaches(from, to)?;
        }
        Ok(started.elapsed())
    }

    /// From each survivor to each other.
    fn ways(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let survivors = [PAIR[0], PAIR[1], REBOOTED];
        let all = survivors.into_iter().flat_map(move |from| survivors.map(|to| (from, to)));
        all.filter(|(from, to)| from != to)
    }

    fn addresses(&self, number: usize) -> Result<[IpAddr; 2]> {
        let (_, addrs) = self.lab.host(number).membership()?;
        Ok([addrs.v4.into(), addrs.v6.into()])
    }

    fn wait_reaches(&self, from: usize, to: usize) -> Result<()> {
        for target in self.addresses(to)? {
            let netns = self.lab.host(from).netns();
            eventually(SETTLE_LIMIT, &format!("n{from} reaches {target}"), || {
                ping(netns, target, FIRST_ECHO).ok()
            })?;
        }
        Ok(())
    }

    fn wait_without_supervisor(&self, number: usize) -> Result<()> {
        eventually(SETTLE_LIMIT, &format!("n{number} knows of no supervisor"), || {
            self.lab.host(number).supervisor().ok()?.leader.is_none().then_some(())
        })
    }

    /// The age of the oldest session between the two that ping each other.
    fn oldest_session(&self) -> Result<Duration> {
        let mut oldest = Duration::ZERO;
        for [from, to] in [PAIR, [PAIR[1], PAIR[0]]] {
            let (member, _): (MemberId, _) = self.lab.host(to).membership()?;
            let peers: Peers = self.lab.host(from).mesh().get(&["peers"])?;
            let peer = peers.peers.into_iter().find(|peer| peer.member == member);
            let age = peer.and_then(|peer| peer.last_handshake_ms).ok_or("no session")?;
            oldest = oldest.max(Duration::from_millis(age));
        }
        Ok(oldest)
    }
}
