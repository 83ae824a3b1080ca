//! Hosts whose pages may use something. A host stands for itself and for its subdomains; names are compared label by
//! label, without regard to case, port and one trailing dot.

use url::Host;

use crate::invalid::Invalid;

/// The longest address of a page that is looked at, in bytes.
pub const LONGEST_PAGE: usize = 2048;
/// The longest name of a host (RFC 1035 §2.3.4), and the longest part of one.
const LONGEST: (usize, usize) = (253, 63);

/// A list of authorised hosts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hosts {
    /// In their ASCII form, sorted, each once.
    names: Box<[Box<str>]>,
    /// The same as sources of a Content Security Policy.
    sources: Box<str>,
}

/// The host of a page that asks for something, or that says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page(Host<String>);

impl Hosts {
    /// The list of these names, in their ASCII form (IDNA). A name may begin with `*.`, which says nothing more.
    pub fn new<T: AsRef<str>>(names: impl IntoIterator<Item = T>) -> Result<Self, Invalid> {
        let mut hosts = names.into_iter().map(|name| host(name.as_ref())).collect::<Result<Vec<_>, _>>()?;
        let text = |host: &Host<String>| host.to_string().into_boxed_str();
        hosts.sort_unstable_by_key(text);
        hosts.dedup();
        let sources = hosts.iter().flat_map(sources).collect::<Vec<_>>().join(" ").into_boxed_str();
        Ok(Self { names: hosts.iter().map(text).collect(), sources })
    }

    /// Whether there is none: no page is kept out.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// All of them, in alphabetical order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|host| &**host)
    }

    /// Whether a page is of one of them, or of a subdomain of one. An address has no subdomains.
    pub fn allow(&self, page: &Page) -> bool {
        match &page.0 {
            Host::Domain(name) => {
                let below = name.match_indices('.').map(|(at, _)| &name[at + 1..]);
                [&**name].into_iter().chain(below).any(|name| self.hold(name))
            }
            Host::Ipv4(_) | Host::Ipv6(_) => self.hold(&page.0.to_string()),
        }
    }

    fn hold(&self, name: &str) -> bool {
        self.names.binary_search_by(|own| (**own).cmp(name)).is_ok()
    }

    /// All of them and their subdomains as a list of sources (CSP Level 3 §2.3.1), on any port as when they are compared;
    /// empty where a policy could name none of them, such as addresses of IPv6.
    pub fn sources(&self) -> &str {
        &self.sources
    }
}

impl Page {
    /// The page that `Origin` tells of (RFC 6454 §7). `None`: it tells of none, of several, or of one that has no host,
    /// such as `null`.
    pub fn of_origin(value: &[u8]) -> Option<Self> {
        Self::parse(value).and_then(|(page, rest)| rest.is_empty().then_some(page))
    }

    /// The page at an address, as `Referer` and parameters tell it. `None`: it is not reached by HTTP, or its host could
    /// be another one to other readers.
    pub fn at(address: &[u8]) -> Option<Self> {
        Self::parse(address).map(|(page, _)| page)
    }

    /// The page, and what stands behind its host and port.
    fn parse(value: &[u8]) -> Option<(Self, &str)> {
        // Some readers leave controls out wherever they stand.
        let text = str::from_utf8(value).ok().filter(|text| !text.bytes().any(|byte| byte.is_ascii_control()))?;
        let (scheme, rest) = text.split_once("://").filter(|_| text.len() <= LONGEST_PAGE)?;
        if !["http", "https"].iter().any(|own| scheme.eq_ignore_ascii_case(own)) {
            return None;
        }
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(end);
        // Where userinfo ends, what `\` is and when `%` is decoded depends on the reader: no page is told of so.
        if authority.contains(['@', '\\', '%', ' ']) {
            return None;
        }
        let colon = authority.rfind(':').filter(|at| !authority[*at..].contains(']'));
        let (host, port) = colon.map_or((authority, ""), |at| (&authority[..at], &authority[at + 1..]));
        let plain_port = port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit());
        let host = Host::parse(host).ok().filter(|_| plain_port).and_then(plain)?;
        Some((Self(host), rest))
    }
}

