//! The one canonical path of a request: computed once, matched, ruled on, and sent upstream. Unreserved octets are
//! decoded, dot segments resolved, slashes merged; whatever two readers could take for two different paths is refused.
//! The query is no part of this: it goes upstream as it came.

use std::borrow::Cow;

use crate::refusal::Refusal;

/// Brings a path into its canonical form; borrows it where it is canonical already.
pub fn canonical(path: &str) -> Result<Cow<'_, str>, Refusal> {
    let bytes = path.as_bytes();
    if bytes.first() != Some(&b'/') {
        return Err(Refusal::malformed("the target is not a path"));
    }
    match is_canonical(bytes) {
        Ok(true) => Ok(Cow::Borrowed(path)),
        Ok(false) => rewrite(path).map(Cow::Owned).map_err(Refusal::malformed),
        Err(detail) => Err(Refusal::malformed(detail)),
    }
}

/// What the scanner does with a byte.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    /// Stands for itself; decoded where it was encoded.
    Unreserved,
    /// Stands for itself; stays encoded where it was encoded, since RFC 3986 §2.2 keeps the two apart.
    Reserved,
    Slash,
    Percent,
    /// Upstreams disagree on whether a path parameter belongs to the segment.
    Semicolon,
    Refused,
}

static CLASSES: [Class; 256] = {
    let mut classes = [Class::Refused; 256];
    let mut byte = 0;
    while byte < 128 {
        #[expect(clippy::cast_possible_truncation, reason = "it counts to 127")]
        let octet = byte as u8;
        classes[byte] = match octet {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => Class::Unreserved,
            b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b'=' | b':' | b'@' | b'[' | b']' => {
                Class::Reserved
            }
            b'/' => Class::Slash,
            b'%' => Class::Percent,
            b';' => Class::Semicolon,
            _ => Class::Refused,
        };
        byte += 1;
    }
    classes
};

fn class(byte: u8) -> Class {
    CLASSES[usize::from(byte)]
}

/// Whether this byte can stand raw in a canonical path as well as encoded: the two spellings are two paths here and
/// one path to many upstreams, so no route may hang on it.
pub(crate) fn has_two_spellings(byte: u8) -> bool {
    class(byte) == Class::Reserved
}

/// Why a path is refused.
type Detail = &'static str;

const PARAMETER: Detail = "the path has a parameter behind a semicolon";
const RAW: Detail = "the path has a character that may not stand there raw";
const TWICE: Detail = "the path is encoded twice";
const VEILED: Detail = "the path has a segment of dots and blanks";

fn is_canonical(path: &[u8]) -> Result<bool, Detail> {
    let (mut rest, mut blank) = (path, false);
    while let [byte, tail @ ..] = rest {
        rest = match class(*byte) {
            Class::Unreserved | Class::Reserved => tail,
            Class::Slash => match tail {
                [b'/', ..] | [b'.'] | [b'.', b'/', ..] | [b'.', b'.'] | [b'.', b'.', b'/', ..] => return Ok(false),
                _ => tail,
            },
            Class::Percent => match Piece::read(rest)? {
                Piece::Decoded(_) => return Ok(false),
                Piece::Encoded(encoded) => {
                    let tail = &rest[encoded.len()..];
                    if let ([b'%', b'2', b'5'], [high, low, ..]) = (encoded, tail)
                        && high.is_ascii_hexdigit()
                        && low.is_ascii_hexdigit()
                    {
                        return Err(TWICE);
                    }
                    if encoded.iter().any(u8::is_ascii_lowercase) {
                        return Ok(false);
                    }
                    blank |= encoded == b"%20";
                    tail
                }
            },
            Class::Semicolon => return Err(PARAMETER),
            Class::Refused => return Err(RAW),
        };
    }
    if blank && path.split(|byte| *byte == b'/').any(is_veiled) { Err(VEILED) } else { Ok(true) }
}

/// Whether a reader that trims blanks off a segment, as those on Windows do, could find a dot segment in this one.
fn is_veiled(mut segment: &[u8]) -> bool {
    let (mut dot, mut blank) = (false, false);
    loop {
        (segment, dot, blank) = match segment {
            [b'.', rest @ ..] => (rest, true, blank),
            [b'%', b'2', b'0', rest @ ..] => (rest, dot, true),
            rest => return dot && blank && rest.is_empty(),
        };
    }
}

/// What a percent sign introduces.
enum Piece<'a> {
    /// An unreserved character, which needs no encoding.
    Decoded(u8),
    /// One character that stays as it is, in its three to twelve bytes.
    Encoded(&'a [u8]),
}

impl<'a> Piece<'a> {
    /// Reads the character whose first percent sign `text` starts with.
    fn read(text: &'a [u8]) -> Result<Self, Detail> {
        let octet = octet(text)?;
        if !octet.is_ascii() {
            return Self::read_wide(text, octet);
        }
        match class(octet) {
            Class::Unreserved => Ok(Self::Decoded(octet)),
            Class::Slash => Err("the path has an encoded slash"),
            Class::Semicolon => Err(PARAMETER),
            Class::Refused if octet == b'\\' => Err("the path has an encoded backslash"),
            Class::Refused if octet.is_ascii_control() => Err("the path has an encoded control character"),
            Class::Reserved | Class::Percent | Class::Refused => Ok(Self::Encoded(&text[..3])),
        }
    }

