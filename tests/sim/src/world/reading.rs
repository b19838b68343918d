//! Whenever something was acknowledged, somebody somewhere reads it.

use mesh_control::raft::ReadError;
use mesh_model::LogIndex;
use rand::seq::IteratorRandom as _;

use super::World;
use super::queue::{Notice, Said};
use crate::host::Host;
use crate::invariants::Violation;
use crate::net::HostNo;
use crate::plant::Plant;

impl World {
    /// A host drawn from all that can be asked reads what is agreed now.
    pub(super) fn read_somewhere(&mut self) {
        let begun = self.invariants.reads.invoke();
        let asked = self.hosts.values().filter(|host| host.life().is_some());
        let Some(no) = asked.map(|host| host.no).choose(&mut self.readers) else { return };
        let Some(life) = self.hosts.get(&no).and_then(Host::life) else { return };
        let Some(group) = life.group.clone() else { return };
        let from_memory = self.options.plant == Some(Plant::StaleRead);
        let (id, notice, asked) = (life.id, self.notice.clone(), self.switchboard.ask(life.me));
        tokio::spawn(async move {
            let result = match from_memory {
                true => Ok(group.freshness().applied),
                false => Box::pin(group.catch_up()).await,
            };
            let applied = group.freshness().applied;
            let read = Notice::Read { asked, begun, result, applied };
            // The world going away means that the run is over.
            let _ = notice.send(Said { host: no, life: id, notice: read });
        });
    }

    /// What came of it.
    pub(super) fn was_read(
        &mut self,
        no: HostNo,
        begun: LogIndex,
        result: &Result<LogIndex, ReadError>,
        applied: LogIndex,
    ) -> Result<(), Violation> {
        self.note(format_args!("read {no} {begun} {result:?} {applied}"));
        let Ok(index) = *result else { return Ok(()) };
        self.stats.reads += 1;
        self.invariants.reads.check(begun, index, applied)
    }
}
