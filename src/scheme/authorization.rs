//! The one `Authorization` field: a word and a token. Two of them are never settled by taking the first or the last;
//! what a token means is the business of the scheme that owns the word.

use http::header::{AUTHORIZATION, HeaderName};
use memchr::memchr;

use crate::edge::head::Head;
use crate::refusal::Reason;
use crate::scheme::Rejection;

/// The longest token that anyone looks into.
pub(super) const LONGEST: usize = 8 * 1024;

/// Where VXG's clients name a second account. Nobody serves it, and no upstream is to act upon it.
static SECOND: HeaderName = HeaderName::from_static("authorization2");

const TWO: Rejection = Rejection { reason: Reason::Ambiguous, detail: "more than one credential in Authorization" };
const EMPTY: Rejection =
    Rejection { reason: Reason::Malformed, detail: "Authorization names a scheme without a token" };
const TOO_LONG: Rejection =
    Rejection { reason: Reason::Malformed, detail: "the token in Authorization is longer than 8 KiB" };

/// The token after `word`. `Ok(None)`: no such field, or the word of another scheme.
pub(super) fn token<'a>(head: &Head<'a>, word: &str) -> Result<Option<&'a [u8]>, Rejection> {
    let Some(field) = field(head)? else { return Ok(None) };
    let end = field.iter().position(|&byte| is_blank(byte)).unwrap_or(field.len());
    let (own, rest) = field.split_at(end);
    // RFC 9110 §11.1: the word is compared without regard to case.
    if !own.eq_ignore_ascii_case(word.as_bytes()) {
        return Ok(None);
    }
    // Any number of blanks may stand between them: VXG's own samples send two.
    match trim(rest) {
        [] => Err(EMPTY),
        token if token.len() > LONGEST => Err(TOO_LONG),
        token => Ok(Some(token)),
    }
}

/// The word of the field, if there is one and only one.
pub(crate) fn word<'a>(head: &Head<'a>) -> Option<&'a [u8]> {
    field(head).ok()??.split(|&byte| is_blank(byte)).next().filter(|word| !word.is_empty())
}

/// Refuses a request with two `Authorization` credentials, whichever schemes they are of.
pub(crate) fn at_most_one(head: &Head<'_>) -> Result<(), Rejection> {
    if head.headers().contains_key(&SECOND) {
        return Err(TWO);
    }
    field(head).map(|_| ())
}

fn field<'a>(head: &Head<'a>) -> Result<Option<&'a [u8]>, Rejection> {
    let mut fields = head.headers().get_all(AUTHORIZATION).iter();
    let Some(field) = fields.next() else { return Ok(None) };
    if fields.next().is_some() || joined(field.as_bytes()) {
        return Err(TWO);
    }
    Ok(Some(trim(field.as_bytes())))
}

/// Whether an intermediary has joined two fields with a comma (RFC 9110 §5.3), which it must not do with this one.
fn joined(field: &[u8]) -> bool {
    if memchr(b',', field).is_none() {
        return false;
    }
    let (mut quoted, mut escaped) = (false, false);
    for (at, &byte) in field.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = quoted,
            b'"' => quoted = !quoted,
            b',' if !quoted && begins_credential(&field[at + 1..]) => return true,
            _ => {}
        }
    }
    // A quote that never ends may hide anything behind it.
    quoted
}

/// Whether a new credential begins here, rather than one more `name=value` of the first (RFC 9110 §11.4).
fn begins_credential(rest: &[u8]) -> bool {
    let rest = trim(rest);
    let word = rest.iter().position(|&byte| !is_token(byte)).unwrap_or(rest.len());
    word > 0 && trim(&rest[word..]).first() != Some(&b'=')
}

/// RFC 9110 §5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

pub(super) fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = bytes
        && is_blank(*first)
    {
        bytes = rest;
    }
    while let [rest @ .., last] = bytes
        && is_blank(*last)
    {
        bytes = rest;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scheme::stage::Request;

    fn read(fields: &[&str], word: &str) -> Result<Option<String>, Reason> {
        let request = fields.iter().fold(Request::get("/"), |request, field| request.header("authorization", field));
        match token(&request.head(), word) {
            Ok(found) => Ok(found.map(|token| String::from_utf8(token.to_vec()).unwrap())),
            Err(rejection) => Err(rejection.reason),
        }
    }

    #[test]
    fn a_word_and_a_token_are_told_apart_by_blanks() {
        for (what, field) in [
            ("plain", "LKey abc"),
            ("two spaces, as VXG's samples send", "LKey  abc"),
            ("a tab", "LKey\tabc"),
            ("blanks around", "LKey  \t abc \t"),
            ("another case", "lKEY abc"),
        ] {
            assert_eq!(read(&[field], "LKey"), Ok(Some("abc".into())), "{what}");
        }
    }

    #[test]
    fn the_word_of_another_scheme_is_not_mine() {
        for field in [
            "Basic abc",
            "LKeys abc",
            "LKe y",
            "LKey=abc",
            "",
            "Digest a=\"b, c\", d=e",
            "Digest a=\"b\\\", LKey def\"",
        ] {
            assert_eq!(read(&[field], "LKey"), Ok(None), "{field}");
        }
        assert_eq!(read(&[], "LKey"), Ok(None));
    }

    #[test]
    fn my_word_without_a_token_is_malformed() {
        for field in ["LKey", "LKey ", "lkey \t"] {
            assert_eq!(read(&[field], "LKey"), Err(Reason::Malformed), "{field}");
        }
    }

    #[test]
    fn a_second_credential_is_refused_whichever_scheme_it_is_of() {
        for (what, fields) in [
            ("twice the same", vec!["LKey abc", "LKey abc"]),
            ("two of another scheme", vec!["Basic abc", "Basic def"]),
            ("the second is empty", vec!["LKey abc", ""]),
            ("joined", vec!["LKey abc, LKey def"]),
            ("joined without a blank", vec!["LKey abc,LKey def"]),
            ("joined, of other schemes", vec!["Basic abc, Bearer def"]),
            ("joined behind parameters", vec!["Digest a=\"b\", c=d, LKey def"]),
            ("joined behind a quote that never ends", vec!["Digest a=\"b, LKey def"]),
            ("joined behind an escaped quote", vec!["Digest a=\"\\\"\", LKey d\"ef"]),
            ("joined with a word alone", vec!["Basic abc, Negotiate"]),
        ] {
            assert_eq!(read(&fields, "LKey"), Err(Reason::Ambiguous), "{what}");
        }
    }

    #[test]
    fn a_token_has_a_greatest_length() {
        assert!(read(&[&format!("LKey {}", "a".repeat(LONGEST))], "LKey").is_ok());
        assert_eq!(read(&[&format!("LKey {}", "a".repeat(LONGEST + 1))], "LKey"), Err(Reason::Malformed));
    }
}