    /// A character beyond ASCII: its octets stand encoded one after the other and are well-formed UTF-8, so that an
    /// overlong slash stays out.
    fn read_wide(text: &'a [u8], lead: u8) -> Result<Self, Detail> {
        const BROKEN: Detail = "the path has encoded octets that are not UTF-8";
        let width = match lead {
            0xc2..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf4 => 4,
            _ => return Err(BROKEN),
        };
        let mut octets = [0; 4];
        for (index, slot) in octets[..width].iter_mut().enumerate() {
            *slot = text.get(3 * index..).ok_or(BROKEN).and_then(octet)?;
        }
        let decoded = str::from_utf8(&octets[..width]).map_err(|_| BROKEN)?;
        if decoded.chars().any(char::is_control) {
            return Err("the path has an encoded control character");
        }
        Ok(Self::Encoded(&text[..3 * width]))
    }
}

/// The octet behind a percent sign.
fn octet(text: &[u8]) -> Result<u8, Detail> {
    let [b'%', high, low, ..] = *text else { return Err("the path has a percent sign that does not decode") };
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    match (digit(high), digit(low)) {
        (Some(high), Some(low)) => Ok(high << 4 | low),
        (None, _) | (_, None) => Err("the path has a percent sign that does not decode"),
    }
}

/// Builds the canonical path. Encoded slashes are refused, so the segments of the raw path are the segments of the
/// decoded one; empty ones are dropped before dots are resolved, as an upstream that merges slashes would do.
fn rewrite(path: &str) -> Result<String, Detail> {
    let mut out = String::with_capacity(path.len());
    out.push('/');
    let mut segments = path[1..].split('/').peekable();
    while let Some(segment) = segments.next() {
        let start = out.len();
        decode(segment.as_bytes(), &mut out)?;
        match &out[start..] {
            "" => {}
            "." => out.truncate(start),
            ".." => {
                let parent = out[..start - 1].rfind('/').ok_or("the path climbs above its root")?;
                out.truncate(parent + 1);
            }
            veiled if is_veiled(veiled.as_bytes()) => return Err(VEILED),
            _ if segments.peek().is_some() => out.push('/'),
            _ => {}
        }
    }
    Ok(out)
}

/// Appends a segment in its canonical spelling.
fn decode(mut segment: &[u8], out: &mut String) -> Result<(), Detail> {
    while let [byte, tail @ ..] = segment {
        segment = match class(*byte) {
            Class::Unreserved | Class::Reserved => {
                push(*byte, out)?;
                tail
            }
            Class::Percent => match Piece::read(segment)? {
                Piece::Decoded(octet) => {
                    push(octet, out)?;
                    &segment[3..]
                }
                Piece::Encoded(encoded) => {
                    out.extend(encoded.iter().map(|byte| char::from(byte.to_ascii_uppercase())));
                    &segment[encoded.len()..]
                }
            },
            Class::Semicolon => return Err(PARAMETER),
            Class::Slash | Class::Refused => return Err(RAW),
        };
    }
    Ok(())
}

