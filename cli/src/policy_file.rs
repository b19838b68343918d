//! A policy as people write it: TOML, one `[[allow]]` for each rule.
//!
//! What the words mean (is there such a member, does anybody have that tag) is for the daemon to say, which knows the
//! mesh. Here is checked what a file alone shows, with the line it stands in.

use std::fmt;

use mesh_model::access::Protocol;
use mesh_model::api::v1::PolicyRule;
use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};

/// The longest file, in bytes: a policy of all the rules there may be, with room for a page of comments on each.
pub(crate) const MAX_POLICY_FILE: usize = 256 << 10;

/// The file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicyFile {
    allow: Option<Vec<Allow>>,
}

/// One rule of it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Allow {
    from: Vec<String>,
    to: Vec<String>,
    protocol: Protocol,
    #[serde(default)]
    ports: Vec<Ports>,
}

/// `22`, `"22"` or `"8000-8999"`.
struct Ports(String);

impl<'de> Deserialize<'de> for Ports {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl Visitor<'_> for Reader {
            type Value = Ports;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a port such as 22, or ports such as \"8000-8999\"")
            }

            fn visit_i64<E: Error>(self, port: i64) -> Result<Ports, E> {
                Ok(Ports(port.to_string()))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Ports, E> {
                Ok(Ports(text.to_owned()))
            }
        }

        deserializer.deserialize_any(Reader)
    }
}

/// Why a file is no policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PolicyFileError {
    /// Longer than [`MAX_POLICY_FILE`].
    #[error("it is longer than {MAX_POLICY_FILE} bytes, the most a policy may be")]
    TooLong,
    /// Not text.
    #[error("it is not UTF-8 text")]
    NotText,
    /// Not TOML, or not of a policy's form.
    #[error("{0}")]
    Toml(String),
    /// Empty, or cut off.
    #[error("it allows nothing at all; if that is meant, write `allow = []`")]
    Nothing,
}

/// The rules in `bytes`.
pub(crate) fn parse(bytes: &[u8]) -> Result<Vec<PolicyRule>, PolicyFileError> {
    if bytes.len() > MAX_POLICY_FILE {
        return Err(PolicyFileError::TooLong);
    }
    let text = str::from_utf8(bytes).map_err(|_| PolicyFileError::NotText)?;
    let file: PolicyFile = toml::from_str(text)
        .map_err(|error| PolicyFileError::Toml(error.to_string().trim_end().to_owned()))?;
    let rule = |allow: Allow| PolicyRule {
        from: allow.from,
        to: allow.to,
        protocol: allow.protocol,
        ports: allow.ports.into_iter().map(|Ports(text)| text).collect(),
    };
    let rules = file.allow.ok_or(PolicyFileError::Nothing)?;
    Ok(rules.into_iter().map(rule).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read_in_their_order() {
        let text = r#"
            # who serves
            [[allow]]
            from = ["any"]
            to = ["tag:web", "db1"]
            protocol = "tcp"
            ports = [443, "8000-8999", "22"]

            [[allow]]
            from = ["m7"]
            to = ["any"]
            protocol = "icmp"
        "#;
        let rules = parse(text.as_bytes()).unwrap();
        assert_eq!(rules.len(), 2);
        assert_eq!(rules[0].to, ["tag:web", "db1"]);
        assert_eq!(rules[0].ports, ["443", "8000-8999", "22"]);
        assert_eq!((rules[1].protocol, rules[1].ports.len()), (Protocol::Icmp, 0));
        assert_eq!(parse(b"allow = []"), Ok(vec![]));
    }

    #[test]
    fn a_file_that_says_nothing_denies_nothing() {
        for text in ["", "\n", "# only a comment\n"] {
            assert_eq!(parse(text.as_bytes()), Err(PolicyFileError::Nothing));
        }
    }

    #[test]
    fn what_is_no_policy_is_refused_with_its_place() {
        let rule = |line: &str| {
            format!("[[allow]]\nfrom = ['any']\nto = ['any']\nprotocol = 'tcp'\n{line}\n")
        };
        for (text, named) in [
            ("[[allow]".to_owned(), "line 1"),
            ("[[deny]]\nfrom = ['any']\n".to_owned(), "deny"),
            ("[[allow]]\nfrom = 'any'\n".to_owned(), "from"),
            ("[[allow]]\nfrom = ['any']\nto = ['any']\n".to_owned(), "protocol"),
            (rule("port = [22]"), "line 5"),
            (rule("ports = 22"), "line 5"),
            (rule("ports = [22.5]"), "8000-8999"),
            (rule("ports = [99999999999999999999]"), "line 5"),
            (rule("protocol = 'udp'"), "line 5"),
        ] {
            let error = parse(text.as_bytes()).map_err(|error| error.to_string());
            assert!(error.as_ref().is_err_and(|error| error.contains(named)), "{text}: {error:?}");
        }
    }

    #[test]
    fn hostile_files_cost_little_and_never_panic() {
        let nested = |open: &str, close: &str, depth: usize| {
            format!("allow = {}{}", open.repeat(depth), close.repeat(depth))
        };
        let dotted = vec!["a"; 60_000].join(".");
        for text in [
            nested("[", "]", 100_000),
            nested("{a=", "}", 40_000),
            format!("{dotted} = 1"),
            format!("[{dotted}]"),
            format!("allow = [{}]", "1,".repeat(100_000)),
            format!("allow = '{}'", "x".repeat(200_000)),
            "[[allow]]\n".repeat(20_000),
            "a = 1\n".repeat(40_000),
            "allow = \"\\uD800\"".to_owned(),
            "\u{feff}allow = [".to_owned(),
        ] {
            assert!(parse(text.as_bytes()).is_err());
        }
        assert_eq!(parse(&vec![b'#'; MAX_POLICY_FILE + 1]), Err(PolicyFileError::TooLong));
        assert_eq!(parse(&[b'a', 0xff, 0xfe]), Err(PolicyFileError::NotText));
        assert!(parse(&[0; 1000]).is_err());
    }
}
