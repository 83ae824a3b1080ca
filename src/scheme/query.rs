//! One named value in the query, percent-decoded: what a scheme reads there. Stripping it before the request goes on is
//! the business of `forward/`.

use memchr::memchr;
use percent_encoding::percent_decode_str;

use crate::edge::pairs::{self, Name};
use crate::refusal::Reason;
use crate::scheme::Rejection;
use crate::scheme::buffer::{Blank, Buffer, Full};

const TWO: Rejection = Rejection { reason: Reason::Ambiguous, detail: "two different credentials in the query" };
const TOO_LONG: Rejection = Rejection { reason: Reason::Malformed, detail: "the credential in the query is too long" };

/// The value of `name`; the same value twice is one.
pub(super) fn value<const N: usize>(query: Option<&str>, name: &str) -> Result<Option<Buffer<N>>, Rejection> {
    find_read(query, &[name], Case::Kept)
}

/// The value of whatever has one of these names, upper and lower case alike; the same value under several is one.
pub(super) fn find<const N: usize>(
    query: Option<&str>,
    names: &[impl AsRef<str>],
) -> Result<Option<Buffer<N>>, Rejection> {
    find_read(query, names, Case::Ignored)
}

/// Hands on the values of whatever has one of these names, upper and lower case alike, as they stand there, each with the
/// place of its name: for several that are looked for in one go.
pub(super) fn each(
    query: Option<&str>,
    names: &[impl AsRef<str>],
    hand_on: impl FnMut(usize, &str) -> Result<(), Rejection>,
) -> Result<(), Rejection> {
    read_each(query, names, Case::Ignored, hand_on)
}

/// Notes a value that stands in the query as forms write them, where `+` is a blank; the same value twice is one.
pub(super) fn note_as_form<const N: usize>(found: &mut Option<Buffer<N>>, text: &str) -> Result<(), Rejection> {
    note(found, Buffer::unescape(text.as_bytes(), Blank::Plus))
}

/// A value that stands in the query as addresses write them, where `+` is no blank.
fn value_of<const N: usize>(text: &str) -> Result<Buffer<N>, Full> {
    Buffer::unescape(text.as_bytes(), Blank::Escaped)
}

fn note<const N: usize>(found: &mut Option<Buffer<N>>, value: Result<Buffer<N>, Full>) -> Result<(), Rejection> {
    let value = value.map_err(|Full| TOO_LONG)?;
    match found {
        Some(first) if first.bytes() != value.bytes() => return Err(TWO),
        Some(_) => {}
        None => *found = Some(value),
    }
    Ok(())
}

/// Whether upper and lower case are two names.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Case {
    Kept,
    Ignored,
}

/// The values of whatever has one of these names, each with the place of its name among them: what [`find`] would find of
/// each, in one go. The same value twice is one.
pub(super) fn find_each<const N: usize>(
    query: Option<&str>,
    names: &[impl AsRef<str>],
) -> Result<Vec<(usize, Buffer<N>)>, Rejection> {
    let mut found = Vec::<(usize, Buffer<N>)>::new();
    read_each(query, names, Case::Ignored, |place, text| {
        let value = value_of(text).map_err(|Full| TOO_LONG)?;
        match found.iter().find(|(other, _)| *other == place) {
            Some((_, first)) if first.bytes() != value.bytes() => return Err(TWO),
            Some(_) => {}
            None => found.push((place, value)),
        }
        Ok(())
    })?;
    Ok(found)
}

fn find_read<const N: usize>(
    query: Option<&str>,
    names: &[impl AsRef<str>],
    case: Case,
) -> Result<Option<Buffer<N>>, Rejection> {
    let mut found = None;
    read_each(query, names, case, |_, text| note(&mut found, value_of(text)))?;
    Ok(found)
}

/// Hands on the values of whatever has one of these names, as they stand there, each with the place of its name.
fn read_each(
    query: Option<&str>,
    names: &[impl AsRef<str>],
    case: Case,
    mut hand_on: impl FnMut(usize, &str) -> Result<(), Rejection>,
) -> Result<(), Rejection> {
    let Some(query) = query else { return Ok(()) };
    let is_alike = |own: Name<'_>| names.iter().any(|name| own.is_called(name.as_ref()));
    // To some readers a semicolon ends a pair as well: they would find one that nobody has looked at.
    let semicolons = memchr(b';', query.as_bytes()).is_some();
    for pair in pairs::pairs(query) {
        let own = Name::of(pair);
        let within = usize::from(!own.text().contains(';'));
        if semicolons && pair.contains(';') && pair.split(';').skip(within).any(|part| is_alike(Name::of(part))) {
            return Err(TWO);
        }
        match place_of(own, names, case) {
            Some(place) => hand_on(place, pair.get(own.text().len() + 1..).unwrap_or_default())?,
            // And some readers take `token[]` or `+token` for it.
            None if is_alike(own) => return Err(TWO),
            None => {}
        }
    }
    Ok(())
}

