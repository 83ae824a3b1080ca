//! What is not told of a target: the values of everything that anybody could read as a credential, and what has the look
//! of one wherever it stands.

use std::borrow::Cow;

use memchr::{memchr, memchr2};
use percent_encoding::percent_decode_str;

use super::texts::put;
use crate::edge::pairs::{Name, name, pairs, parts};

/// What stands in the place of what is hidden.
const HIDDEN: &str = "***";
/// The longest name that is told where its value is hidden, in bytes: a longer one may be a secret itself.
const LONGEST_NAME: usize = 32;
/// The longest part without a value that is told, in bytes: no secret is as short.
const LONGEST_BARE: usize = 7;
/// The least that a token has behind its beginning, in bytes.
const LEAST_TOKEN: usize = 12;

/// The least that looks as if it had been drawn by lot, in bytes.
const LEAST_DRAWN: usize = 16;

/// Names under which people put secrets into queries, whatever the configuration says.
pub const ALWAYS: [&str; 22] = [
    "access_token",
    "api_key",
    "apikey",
    "auth",
    "authorization",
    "client_secret",
    "credential",
    "credentials",
    "id_token",
    "jwt",
    "key",
    "lkey",
    "passwd",
    "password",
    "pwd",
    "refresh_token",
    "secret",
    "session",
    "sig",
    "signature",
    "sso_token",
    "token",
];

/// A path as it may be shown: without what has the look of a token.
pub fn shown_path(written: &str) -> String {
    let mut shown = String::new();
    path(&mut shown, written, usize::MAX);
    shown
}

/// Adds a path without tokens, cut to `most` bytes.
pub(super) fn path(into: &mut String, path: &str, most: usize) {
    // No path is as short that has a token in it, and most have none that is as long.
    let may_hide = memchr(b';', path.as_bytes()).is_some() || path.len() >= LEAST_TOKEN && path.split('/').any(hides);
    if !may_hide {
        return put(into, path, most);
    }
    let mut told = String::with_capacity(path.len());
    for (place, segment) in path.split('/').enumerate() {
        if place > 0 {
            told.push('/');
        }
        match memchr(b';', segment.as_bytes()) {
            // Matrix parameters: what stands there is not read by anybody here.
            Some(end) if !is_token(segment) => {
                told.push_str(&segment[..end]);
                told.push(';');
                told.push_str(HIDDEN);
            }
            _ => told.push_str(if is_token(segment) { HIDDEN } else { segment }),
        }
    }
    put(into, &told, most);
}

fn hides(segment: &str) -> bool {
    is_token(segment) || memchr(b';', segment.as_bytes()).is_some()
}

/// Adds a query with its question mark, and without the values of `names`; cut to `most` bytes.
pub(super) fn query(into: &mut String, query: Option<&str>, names: &[Box<str>], most: usize) {
    let Some(query) = query else { return };
    let most = into.len() + most;
    into.push('?');
    for (place, pair) in pairs(query).enumerate() {
        if into.len() > most {
            break;
        }
        if place > 0 {
            into.push('&');
        }
        if is_hidden(pair, names) { push_hidden(into, pair) } else { into.push_str(pair) }
    }
    if into.len() > most {
        into.truncate(into.floor_char_boundary(most));
        into.push('…');
    }
}

/// A query that is told, with every value of it hidden.
pub(super) fn all(told: &str) -> String {
    let Some(query) = told.strip_prefix('?') else { return String::new() };
    let mut hidden = String::with_capacity(told.len());
    hidden.push('?');
    for (place, pair) in pairs(query).enumerate() {
        if place > 0 {
            hidden.push('&');
        }
        if pair.len() > LONGEST_BARE || memchr(b'=', pair.as_bytes()).is_some() {
            push_hidden(&mut hidden, pair);
        } else {
            hidden.push_str(pair);
        }
    }
    hidden
}

/// Names the pair, and hides the rest of it.
fn push_hidden(into: &mut String, pair: &str) {
    let own = name(pair);
    // Where nothing stands behind it, the name may be the secret.
    if own.len() < pair.len() && own.len() <= LONGEST_NAME && !is_token(own) {
        into.push_str(own);
        into.push('=');
    }
    into.push_str(HIDDEN);
}

fn is_hidden(pair: &str, names: &[Box<str>]) -> bool {
    let Some(end) = memchr(b'=', pair.as_bytes()) else { return pair.len() > LONGEST_BARE };
    let is_secret = |part: &str| {
        let value = part.split_once('=').map_or("", |(_, value)| value);
        is_token(part) || is_token(value) || looks_drawn(value) || is_one_of(part, names)
    };
    end > 2 * LONGEST_NAME || parts(pair).any(is_secret)
}

fn is_one_of(part: &str, names: &[Box<str>]) -> bool {
    let own = Name::of(part);
    names.iter().any(|listed| own.is_called(listed))
}