/// A host without its trailing dot. `None`: a name that no host has.
fn plain(host: Host<String>) -> Option<Host<String>> {
    let Host::Domain(mut name) = host else { return Some(host) };
    if name.ends_with('.') {
        name.pop();
    }
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let label = |label: &str| (1..=LONGEST.1).contains(&label.len()) && label.bytes().all(letter);
    (name.len() <= LONGEST.0 && name.split('.').all(label)).then_some(Host::Domain(name))
}

fn host(name: &str) -> Result<Host<String>, Invalid> {
    let bare = name.strip_prefix("*.").unwrap_or(name);
    let parsed = Host::parse(bare).ok().filter(|_| !bare.contains('%')).and_then(plain);
    let below_an_address = |host: &Host<String>| bare.len() < name.len() && !matches!(host, Host::Domain(_));
    parsed.filter(|host| !below_an_address(host)).ok_or_else(|| {
        Invalid::new(format!("`{}` is not the name of a host", name.escape_debug()))
            .hint("write it without scheme, port and path: \"example.com\"")
    })
}

/// How a policy names a host and those below it. It knows no addresses of IPv6.
fn sources(host: &Host<String>) -> Vec<String> {
    match host {
        Host::Domain(name) => vec![format!("{name}:*"), format!("*.{name}:*")],
        Host::Ipv4(address) => vec![format!("{address}:*")],
        Host::Ipv6(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(names: &[&str]) -> Hosts {
        Hosts::new(names).unwrap()
    }

    fn allows(hosts: &Hosts, address: &str) -> bool {
        Page::at(address.as_bytes()).is_some_and(|page| hosts.allow(&page))
    }

    #[test]
    fn a_host_stands_for_itself_and_its_subdomains() {
        let own = hosts(&["mysite.com"]);
        for (address, expected) in [
            ("https://mysite.com", true),
            ("https://mysite.com/p?q#f", true),
            ("https://a.b.mysite.com:8443", true),
            ("HTTPS://MYSITE.COM.", true),
            ("http://mysite.com:/", true),
            ("https://mysite.com?a=@evil.com", true),
            ("https://mysite.com#\\@evil.com", true),
            ("https://mysite.com/a b", true),
            ("https://evilmysite.com", false),
            ("https://mysite.com.evil.com", false),
            ("http://mysite.com@evil.com/", false),
            ("http://evil.com@mysite.com/", false),
            ("http://mysite.com:80@evil.com/", false),
            ("http://mysite.com\\@evil.com/", false),
            ("http://evil.com\\.mysite.com/", false),
            ("http://evil.com%2f.mysite.com/", false),
            ("http://evil.com%00.mysite.com/", false),
            ("http://evil.com;.mysite.com/", false),
            ("http://mysite%2ecom/", false),
            ("http://evil.com\t.mysite.com/", false),
            ("http://my\nsite.com/", false),
            ("https://mysite.com/\0", false),
            ("https://mysite.com..", false),
            ("https://.mysite.com", false),
            ("https://a..mysite.com", false),
            ("https://mysite.com:80:80/", false),
            ("https://mysite.com:x/", false),
            ("https://mysite.com:123456/", false),
            ("https://com", false),
            ("https://", false),
            ("https:///mysite.com/", false),
            ("https:mysite.com", false),
            ("https:/mysite.com", false),
            ("//mysite.com/", false),
            ("mysite.com", false),
            ("/p", false),
            ("", false),
            ("null", false),
            ("data:text/html,https://mysite.com/", false),
            ("file://mysite.com/", false),
            ("blob:https://mysite.com/1", false),
            ("javascript://mysite.com/", false),
            ("ftp://mysite.com/", false),
            (" https://mysite.com/", false),
            ("https://m\u{443}site.com/", false),
        ] {
            assert_eq!(allows(&own, address), expected, "{address}");
        }
        let long = format!("https://mysite.com/{}", "a".repeat(LONGEST_PAGE));
        assert!(allows(&own, &long[..LONGEST_PAGE]) && !allows(&own, &long[..=LONGEST_PAGE]));
        assert_eq!(Page::at(b"https://mysite.com/\xff"), None);
        assert!(!allows(&hosts(&["subdomain.mysite.com"]), "https://mysite.com"));
        assert!(!allows(&Hosts::default(), "https://mysite.com"));
    }

    #[test]
    fn names_are_compared_in_their_ascii_form_and_addresses_as_they_are() {
        // RFC 5891: bücher is xn--bcher-kva.
        let list = hosts(&["*.B\u{fc}cher.example.", "192.0.2.7", "[2001:DB8:0::7]", "localhost"]);
        for (address, expected) in [
            ("https://b\u{fc}cher.example/", true),
            ("https://B\u{dc}CHER.example/", true),
            ("https://a.xn--bcher-kva.example/", true),
            ("https://XN--BCHER-KVA.example/", true),
            ("https://b\u{fc}cher\u{3002}example/", true),
            ("https://bucher.example/", false),
            ("http://192.0.2.7:8080/", true),
            ("http://0xc0000207/", true),
            ("http://a.192.0.2.7/", false),
            ("http://192.0.2.8/", false),
            ("http://[2001:db8::7]:80/", true),
            ("http://[2001:db8::8]/", false),
            ("http://2001:db8::7/", false),
            ("http://[::ffff:192.0.2.7]/", false),
            ("http://[2001:db8::7/", false),
            ("http://localhost:3000", true),
        ] {
            assert_eq!(allows(&list, address), expected, "{address}");
        }
        assert_eq!(
            list.iter().collect::<Vec<_>>(),
            ["192.0.2.7", "[2001:db8::7]", "localhost", "xn--bcher-kva.example"]
        );
        assert_eq!(
            list.sources(),
            "192.0.2.7:* localhost:* *.localhost:* xn--bcher-kva.example:* *.xn--bcher-kva.example:*"
        );
    }

    #[test]
    fn of_many_hosts_each_is_found() {
        let names: Vec<String> = (0..300).map(|number| format!("h{number}.example")).collect();
        let list = Hosts::new(&names).unwrap();
        for name in &names {
            assert!(
                allows(&list, &format!("https://{name}/")) && allows(&list, &format!("https://a.{name}/")),
                "{name}"
            );
            assert!(!allows(&list, &format!("https://x{name}/")) && !allows(&list, &format!("https://{name}.x/")));
        }
        assert!(!allows(&list, "https://h300.example/") && !allows(&list, "https://example/"));
    }

    #[test]
    fn an_origin_is_a_host_and_nothing_behind_it() {
        for (origin, expected) in [
            ("https://mysite.com", true),
            ("http://a.mysite.com:8080", true),
            ("https://mysite.com/", false),
            ("https://mysite.com https://evil.com", false),
            ("https://mysite.com, https://evil.com", false),
            ("null", false),
            ("", false),
        ] {
            assert_eq!(Page::of_origin(origin.as_bytes()).is_some(), expected, "{origin}");
        }
    }

    #[test]
    fn what_is_no_host_is_no_authorised_one() {
        for name in [
            "",
            "*",
            "*.",
            "*.*.example.com",
            "a.*.com",
            ".example.com",
            "example.com..",
            "a..b",
            "https://example.com",
            "example.com:80",
            "example.com/p",
            "user@example.com",
            "a b",
            "ex%61mple.com",
            "*.192.0.2.7",
            "192.0.2.256",
            "::1",
        ] {
            assert!(Hosts::new([name]).unwrap_err().hint.is_some(), "{name}");
        }
    }
}
