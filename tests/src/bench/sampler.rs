//! Takes samples: a fresh ground, fresh daemons, a warm-up, then one probe after the other.

use std::net::IpAddr;
use std::path::Path;
use std::thread::JoinHandle;
use std::time::Duration;

use super::calm::Measured;
use super::column::{Column, Probe};
use super::generator::Load;
use super::ground::Ground;
use super::interrupt;
use super::iperf::{Iperf, TcpResult};
use super::load::Reading;
use super::peer::Peer;
use super::plan::Plan;
use super::sample::{Figures, Sample};
use super::search::Search;
use super::statistics::percentile;
use super::tunnel::{self, Footprint, Tunnel};
use crate::error::{Context as _, Error, Result};
use crate::traffic::{PingSeries, RoundTrips};

/// Fills caches, buffers and congestion windows before anything counts.
const WARM_UP: Duration = Duration::from_secs(1);

/// The pace of pings on the idle path.
const IDLE_PACE: Duration = Duration::from_millis(2);

/// The pace of pings beside full load: slower, not to be a load themselves.
const LOADED_PACE: Duration = Duration::from_millis(10);

/// What four streams are given to fill the path before pings start beside them.
const SETTLE: Duration = Duration::from_secs(1);

/// How long before the streams end the pings do: the slowest path known answers after 80 ms.
const BEFORE_END: Duration = Duration::from_millis(300);

/// The streams that fill a path.
const STREAMS: u8 = 4;

/// Where the search for the highest clean rate starts when there was no flood to learn from.
const FIRST_RATE: f64 = 40_000.0;

/// Takes the samples of a run.
pub struct Sampler<'a> {
    plan: &'a Plan,
}

impl<'a> Sampler<'a> {
    /// One that follows `plan`.
    pub fn new(plan: &'a Plan) -> Self {
        Self { plan }
    }

    /// Measures `peer` once. What fails is in the sample, with what was measured before.
    pub fn take(&self, peer: &dyn Peer, round: u32) -> Sample {
        let mut sample = Sample::new(peer.name(), round);
        let dir = tempfile::Builder::new().prefix("mesh-").tempdir().context("make a directory");
        let taken = dir.and_then(|dir| {
            let taken = self.measure(peer, dir.path(), &mut sample);
            taken.map_err(|error| {
                Error::Failed(format!("{error}\n{}", tunnel::last_words(dir.path())))
            })
        });
        if let Err(error) = taken {
            sample.error = Some(error.to_string().trim_end().to_owned());
        }
        sample
    }

    fn measure(&self, peer: &dyn Peer, dir: &Path, sample: &mut Sample) -> Result<()> {
        interrupt::check()?;
        let ground = Ground::lay(self.plan.underlay)?;
        let mut tunnel = peer.start(&ground, dir)?;
        let first_ping = tunnel.connect(&ground)?;
        sample.values.insert(Column::FirstPing, milliseconds(first_ping));
        let mut run = Run { plan: self.plan, ground, tunnel, dir, flood: None };
        run.tcp(Iperf::single(WARM_UP))?;
        let mut failed = Vec::new();
        for probe in Probe::ALL.into_iter().filter(|&probe| self.plan.needs(probe)) {
            match self.plan.patience.measure(|| run.probe(probe)) {
                Ok(measured) => sample.add(self.shown(measured)),
                Err(error) => {
                    interrupt::check()?;
                    // The other figures are worth having all the same.
                    failed.push(format!("{probe:?}: {error}"));
                }
            }
        }
        sample.values.retain(|column, _| self.plan.columns.contains(column));
        if failed.is_empty() { Ok(()) } else { Err(Error::Failed(failed.join("; "))) }
    }

    fn shown(&self, mut measured: Measured<Figures>) -> Measured<Figures> {
        measured.value.retain(|(column, _)| self.plan.columns.contains(column));
        measured
    }
}

/// A tunnel under measurement.
struct Run<'a> {
    plan: &'a Plan,
    ground: Ground,
    tunnel: Tunnel,
    dir: &'a Path,
    /// What a flood brought through, in datagrams a second.
    flood: Option<f64>,
}

/// What a TCP run came to and what it took.
struct Transferred {
    result: TcpResult,
    daemon_seconds: f64,
    box_seconds: f64,
    footprint: Footprint,
}

