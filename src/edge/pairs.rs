//! The pairs of a query as different readers find them: what one of them would take for a name counts as it, wherever a
//! credential, an operation or a page is looked for, and wherever one is taken out.

use std::borrow::Cow;
use std::iter::once;

use memchr::{memchr, memchr_iter};
use percent_encoding::percent_decode_str;

use super::preface::reads_as;

/// Every pair as it stands between ampersands.
pub fn pairs(query: &str) -> impl Iterator<Item = &str> {
    let ends = memchr_iter(b'&', query.as_bytes()).chain(once(query.len()));
    ends.scan(0, |from, end| Some(&query[std::mem::replace(from, end + 1)..end]))
}

/// Every pair; and, of one with semicolons, the parts that some readers find in it.
pub fn parts(query: &str) -> impl Iterator<Item = &str> {
    let within = |pair: &'_ str| memchr(b';', pair.as_bytes()).is_some();
    pairs(query).flat_map(move |pair| once(pair).chain(within(pair).then(|| pair.split(';')).into_iter().flatten()))
}

/// The name of a pair, as it stands there.
pub fn name(pair: &str) -> &str {
    memchr(b'=', pair.as_bytes()).map_or(pair, |end| &pair[..end])
}

/// A name as it stands in a query, read once for all that it is compared with.
#[derive(Clone, Copy, Debug)]
pub struct Name<'a> {
    text: &'a str,
    is_plain: bool,
}

/// Letters, digits, `_` and `-`.
const PLAIN: [bool; 256] = {
    let (mut plain, mut byte) = ([false; 256], 0_u8);
    while byte < 128 {
        plain[byte as usize] = byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        byte += 1;
    }
    plain
};

impl<'a> Name<'a> {
    /// The name of this pair.
    pub fn of(pair: &'a str) -> Self {
        Self::new(name(pair))
    }

    /// This name.
    pub fn new(text: &'a str) -> Self {
        let is_plain = text.bytes().all(|byte| PLAIN[usize::from(byte)]);
        Self { text, is_plain }
    }

    /// Whether all of it is letters, digits, `_` and `-`: nearly all names are, and those everybody reads alike, but for
    /// upper and lower case.
    pub fn is_plain(self) -> bool {
        self.is_plain
    }

    /// How it stands there.
    pub fn text(self) -> &'a str {
        self.text
    }

    /// Whether anybody could read it as this one: percent-decoded, with `+` for a blank, ended by NUL as in C, and otherwise
    /// as the names in forms are read.
    pub fn is_called(self, name: &str) -> bool {
        if self.is_plain {
            return alike(self.text, name) || !name.is_ascii() && is_read_as(self.text, name);
        }
        is_read_as(self.text, name)
    }
}

/// Whether two names are one, upper and lower case alike; nearly all that are one are written alike.
pub fn alike(one: &str, other: &str) -> bool {
    one == other || one.eq_ignore_ascii_case(other)
}

/// Whether anybody could read a name, as it stands in a query, as this one.
pub fn is_called(own: &str, name: &str) -> bool {
    Name::new(own).is_called(name)
}

fn is_read_as(own: &str, name: &str) -> bool {
    let spaced = if own.contains('+') { Cow::Owned(own.replace('+', " ")) } else { Cow::Borrowed(own) };
    let decoded = percent_decode_str(&spaced).decode_utf8_lossy();
    let read = decoded.split('\0').next().unwrap_or_default();
    reads_as(read.trim_start_matches('\u{feff}'), name)
}

/// Whether anybody could find a pair of one of these names.
pub fn holds(query: Option<&str>, names: &[Box<str>]) -> bool {
    !names.is_empty() && query.is_some_and(|query| parts(query).any(|part| is_one_of(part, names)))
}

