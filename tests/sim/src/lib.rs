//! The real cores in virtual time: many hosts, one thread, one seed.
//!
//! [`run::run`] makes a [`world::World`] from a seed and a [`profile`], lets it live through what
//! [`faults`] and [`load`] draw, holds it to the [`invariants`] and says how it went. What a failing
//! seed did can be read in its [`trace`], and happens again whenever the seed runs again.

pub mod admin;
pub mod bench;
pub mod clock;
pub mod crowd;
pub mod cuts;
pub mod disk;
pub mod faults;
pub mod forger;
pub mod host;
pub mod host_clock;
pub mod invariants;
pub mod life;
pub mod link;
pub mod load;
pub mod net;
pub mod once;
pub mod plant;
pub mod profile;
pub mod reference;
pub mod rising;
pub mod run;
pub mod seeds;
pub mod spoken;
pub mod switchboard;
pub mod trace;
pub mod traitor;
pub mod trust;
pub mod tunnels;
pub mod upgrade;
pub mod wall;
pub mod world;
