//! `mesh status`: everything at one glance, once or every second.

use std::time::Duration;

use mesh_model::api::v1::{Status, route};

use super::Session;
use crate::args::StatusArgs;
use crate::client::Client;
use crate::exit::{Exit, Failure};
use crate::render::{age, status};

/// How often a watched status is drawn.
const REDRAW: Duration = Duration::from_secs(1);

pub(super) fn run(args: &StatusArgs, session: &Session) -> Result<Exit, Failure> {
    let mut client = session.client()?;
    if args.watch {
        return watch(args.detailed, session, &mut client);
    }
    let answer = client.get(route::STATUS)?;
    session.show(&answer, |body, theme| status::page(body, args.detailed, theme))
}

/// Ends with Ctrl-C, or when the first try fails. Later a terminal shows the failure in place and
/// goes on, so that one can watch a daemon restart; a program gets its exit code at once.
fn watch(detailed: bool, session: &Session, client: &mut Client) -> Result<Exit, Failure> {
    let output = &session.output;
    let redraws = output.terminal && !output.is_json();
    let mut first = true;
    loop {
        let drawn = client.get::<Status>(route::STATUS).map_err(Failure::from);
        match drawn {
            Ok(answer) if redraws => {
                let page = status::page(&answer.body, detailed, output.theme);
                let remark = answer.as_of.and_then(age::remark).unwrap_or_default();
                output.text(&frame(&(page + &remark), first))?;
            }
            Ok(answer) => {
                if !first && !output.is_json() {
                    output.line("")?;
                }
                session.show(&answer, |body, theme| status::page(body, detailed, theme))?;
            }
            Err(Failure::Told(told)) if redraws && !first => {
                output.text(&frame(&output.in_words(&told), first))?;
            }
            Err(failure) => return Err(failure),
        }
        first = false;
        client.sleep(REDRAW)?;
    }
}

/// `page` drawn over what is there. Each line wipes what is left of the old one and the end wipes
/// the rest: clearing the screen first would flicker. Only the first frame clears it all.
fn frame(page: &str, first: bool) -> String {
    let start = if first { "\x1b[2J\x1b[H" } else { "\x1b[H" };
    format!("{start}{}\x1b[J", page.replace('\n', "\x1b[K\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_wipes_what_it_does_not_cover() {
        assert_eq!(frame("a\nb\n", false), "\x1b[Ha\x1b[K\nb\x1b[K\n\x1b[J");
    }
}
