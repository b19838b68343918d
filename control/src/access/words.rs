//! Rules as people write them, and back.
//!
//! A person names members by what they are called today. What is agreed names them by id, which nobody else will ever
//! have, so a rule never comes to mean whoever is called so next.

use std::collections::BTreeSet;

use mesh_model::MemberId;
use mesh_model::access::{PortRange, PortRangeError, Rule, Selector};
use mesh_model::api::v1::PolicyRule;
use mesh_model::trust::{Tag, TagError};
use mesh_model::view::{ClusterView, MemberView};

/// The longest word that an error quotes, in characters.
const QUOTED: usize = 64;

/// Why rules are not understood. Places count from 1, as people do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("rule {place}: {reason}")]
pub struct WordsError {
    /// The rule.
    pub place: usize,
    /// What is wrong with it.
    pub reason: WordError,
}

/// What is wrong with a rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WordError {
    /// Nobody is called so.
    #[error("there is no member `{0}`")]
    Member(String),
    /// Nobody has the tag, and no invite gives it.
    #[error("no member has {0}, and no invite gives it")]
    UnknownTag(Tag),
    /// Not even a tag.
    #[error(transparent)]
    Tag(#[from] TagError),
    /// Not ports.
    #[error("`{0}` is {PortRangeError}")]
    Ports(String),
    /// A side that means nobody.
    #[error("`{0}` is empty, so it means nobody")]
    Empty(&'static str),
    /// Ports of something that has none.
    #[error("only tcp and udp have ports")]
    NoPorts,
}

impl WordError {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Member(_) => {
                "`mesh tags` lists members; a tag is written `tag:web`, everybody `any`"
            }
            Self::UnknownTag(_) => "tag a member first: `mesh tag NODE --add TAG`",
            Self::Tag(_) | Self::Ports(_) => "",
            Self::Empty(_) => "write `any` for everybody",
            Self::NoPorts => "leave the ports out, or write one rule for tcp and one for udp",
        }
    }
}

/// The rules that `words` say in the mesh of `view`, in which `tags` are given to anybody.
pub fn read(
    view: &ClusterView,
    tags: &BTreeSet<Tag>,
    words: &[PolicyRule],
) -> Result<Vec<Rule>, WordsError> {
    let numbered = words.iter().enumerate();
    let read = |(at, words)| {
        read_rule(view, tags, words).map_err(|reason| WordsError { place: at + 1, reason })
    };
    numbered.map(read).collect()
}

fn read_rule(
    view: &ClusterView,
    tags: &BTreeSet<Tag>,
    words: &PolicyRule,
) -> Result<Rule, WordError> {
    let side = |name, side: &[String]| match side {
        [] => Err(WordError::Empty(name)),
        side => side.iter().map(|word| selector(view, tags, word)).collect::<Result<Vec<_>, _>>(),
    };
    let (from, to) = (side("from", &words.from)?, side("to", &words.to)?);
    if !words.ports.is_empty() && !words.protocol.has_ports() {
        return Err(WordError::NoPorts);
    }
    let range =
        |text: &String| text.parse().map_err(|PortRangeError| WordError::Ports(quote(text)));
    let ports: Vec<PortRange> = words.ports.iter().map(range).collect::<Result<_, _>>()?;
    Ok(Rule { from, to, protocol: words.protocol, ports })
}

fn selector(view: &ClusterView, tags: &BTreeSet<Tag>, word: &str) -> Result<Selector, WordError> {
    if word == Selector::ANY {
        return Ok(Selector::Any);
    }
    if Tag::is_meant(word) {
        let tag: Tag = word.parse()?;
        return match tags.contains(&tag) {
            true => Ok(Selector::Tag(tag)),
            false => Err(WordError::UnknownTag(tag)),
        };
    }
    // A member may be called m7; whoever is called so is meant rather than whoever has the id.
    let named = placed(view).find(|member| member.name.as_str() == word);
    let by_id = || word.parse::<MemberId>().ok().and_then(|id| view.place_of(id));
    let member = named.or_else(by_id).ok_or_else(|| WordError::Member(quote(word)))?;
    Ok(Selector::Member(member.id))
}

/// Everybody with a place in the mesh, those present first.
fn placed(view: &ClusterView) -> impl Iterator<Item = &MemberView> {
    view.members.values().chain(view.banned.values().map(|banned| &banned.member))
}

/// At most a word's worth of a text nobody has checked yet.
fn quote(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(QUOTED).collect()
}

/// `rule` in words. A member that is gone is written by its id; so is one whose name would be read as something else.
pub fn write(view: &ClusterView, rule: &Rule) -> PolicyRule {
    let side = |selectors: &[Selector]| selectors.iter().map(|it| word(view, it)).collect();
    PolicyRule {
        from: side(&rule.from),
        to: side(&rule.to),
        protocol: rule.protocol,
        ports: rule.ports.iter().map(PortRange::to_string).collect(),
    }
}

fn word(view: &ClusterView, selector: &Selector) -> String {
    match selector {
        Selector::Any => Selector::ANY.to_owned(),
        Selector::Tag(tag) => tag.to_string(),
        Selector::Member(id) => match view.place_of(*id) {
            Some(member) if member.name.as_str() != Selector::ANY => member.name.to_string(),
            _ => id.to_string(),
        },
    }
}