/// A query without whatever anybody could find under one of these names, the rest byte for byte; nothing if there is none
/// of them. What remains may be empty.
pub fn without(query: &str, names: &[Box<str>]) -> Option<String> {
    if names.is_empty() {
        return None;
    }
    let goes = |part: &str| is_one_of(part, names);
    let mut rest: Option<String> = None;
    // Where the pair begins, and whether one that stays stands before it.
    let (mut begin, mut is_next) = (0, false);
    for pair in pairs(query) {
        // To most readers the value goes on behind a semicolon, so that all of it goes.
        let (whole, parted) = (!goes(pair), memchr(b';', pair.as_bytes()).is_some());
        if rest.is_none() && (!whole || parted && pair.split(';').any(goes)) {
            let mut stays = String::with_capacity(query.len());
            stays.push_str(&query[..begin.max(1) - 1]);
            rest = Some(stays);
        }
        if let Some(rest) = rest.as_mut().filter(|_| whole) {
            if is_next {
                rest.push('&');
            }
            for (place, part) in pair.split(';').filter(|part| !goes(part)).enumerate() {
                if place > 0 {
                    rest.push(';');
                }
                rest.push_str(part);
            }
        }
        is_next |= whole;
        begin += pair.len() + 1;
    }
    rest
}

fn is_one_of(part: &str, names: &[Box<str>]) -> bool {
    let own = Name::of(part);
    names.iter().any(|listed| own.is_called(listed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_names_are_read_as_all_others_are() {
        let names = ["", "cmd", "CMD", "api_key", "API-Key", "api-key", "cmd1", "c-m_d", "_", "-", "signature"];
        for own in names {
            for name in names.into_iter().chain(["\u{212a}ey", "\u{17f}ignature", "api key"]) {
                assert_eq!(is_called(own, name), is_read_as(own, name), "{own} {name}");
            }
        }
        assert!(is_called("signature", "SIGNATURE") && !is_called("cmd1", "cmd"));
    }

    #[test]
    fn listed_parameters_leave_the_query_and_the_rest_stays_as_it_is() {
        let names: [Box<str>; 2] = ["token".into(), "api_key".into()];
        for (query, expected) in [
            ("", None),
            ("a=1&b=%2F+%zz&c", None),
            ("tokens=1&xtoken=2&token.x=4&a=token", None),
            ("a=1;2&b=;c;tokens=3", None),
            ("x=1&Token=3&API%5FKey&y", Some("x=1&y")),
            ("a=token=1", None),
            ("token=1", Some("")),
            ("token", Some("")),
            ("token=", Some("")),
            ("a=1&token=x&b=%2f+&&c=", Some("a=1&b=%2f+&&c=")),
            ("&a&token&", Some("&a&")),
            ("%74oken=x&a", Some("a")),
            ("tok%65n=x=y&a", Some("a")),
            ("token=1&a=2&token=3&api%5Fkey=4", Some("a=2")),
            ("a=1&token=2", Some("a=1")),
            // PHP and Rails find it in a list or a table of that name.
            ("token[]=1&a&token%5B0%5D=2&token[x][y]=3", Some("a")),
            ("+token=1&a&%20token=2&%5Btoken]=3", Some("a")),
            ("api.key=1&a&api+key=2&api[key=3", Some("a")),
            ("token%00x=1&a&%EF%BB%BFtoken=2", Some("a")),
            // Those who end a pair at a semicolon find it behind one.
            ("a=1;token=x&b=2", Some("a=1&b=2")),
            ("a=1;tok%65n[]=x;b=2", Some("a=1;b=2")),
            ("a;token;b=2", Some("a;b=2")),
            ("token;a=1", Some("a=1")),
            (";token=x", Some("")),
            ("token=x;y;a=1&b", Some("b")),
            ("token[;]=x&b", Some("b")),
        ] {
            let left = without(query, &names);
            assert_eq!(left.as_deref(), expected, "{query}");
            assert_eq!(holds(Some(query), &names), left.is_some(), "{query}");
            assert!(!holds(left.as_deref(), &names), "{query}");
        }
        assert_eq!(without("token=1", &[]), None);
    }
}