/// Whether somewhere in a value stands what looks as if it had been drawn by lot, as keys and secrets are: long, and of more
/// than one sort of letters and digits. An instant does not.
fn looks_drawn(value: &str) -> bool {
    if value.len() < LEAST_DRAWN {
        return false;
    }
    let decoded = percent_decode_str(value).decode_utf8_lossy();
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '+' | '/' | '_' | '-' | '.' | '=');
    decoded.split(|letter| !is_part(letter)).filter(|run| run.len() >= LEAST_DRAWN).any(|run| {
        let has = |is: fn(u8) -> bool| usize::from(run.bytes().any(is));
        let upper = |byte: u8| byte.is_ascii_uppercase() && !matches!(byte, b'T' | b'Z');
        has(|byte| byte.is_ascii_digit()) + has(|byte| byte.is_ascii_lowercase()) + has(upper) > 1
    })
}

/// Whether a text begins as signed tokens do: those of VXG, alone or wrapped in JSON and Base64, and JWTs.
fn is_token(text: &str) -> bool {
    if text.len() < LEAST_TOKEN {
        return false;
    }
    let decoded = match memchr2(b'%', b'+', text.as_bytes()) {
        Some(_) => percent_decode_str(text).decode_utf8_lossy(),
        None => Cow::Borrowed(text),
    };
    ["share.", "eyJ"].iter().any(|beginning| decoded.trim_start().starts_with(beginning))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str, names: &[&str]) -> String {
        let names: Vec<Box<str>> = names.iter().map(|name| (*name).into()).collect();
        let mut into = "before".to_owned();
        query(&mut into, Some(text), &names, 200);
        into.strip_prefix("before").unwrap().to_owned()
    }

    #[test]
    fn the_values_of_credentials_are_hidden_under_every_spelling_of_their_names() {
        for (query, expected) in [
            ("", "?"),
            ("a=1&b=%2F&c", "?a=1&b=%2F&c"),
            ("token=hunter2&a=1", "?token=***&a=1"),
            ("a=1&Token=hunter2", "?a=1&Token=***"),
            ("tok%65n[]=hunter2&+token=hunter2", "?tok%65n[]=***&+token=***"),
            ("a=1;token=hunter2;b=2&c=3", "?a=***&c=3"),
            ("token=x=hunter2", "?token=***"),
            ("hunter2hunter2", "?***"),
            ("debug&wsdl", "?debug&wsdl"),
            ("x=99176b1d244c484ed65dd792abc1", "?x=***"),
            ("x=anybody%3A%39%39176b1d244c484ed65dd792abc1", "?x=***"),
            ("start=2014-01-01T00:00:00.000000Z", "?start=2014-01-01T00:00:00.000000Z"),
            (
                "start=2014-01-01T00%3A00%3A00&order=created-descending",
                "?start=2014-01-01T00%3A00%3A00&order=created-descending",
            ),
            ("a=share.eyJzaSI6IDIzNTYzOX0.61a9", "?a=***"),
            ("a=%73hare.eyJzaSI6IDIzNTYzOX0.61a9", "?a=***"),
            ("a=eyJhbGciOiJIUzI1NiJ9.e30.abc", "?a=***"),
            ("share.eyJzaSI6IDIzNTYzOX0.61a9=token", "?***"),
            ("a=1;b=share.eyJzaSI6IDIzNTYzOX0.61a9", "?a=***"),
        ] {
            assert_eq!(told(query, &["token"]), expected, "{query}");
        }
        let long = "n".repeat(65);
        assert_eq!(told(&format!("{long}=1"), &[]), "?***", "a name as long as a key");
        let mut none = "before".to_owned();
        super::query(&mut none, None, &[], 10);
        assert_eq!(none, "before");
    }

    #[test]
    fn a_long_query_is_cut_behind_what_was_hidden() {
        let cut = told(&"a=é&".repeat(100), &[]);
        assert!(cut.ends_with('…') && cut.len() <= 203, "{cut}");
    }

    #[test]
    fn where_nothing_is_known_all_values_are_hidden() {
        for (told, expected) in
            [("", ""), ("?", "?"), ("?a=1&b&c=", "?a=***&b&c=***"), ("?hunter2hunter2&a=***", "?***&a=***")]
        {
            assert_eq!(all(told), expected, "{told}");
        }
    }

    #[test]
    fn tokens_in_a_path_are_hidden() {
        for (target, expected) in [
            ("/a/b", "/a/b"),
            ("/shares/1", "/shares/1"),
            ("/a/share.eyJzaSI6IDIzNTYzOX0.61a9/b", "/a/***/b"),
            ("/a/%73hare.eyJzaSI6IDIzNTYzOX0.61a9", "/a/***"),
            ("/eyJhbGciOiJIUzI1NiJ9.e30.abc", "/***"),
            ("/a;token=hunter2/b", "/a;***/b"),
        ] {
            let mut into = "before".to_owned();
            path(&mut into, target, 100);
            assert_eq!(into, format!("before{expected}"), "{target}");
        }
    }
}