impl Run<'_> {
    fn probe(&mut self, probe: Probe) -> Result<Figures> {
        match probe {
            // Measured when the tunnel came up.
            Probe::Connect => Ok(Vec::new()),
            Probe::IdlePing => self.idle_ping(),
            Probe::Tcp1 => self.one_stream(),
            Probe::Reverse => self.reverse(),
            Probe::Tcp4 => self.four_streams(),
            Probe::Flood => self.flood(),
            Probe::Small => self.small_packets(),
        }
    }

    fn far(&self) -> IpAddr {
        IpAddr::V4(self.tunnel.far())
    }

    fn idle_ping(&self) -> Result<Figures> {
        let series = PingSeries { count: self.plan.pings, every: IDLE_PACE };
        let trips = self.ground.near().run(|| series.run(self.far()))??;
        round_trips(&trips, Column::PingP50, Column::PingP99)
    }

    fn tcp(&self, iperf: Iperf) -> Result<Transferred> {
        let mut footprint = Footprint::default();
        let (before, used_before) = (Reading::now()?, self.tunnel.processor_time()?);
        let result = iperf.run(&self.ground, self.tunnel.far(), self.dir, || {
            // A daemon that has just ended has no size; the run fails for a better reason.
            footprint = footprint.max(self.tunnel.footprint().unwrap_or_default());
        })?;
        let (after, used_after) = (Reading::now()?, self.tunnel.processor_time()?);
        Ok(Transferred {
            result,
            daemon_seconds: (used_after - used_before).as_secs_f64(),
            box_seconds: before.until(&after)?.busy_seconds,
            footprint,
        })
    }

    fn one_stream(&self) -> Result<Figures> {
        let run = self.tcp(Iperf::single(self.plan.span()))?;
        let mut figures = vec![
            (Column::Tcp1, run.result.gbits),
            (Column::Box1, run.box_seconds / run.result.gib()),
        ];
        if self.tunnel.has_daemons() {
            figures.push((Column::Cpu1, run.daemon_seconds / run.result.gib()));
        }
        Ok(figures)
    }

    fn reverse(&self) -> Result<Figures> {
        let run = self.tcp(Iperf { reverse: true, ..Iperf::single(self.plan.span()) })?;
        Ok(vec![(Column::Reverse, run.result.gbits)])
    }

    fn four_streams(&self) -> Result<Figures> {
        let pings = self.ping_beside_load()?;
        let run = self.tcp(Iperf { streams: STREAMS, ..Iperf::single(self.plan.span()) });
        let trips = pings.join().map_err(|_| Error::Failed("the pings panicked".to_owned()))??;
        let run = run?;
        let mut figures = round_trips(&trips?, Column::LoadedP50, Column::LoadedP99)?;
        figures.push((Column::Tcp4, run.result.gbits));
        figures.push((Column::Box4, run.box_seconds / run.result.gib()));
        if self.tunnel.has_daemons() {
            figures.push((Column::Cpu4, run.daemon_seconds / run.result.gib()));
            figures.push((Column::Rss, mebibytes(run.footprint.larger)));
            figures.push((Column::RssBoth, mebibytes(run.footprint.both)));
        }
        Ok(figures)
    }

    /// Pings from when the streams have filled the path until shortly before they end.
    fn ping_beside_load(&self) -> Result<JoinHandle<Result<Result<RoundTrips>>>> {
        let span = self.plan.span().saturating_sub(SETTLE + BEFORE_END);
        let series = PingSeries::filling(span, LOADED_PACE);
        let target = self.far();
        self.ground.near().spawn(move || {
            std::thread::sleep(SETTLE);
            series.run(target)
        })
    }

    fn flood(&mut self) -> Result<Figures> {
        let load = Load { rate: None, span: Duration::from_secs_f64(self.plan.flood_seconds) };
        let trial = load.run(&self.ground, self.tunnel.far())?.trial();
        self.flood = Some(trial.received);
        Ok(vec![(Column::Flood, trial.received / 1e3), (Column::FloodLoss, trial.loss * 100.0)])
    }

    fn small_packets(&self) -> Result<Figures> {
        let mut search = Search::starting_at(self.flood.unwrap_or(FIRST_RATE));
        let span = Duration::from_secs_f64(self.plan.trial_seconds);
        let mut fastest = None;
        while let Some(rate) = search.next_rate() {
            interrupt::check()?;
            let before = self.tunnel.processor_time()?;
            let delivery = Load { rate: Some(rate), span }.run(&self.ground, self.tunnel.far())?;
            let used = self.tunnel.processor_time()? - before;
            search.record(delivery.trial());
            if search.best() == Some(delivery.trial()) {
                fastest = Some(used.as_secs_f64() * 1e6 / delivery.received() as f64);
            }
        }
        let best = search.best().ok_or("no rate of small datagrams got through clean")?;
        let mut figures = vec![(Column::Small, best.received / 1e3)];
        if self.tunnel.has_daemons() {
            figures.extend(fastest.map(|cost| (Column::SmallCpu, cost)));
        }
        Ok(figures)
    }
}

fn round_trips(trips: &RoundTrips, median: Column, tail: Column) -> Result<Figures> {
    let at = |share| {
        let time = percentile(&trips.times, share);
        time.map(milliseconds).ok_or_else(|| Error::Failed("no ping was answered".to_owned()))
    };
    Ok(vec![(median, at(0.5)?), (tail, at(0.99)?)])
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
