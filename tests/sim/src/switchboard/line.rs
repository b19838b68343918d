//! A daemon's way to the others.

use std::time::Duration;

use bytes::Bytes;
use mesh_control::ports::{Transport, TransportError};
use mesh_control::raft::{Group, RpcError};
use mesh_model::MemberId;
use tokio::time::Instant;

use super::{Board, Switchboard};
use crate::invariants::{Asker, alarm_names_the_traitor, banned_are_cut_off};
use crate::life::LifeId;
use crate::net::HostNo;
use crate::plant::Plant;
use crate::traitor::Said;
use crate::traitor::speech::{self, Reply};

/// How long a daemon dials another that does not answer (of the same name in `meshd/src/io/agreement`).
const DIAL_LIMIT: Duration = Duration::from_secs(2);

/// How long a connection lasts on which nothing is heard (of the same name in `meshd/src/io/quic.rs`).
const IDLE: Duration = Duration::from_secs(4);

/// One life's way to the others.
#[derive(Clone)]
pub struct Line {
    pub(super) switchboard: Switchboard,
    pub(super) me: MemberId,
    pub(super) life: LifeId,
}

/// What became of a question.
enum Fate {
    Replied(Result<Bytes, TransportError>),
    /// Nobody heard it.
    Unheard,
    /// It was heard, and no answer came.
    Unanswered,
}

/// Where a request arrived.
struct Arrived {
    host: HostNo,
    life: LifeId,
    group: Group,
    at: Duration,
    /// Whether whom it asks knew then that the asking one is banned.
    banned: bool,
}

impl Line {
    /// Whether `to` answered a moment ago, so that there is a connection.
    fn is_connected(&self, to: MemberId) -> bool {
        let now = self.switchboard.clock.elapsed();
        let mut board = self.switchboard.lock();
        let own = board.alive(self.me, self.life);
        own.and_then(|own| own.answered.get(&to)).is_some_and(|at| now < *at + IDLE)
    }

    /// Sets out; the delay until `to` hears it, `None` when it gets lost.
    fn send(&self, to: MemberId, request: &[u8]) -> Result<Option<Duration>, TransportError> {
        let mut board = self.switchboard.lock();
        let board = &mut *board;
        let Some(own) = board.alive(self.me, self.life) else { return Ok(None) };
        if !own.tunnels.lead_to(to) {
            return Err(TransportError::Unreachable(to));
        }
        let at = self.switchboard.clock.elapsed();
        let (from, held) = (own.host, own.wait_for_disk(at));
        let (target, len) = (board.far_end(self.me, to), request.len());
        let fate = target.and_then(|target| board.net.fate_of_call((from, target), len, at + held));
        let fate = fate.map(|delay| held + delay);
        board.calls += 1;
        board.trace.note(at, format_args!("call {} -> {to} {len} {fate:?}", self.me));
        board.trace.note_bytes(request);
        Ok(fate)
    }

    /// Gets there, if there is somebody with a tunnel to us.
    fn arrive(&self, to: MemberId) -> Option<Arrived> {
        let mut board = self.switchboard.lock();
        let plant = board.plant;
        let station = board.stations.get_mut(&to);
        let station = station.filter(|station| station.tunnels.lead_to(self.me))?;
        let at = self.switchboard.clock.elapsed();
        station.be_asked(at);
        if plant == Some(Plant::DeafAtHome) && station.disk.has_failed() {
            return None;
        }
        let group = station.group.clone()?;
        let banned = group.views().borrow().banned.contains_key(&self.me);
        Some(Arrived { host: station.host, life: station.life, group, at, banned })
    }

    /// Turns back with `answer`; the delay until we hear it.
    fn turn_back(&self, to: MemberId, asked: &Arrived, answer: Option<&[u8]>) -> Option<Duration> {
        let now = self.switchboard.clock.elapsed();
        let mut board = self.switchboard.lock();
        board.trace.note_bytes(answer.unwrap_or_default());
        let station = board.alive(to, asked.life)?;
        let held = station.wait_for_disk(now);
        let spoken = answer.map_or(Ok(()), |_| {
            station.silence.check(asked.host, Asker::Member(self.me), asked.at)?;
            banned_are_cut_off::check_answer(to, self.me, asked.banned)
        });
        if let Err(violation) = spoken {
            board.violation.get_or_insert(violation);
        }
        let own = board.alive(self.me, self.life)?.host;
        let len = answer.map_or(0, <[u8]>::len);
        let fate = board.net.fate_of_call((asked.host, own), len, now + held);
        fate.map(|delay| held + delay)
    }

