//! Many hosts join at once with a token for one, while the supervisor is killed.
//!
//! Every joiner is a daemon of its own at an address of its own, and asks until it has an answer that is final:
//! welcome, or that the token was used. The supervisor may have had the admission agreed and died before anybody
//! heard of it: whoever it was for asks again and is welcomed, everybody else is refused, and the mesh has one
//! member more.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use mesh_model::api::v1::{
    ErrorCode, InviteReply, Invites, JoinedReply, LeaveReply, RaftRole, Status, route,
};
use mesh_model::id::{InviteId, MemberId};
use mesh_model::trust::Token;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::error::{Error, Result};
use crate::host::{Host, name_of};
use crate::http;
use crate::lab::{Lab, SETTLE_LIMIT, wait_equal_state};
use crate::mesh::{Mesh, exit};
use crate::wait::eventually;

/// Who decides.
const VOTERS: usize = 3;

/// The latest moment of a race at which the supervisor is killed, unless races are over sooner. Some are killed before the
/// first joiner is heard, most while the doors are full, some when the winner has been welcomed already.
const LATEST_KILL: Duration = Duration::from_millis(1500);

/// How many races in a row may be over before the supervisor dies. Each says how soon that is, so that the next has a
/// moment in its time.
const MAX_VOID: usize = 10;

/// How long a joiner asks on: an election and doors that are full, many times over.
const PATIENCE: Duration = Duration::from_secs(60);

/// Three members and the hosts that want in, ready for one race after the other.
#[derive(Debug)]
pub struct JoinRace {
    lab: Lab,
    chance: ChaCha8Rng,
    latest_kill: Duration,
}

/// One race.
#[derive(Debug, Clone)]
pub struct Race {
    /// How many joined.
    pub joiners: usize,
    /// The number of the host that won.
    pub winner: usize,
    /// The number of the host that was killed, and led until then.
    pub killed: usize,
    /// When it was killed, from the start of the race on.
    pub killed_after: Duration,
    /// How many joiners had their answer by then: not all.
    pub told_before: usize,
    /// How often somebody asked: once for each joiner, and once more for each answer that was not final.
    pub asked: usize,
    /// Until the last joiner had its answer.
    pub took: Duration,
    /// How many races before this one were over when the supervisor died, and showed nothing.
    pub void: usize,
}

/// What one joiner was told in the end.
#[derive(Debug)]
struct Told {
    /// The member it became; otherwise the token was used.
    welcome: Option<MemberId>,
    asked: usize,
    after: Duration,
}

impl JoinRace {
    /// A mesh of three on loopback and `joiners` hosts beside it. `seed` decides when supervisors die.
    pub fn prepare(joiners: usize, seed: u64) -> Result<Self> {
        let mut lab = Lab::scattered(VOTERS)?;
        lab.form()?;
        for _ in 0..joiners {
            let number = lab.add_scattered_host()?;
            lab.host_mut(number).start_unready()?;
        }
        for number in VOTERS + 1..=VOTERS + joiners {
            lab.host_mut(number).wait_started()?;
        }
        let chance = ChaCha8Rng::seed_from_u64(seed);
        Ok(Self { lab, chance, latest_kill: LATEST_KILL })
    }

    /// All joiners ask at once and the supervisor dies; an error unless exactly one got in, by everybody's account.
    /// The winner has left again when this returns. A race that is over when the supervisor dies is judged like any
    /// other, and followed by one more.
    pub fn run(&mut self) -> Result<Race> {
        for void in 0..MAX_VOID {
            let race = self.race()?;
            if race.told_before < race.joiners {
                return Ok(Race { void, ..race });
            }
            self.latest_kill = self.latest_kill.min(race.took);
        }
        Err(Error::Failed(format!("{MAX_VOID} races were over when the supervisor died")))
    }

    fn race(&mut self) -> Result<Race> {
        let invite = self.invite_with_all_doors()?;
        let moment = self.latest_kill.mul_f64(self.chance.random());
        let token = invite.token.as_str();
        let doors: Vec<Mesh> = self.lab.hosts()[VOTERS..].iter().map(Host::mesh).collect();
        let started = Instant::now();
        let raced: Result<_> = std::thread::scope(|scope| {
            let asking: Vec<_> = (VOTERS + 1..)
                .zip(&doors)
                .map(|(number, mesh)| scope.spawn(move || ask(number, mesh, token, started)))
                .collect();
            std::thread::sleep(moment);
            // Not before: under so many joiners another may lead by now.
            let killed = self.leader()?;
            let killed_after = started.elapsed();
            self.lab.host_mut(killed).kill()?;
            let told = asking.into_iter().map(|it| it.join().unwrap_or_else(|_| panicked()));
            Ok((killed, killed_after, told.collect::<Result<Vec<Told>>>()?))
        });
        let (killed, killed_after, told) = raced?;
        let winner = self.only_winner(&told)?;
        self.lab.host_mut(killed).start()?;
        self.check_account(winner, invite.invite)?;
        self.let_go(winner.0)?;
        Ok(Race {
            winner: winner.0,
            killed,
            killed_after,
            joiners: told.len(),
            told_before: told.iter().filter(|told| told.after <= killed_after).count(),
            asked: told.iter().map(|told| told.asked).sum(),
            took: told.iter().map(|told| told.after).max().unwrap_or_default(),
            void: 0,
        })
    }

