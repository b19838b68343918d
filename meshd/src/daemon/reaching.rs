//! `mesh policy`: who may reach whom.
//!
//! A policy is set as a whole. Two hosts that set one at once make two with one serial, of which one is refused: nobody
//! loses what they have not seen.

use mesh_control::access::{Effect, Verdict, effect, write};
use mesh_control::command::{Command, Outcome};
use mesh_control::state::AccessEntry;
use mesh_model::Signed;
use mesh_model::access::{Protocol, Traffic};
use mesh_model::api::v1::{
    ErrorCode, MemberName, Policy, PolicyHistory, PolicyPreview, PolicyPreviewRequest, PolicyReply,
    PolicyRequest, PolicyTest, PolicyTestRequest,
};
use mesh_model::view::{ClusterView, MemberView};

use super::Daemon;
use super::judging::ban;
use super::refusal::{Answer, refusal};
use super::target::resolve_any;

impl Daemon {
    /// The policy that stands.
    pub(crate) async fn policy(&self) -> Answer<Policy> {
        let mesh = self.mesh()?;
        let view = mesh.view();
        let standing = mesh.group.read(|state, _| state.access().iter().last().cloned());
        let none =
            || Policy { serial: 0, since_ms: None, rules: Vec::new(), applied: view.applied };
        Ok(standing.map_or_else(none, |entry| policy(&view, &entry)))
    }

    /// The policies that are remembered.
    pub(crate) async fn policy_history(&self) -> Answer<PolicyHistory> {
        let mesh = self.mesh()?;
        let view = mesh.view();
        let policies = mesh
            .group
            .read(|state, _| state.access().iter().map(|entry| policy(&view, entry)).collect());
        Ok(PolicyHistory { policies })
    }

    /// Has a policy agreed.
    pub(crate) async fn set_policy(&self, request: PolicyRequest) -> Answer<PolicyReply> {
        let mesh = self.mesh()?;
        let policy = mesh.drafted(|drafter| drafter.access(&request.rules))?;
        let admin_secret = self.admin_secret("say who may reach whom").await?;
        let command = Command::SetAccess(Signed::seal(&policy, &admin_secret));
        let is_done = |outcome: &Outcome| matches!(outcome, Outcome::AccessSet(_));
        let hint = "see what stands with `mesh policy show`, and try again";
        let set = mesh.carry_out(command, "a policy on who may reach whom", is_done, hint);
        let index = self.unless_stopping(set).await??;
        let heard = self.unless_stopping(mesh.applied_by_all_within(index, request.wait_ms));
        let applied_by = heard.await??;
        Ok(PolicyReply { serial: policy.serial, rules: policy.rules.len(), index, applied_by })
    }

    /// What a policy would change.
    pub(crate) async fn preview_policy(
        &self,
        request: PolicyPreviewRequest,
    ) -> Answer<PolicyPreview> {
        let mesh = self.mesh()?;
        let policy = mesh.drafted(|drafter| drafter.access(&request.rules))?;
        let Effect { pairs, before, after, lost } = effect(&mesh.view(), &policy.rules);
        Ok(PolicyPreview { pairs, before, after, lost })
    }

    /// Whether a member may begin one thing with another.
    pub(crate) async fn test_policy(&self, request: PolicyTestRequest) -> Answer<PolicyTest> {
        let traffic = traffic(&request)?;
        let view = self.mesh()?.view();
        let from = resolve_any(&view, &request.from)?;
        let to = resolve_any(&view, &request.to)?;
        let named =
            |member: &MemberView| MemberName { member: member.id, name: member.name.clone() };
        let verdict = Verdict::on(&view, from, to, traffic);
        let (rule, because) = match verdict {
            Verdict::ByRule(at, rule) => (Some(at + 1), Some(write(&view, rule))),
            _ => (None, None),
        };
        Ok(PolicyTest {
            from: named(from),
            to: named(to),
            allowed: verdict.allows(),
            serial: view.access.as_ref().map_or(0, |policy| policy.serial),
            rule,
            because,
            ban: match verdict {
                Verdict::Banned(banned) => Some(ban(banned)),
                _ => None,
            },
        })
    }
}

fn policy(view: &ClusterView, entry: &AccessEntry) -> Policy {
    Policy {
        serial: entry.policy().serial,
        since_ms: Some(entry.since_ms()),
        rules: entry.policy().rules.iter().map(|rule| write(view, rule)).collect(),
        applied: view.applied,
    }
}

/// What is asked about.
fn traffic(request: &PolicyTestRequest) -> Answer<Traffic> {
    let told = |message: &str| Err(refusal(ErrorCode::BadRequest, message, ""));
    match (request.protocol, request.port) {
        (Protocol::Tcp, Some(port)) => Ok(Traffic::Tcp(port)),
        (Protocol::Udp, Some(port)) => Ok(Traffic::Udp(port)),
        (Protocol::Icmp, None) => Ok(Traffic::Icmp),
        (Protocol::Any, None) => Ok(Traffic::Other),
        (Protocol::Tcp | Protocol::Udp, None) => told("`port` is missing: tcp and udp go to one"),
        (Protocol::Icmp | Protocol::Any, Some(_)) => {
            told("`port` is of no use: only tcp and udp have one")
        }
    }
}