    /// What this host asks `to` in place of `request`: something else if it is the traitor.
    fn as_asked(&self, to: MemberId, request: Bytes) -> Option<Bytes> {
        let mut board = self.switchboard.lock();
        let request = match board.plant {
            Some(Plant::NoPassage) if speech::asks_the_way(&request) => return None,
            Some(Plant::AnyEpoch) => board.as_of_epoch(self.me, to, request),
            _ => request,
        };
        let bent = board.bend(self.me, |traitor, outlook| traitor.ask(request.clone(), outlook));
        self.told(&mut board, (self.me, to), request, bent)
    }

    /// What `to` answers in place of `answer`.
    fn as_answered(&self, to: MemberId, answer: Bytes) -> Option<Bytes> {
        let mut board = self.switchboard.lock();
        if board.plant == Some(Plant::NoSources) && speech::is_news(&answer) {
            return None;
        }
        let bent = board.bend(to, |traitor, outlook| traitor.answer(answer.clone(), outlook));
        let answer = self.told(&mut board, (to, self.me), answer, bent)?;
        let traitor = board.traitor.as_ref().filter(|traitor| traitor.is(self.me));
        Some(traitor.map_or(answer.clone(), |traitor| traitor.hear(answer)))
    }

    fn told(
        &self,
        board: &mut Board,
        (from, to): (MemberId, MemberId),
        truth: Bytes,
        bent: Option<Said>,
    ) -> Option<Bytes> {
        let now = self.switchboard.clock.elapsed();
        match bent {
            None => Some(truth),
            Some(Said::Truth(said)) => Some(said),
            Some(Said::Lie(said)) => {
                let kind = said.get(1).copied().unwrap_or_default();
                board.trace.note(now, format_args!("lie {from} -> {to} {kind} {}", said.len()));
                Some(said)
            }
            Some(Said::Nothing) => {
                board.trace.note(now, format_args!("silence {from} -> {to}"));
                None
            }
        }
    }

    /// Whoever holds the traitor's word beside another that contradicts it has raised the alarm.
    fn check_alarm(&self, by: MemberId, group: &Group, answer: &Result<Bytes, RpcError>) {
        let Ok(Some(Reply::Attested(words))) = answer.as_ref().map(|bytes| speech::open(bytes))
        else {
            return;
        };
        let mut board = self.switchboard.lock();
        let Some(traitor) = board.traitor.as_ref().and_then(|traitor| traitor.member) else {
            return;
        };
        let (view, divergences) = (group.views().borrow().clone(), group.divergences());
        let named = alarm_names_the_traitor::check(by, traitor, (&words, &divergences), &view);
        if let Err(violation) = named {
            board.violation.get_or_insert(violation);
        }
    }

    /// There and back.
    async fn travel(&self, to: MemberId, request: Bytes) -> Fate {
        let Some(request) = self.as_asked(to, request) else { return Fate::Unanswered };
        match self.send(to, &request) {
            Ok(Some(there)) => tokio::time::sleep(there).await,
            Ok(None) => return Fate::Unheard,
            Err(error) => return Fate::Replied(Err(error)),
        }
        let Some(arrived) = self.arrive(to) else { return Fate::Unheard };
        match self.bring_back(to, request, &arrived).await {
            Some(reply) => Fate::Replied(reply),
            None => Fate::Unanswered,
        }
    }

    /// What `to` answers, where `request` arrived; `None` when it gets lost, or there is nothing.
    async fn bring_back(
        &self,
        to: MemberId,
        request: Bytes,
        arrived: &Arrived,
    ) -> Option<Result<Bytes, TransportError>> {
        let (group, from) = (arrived.group.clone(), self.me);
        // The answering side works on, whether or not the caller still waits.
        let work = tokio::spawn(async move { group.handle_rpc(from, &request).await });
        let answer = work.await.ok()?;
        self.check_alarm(to, &arrived.group, &answer);
        let answer = match answer {
            Ok(answer) => Ok(self.as_answered(to, answer)?),
            Err(error) => Err(error),
        };
        let back = self.turn_back(to, arrived, answer.as_deref().ok())?;
        tokio::time::sleep(back).await;
        let now = self.switchboard.clock.elapsed();
        self.switchboard.lock().alive(self.me, self.life)?.answered.insert(to, now);
        let broken =
            |error: RpcError| TransportError::Broken { member: to, reason: error.to_string() };
        Some(answer.map_err(broken))
    }

