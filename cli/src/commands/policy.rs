//! `mesh policy`: who may reach whom.

use std::io::{self, Read as _};
use std::path::Path;

use mesh_model::api::v1::{
    BanKind, Policy, PolicyHistory, PolicyPreview, PolicyPreviewRequest, PolicyReply,
    PolicyRequest, PolicyRule, PolicyTest, PolicyTestRequest, Wanted, route,
};

use super::Session;
use super::ban::heard;
use super::confirm::confirm;
use super::signing::Signer;
use crate::args::{PolicySetArgs, PolicyTestArgs, PolicyVerb, StatementArgs};
use crate::client::{AGREEMENT_PATIENCE, Answer};
use crate::exit::{Exit, Failure};
use crate::moment::Moment;
use crate::policy_file::{self, MAX_POLICY_FILE};
use crate::render::table::{Cell, Table};
use crate::render::theme::Theme;
use crate::render::{safe, unit, who};

pub(super) fn run(verb: PolicyVerb, session: &Session) -> Result<Exit, Failure> {
    match verb {
        PolicyVerb::Show => {
            let answer = session.client()?.get(route::POLICY)?;
            session.show(&answer, page)
        }
        PolicyVerb::History => {
            let answer = session.client()?.get(route::POLICY_HISTORY)?;
            session.show(&answer, history)
        }
        PolicyVerb::Set(args) => set(&args, session),
        PolicyVerb::Test(args) => test(args, session),
    }
}

fn set(args: &PolicySetArgs, session: &Session) -> Result<Exit, Failure> {
    let name = args.file.display();
    let told = |message: String, hint: &'static str| {
        Failure::new(Exit::Usage, "policy_file", message, hint)
    };
    let bytes = read(&args.file)
        .map_err(|error| told(format!("cannot read the policy {name}: {error}"), ""))?;
    let rules = policy_file::parse(&bytes).map_err(|error| {
        let hint = "`mesh policy set --help` shows what a policy looks like";
        told(format!("the policy {name} is not understood: {error}"), hint)
    })?;

    let StatementArgs { signing, wait } = &args.statement;
    let signer = Signer::new(signing)?;
    let mut client = session.client()?;
    let preview: Answer<PolicyPreview> = client.post(
        route::POLICY_PREVIEW,
        &PolicyPreviewRequest { rules: rules.clone() },
        wait.patience(),
    )?;
    let PolicyPreview { pairs, before, lost, .. } = preview.body;
    if lost > 0 {
        let question = format!(
            "{lost} of the {before} pairs of members that may reach each other now will not be able to \
             any more,\nof {pairs} pairs there are.\nSet this policy?"
        );
        let otherwise = "the policy stays as it was: it was not confirmed";
        confirm(session, Some(&mut client), signing.yes, &question, otherwise)?;
    }
    if !signing.is_plain() {
        drop(client);
        return signer.carry(Wanted::Policy { rules }, Some(wait), session);
    }
    let request = PolicyRequest { rules, wait_ms: wait.millis() };
    let answer = client.post(route::POLICY, &request, wait.patience())?;
    session.show(&answer, |reply: &PolicyReply, _| {
        let rules = number(reply.rules);
        let line =
            format!("policy {} set: {rules}; agreed at index {}\n", reply.serial, reply.index);
        line + &heard(reply.applied_by.as_ref())
    })
}

/// The file's bytes, one more than there may be at most.
fn read(file: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let most = MAX_POLICY_FILE as u64 + 1;
    match file.as_os_str() == "-" {
        true => io::stdin().lock().take(most).read_to_end(&mut bytes)?,
        false => std::fs::File::open(file)?.take(most).read_to_end(&mut bytes)?,
    };
    Ok(bytes)
}

fn test(args: PolicyTestArgs, session: &Session) -> Result<Exit, Failure> {
    let request = PolicyTestRequest {
        from: args.from,
        to: args.to,
        protocol: args.protocol.into(),
        port: args.port,
    };
    let answer: Answer<PolicyTest> =
        session.client()?.post(route::POLICY_TEST, &request, AGREEMENT_PATIENCE)?;
    session.show(&answer, |test, _| verdict(test, &request))?;
    Ok(if answer.body.allowed { Exit::Ok } else { Exit::Failed })
}

fn verdict(test: &PolicyTest, asked: &PolicyTestRequest) -> String {
    let [from, to] = [&test.from, &test.to].map(|end| who(Some(&end.name), end.member));
    let port = asked.port.map(|port| format!(" {port}")).unwrap_or_default();
    let what = format!("{from} to {to}, {}{port}", asked.protocol);
    if let Some(ban) = &test.ban {
        let is = match ban.kind {
            BanKind::Ban => "banned",
            BanKind::Exclusion => "excluded",
        };
        return format!("denied: {what}\n{} is {is}\n", who(Some(&ban.name), ban.member));
    }
    match (&test.because, test.rule) {
        (Some(rule), Some(place)) => {
            format!("allowed: {what}\nby rule {place}: {}\n", sentence(rule))
        }
        _ if test.allowed => format!("allowed: {what}\nthere is no policy\n"),
        _ => format!("denied: {what}\nby no rule of policy {}\n", test.serial),
    }
}

fn sentence(rule: &PolicyRule) -> String {
    let ports = ports(rule);
    let ports = if rule.ports.is_empty() { String::new() } else { format!(" {ports}") };
    let (from, to) = (words(&rule.from), words(&rule.to));
    format!("from {from} to {to}, {}{ports}", rule.protocol)
}

fn page(policy: &Policy, theme: Theme) -> String {
    if policy.serial == 0 {
        return "there is no policy: everybody may reach everybody\n".to_owned();
    }
    let mut facts = Table::facts();
    facts.fact(theme, "policy", policy.serial.to_string());
    facts.fact(theme, "since", policy.since_ms.map_or_else(String::new, unit::since));
    format!("{}\n{}", facts.lines(""), rules(&policy.rules, theme))
}

fn rules(rules: &[PolicyRule], theme: Theme) -> String {
    if rules.is_empty() {
        return "nothing is allowed\n".to_owned();
    }
    let mut table = Table::new(theme, &[">RULE", "FROM", "TO", "PROTOCOL", "PORTS"]);
    for (at, rule) in rules.iter().enumerate() {
        table.row([
            (at + 1).to_string().into(),
            words(&rule.from).into(),
            words(&rule.to).into(),
            Cell::from(rule.protocol.to_string()),
            ports(rule).into(),
        ]);
    }
    table.lines("")
}

fn history(history: &PolicyHistory, theme: Theme) -> String {
    if history.policies.is_empty() {
        return "there never was a policy: everybody may reach everybody\n".to_owned();
    }
    let chapter = |policy: &Policy| {
        let since =
            policy.since_ms.map(|ms| format!(" since {}", Moment { ms })).unwrap_or_default();
        format!(
            "policy {}{since}: {}\n{}",
            policy.serial,
            number(policy.rules.len()),
            rules(&policy.rules, theme)
        )
    };
    history.policies.iter().map(chapter).collect::<Vec<_>>().join("\n")
}

fn words(words: &[String]) -> String {
    safe(&words.join(" "))
}

fn ports(rule: &PolicyRule) -> String {
    match rule.ports.as_slice() {
        [] if rule.protocol.has_ports() => "all".to_owned(),
        [] => "-".to_owned(),
        ports => safe(&ports.join(" ")),
    }
}

fn number(rules: usize) -> String {
    if rules == 1 { "1 rule".to_owned() } else { format!("{rules} rules") }
}