    /// The voter that leads, by its own word.
    fn leader(&self) -> Result<usize> {
        let leads = |number: &usize| {
            let status = http::get(&self.lab.host(*number).socket(), route::STATUS);
            let raft = status.ok().and_then(|status: Status| status.raft);
            raft.is_some_and(|raft| raft.role == RaftRole::Leader)
        };
        eventually(SETTLE_LIMIT, "one of the voters leads", || (1..=VOTERS).find(leads))
    }

    /// A token for one that names all three members, so that no door is the only one.
    fn invite_with_all_doors(&self) -> Result<InviteReply> {
        eventually(SETTLE_LIMIT, "a token names all members as doors", || {
            let invite = self.lab.host(1).invite(1).ok()?;
            let token: Token = invite.token.parse().ok()?;
            let doors: BTreeSet<_> =
                token.bootstraps.iter().map(|door| *door.identity.as_bytes()).collect();
            (doors.len() == VOTERS).then_some(invite)
        })
    }

    /// The one joiner that was welcomed.
    fn only_winner(&self, told: &[Told]) -> Result<(usize, MemberId)> {
        let welcomed: Vec<_> = (VOTERS + 1..)
            .zip(told)
            .filter_map(|(number, told)| Some((number, told.welcome?)))
            .collect();
        match welcomed[..] {
            [winner] => Ok(winner),
            _ => Err(Error::Failed(format!("one token for one host admitted {welcomed:?}"))),
        }
    }

    /// All members, the winner included, say that the invite was used once and by whom, and nothing else came of it.
    fn check_account(
        &mut self,
        (winner, member): (usize, MemberId),
        invite: InviteId,
    ) -> Result<()> {
        let mut present: Vec<usize> = (1..=VOTERS).collect();
        present.push(winner);
        for &number in &present {
            self.lab.host(number).wait_for("ready", SETTLE_LIMIT)?;
        }
        let present: Vec<&Host> = present.into_iter().map(|number| self.lab.host(number)).collect();
        wait_equal_state(&present, VOTERS + 1)?;
        for host in present {
            let known: Invites = host.mesh().get(&["invites", "list"])?;
            let found = known.invites.into_iter().find(|known| known.invite == invite);
            let admitted = found.map(|found| {
                (found.used, found.members.iter().map(|member| member.member).collect::<Vec<_>>())
            });
            if admitted != Some((1, vec![member])) {
                let name = host.name();
                return Err(Error::Failed(format!(
                    "{winner} was welcomed as {member}, {name} knows of {admitted:?}"
                )));
            }
        }
        Ok(())
    }

    /// The winner leaves, so that the next race finds everything as this one did.
    fn let_go(&self, winner: usize) -> Result<()> {
        let _: LeaveReply = self.lab.host(winner).mesh().get(&["leave", "--yes"])?;
        let voters: Vec<&Host> = self.lab.hosts()[..VOTERS].iter().collect();
        wait_equal_state(&voters, VOTERS)?;
        self.lab.wait_voters_among(VOTERS)
    }
}

/// Joins with `token` until the answer is final.
fn ask(number: usize, mesh: &Mesh, token: &str, started: Instant) -> Result<Told> {
    let words = ["join", "--name", &name_of(number)];
    for asked in 1.. {
        let answer = mesh.run_with_input(&words, token)?;
        let told = |welcome| Told { welcome, asked, after: started.elapsed() };
        if answer.code == Some(exit::OK) {
            let joined: JoinedReply = answer.document()?;
            return Ok(told(Some(joined.member)));
        }
        let error = answer.error(exit::FAILED)?;
        match error.code {
            ErrorCode::Refused if error.message.contains("already been used") => {
                return Ok(told(None));
            }
            // No door was open: all were full, or the mesh was in the midst of an election.
            ErrorCode::Unreachable if started.elapsed() < PATIENCE => {}
            _ => return Err(Error::Failed(format!("{} was told {error:?}", name_of(number)))),
        }
    }
    unreachable!("asked for longer than there is time")
}

/// A joiner's thread has panicked and said so.
fn panicked() -> Result<Told> {
    Err("a joiner's thread panicked".into())
}
