//! `mesh wait`: until the mesh is in a certain state, the daemon's start included.

use std::time::{Duration, Instant};

use mesh_model::api::v1::{ErrorCode, WaitFor, WaitReply, WaitRequest, route};

use super::Session;
use crate::args::WaitArgs;
use crate::client::{Client, ClientError, GRACE};
use crate::exit::{Exit, Failure};
use crate::render::{unit, who};

/// How often a daemon that is not there yet is tried: below what a person notices, and next to
/// nothing for the machine.
const RETRY: Duration = Duration::from_millis(100);

pub(super) fn run(args: &WaitArgs, session: &Session) -> Result<Exit, Failure> {
    let mut client = session.client()?;
    let deadline = Instant::now() + args.timeout;
    let answer = loop {
        let left = || deadline.saturating_duration_since(Instant::now());
        match ask(&mut client, args.wait_for, left()) {
            // Not started yet, or restarting; or it does not wait for as long as we do.
            Err(error) if may_yet(&error) && left() > RETRY => client.sleep(RETRY)?,
            other => break other?,
        }
    };
    session.show(&answer, |reply, _| page(args.wait_for, reply))
}

/// Whether what could not be had now may come if asked for again.
fn may_yet(error: &ClientError) -> bool {
    match error {
        ClientError::Unreachable { .. } | ClientError::HungUp { .. } => true,
        ClientError::Refused(refusal) => refusal.code == Some(ErrorCode::TimedOut),
        _ => false,
    }
}

fn ask(
    client: &mut Client,
    wait_for: WaitFor,
    left: Duration,
) -> Result<crate::client::Answer<WaitReply>, ClientError> {
    let request =
        WaitRequest { wait_for, timeout_ms: u64::try_from(left.as_millis()).unwrap_or(u64::MAX) };
    client.post(route::WAIT, &request, left + GRACE)
}

fn page(wait_for: WaitFor, reply: &WaitReply) -> String {
    let what = match wait_for {
        WaitFor::Ready => "ready".to_owned(),
        WaitFor::Leader => "a supervisor is known".to_owned(),
        WaitFor::Applied(index) => format!("index {index} is applied"),
    };
    let leader = match reply.leader {
        Some(leader) => who(None, leader),
        None => "none".to_owned(),
    };
    let waited = unit::duration(Duration::from_millis(reply.waited_ms));
    format!("{what} after {waited}: supervisor {leader}, applied {}\n", reply.applied)
}
