//! Nothing in what a member holds was made by one who may not make it.
//!
//! Every member that a view shows asked for its place with a token that an admin had made, under the name and the keys that it
//! shows. What a proposal of the forger comes to is a refusal. And what gossip says of a member is what that member said:
//! where it can be reached, which build it runs, and no more of the log than it ever had.

use std::collections::BTreeMap;

use mesh_control::command::{Command, Outcome};
use mesh_model::facts::Facts;
use mesh_model::trust::Name;
use mesh_model::view::ClusterView;
use mesh_model::{IdentityKey, LogIndex, MemberId, TunnelKey};

use super::Violation;
use crate::net::HostNo;
use crate::trust::Keys;

const NAME: &str = "no_forged_record";

/// What is true; see the [module](self).
#[derive(Default)]
pub struct NoForgedRecord {
    /// Everybody who ever asked with a genuine token, and from where.
    askers: BTreeMap<IdentityKey, (Name, TunnelKey, HostNo)>,
    /// How far each has ever applied the log.
    applied: BTreeMap<MemberId, LogIndex>,
}

impl NoForgedRecord {
    /// The host `no` has `keys` and a genuine token.
    pub fn asks(&mut self, no: HostNo, keys: &Keys) {
        let asker = (keys.name.clone(), keys.tunnel.public(), no);
        self.askers.insert(keys.identity.public(), asker);
    }

    /// `by` has `view`.
    pub fn check_view(&mut self, by: MemberId, view: &ClusterView) -> Result<(), Violation> {
        let most = self.applied.entry(by).or_default();
        *most = view.applied.max(*most);
        let banned = view.banned.values().map(|banned| &banned.member);
        for member in view.members.values().chain(banned) {
            let genuine = self.askers.get(&member.identity).is_some_and(|(name, tunnel, _)| {
                // What it said later of its key, `LastKeyCounts` knows.
                let key = member.change.is_some() || *tunnel == member.tunnel;
                *name == member.name && key
            });
            if !genuine {
                let (id, at) = (member.id, view.applied);
                let message = format!("{by} shows {id} at {at}, which no host has asked to be");
                return Err(Violation::new(NAME, message));
            }
        }
        Ok(())
    }

    /// `by` believes `facts` of the member with `identity`.
    pub fn check_facts(
        &self,
        by: MemberId,
        identity: &IdentityKey,
        facts: &Facts,
    ) -> Result<(), Violation> {
        let Some((_, _, no)) = self.askers.get(identity) else { return Ok(()) };
        let had = self.applied.get(&facts.member).copied().unwrap_or_default();
        let own = facts.endpoints.iter().all(|endpoint| *endpoint == no.endpoint());
        if own && facts.version == crate::life::VERSION && facts.applied <= had {
            return Ok(());
        }
        let message = format!("{by} believes of {}, which never said so: {facts:?}", facts.member);
        Err(Violation::new(NAME, message))
    }
}

/// A `command` that nobody signed who may came to `outcome`.
pub(crate) fn check(command: &Command, outcome: &Outcome) -> Result<(), Violation> {
    match outcome {
        Outcome::Refused(_) => Ok(()),
        other => Err(Violation::new(NAME, format!("a forged {command:?} came to {other:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use mesh_control::command::Refusal;

    use super::*;
    use crate::invariants::sample::view;
    use crate::seeds::RunSeed;

    const ME: MemberId = MemberId(1);

    #[test]
    fn one_that_never_asked_is_seen() {
        let mut records = NoForgedRecord::default();
        let mut view = view(4, 1, &[(1, [0, 1])]);
        let keys = Keys::new(RunSeed(1), HostNo(1), 0);
        assert!(records.check_view(ME, &view).is_err());
        records.asks(HostNo(1), &keys);
        let shown = view.members.get_mut(&ME).unwrap();
        (shown.identity, shown.tunnel) = (keys.identity.public(), keys.tunnel.public());
        assert!(records.check_view(ME, &view).is_err(), "another name");
        view.members.get_mut(&ME).unwrap().name = keys.name;
        records.check_view(ME, &view).unwrap();
    }

    #[test]
    fn facts_that_their_owner_did_not_say_are_seen() {
        let mut records = NoForgedRecord::default();
        let keys = Keys::new(RunSeed(1), HostNo(1), 0);
        let identity = keys.identity.public();
        records.asks(HostNo(1), &keys);
        let facts = |endpoint: HostNo, applied| Facts {
            mesh: view(4, 1, &[]).mesh(),
            member: ME,
            boot_ms: 1,
            revision: 1,
            version: crate::life::VERSION.to_owned(),
            reads: mesh_model::Edition::FIRST,
            capabilities: Vec::new(),
            applied,
            endpoints: vec![endpoint.endpoint()],
        };
        records.check_facts(MemberId(2), &identity, &facts(HostNo(1), 0)).unwrap();
        assert!(records.check_facts(MemberId(2), &identity, &facts(HostNo(2), 0)).is_err());
        assert!(records.check_facts(MemberId(2), &identity, &facts(HostNo(1), 5)).is_err());
    }

    #[test]
    fn only_a_refusal_will_do() {
        let command = Command::Lapse(ME);
        check(&command, &Outcome::Refused(Refusal::NotBanned(ME))).unwrap();
        assert!(check(&command, &Outcome::Lapsed(ME)).is_err());
    }
}
