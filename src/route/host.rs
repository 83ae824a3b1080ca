//! The host of a route: one name, or every name below one. Compared without case, without a port, one trailing dot off.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use crate::edge::guard;
use crate::invalid::Invalid;

/// `api.example.com`, or `*.example.com` for one or more labels in front.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostPattern {
    /// In lower case, without a trailing dot; with its leading dot where it is a suffix.
    text: Box<str>,
}

impl HostPattern {
    /// Whether it stands for all names below one.
    pub(super) fn is_wildcard(&self) -> bool {
        self.text.starts_with('.')
    }

    /// How many characters it pins down: the longer suffix is the more specific one.
    pub(super) fn weight(&self) -> usize {
        self.text.len()
    }

    /// Orders exact patterns, for a search that neither allocates nor minds the case of what the caller sent.
    pub(super) fn compare(&self, host: &str) -> Ordering {
        self.text.bytes().cmp(host.bytes().map(|byte| byte.to_ascii_lowercase()))
    }

    /// Whether a name lies below this wildcard.
    pub(super) fn covers(&self, host: &str) -> bool {
        let (host, suffix) = (host.as_bytes(), self.text.as_bytes());
        host.len() > suffix.len() && host[host.len() - suffix.len()..].eq_ignore_ascii_case(suffix)
    }
}

impl FromStr for HostPattern {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if text == "*" {
            return Err(Invalid::new("`*` is not a host").hint("leave `host` out to take every host"));
        }
        let name = text.strip_prefix("*.").unwrap_or(text);
        if !guard::is_host(name) {
            let invalid = Invalid::new(format!("`{text}` is not a host"));
            let port = name.rsplit_once(':').filter(|(host, port)| guard::is_host(host) && port.parse::<u16>().is_ok());
            return Err(match port {
                Some(_) => invalid.hint("write it without its port: a route takes every port of its listeners"),
                None if name.contains('*') => invalid.hint("a wildcard is the whole first label: \"*.example.com\""),
                None => invalid.hint("write it as \"api.example.com\" or \"*.example.com\""),
            });
        }
        if name.len() < text.len() && (name.starts_with('[') || name.parse::<std::net::Ipv4Addr>().is_ok()) {
            return Err(Invalid::new(format!("`{text}` asks for names below an address")));
        }
        // The wildcard's dot stays: the suffix then ends at the border of a label.
        let pinned = text.strip_prefix('*').unwrap_or(text);
        let pinned = pinned.strip_suffix('.').unwrap_or(pinned);
        Ok(Self { text: pinned.to_ascii_lowercase().into() })
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_wildcard() {
            f.write_str("*")?;
        }
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_or_a_wildcard_label() {
        for (written, shown) in [
            ("api.example.com", "api.example.com"),
            ("API.Example.com.", "api.example.com"),
            ("*.Example.com.", "*.example.com"),
            ("localhost", "localhost"),
            ("my_service", "my_service"),
            ("127.0.0.1", "127.0.0.1"),
            ("[::1]", "[::1]"),
        ] {
            assert_eq!(written.parse::<HostPattern>().unwrap().to_string(), shown);
        }
    }

    #[test]
    fn what_is_no_host_is_refused_with_a_hint() {
        for (written, hint) in [
            ("*", "leave `host` out"),
            ("api.example.com:8443", "without its port"),
            ("*.example.com:8443", "without its port"),
            ("[::1]:80", "without its port"),
            ("api.*.com", "the whole first label"),
            ("*api.example.com", "the whole first label"),
            ("*.*.example.com", "the whole first label"),
            ("", "write it as"),
            (".example.com", "write it as"),
            ("a..b", "write it as"),
            ("http://a", "write it as"),
            ("caf\u{e9}.example", "write it as"),
        ] {
            let invalid = written.parse::<HostPattern>().unwrap_err();
            assert!(invalid.hint.as_deref().unwrap().contains(hint), "{written}: {invalid:?}");
        }
        assert!("*.192.0.2.1".parse::<HostPattern>().is_err());
        assert!("*.[::1]".parse::<HostPattern>().is_err());
    }

    #[test]
    fn a_wildcard_covers_one_or_more_labels_and_nothing_else() {
        let pattern: HostPattern = "*.example.com".parse().unwrap();
        for (host, expected) in [
            ("a.example.com", true),
            ("a.b.EXAMPLE.com", true),
            ("example.com", false),
            (".example.com", false),
            ("evilexample.com", false),
            ("a.example.com.evil", false),
        ] {
            assert_eq!(pattern.covers(host), expected, "{host}");
        }
    }
}
