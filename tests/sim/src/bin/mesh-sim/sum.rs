//! What happened in many runs, added up.

use std::io::{self, Write as _};
use std::time::Duration;

use mesh_sim::profile::Profile;
use mesh_sim::run::Report;
use mesh_sim::world::Stats;

/// See the [module](self).
#[derive(Default)]
pub(crate) struct Sum {
    /// Seeds that failed.
    pub(crate) failed: usize,
    /// How long all of it took, in real time.
    pub(crate) took: Duration,
    seeds: u64,
    /// As many, or twice as many.
    runs: u32,
    /// Virtual time of all runs, repeated ones too.
    lived: Duration,
    stats: Stats,
    slowest: Duration,
}

impl Sum {
    /// A seed was run so many times.
    pub(crate) fn add(&mut self, report: &Report, runs: u32, is_failure: bool) {
        let (sum, one) = (&mut self.stats, &report.stats);
        self.seeds += 1;
        self.runs += runs;
        self.failed += usize::from(is_failure);
        self.lived += one.elapsed * runs;
        self.slowest = self.slowest.max(report.took);
        sum.hosts += one.hosts;
        sum.events += one.events;
        sum.faults += one.faults;
        sum.crashes += one.crashes;
        sum.sent += one.sent;
        sum.delivered += one.delivered;
        sum.forged += one.forged;
        sum.intruders += one.intruders;
        sum.commands += one.commands;
        sum.rulings += one.rulings;
        sum.rekeys += one.rekeys;
        sum.transfers += one.transfers;
        sum.reads += one.reads;
        sum.trials += one.trials;
        sum.held_back += one.held_back;
        sum.recoveries += one.recoveries;
        sum.lies += one.lies;
        sum.forgeries += one.forgeries;
        sum.alarms += one.alarms;
        sum.terms += one.terms;
        sum.stranded += one.stranded;
        sum.calls += one.calls;
    }

    /// Another profile was run.
    pub(crate) fn join(&mut self, other: &Self) {
        self.failed += other.failed;
        self.took += other.took;
        self.runs += other.runs;
        self.lived += other.lived;
    }

    /// All of it on one line, under `name`.
    pub(crate) fn print_line(&self, name: &str) -> io::Result<()> {
        let Self { runs, failed, lived, took, .. } = self;
        let pace = lived.as_secs_f64() / took.as_secs_f64();
        let [lived, took] = [lived, took].map(Duration::as_secs_f64);
        writeln!(
            io::stdout().lock(),
            "{name}: {runs} runs, {failed} seeds failed, {lived:.0} s of virtual time in {took:.1} s, {pace:.0} virtual s a second"
        )
    }

    /// All that is known of the runs of `profile`.
    pub(crate) fn print(&self, profile: &Profile, twice: bool) -> io::Result<()> {
        let Stats { hosts, events, faults, crashes, sent, delivered, forged, intruders, .. } =
            self.stats;
        let Stats { rekeys, .. } = self.stats;
        let Stats { commands, rulings, transfers, reads, terms, stranded, calls, .. } = self.stats;
        let (seeds, failed, name) = (self.seeds, self.failed, profile.name);
        let twice = if twice { " twice" } else { "" };
        let mut out = io::stdout().lock();
        writeln!(out, "{seeds} seeds{twice}, profile {name}: {failed} failed")?;
        writeln!(out, "  {hosts} hosts, {events} events, {faults} faults, {crashes} crashes")?;
        writeln!(
            out,
            "  {commands} commands agreed in {terms} terms with {calls} calls, {stranded} members stranded"
        )?;
        writeln!(
            out,
            "  {rulings} rulings decided, {rekeys} keys changed, {transfers} leads handed over on request, {reads} reads"
        )?;
        let Stats { trials, held_back, .. } = self.stats;
        if trials + held_back > 0 {
            writeln!(
                out,
                "  {trials} times something of the next edition, {held_back} times too early"
            )?;
        }
        writeln!(
            out,
            "  {delivered} of {sent} packets delivered, {forged} sent with a forged source, {intruders} intruders turned away"
        )?;
        if self.stats.recoveries > 0 {
            let recoveries = self.stats.recoveries;
            writeln!(out, "  {recoveries} times gone on from one host that was left")?;
        }
        if profile.treason {
            let Stats { lies, forgeries, alarms, .. } = self.stats;
            writeln!(
                out,
                "  {lies} lies told by a voter, which the alarm named in {alarms} seeds, {forgeries} forged records refused"
            )?;
        }
        writeln!(
            out,
            "  {:.0} s of virtual time in {:.1} s, the slowest seed {:.1} s",
            self.lived.as_secs_f64(),
            self.took.as_secs_f64(),
            self.slowest.as_secs_f64()
        )
    }
}
