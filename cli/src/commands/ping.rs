//! `mesh ping`: echoes over the overlay, told as ping(8) tells them.

use std::time::{Duration, Instant};

use mesh_model::api::v1::{ErrorCode, Family, PingReply, PingRequest, route};

use super::Session;
use crate::args::PingArgs;
use crate::client::{Answer, Client, ClientError, GRACE};
use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::render::json::{self, Echo, Loss, Pings, RoundTrips};
use crate::render::{peers, safe, unit};

pub(super) fn run(args: PingArgs, session: &Session) -> Result<Exit, Failure> {
    let mut client = session.client()?;
    let output = &session.output;
    let request = PingRequest {
        target: args.target,
        family: if args.ipv4 { Family::V4 } else { Family::V6 },
        timeout_ms: u64::try_from(args.timeout.as_millis()).unwrap_or(u64::MAX),
    };
    let mut pings = nothing_yet(&request.target);
    let pace = Pace { count: args.count, interval: args.interval, patience: args.timeout + GRACE };
    // Whoever presses Ctrl-C still wants to know what was seen so far.
    let interrupted = match send_all(&request, &pace, &mut client, output, &mut pings) {
        Ok(()) => false,
        Err(Failure::Interrupted) => true,
        Err(other) => return Err(other),
    };
    let exit = match (interrupted, pings.received) {
        (true, _) => Exit::Interrupted,
        (false, 0) => Exit::Failed,
        (false, _) => Exit::Ok,
    };
    pings.rtt_us = round_trips(&pings.replies);
    if output.is_json() {
        output.text(&json::document(pings))?;
    } else {
        output.text(&summary(&pings))?;
    }
    Ok(exit)
}

/// How many, how often, how long.
struct Pace {
    count: u32,
    interval: Duration,
    patience: Duration,
}

fn nothing_yet(target: &str) -> Pings {
    Pings {
        target: target.to_owned(),
        member: None,
        name: None,
        addr: None,
        sent: 0,
        received: 0,
        rtt_us: None,
        replies: Vec::new(),
        lost: Vec::new(),
    }
}

fn send_all(
    request: &PingRequest,
    pace: &Pace,
    client: &mut Client,
    output: &Output,
    pings: &mut Pings,
) -> Result<(), Failure> {
    for seq in 1..=pace.count {
        let sent_at = Instant::now();
        let answer = client.post(route::PING, request, pace.patience);
        let line = record(seq, answer, pings)?;
        if !output.is_json() {
            output.line(&line)?;
        }
        if seq < pace.count {
            client.sleep(pace.interval.saturating_sub(sent_at.elapsed()))?;
        }
    }
    Ok(())
}

/// Books one echo. An echo without an answer is a loss; any other error ends the run.
fn record(
    seq: u32,
    answer: Result<Answer<PingReply>, ClientError>,
    pings: &mut Pings,
) -> Result<String, ClientError> {
    let line = match answer {
        Ok(Answer { body, .. }) => {
            let line = reply_line(seq, &body);
            pings.member = Some(body.member);
            pings.name = Some(body.name.clone());
            pings.addr = Some(body.addr);
            pings.received += 1;
            pings.replies.push(Echo { seq, reply: body });
            line
        }
        Err(ClientError::Refused(refusal))
            if matches!(refusal.code, Some(ErrorCode::TimedOut | ErrorCode::Unreachable)) =>
        {
            let message = refusal.to_string();
            let line = format!("seq={seq} no answer: {}", safe(&message));
            let code = refusal.code_name;
            pings.lost.push(Loss { seq, code, message });
            line
        }
        Err(error) => return Err(error),
    };
    pings.sent += 1;
    Ok(line)
}

fn reply_line(seq: u32, reply: &PingReply) -> String {
    let via = match reply.endpoint {
        Some(endpoint) => format!(" via {endpoint}"),
        None => String::new(),
    };
    format!(
        "reply from {} ({}): seq={seq} time={} ms, {}{via}",
        reply.name,
        reply.addr,
        unit::millis(reply.rtt_us),
        peers::path_word(reply.path)
    )
}

fn round_trips(replies: &[Echo]) -> Option<RoundTrips> {
    let times = || replies.iter().map(|echo| echo.reply.rtt_us);
    let sum: u128 = times().map(u128::from).sum();
    let avg = sum.checked_div(replies.len() as u128)?;
    Some(RoundTrips {
        min: times().min()?,
        avg: u64::try_from(avg).unwrap_or(u64::MAX),
        max: times().max()?,
    })
}

fn summary(pings: &Pings) -> String {
    let lost = u64::from(pings.sent - pings.received);
    let percent = (lost * 100).checked_div(u64::from(pings.sent)).unwrap_or_default();
    let mut text = format!(
        "--- {} ---\n{} sent, {} received, {percent}% lost\n",
        safe(&pings.target),
        pings.sent,
        pings.received
    );
    if let Some(rtt) = pings.rtt_us {
        text += &format!(
            "round trip min/avg/max = {}/{}/{} ms\n",
            unit::millis(rtt.min),
            unit::millis(rtt.avg),
            unit::millis(rtt.max)
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use mesh_model::MemberId;
    use mesh_model::api::v1::Path;

    use super::*;

    fn echo(seq: u32, rtt_us: u64) -> Echo {
        let reply = PingReply {
            member: MemberId(2),
            name: "n2".parse().expect("a name"),
            addr: "100.88.0.2".parse().expect("an address"),
            rtt_us,
            endpoint: None,
            path: Path::Direct,
        };
        Echo { seq, reply }
    }

    #[test]
    fn round_trips_of_none_are_none_and_huge_ones_do_not_overflow() {
        assert_eq!(round_trips(&[]), None);
        let huge = [echo(1, u64::MAX), echo(2, u64::MAX)];
        let (min, avg, max) = (u64::MAX, u64::MAX, u64::MAX);
        assert_eq!(round_trips(&huge), Some(RoundTrips { min, avg, max }));
    }

    #[test]
    fn a_run_cut_short_before_the_first_echo_has_a_summary() {
        assert_eq!(summary(&nothing_yet("n2")), "--- n2 ---\n0 sent, 0 received, 0% lost\n");
    }
}
