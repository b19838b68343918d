//! The packet path measured beside its peers, on one machine.
//!
//! A [`sample`] is one [`peer`] measured once: two fresh namespaces and a cable between them
//! ([`ground`]), two fresh daemons, one second of TCP to warm up, then one probe after the other
//! ([`sampler`]). Rounds are interleaved, every peer once and then every peer again, so that whatever
//! drifts on the machine drifts for all of them. A figure during which others took the processors is
//! measured again, and marked if that did not help ([`calm`]). Figures of one run are compared with each
//! other, as ratios to one of the peers ([`report`]); on a machine that others share nothing else can be.
//!
//! Everything measured is bounded by what the tools themselves can do, so a run includes the bare cable.
//! Method and caveats: docs/performance.md.

pub mod agreement;
pub mod calm;
pub mod column;
pub mod generator;
pub mod ground;
pub mod interrupt;
pub mod iperf;
pub mod load;
pub mod machine;
pub mod markdown;
pub mod peer;
pub mod plan;
pub mod programs;
pub mod report;
pub mod sample;
pub mod sampler;
pub mod search;
pub mod statistics;
pub mod tunnel;
