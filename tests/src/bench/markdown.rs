//! A report as tables for people.

use std::fmt::Write as _;

use super::calm::DISTURBED;
use super::column::{Better, Column, Sheet};
use super::report::{Cell, Report};

/// Renders `report`: what it was measured on, the figures, the ratios, what is missing.
pub fn render(report: &Report) -> String {
    let mut text = String::new();
    head(&mut text, report);
    for (sheet, title) in
        [(Sheet::Bulk, "Bulk and what it costs"), (Sheet::Rest, "Small packets, latency, memory")]
    {
        let columns = shown(report, |column| column.look().sheet == sheet);
        if !columns.is_empty() {
            let _ = writeln!(
                text,
                "\n{title}: median (smallest-largest); + more is better, - less is\n"
            );
            table(&mut text, report, &columns, figure);
            if let Some(base) = &report.base {
                let _ = writeln!(text, "\nRatio to {base}: the median of the rounds' own\n");
                table(&mut text, report, &columns, ratio);
            }
        }
    }
    foot(&mut text, report);
    text
}

/// The columns anybody has a figure for.
fn shown(report: &Report, wanted: impl Fn(Column) -> bool) -> Vec<Column> {
    let has_figures = |column| report.samples.iter().any(|s| s.values.contains_key(&column));
    Column::all().iter().copied().filter(|&column| wanted(column) && has_figures(column)).collect()
}

fn head(text: &mut String, report: &Report) {
    let plan = &report.plan;
    let rounds = report.samples.iter().map(|sample| sample.round).max().unwrap_or_default();
    let _ = writeln!(text, "On {}.", report.machine);
    let _ = writeln!(
        text,
        "Rounds: {rounds} of {}; TCP runs of {} s; underlay {}; largest socket buffers {} and {} bytes.",
        plan.rounds,
        plan.seconds,
        plan.underlay.name(),
        report.machine.socket_buffers[0],
        report.machine.socket_buffers[1],
    );
    let most =
        |of: fn(&super::sample::Sample) -> f64| report.samples.iter().map(of).fold(0.0, f64::max);
    let _ = writeln!(
        text,
        "Meanwhile others used at most {:.2} processors, the hypervisor took at most {:.2}.",
        most(|sample| sample.strangers),
        most(|sample| sample.stolen),
    );
}

fn table(
    text: &mut String,
    report: &Report,
    columns: &[Column],
    show: impl Fn(Column, Cell) -> String,
) {
    let headings: Vec<String> = columns.iter().map(|column| heading(*column)).collect();
    let _ = writeln!(text, "| peer | {} |", headings.join(" | "));
    let _ = writeln!(text, "|---|{}", "---:|".repeat(columns.len()));
    for peer in report.peers() {
        let cells: Vec<String> = columns
            .iter()
            .map(|&column| match report.cell(peer, column) {
                Some(cell) => show(column, cell),
                None => "-".to_owned(),
            })
            .collect();
        let _ = writeln!(text, "| {peer} | {} |", cells.join(" | "));
    }
}

fn heading(column: Column) -> String {
    let look = column.look();
    let sign = match look.better {
        Better::Higher => "+",
        Better::Lower => "-",
    };
    format!("{} ({sign})", look.heading)
}

fn figure(column: Column, cell: Cell) -> String {
    let digits = column.look().digits;
    let mark = if cell.disturbed { "*" } else { "" };
    let summary = cell.summary;
    if summary.count == 1 {
        return format!("{:.digits$}{mark}", summary.median);
    }
    format!("{:.digits$}{mark} ({:.digits$}-{:.digits$})", summary.median, summary.min, summary.max)
}

fn ratio(_column: Column, cell: Cell) -> String {
    let mark = if cell.ratio_disturbed { "*" } else { "" };
    cell.ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}{mark}"))
}

fn foot(text: &mut String, report: &Report) {
    if report.samples.iter().any(|sample| !sample.disturbed.is_empty()) {
        let _ = writeln!(
            text,
            "\n`*`: others and the hypervisor took {DISTURBED} processors or more during samples that count here."
        );
    }
    let versions = report
        .versions
        .iter()
        .filter_map(|(peer, version)| version.as_ref().map(|version| format!("{peer}: {version}")));
    let versions: Vec<String> = versions.collect();
    if !versions.is_empty() {
        let _ = writeln!(text, "\nVersions: {}.", versions.join("; "));
    }
    for (peer, reason) in &report.skipped {
        let _ = writeln!(text, "\nSkipped {peer}: {reason}.");
    }
    for sample in &report.samples {
        if let Some(error) = &sample.error {
            let first = error.lines().next().unwrap_or_default();
            let _ = writeln!(text, "\nFailed: {} in round {}: {first}.", sample.peer, sample.round);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::tests::{report, sample};
    use super::*;

    fn rows(text: &str, peer: &str) -> Vec<String> {
        let start = format!("| {peer} |");
        text.lines().filter(|line| line.starts_with(&start)).map(str::to_owned).collect()
    }

    #[test]
    fn a_peer_has_a_row_of_figures_and_one_of_ratios() {
        let text = render(&report(vec![
            sample("base", 1, 2.0, false),
            sample("ours", 1, 3.0, false),
            sample("base", 2, 2.5, false),
            sample("ours", 2, 6.0, false),
        ]));
        assert_eq!(rows(&text, "base"), ["| base | 2.25 (2.00-2.50) |", "| base | 1.00 |"]);
        assert_eq!(rows(&text, "ours"), ["| ours | 4.50 (3.00-6.00) |", "| ours | 1.95 |"]);
        assert!(text.contains("| peer | TCP 1, Gbit/s (+) |\n|---|---:|\n"), "{text}");
        assert!(!text.contains("`*`"));
    }

    #[test]
    fn disturbed_figures_are_marked_and_the_mark_explained() {
        let text = render(&report(vec![sample("base", 1, 2.0, true)]));
        assert_eq!(rows(&text, "base"), ["| base | 2.00* |", "| base | 1.00* |"]);
        assert!(text.contains("`*`: others and the hypervisor took 0.15"));
        assert!(text.contains("others used at most 0.50 processors"));
    }

    #[test]
    fn what_is_missing_is_named() {
        let mut failed = sample("ours", 2, 1.0, false);
        failed.values.clear();
        failed.error = Some("no ping was answered\nmore".to_owned());
        let mut report = report(vec![sample("base", 1, 2.0, false), failed]);
        report.skipped.push(("tinc".to_owned(), "tincd is not installed".to_owned()));
        let text = render(&report);
        assert!(text.contains("Skipped tinc: tincd is not installed.\n"));
        assert!(text.contains("Failed: ours in round 2: no ping was answered.\n"));
        assert_eq!(rows(&text, "ours"), ["| ours | - |", "| ours | - |"]);
    }
}
