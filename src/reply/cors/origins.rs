//! A list of origins, as browsers write them (RFC 6454 §6.1): `https://app.example.com`, or with `*.` in front of a host
//! for one or more labels.

use url::{Origin, Url};

use crate::invalid::Invalid;

/// A list of origins.
#[derive(Debug, Default)]
pub struct Origins {
    /// Each as a browser writes it.
    exact: Vec<Box<str>>,
    below: Vec<Below>,
}

/// The origins of the subdomains of a host.
#[derive(Debug)]
struct Below {
    /// With `://`.
    scheme: Box<str>,
    /// With the dot before it and, where that is not the scheme's own, its port.
    end: Box<str>,
}

impl Origins {
    /// Adds one.
    pub fn add(&mut self, text: &str) -> Result<(), Invalid> {
        let Some((scheme, end)) = text.split_once("://*.") else {
            self.exact.push(written(text)?.into());
            return Ok(());
        };
        // What stands behind the wildcard is an origin of its own.
        let apex = written(&format!("{scheme}://{end}"))?;
        let Some((scheme, end)) = apex.split_once("://").filter(|(_, host)| !is_address(host)) else {
            return Err(Invalid::new(format!("`{text}` has an address behind the wildcard")));
        };
        self.below.push(Below { scheme: format!("{scheme}://").into(), end: format!(".{end}").into() });
        Ok(())
    }

    /// Whether an `Origin` field names one of them, to the letter: browsers write it in one way only.
    pub fn hold(&self, value: &[u8]) -> bool {
        self.exact.iter().any(|own| own.as_bytes() == value) || self.below.iter().any(|below| below.holds(value))
    }
}

impl Below {
    fn holds(&self, value: &[u8]) -> bool {
        let labels = value.strip_prefix(self.scheme.as_bytes()).and_then(|host| host.strip_suffix(self.end.as_bytes()));
        let is_label = |label: &[u8]| {
            let plain = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
            !label.is_empty() && label.iter().all(plain)
        };
        labels.is_some_and(|labels| labels.split(|byte| *byte == b'.').all(is_label))
    }
}

fn is_address(host: &str) -> bool {
    let bare = host.rsplit_once(':').map_or(host, |(bare, port)| if port.ends_with(']') { host } else { bare });
    bare.starts_with('[') || bare.parse::<std::net::Ipv4Addr>().is_ok()
}

/// An origin as browsers write it: in lower case, in ASCII, without the port that its scheme has anyhow.
fn written(text: &str) -> Result<String, Invalid> {
    let example = "for example: \"https://app.example.com\", \"https://*.example.com\" or \"http://localhost:3000\"";
    let wrong = |what: String| Invalid::new(what).hint(example);
    let url = Url::parse(text).map_err(|error| wrong(format!("`{text}` is no origin: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong(format!("a page comes by http or https, not by `{}`", url.scheme())));
    }
    let has_more = url.path() != "/" || text.ends_with('/') || url.query().is_some() || url.fragment().is_some();
    if has_more || text.contains('@') {
        return Err(wrong(format!("`{text}` is more than an origin: scheme, host and port")));
    }
    match url.origin() {
        origin @ Origin::Tuple(..) if !text.contains('*') => Ok(origin.ascii_serialization()),
        Origin::Tuple(..) | Origin::Opaque(_) => Err(wrong(format!("`{text}` is no origin"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_held_to_the_letter() {
        let mut origins = Origins::default();
        for text in [
            "https://App.example.com:443",
            "http://localhost:3000",
            "https://*.v\u{fc}deo.example",
            "http://*.w.example:81",
        ] {
            origins.add(text).unwrap();
        }
        for (origin, expected) in [
            ("https://app.example.com", true),
            ("https://app.example.com:443", false),
            ("http://app.example.com", false),
            ("https://APP.example.com", false),
            ("https://app.example.com.evil.example", false),
            ("https://b.app.example.com", false),
            ("http://localhost:3000", true),
            ("http://localhost", false),
            ("https://a.xn--vdeo-0ra.example", true),
            ("https://a.b.xn--vdeo-0ra.example", true),
            ("https://xn--vdeo-0ra.example", false),
            ("https://.xn--vdeo-0ra.example", false),
            ("https://a..xn--vdeo-0ra.example", false),
            ("https://evil.example/.xn--vdeo-0ra.example", false),
            ("https://evil.example:1@a.xn--vdeo-0ra.example", false),
            ("https://a.xn--vdeo-0ra.example:8443", false),
            ("http://a.w.example:81", true),
            ("http://a.w.example", false),
            ("null", false),
            ("*", false),
            ("", false),
        ] {
            assert_eq!(origins.hold(origin.as_bytes()), expected, "{origin}");
        }
    }

    #[test]
    fn what_no_browser_writes_is_a_mistake() {
        for text in [
            "app.example.com",
            "https://app.example.com/",
            "https://app.example.com/page",
            "https://app.example.com?x",
            "https://user@app.example.com",
            "ftp://app.example.com",
            "https://*",
            "https://*.",
            "https://*.10.0.0.1",
            "https://*.[::1]",
            "https://app.*.com",
            "https://*app.example.com",
            "null",
            "",
        ] {
            assert!(Origins::default().add(text).is_err(), "{text}");
        }
    }
}
