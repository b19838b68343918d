//! Who is alive, and what everyone says of itself.
//!
//! The protocol is SWIM (Das, Gupta, Motivala: "SWIM: Scalable Weakly-consistent Infection-style
//! Process Group Membership Protocol", DSN 2002), by the `foca` crate. Once a second a member pings
//! one other, in shuffled turn. If no answer comes, three more members are asked to ping it; if none
//! of them gets one either, it becomes *suspect*. The news rides on the pings and answers that flow
//! anyway, so it spreads like an infection, and the suspect hears of it too: it refutes by raising
//! its *incarnation*. One that does not is *dead* after four more seconds. Wrongly declared dead, or
//! started anew, a member begins its next *generation*, which outranks all that was said before.
//!
//! ```text
//!              missed probe            suspicion over
//!   Alive ────────────────────> Suspect ────────────> Dead
//!     ^  <─ greater incarnation ─┘                      │
//!     └───────────────── greater generation ────────────┘
//! ```
//!
//! What differs from the paper:
//! - **Membership is agreed, not gossiped.** Only members of the agreed view exist here. Each is
//!   called upon (`reach`) until it answers, so there is no bootstrap list and no merge problem.
//! - **The speaker is proven.** Datagrams come through tunnels; `screen` takes out what a proven
//!   speaker cannot rightly say. What it does say about others is believed, so a hostile member can
//!   make others look dead for a moment; nothing but display and order of preference depends on it.
//! - **Suspects are told** on every message to them, and a daemon that wakes late blames itself
//!   before it blames others (both after Dadgar, Phillips, Currey: "Lifeguard", DSN-W 2018).
//! - **Facts ride along** (`book`, `rumours`): version, capabilities, endpoints, applied index,
//!   signed by their owner. News is told a few times by everyone; what that misses, a comparison of
//!   digests with one random member every five seconds repairs.
//!
//! Sans-IO: see [`Gossip`] for the calls.

mod book;
mod config;
mod drops;
mod own_facts;
mod packet;
mod peer_state;
mod reach;
mod receive;
mod rumours;
mod screen;
mod send;
mod sighting;
mod swim;
mod swim_codec;
mod swim_id;
mod table;
mod timing;
mod wakes;
mod work;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mesh_model::api::v1::GossipState;
use mesh_model::facts::Facts;
use mesh_model::view::ClusterView;
use mesh_model::{MemberId, Signed};
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

use book::{Book, Received};
use own_facts::OwnFacts;
use reach::Reach;
use rumours::Rumours;
use send::Outbox;
use swim::Swim;
use swim_id::{HIGHEST_RUMOURED, SwimId};
use table::Table;
use wakes::{Wake, Wakes};

pub use config::GossipConfig;
pub use drops::{Drop, Drops};
pub use packet::MAX_DATAGRAM;
pub use peer_state::PeerState;
pub use send::{Datagram, MAX_OUTBOX};
pub use sighting::Sighting;
pub use timing::Timing;

/// Gossip of one member.
///
/// Feed it with `handle_*`, drain `poll_transmit` and `poll_change`, and call
/// [`Gossip::handle_timeout`] at [`Gossip::poll_timeout`].
pub struct Gossip {
    me: MemberId,
    timing: Timing,
    view: Arc<ClusterView>,
    /// The agreed view no longer has this host: all is over.
    removed: bool,
    swim: Swim,
    wakes: Wakes,
    /// The last wake came late and was put off once.
    excused: bool,
    table: Table,
    reach: Reach,
    book: Book,
    own: OwnFacts,
    rumours: Rumours,
    /// The pause until the sync after the next: short while we are new.
    sync_pause: Duration,
    /// Whose facts changed since last asked.
    news: BTreeSet<MemberId>,
    rng: ChaCha8Rng,
    outbox: Outbox,
    drops: Drops,
}