    /// Waits until QUIC gives up what never reached `to`, having been asked with or without a connection.
    async fn give_up(&self, to: MemberId, asked: Instant, connected: bool) -> TransportError {
        if connected {
            tokio::time::sleep_until(asked + IDLE).await;
            TransportError::Broken { member: to, reason: "timed out".to_owned() }
        } else {
            tokio::time::sleep_until(asked + DIAL_LIMIT).await;
            TransportError::Unreachable(to)
        }
    }
}

impl Transport for Line {
    async fn call(
        &self,
        to: MemberId,
        request: Bytes,
        limit: Duration,
    ) -> Result<Bytes, TransportError> {
        let (asked, connected) = (Instant::now(), self.is_connected(to));
        let travel = async {
            match self.travel(to, request).await {
                Fate::Replied(reply) => reply,
                Fate::Unheard => Err(self.give_up(to, asked, connected).await),
                // Its daemon is there and acknowledges what it does not answer.
                Fate::Unanswered => std::future::pending().await,
            }
        };
        let outcome = tokio::time::timeout(limit, travel).await;
        outcome.unwrap_or(Err(TransportError::Timeout(to)))
    }
}

#[cfg(test)]
mod tests {
    use mesh_model::trust::{EpochHead, EpochId};

    use super::*;
    use crate::clock::{self, Clock};
    use crate::disk::Disk;
    use crate::net::{Net, Quality};
    use crate::trace::Trace;
    use crate::traitor::speech::{Question, Request};
    use crate::tunnels;

    const ME: MemberId = MemberId(1);
    const OTHER: MemberId = MemberId(2);
    const LONG: Duration = Duration::from_secs(10);

    /// How a question for the way into another epoch ends, and after how long. `OTHER` is not up; with `silent` it is taken for one
    /// that hears and says nothing, and it answered a second before if this one is `connected`.
    fn asked(connected: bool, silent: bool, limit: Duration) -> (TransportError, Duration) {
        clock::runtime().block_on(async {
            let still = Duration::ZERO;
            let quality =
                Quality { delay_min: still, delay_max: still, loss: 0.0, duplication: 0.0 };
            let net = Net::new(quality, [7; 32]);
            let switchboard = Switchboard::new(net, Trace::new(false), Clock::start());
            switchboard.connect(ME, HostNo(1), LifeId(1), Disk::new([7; 32]));
            switchboard.set_tunnels(ME, tunnels::tests::to(1, OTHER, &[2], true));
            switchboard.lock().plant = silent.then_some(Plant::NoPassage);
            if connected && let Some(own) = switchboard.lock().alive(ME, LifeId(1)) {
                own.answered.insert(OTHER, Duration::ZERO);
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
            let line = switchboard.line(ME, LifeId(1));
            let epoch = EpochId { number: 0, head: EpochHead([0; 32]) };
            let question = speech::close(&Question { request: Request::Passage, epoch });
            let asked = Instant::now();
            let error = line.call(OTHER, question, limit).await.expect_err("no answer");
            (error, asked.elapsed())
        })
    }

    #[test]
    fn one_that_cannot_be_dialled_was_never_asked_and_that_is_known_soon() {
        assert_eq!(asked(false, false, LONG), (TransportError::Unreachable(OTHER), DIAL_LIMIT));
        let limit = Duration::from_millis(800);
        assert_eq!(asked(false, false, limit), (TransportError::Timeout(OTHER), limit));
    }

    #[test]
    fn a_connection_on_which_nothing_is_heard_breaks() {
        let (error, after) = asked(true, false, LONG);
        assert!(matches!(error, TransportError::Broken { .. }), "{error}");
        assert_eq!(after, IDLE);
    }

    #[test]
    fn one_that_hears_and_says_nothing_is_waited_for_to_the_end() {
        for connected in [false, true] {
            assert_eq!(asked(connected, true, LONG), (TransportError::Timeout(OTHER), LONG));
        }
    }
}
