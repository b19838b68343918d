//! The daemon dies, or its disk fails, at each step on the way from memory to disk.
//!
//! The daemon says where it can be struck (`meshd failpoints`, in a build with the feature of that name). A story of
//! a few commands is told to it from its first start on, it is struck once somewhere, started again without, and
//! told the rest. Whatever it had acknowledged must be there then, and whatever it had not must be possible: no
//! half-done step is in the way, and no operator is needed.

use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;

use mesh_model::TunnelKey;
use mesh_model::api::v1::{Bans, DaemonState, InviteReply, Invites, Snapshots, TunnelKeys};
use mesh_model::id::InviteId;
use nix::sys::signal::Signal;

use crate::binaries::Binaries;
use crate::daemon::STOP_LIMIT;
use crate::error::{Context as _, Error, Result};
use crate::lab::{Lab, SETTLE_LIMIT};
use crate::mesh::{Answer, exit};
use crate::wait::eventually;

/// Says to the daemon where to be struck.
const VARIABLE: &str = "MESHD_FAILPOINTS";

/// How a daemon ends that was asked to after its disk failed, or that could not go on, as promised.
const DISK: i32 = 74;

/// What becomes of the daemon at the point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blow {
    /// The process dies.
    Abort,
    /// The step fails with EIO, that one time.
    Error,
}

/// What is done meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Story {
    /// The struck host begins a mesh, changes its key, lets another in, makes a snapshot, bans it, and leaves.
    Founder,
    /// The struck host joins a mesh, makes a snapshot, changes its key and leaves.
    Joiner,
}

/// Where, how and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Strike {
    /// The name of the point.
    pub point: String,
    /// What becomes of the daemon there.
    pub blow: Blow,
    /// How often the point is passed before.
    pub after: u64,
    /// What is done meanwhile.
    pub story: Story,
}

/// One step of a story.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Init,
    Invite,
    LetIn,
    Snapshot,
    Ban,
    Join,
    Rotate,
    Leave,
}

/// A story under way.
struct Told<'a> {
    strike: &'a Strike,
    lab: Lab,
    /// The number of the host that is struck; the other is the other of two.
    struck: usize,
    invite: Option<InviteReply>,
    acknowledged: Vec<Step>,
}

/// The points of the daemon under test.
pub fn points() -> Result<Vec<String>> {
    let meshd = Binaries::find()?.meshd;
    let said = Command::new(&meshd).arg("failpoints").output().context("ask for failpoints")?;
    if !said.status.success() {
        return Err(Error::Failed(format!(
            "{} was built without failpoints: cargo build --workspace --bins --features meshd/failpoints,mesh-cli/failpoints",
            meshd.display()
        )));
    }
    Ok(String::from_utf8_lossy(&said.stdout).lines().map(str::to_owned).collect())
}

impl Strike {
    /// Tells the story with this strike; whether it came to it. An error when something acknowledged was lost, or when
    /// something was in the way afterwards.
    pub fn run(&self) -> Result<bool> {
        self.tell().map_err(|error| Error::Failed(format!("{self:?}: {error}")))
    }

    fn tell(&self) -> Result<bool> {
        let mut told = Told::prepare(self)?;
        let struck = told.tell_all();
        told.lab.expect_errors();
        // What the logs hold is no further news then.
        struck.map_err(|error| Error::Failed(format!("{error}\n{}", told.lab.show_logs())))
    }

    /// As the daemon reads it.
    fn charge(&self) -> String {
        let blow = match self.blow {
            Blow::Abort => "abort",
            Blow::Error => "error",
        };
        format!("{}={blow}:after-{}", self.point, self.after)
    }
}

impl<'a> Told<'a> {
    fn prepare(strike: &'a Strike) -> Result<Self> {
        let mut lab = Lab::rootless(2)?;
        let struck = match strike.story {
            Story::Founder => 1,
            Story::Joiner => 2,
        };
        lab.host_mut(struck).extra_env(&[(VARIABLE, &strike.charge())]);
        lab.host_mut(3 - struck).start()?;
        let mut told = Self { strike, lab, struck, invite: None, acknowledged: Vec::new() };
        if strike.story == Story::Joiner {
            told.lab.host(1).init()?;
            told.invite = Some(told.lab.host(1).invite(1)?);
        }
        Ok(told)
    }

    fn tell_all(&mut self) -> Result<bool> {
        let steps: &[Step] = match self.strike.story {
            Story::Founder => &[
                Step::Init,
                Step::Rotate,
                Step::Invite,
                Step::LetIn,
                Step::Snapshot,
                Step::Ban,
                Step::Leave,
            ],
            Story::Joiner => &[Step::Join, Step::Snapshot, Step::Rotate, Step::Leave],
        };
        let mut struck = self.lab.host_mut(self.struck).start().is_err();
        if struck {
            self.start_again()?;
        }
        for &step in steps {
            let answer = self.act(step)?;
            let done = answer.code == Some(exit::OK);
            if done {
                self.keep(step, &answer)?;
            }
            if !struck && self.has_struck() {
                struck = true;
                self.start_again()?;
                // Of a goodbye that was agreed and not carried out, nobody can say that it did not happen.
                if done || step != Step::Leave {
                    self.check_kept()?;
                }
            }
            if !done {
                self.again(step, &answer, struck)?;
            }
        }
        self.end(struck)
    }