impl Gossip {
    /// Starts to call on everybody in `view`. `facts` are what the disk remembers; those that do
    /// not hold any more are left out.
    pub fn new(
        config: GossipConfig,
        view: Arc<ClusterView>,
        facts: impl IntoIterator<Item = Signed<Facts>>,
        seed: [u8; 32],
        now: Instant,
    ) -> Self {
        let (me, timing) = (config.me, config.timing);
        let mut own = OwnFacts::new(
            (view.mesh(), me),
            config.identity,
            config.boot_ms,
            (&config.version, config.reads),
            config.capabilities,
        );
        let mut book = Book::new(me);
        for signed in facts {
            match book.receive(signed, &view) {
                // An earlier life's: this one has to outrank it as a whole.
                Ok(Received::OwnAhead(boot_ms, _)) => own.outbid((boot_ms.saturating_add(1), 0)),
                Ok(Received::News(_) | Received::Known) => {}
                Err(reason) => tracing::debug!(reason = reason.name(), "remembered facts left out"),
            }
        }
        let life = SwimId { member: me, generation: own.boot_ms().min(HIGHEST_RUMOURED) };
        let rng = |purpose| ChaCha8Rng::from_seed(blake3::derive_key(purpose, &seed));
        let swim_rng = rng("meshd v1 gossip swim");
        let members = view.members.len();
        let mut gossip = Self {
            me,
            view: Arc::clone(&view),
            removed: false,
            swim: Swim::new(life, &timing, members, swim_rng),
            wakes: Wakes::default(),
            excused: false,
            table: Table::default(),
            reach: Reach::new(timing.reach_first, timing.reach_longest),
            book,
            own,
            rumours: Rumours::default(),
            sync_pause: timing.sync_interval,
            news: BTreeSet::new(),
            rng: rng("meshd v1 gossip choices"),
            outbox: Outbox::default(),
            drops: Drops::default(),
            timing,
        };
        gossip.wakes.set(Wake::Sync, now + gossip.timing.sync_interval);
        gossip.handle_view(view, now);
        gossip
    }

    /// The agreed view changed.
    pub fn handle_view(&mut self, view: Arc<ClusterView>, now: Instant) {
        if self.removed {
            return;
        }
        self.own.set_applied(view.applied);
        let me = self.me;
        let others = view.members.keys().copied().filter(|id| *id != me);
        let (new, gone) = self.table.reset(others);
        self.book.keep(&view);
        self.rumours.retain(|id| view.members.contains_key(&id));
        self.view = view;
        for member in new {
            self.reach.lost(member, now);
        }
        for member in gone {
            self.reach.found(member);
            self.wakes.forget_suspicion(member);
            self.news.remove(&member);
            let forgotten = self.swim.forget(member);
            self.expect_swim(forgotten);
        }
        if self.view.has_place(me) {
            self.swim.resize(&self.timing, self.table.len() + 1);
            self.work(now);
        } else {
            self.stop();
        }
    }

    /// A gossip datagram came through `from`'s tunnel.
    pub fn handle_datagram(&mut self, from: MemberId, payload: &[u8], now: Instant) {
        if let Err(reason) = self.receive(from, payload, now) {
            self.drops.count(reason);
        }
        self.work(now);
    }

    /// This host's underlay addresses, best first.
    pub fn handle_own_endpoints(&mut self, endpoints: Vec<SocketAddr>, now: Instant) {
        self.own.set_endpoints(endpoints);
        self.work(now);
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.excuse_lateness(now) {
            return;
        }
        while let Some((wake, timer)) = self.wakes.take_due(now) {
            match (wake, timer) {
                (_, Some(timer)) if self.table.is_refuted(&timer) => {
                    // SWIM would see that too, but the crate tells the refuter all the same that it
                    // is dead (foca 2.0.0, `ChangeSuspectToDown`), and it would begin a new life.
                }
                (_, Some(timer)) => {
                    let handled = self.swim.handle_timer(timer);
                    self.expect_swim(handled);
                    self.settle(now);
                }
                (Wake::Rumours, None) => self.tell_rumours(),
                (Wake::Sync, None) => self.sync(now),
                // Done below, whether or not its time has come.
                (_, None) => {}
            }
            self.work(now);
        }
    }

    /// When to call [`Self::handle_timeout`], and why.
    pub fn poll_timeout(&self) -> Option<(Instant, &'static str)> {
        self.wakes.next().map(|(at, wake)| (at, wake.reason()))
    }

    /// The next datagram to send.
    pub fn poll_transmit(&mut self) -> Option<Datagram> {
        self.outbox.pop()
    }

    /// The next change of a member's state.
    pub fn poll_change(&mut self) -> Option<(MemberId, GossipState)> {
        self.table.poll_change()
    }

    /// A member whose facts have changed since it was last returned here.
    pub fn poll_news(&mut self) -> Option<MemberId> {
        self.news.pop_first()
    }

    /// What gossip thinks of `member`; for this host itself, what it says.
    pub fn peer(&self, member: MemberId) -> PeerState<'_> {
        let facts = self.book.facts(member);
        if member == self.me {
            return PeerState {
                member,
                state: GossipState::Alive,
                generation: self.swim.me().generation,
                incarnation: self.swim.incarnation().into(),
                facts,
            };
        }
        let standing = self.table.standing(member);
        PeerState {
            member,
            state: self.table.state(member),
            generation: standing.map_or(0, |standing| standing.generation),
            incarnation: standing.map_or(0, |standing| standing.incarnation.into()),
            facts,
        }
    }

    /// The facts of `member` as signed by it.
    pub fn signed_facts(&self, member: MemberId) -> Option<&Signed<Facts>> {
        self.book.signed(member)
    }

    /// What was not taken, and how often.
    pub fn drops(&self) -> &Drops {
        &self.drops
    }
}
