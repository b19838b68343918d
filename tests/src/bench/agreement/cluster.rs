//! What agrees: a mesh, or etcd.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use nix::unistd::Pid;

use super::client::{Door, Post};
use crate::error::Result;
use crate::fabric::Fabric;
use crate::http::Reply;
use crate::netns::Netns;
use crate::wait::eventually;

/// How long members may take to agree again once nothing stands in their way: a member that was cut off is dialled
/// anew within seconds.
const SETTLE_LIMIT: Duration = Duration::from_secs(60);

/// What the members say of themselves when all is well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The number of the member that leads.
    pub leader: usize,
    /// How far all of them have come.
    pub applied: u64,
}

/// Members on hosts 1 to [`size`](Self::size), and their clients' language.
pub trait Cluster: Send {
    /// What tables call it.
    fn name(&self) -> &'static str;

    /// What it says of its version.
    fn version(&self) -> String;

    /// How many members there are, all of which vote.
    fn size(&self) -> usize;

    /// What connects them.
    fn fabric(&self) -> &Fabric;

    /// The network of member `number`.
    fn netns(&self, number: usize) -> Arc<Netns>;

    /// Where member `number` listens for clients beside it.
    fn door(&self, number: usize) -> Door;

    /// The processes of all members that run.
    fn processes(&self) -> Vec<Pid>;

    /// The `nth` write, at member `number`: a small record that was not there before.
    fn write(&self, nth: u64, number: usize) -> Post;

    /// The name of the record that `reply` acknowledges to the `nth` write; `None` when it does not.
    fn acknowledged(&self, nth: u64, reply: &Reply) -> Option<String>;

    /// The `nth` small command, any number of which leave the members as large as they were.
    fn small_command(&self, nth: u64) -> Post;

    /// The records member `number` has, by its own knowledge.
    fn records(&self, number: usize) -> Result<BTreeSet<String>>;

    /// What all members agree on, themselves included; `None` while they do not.
    fn standing(&self) -> Option<Standing>;

    /// Kills member `number`. No power cut: what it wrote to its files is in them.
    fn kill(&mut self, number: usize) -> Result<()>;

    /// Starts a member that was ended.
    fn start(&mut self, number: usize) -> Result<()>;

    /// The last words of all members, for whoever must find out what went wrong.
    fn last_words(&mut self) -> String;
}

/// Waits until all members follow one leader and have come equally far.
pub fn settled(cluster: &dyn Cluster) -> Result<Standing> {
    let what = format!("{}: all members follow one leader", cluster.name());
    eventually(SETTLE_LIMIT, &what, || cluster.standing())
}