    /// Says it once.
    fn act(&self, step: Step) -> Result<Answer> {
        let struck = self.lab.host(self.struck);
        let name = self.lab.host(3 - self.struck).name();
        let token = self.invite.as_ref().map(|invite| invite.token.as_str()).unwrap_or_default();
        match step {
            Step::Init => struck.mesh().run(&["init", "--name", &struck.name()]),
            Step::Invite => struck.mesh().run(&["invite"]),
            Step::LetIn => self.lab.host(2).mesh().run_with_input(&["join", "--name", "n2"], token),
            Step::Join => struck.mesh().run_with_input(&["join", "--name", "n2"], token),
            Step::Rotate => struck.mesh().run(&["keys", "rotate"]),
            Step::Snapshot => struck.mesh().run(&["snapshot", "create"]),
            Step::Ban => struck.mesh().run(&["ban", &name]),
            Step::Leave => struck.mesh().run(&["leave", "--yes", "--force"]),
        }
    }

    /// Says it to a daemon that was started again, until it is done or turns out to have been.
    fn again(&mut self, step: Step, first: &Answer, struck: bool) -> Result<()> {
        if !struck {
            return Err(Error::Failed(format!("{step:?} failed without a strike: {first:?}")));
        }
        eventually(SETTLE_LIMIT, &format!("{step:?} after the strike"), || {
            if step != Step::Invite && self.is_done(step).unwrap_or(false) {
                return Some(Ok(()));
            }
            let answer = self.act(step).ok()?;
            (answer.code == Some(exit::OK)).then(|| self.keep(step, &answer))
        })?
    }

    /// What was acknowledged must stay.
    fn keep(&mut self, step: Step, answer: &Answer) -> Result<()> {
        if step == Step::Invite {
            self.invite = Some(answer.document()?);
        }
        self.acknowledged.push(step);
        Ok(())
    }

    fn check_kept(&self) -> Result<()> {
        // Once it has left, nothing else is there any more.
        let last = self.acknowledged.last().filter(|&&step| step == Step::Leave);
        for &step in last.into_iter().chain(self.acknowledged.iter().filter(|_| last.is_none())) {
            eventually(SETTLE_LIMIT, &format!("{step:?} was acknowledged and is there"), || {
                self.is_done(step).ok()?.then_some(())
            })?;
        }
        Ok(())
    }

    /// Whether the step has come about, as the struck host and the other one see it.
    fn is_done(&self, step: Step) -> Result<bool> {
        let (struck, other) = (self.lab.host(self.struck), self.lab.host(3 - self.struck));
        let member = |state| state == DaemonState::Member;
        Ok(match step {
            Step::Init => member(struck.status()?.state),
            Step::Invite => {
                let known: Invites = struck.mesh().get(&["invites", "list"])?;
                let kept: Option<InviteId> = self.invite.as_ref().map(|invite| invite.invite);
                known.invites.iter().any(|invite| Some(invite.invite) == kept)
            }
            // A ban that came later, with or without an answer, leaves it admitted.
            Step::LetIn => {
                self.is_done(Step::Ban)?
                    || member(other.status()?.state) && struck.status()?.members == 2
            }
            Step::Join => member(struck.status()?.state) && other.status()?.members == 2,
            Step::Rotate => {
                let keys: TunnelKeys = struck.mesh().get(&["keys"])?;
                keys.own.serial > 0 && self.is_on_disk(&keys.own.key)?
            }
            Step::Snapshot => {
                let kept: Snapshots = struck.mesh().get(&["snapshot", "list"])?;
                if !kept.damaged.is_empty() {
                    return Err(Error::Failed(format!("half a snapshot: {:?}", kept.damaged)));
                }
                !kept.snapshots.is_empty()
            }
            Step::Ban => {
                let bans: Bans = struck.mesh().get(&["bans"])?;
                bans.bans.len() == 1
            }
            Step::Leave => struck.status()?.state == DaemonState::NotJoined,
        })
    }

    /// Whether the struck host would find its WireGuard key `key` at its next start.
    fn is_on_disk(&self, key: &TunnelKey) -> Result<bool> {
        let path = self.lab.host(self.struck).state_dir().join("identity.key");
        let text = std::fs::read_to_string(&path).context(format!("read {}", path.display()))?;
        let has_it = |line: &str| {
            let field = line.strip_prefix("tunnel-public: ");
            field.or_else(|| line.strip_prefix("other-tunnel-public: ")) == Some(&key.to_string())
        };
        Ok(text.lines().any(has_it))
    }

    fn has_struck(&self) -> bool {
        self.lab
            .host(self.struck)
            .log()
            .contains(&format!("failpoint {} strikes", self.strike.point))
    }

    /// The struck daemon ends, if it has not, and is started without a charge.
    fn start_again(&mut self) -> Result<()> {
        if !self.has_struck() {
            return Err("it ended without a strike".into());
        }
        let blow = self.strike.blow;
        let host = self.lab.host_mut(self.struck);
        let ended = match host.is_running() {
            true if blow == Blow::Error => host.terminate()?,
            _ => host.wait_exit(STOP_LIMIT)?,
        };
        let as_promised = match blow {
            Blow::Abort => ended.signal() == Some(Signal::SIGABRT as i32),
            Blow::Error => matches!(ended.code(), Some(exit::OK | DISK)),
        };
        if !as_promised {
            return Err(Error::Failed(format!("it ended with {ended}")));
        }
        host.extra_env(&[]);
        host.start()
    }

    /// The story is over: so must the daemon be, in good order, unless it was struck at this very moment.
    fn end(&mut self, mut struck: bool) -> Result<bool> {
        let ended = self.lab.host_mut(self.struck).terminate();
        if !struck && self.has_struck() {
            struck = true;
            let host = self.lab.host_mut(self.struck);
            host.extra_env(&[]);
            host.start()?;
            self.check_kept()?;
        } else if ended?.code() != Some(exit::OK) {
            return Err("it did not end in good order".into());
        }
        Ok(struck)
    }
}