/// Appends a decoded character. `%25` with two digits behind it would decode once more, also where the digits
/// themselves came encoded (`%25%32%65`).
fn push(octet: u8, out: &mut String) -> Result<(), Detail> {
    out.push(char::from(octet));
    match out.as_bytes() {
        [.., b'%', b'2', b'5', high, low] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => Err(TWICE),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::refusal::Cause;

    #[test]
    fn a_canonical_path_is_borrowed() {
        for path in [
            "/",
            "/api/v4/live/watch/",
            "/.well-known/acme",
            "/a.b/..c/d../...",
            "/100%25/x",
            "/%E4%B8%AD/caf%C3%A9",
            "/a%20b%3Fc%23",
            "/user@example.com/a:b/c=d,e!f$g&h'i(j)k*l+m~n-o_p[0]",
            "/%25%20",
            "/%20/a%20.",
        ] {
            assert!(matches!(canonical(path), Ok(Cow::Borrowed(own)) if own == path), "{path}");
        }
    }

    #[test]
    fn every_other_spelling_of_a_path_becomes_the_canonical_one() {
        for (sent, expected) in [
            ("//", "/"),
            ("//api///v2/", "/api/v2/"),
            ("/.", "/"),
            ("/./a/./b/.", "/a/b/"),
            ("/a/..", "/"),
            ("/a/b/../c", "/a/c"),
            ("/a/b/..", "/a/"),
            ("/a//../b", "/b"),
            ("/api/v4/../v2/admin/users/", "/api/v2/admin/users/"),
            ("/api/v4/%2e%2E/v2/admin", "/api/v2/admin"),
            ("/api/v4/.%2e/v2/admin", "/api/v2/admin"),
            ("/%61%50%69/%7e%5F%2d%2E%39", "/aPi/~_-.9"),
            ("/caf%c3%a9/%3f", "/caf%C3%A9/%3F"),
            ("/a%2eb", "/a.b"),
            ("/%2e/", "/"),
        ] {
            assert_eq!(canonical(sent).expect(sent), expected, "{sent}");
            assert!(matches!(canonical(expected), Ok(Cow::Borrowed(_))), "{expected}");
        }
    }

    #[test]
    fn a_path_that_two_readers_could_take_for_two_is_refused() {
        for (what, sent) in [
            ("empty", ""),
            ("no slash", "api"),
            ("asterisk", "*"),
            ("encoded slash", "/api/v2/admin%2Fusers/"),
            ("encoded slash, lower", "/api%2fv2"),
            ("encoded backslash", "/a%5Cb"),
            ("encoded backslash, lower", "/a%5cb"),
            ("raw backslash", "/a\\b"),
            ("encoded NUL", "/a%00"),
            ("encoded CR LF", "/a%0d%0aX:%20y"),
            ("encoded DEL", "/a%7f"),
            ("encoded C1 control", "/a%C2%85"),
            ("raw control", "/a\u{1}"),
            ("raw DEL", "/a\u{7f}"),
            ("lone percent", "/a%"),
            ("half an octet", "/a%2"),
            ("not hex", "/a%2g"),
            ("signed hex", "/a%+2"),
            ("overlong slash", "/%c0%af"),
            ("overlong dot, three octets", "/%e0%80%ae"),
            ("surrogate", "/%ed%a0%80"),
            ("beyond Unicode", "/%f5%80%80%80"),
            ("lone continuation", "/%80"),
            ("broken off", "/%c3"),
            ("broken off by a letter", "/%c3a%a9"),
            ("semicolon", "/api/v4;x/live"),
            ("semicolon and dots", "/api/v4/..;/v2/admin"),
            ("encoded semicolon", "/a%3bb"),
            ("encoded twice", "/a%252e%252e/b"),
            ("encoded twice, slash", "/a%252Fb"),
            ("encoded twice, digits encoded as well", "/a%25%32%65"),
            ("encoded twice, one digit encoded", "/a%252%65"),
            ("encoded three times", "/a%25252e"),
            ("encoded twice, after a rewrite", "//a%252e"),
            ("non-ASCII", "/caf\u{e9}"),
            ("space", "/a b"),
            ("quote", "/a\"b"),
            ("braces", "/{a}"),
            ("angle brackets", "/<a>"),
            ("caret", "/a^b"),
            ("backtick", "/a`b"),
            ("bar", "/a|b"),
            ("hash", "/a#b"),
            ("dots and a blank", "/a/..%20/b"),
            ("a blank and a dot", "/a/%20."),
            ("dots and a blank, after a rewrite", "//%2e%2e%20/b"),
            ("above the root", "/.."),
            ("above the root, encoded", "/a/%2e%2e/%2e%2e/b"),
            ("above the root, merged", "//../a"),
        ] {
            let refusal = canonical(sent).expect_err(what);
            assert_eq!(refusal.cause, Cause::MalformedRequest, "{what}");
        }
    }

    #[test]
    fn what_has_two_spellings_is_what_stays_encoded_and_may_stand_raw() {
        for byte in 0..=127_u8 {
            let raw = format!("/{}", char::from(byte));
            let encoded = format!("/%{byte:02X}");
            let both =
                canonical(&raw).is_ok_and(|path| path == raw) && canonical(&encoded).is_ok_and(|path| path == encoded);
            assert_eq!(has_two_spellings(byte), both, "{byte:#x}");
        }
    }

    /// Decodes as the most lenient upstream would.
    fn decoded(path: &str) -> Vec<u8> {
        percent_encoding::percent_decode_str(path).collect()
    }

    proptest! {
        #[test]
        fn the_canonical_path_is_its_own_canonical_path(path in "/(\\.|%2e|%2E|/|a|%61|%25|%c3%a9|%20|2|5|e|%32|:|%3A|;|%2f){0,12}") {
            if let Ok(once) = canonical(&path) {
                let twice = canonical(&once).expect("a canonical path is accepted");
                prop_assert_eq!(&*once, &*twice);
                prop_assert!(matches!(twice, Cow::Borrowed(_)));
                prop_assert_eq!(matches!(once, Cow::Borrowed(_)), *once == path);
                for no in ["//", "/./", "/../"] {
                    prop_assert!(!once.contains(no), "{}", once);
                }
                prop_assert!(!once.ends_with("/.") && !once.ends_with("/.."));
                let text = decoded(&once);
                prop_assert_eq!(&decoded(&String::from_utf8(text.clone()).unwrap()), &text, "decoding twice changes {}", once);
            }
        }

        #[test]
        fn no_input_panics(path in "\\PC*") {
            let _ = canonical(&path);
        }
    }
}