/// Which of the names it is. They are compared after decoding, as an upstream would: `%74oken` names the same.
fn place_of(own: Name<'_>, names: &[impl AsRef<str>], case: Case) -> Option<usize> {
    let mut names = names.iter().map(AsRef::as_ref);
    match (own.is_plain(), case) {
        (true, Case::Kept) => names.position(|name| own.text() == name),
        (true, Case::Ignored) => names.position(|name| pairs::alike(own.text(), name)),
        (false, Case::Kept) => names.position(|name| percent_decode_str(own.text()).eq(name.bytes())),
        (false, Case::Ignored) => {
            let lower = || percent_decode_str(own.text()).map(|byte| byte.to_ascii_lowercase());
            names.position(|name| lower().eq(name.bytes().map(|byte| byte.to_ascii_lowercase())))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_found_by_its_decoded_name() {
        for (query, expected) in [
            (None, Ok(None)),
            (Some(""), Ok(None)),
            (Some("a=token&tokens=x&xtoken=y"), Ok(None)),
            (Some("a=b&token=x.y"), Ok(Some("x.y"))),
            (Some("token=x%2Ey&limit=3"), Ok(Some("x.y"))),
            (Some("%74oken=x.y"), Ok(Some("x.y"))),
            (Some("token"), Ok(Some(""))),
            (Some("token=a=b"), Ok(Some("a=b"))),
            (Some("token=x%2ey&token=x.y"), Ok(Some("x.y"))),
            (Some("token=x&token=y"), Err(Reason::Ambiguous)),
            (Some("token=x&tok%65n="), Err(Reason::Ambiguous)),
            (Some("token=x;tok%65n=x"), Err(Reason::Ambiguous)),
            (Some("a=b;c=d;token=x"), Err(Reason::Ambiguous)),
            (Some("token=x&a=b;token"), Err(Reason::Ambiguous)),
            (Some("token=x;y&a=;tokens=z"), Ok(Some("x;y"))),
            (Some("token=0123456789abcdefg"), Err(Reason::Malformed)),
            // What some readers would take for the same name, be it beside it or alone.
            (Some("token=x&token[]=y"), Err(Reason::Ambiguous)),
            (Some("token[0]=x"), Err(Reason::Ambiguous)),
            (Some("token=x&TOKEN=y"), Err(Reason::Ambiguous)),
            (Some("token=x&+token=y"), Err(Reason::Ambiguous)),
            (Some("token=x&token%00=y"), Err(Reason::Ambiguous)),
            (Some("token=x&a=b;token[]=y"), Err(Reason::Ambiguous)),
            (Some("token=x&token;a=y"), Err(Reason::Ambiguous)),
        ] {
            let read = value::<16>(query, "token");
            let read = read.as_ref().map(|found| found.as_ref().map(|value| str::from_utf8(value.bytes()).unwrap()));
            assert_eq!(read.map_err(|rejection| rejection.reason), expected, "{query:?}");
        }
    }

    fn as_form(query: &str) -> Result<Option<Buffer<16>>, Rejection> {
        let mut found = None;
        each(Some(query), &["other", "token"], |place, text| {
            assert_eq!(place, 1, "{query}");
            note_as_form(&mut found, text)
        })?;
        Ok(found)
    }

    #[test]
    fn a_plus_is_a_blank_where_values_are_those_of_a_form() {
        for (query, expected) in [
            ("token=a+b%20c%2Bd", "a b c+d"),
            ("token=+", " "),
            ("token=a+b&token=a%20b", "a b"),
            ("token=a%20b", "a b"),
            ("token=0123456789abcde+", "0123456789abcde "),
        ] {
            let read = as_form(query).unwrap().unwrap();
            assert_eq!(str::from_utf8(read.bytes()).unwrap(), expected, "{query}");
        }
        for (query, expected) in [
            ("token=0123456789abcdef+", Reason::Malformed),
            ("token=a+b&TOKEN=a", Reason::Ambiguous),
            ("token=a&token[]=a", Reason::Ambiguous),
            ("token=a&+other=b", Reason::Ambiguous),
        ] {
            assert_eq!(as_form(query).unwrap_err().reason, expected, "{query}");
        }
        assert!(as_form("a=token&b").unwrap().is_none());
    }
}
