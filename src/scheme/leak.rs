//! Secrets of API clients in the query, where they end up in logs, histories and referrers: whoever sends one has given
//! it away, and is refused whatever else they present. Which routes are watched is said by the schemes that they use.
//!
//! Every value is looked into, whichever its name: as it is, behind its first colon (`id:secret`), and as the base64 of
//! either, once more where a `+` may stand for a blank. That is one digest or two for most values, and four at most. What
//! is too short or too long to be any of these is not digested. It is asked before anyone is proven, so what a query may
//! cost is bounded: one that is worth more than [`MOST`] digests is refused as a whole, since a secret may stand in the
//! rest of it. A request without a query pays nothing.

use std::sync::Arc;

use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::record::{Directory, Record};
use crate::scheme::buffer::{Blank, Buffer};

/// A shorter secret would be found in innocent values; nobody makes one.
const SHORTEST: usize = 8;
/// The longest identifier, colon and secret, in bytes: what `Basic` takes.
const LONGEST: usize = 1024;
/// The same in base64.
const LONGEST_TEXT: usize = LONGEST.div_ceil(3) * 4;

/// The most digests that a query is worth. Those of the APIs in front of which this stands have a dozen values.
const MOST: usize = 64;

/// Base64 as anybody writes it: what is given away is given away, also without its padding.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A query that could hide a secret behind everything else that could be one.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooMany;

/// Whose secret it is, if anybody's.
type Found = Result<Option<Arc<Record>>, TooMany>;

/// The API client whose secret stands in `query`.
pub(crate) fn holder(query: Option<&str>, directory: &dyn Directory) -> Found {
    let mut search = Search { directory, left: MOST };
    for pair in query.unwrap_or_default().split('&') {
        let value = pair.split_once('=').map_or(pair, |(_, value)| value);
        if let Some(holder) = search.value(value)? {
            return Ok(Some(holder));
        }
    }
    Ok(None)
}

/// One query under search.
struct Search<'a> {
    directory: &'a dyn Directory,
    /// The digests that it is still worth.
    left: usize,
}

impl Search<'_> {
    /// A value as it is, as a form writes it, and as base64.
    fn value(&mut self, value: &str) -> Found {
        // Decoding makes nothing longer.
        if value.len() < SHORTEST {
            return Ok(None);
        }
        let text = |blank: Blank| Buffer::<LONGEST_TEXT>::unescape(value.as_bytes(), blank).ok();
        let Some(plain) = text(Blank::Escaped) else { return Ok(None) };
        let spaced = if value.contains('+') { text(Blank::Plus) } else { None };
        if let Some(holder) = self.given_away(plain.bytes())? {
            return Ok(Some(holder));
        }
        if let Some(spaced) = spaced
            && let Some(holder) = self.given_away(spaced.bytes())?
        {
            return Ok(Some(holder));
        }
        decoded(plain.bytes()).map_or(Ok(None), |decoded| self.given_away(decoded.bytes()))
    }

    /// The holder of a text, or of what stands behind its first colon.
    fn given_away(&mut self, text: &[u8]) -> Found {
        if let Some(holder) = self.look_up(text)? {
            return Ok(Some(holder));
        }
        let colon = text.iter().position(|&byte| byte == b':');
        colon.map_or(Ok(None), |colon| self.look_up(&text[colon + 1..]))
    }

    fn look_up(&mut self, text: &[u8]) -> Found {
        if !(SHORTEST..=LONGEST).contains(&text.len()) {
            return Ok(None);
        }
        self.left = self.left.checked_sub(1).ok_or(TooMany)?;
        Ok(self.directory.look_up_secret(text))
    }
}

/// What a text is the base64 of, in either alphabet, folded or not.
fn decoded(text: &[u8]) -> Option<Buffer<LONGEST>> {
    let standard = text.iter().filter_map(|&byte| match byte {
        b'\r' | b'\n' | b'\t' => None,
        // A `+` that a form has been through.
        b'-' | b' ' => Some(b'+'),
        b'_' => Some(b'/'),
        byte => Some(byte),
    });
    let text = Buffer::<LONGEST_TEXT>::collect(standard).ok()?;
    Buffer::decode(&LENIENT, text.bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Attributes, Kind};
    use crate::scheme::stage::{self, Register};

    fn register() -> Register {
        let register = Register::new();
        register.account("clinic", None);
        for (id, secret) in [
            ("8ded5a89051a9a01a389bcdf1e174", "99176b1d244c484ed65dd792abc1"),
            ("phrase", "open sesame: now"),
            ("binary", "\u{ff}>>>???~~~"),
            ("short", "1234567"),
        ] {
            register.enrol(Kind::ApiClient, id, "clinic", id, |record| {
                record.attributes = Attributes::Proofs(stage::proofs([(secret, None)]));
            });
        }
        register.enrol(Kind::User, "person", "clinic", "person", |record| {
            record.attributes = Attributes::Proofs(stage::proofs([("a-password", None)]));
        });
        register
    }

    #[test]
    fn a_secret_is_found_in_every_form_that_people_send() {
        let register = register();
        // The base64 is of `printf %s … | base64 -w0`.
        for (query, expected) in [
            ("x=99176b1d244c484ed65dd792abc1", Some("8ded5a89051a9a01a389bcdf1e174")),
            ("a=1&b=2&apiKey=99176b1d244c484ed65dd792abc1&c=3", Some("8ded5a89051a9a01a389bcdf1e174")),
            ("x=%39%39176b1d244c484ed65dd792abc1", Some("8ded5a89051a9a01a389bcdf1e174")),
            ("99176b1d244c484ed65dd792abc1", Some("8ded5a89051a9a01a389bcdf1e174")),
            ("x=anybody:99176b1d244c484ed65dd792abc1", Some("8ded5a89051a9a01a389bcdf1e174")),
            ("x=anybody%3A99176b1d244c484ed65dd792abc1", Some("8ded5a89051a9a01a389bcdf1e174")),
            (
                "x=OGRlZDVhODkwNTFhOWEwMWEzODliY2RmMWUxNzQ6OTkxNzZiMWQyNDRjNDg0ZWQ2NWRkNzkyYWJjMQ==",
                Some("8ded5a89051a9a01a389bcdf1e174"),
            ),
            (
                "x=OGRlZDVhODkwNTFhOWEwMWEzODliY2RmMWUxNzQ6OTkxNzZiMWQyNDRjNDg0ZWQ2NWRkNzkyYWJj%0D%0AMQ%3D%3D",
                Some("8ded5a89051a9a01a389bcdf1e174"),
            ),
            ("x=OTkxNzZiMWQyNDRjNDg0ZWQ2NWRkNzkyYWJjMQ", Some("8ded5a89051a9a01a389bcdf1e174")),
            ("x=open+sesame:+now", Some("phrase")),
            ("x=open%20sesame:%20now", Some("phrase")),
            ("x=nobody:open+sesame%3A+now", Some("phrase")),
            ("x=w78+Pj4/Pz9+fn4=", Some("binary")),
            ("x=w78%2BPj4%2FPz9%2Bfn4%3D", Some("binary")),
            ("x=w78-Pj4_Pz9-fn4", Some("binary")),
            ("x=8ded5a89051a9a01a389bcdf1e174", None),
            ("x=99176b1d244c484ed65dd792abc", None),
            ("x=99176b1d244c484ed65dd792abc11", None),
            ("99176b1d244c484ed65dd792abc1=x", None),
            ("x=1234567", None),
            ("x=a-password", None),
            ("", None),
        ] {
            let found = holder(Some(query), &register).expect(query);
            assert_eq!(found.as_ref().map(|record| record.id()), expected, "{query}");
        }
        assert!(matches!(holder(None, &register), Ok(None)));
    }

    #[test]
    fn a_query_in_which_a_secret_could_hide_is_refused_and_no_other() {
        let register = register();
        let secret = "99176b1d244c484ed65dd792abc1";
        // What costs nothing: short as it is, or once it is read; and what costs one, two and four digests.
        let (free, read) = ("a=1234567&".repeat(700), "a=%31%32%33%34&".repeat(500));
        let (one, two, four) = ("a=12345678&", "a=2014-01-01T00:00:00.000&", "a=YWFhYWFhYWE6YmJiYmJiYmI+&");
        for (what, query, found) in [
            ("behind what is short", format!("{free}x={secret}"), Ok(true)),
            ("behind what is short when it is read", format!("{read}x={secret}"), Ok(true)),
            ("the last that is looked into", format!("{}x={secret}", one.repeat(63)), Ok(true)),
            ("the first that is not", format!("{}x={secret}", one.repeat(64)), Err(TooMany)),
            ("whether it is one or not", format!("{}x={}", one.repeat(64), "s".repeat(28)), Err(TooMany)),
            ("nothing behind the last", one.repeat(64), Ok(false)),
            ("what is short behind the last", format!("{}{free}", one.repeat(64)), Ok(false)),
            ("instants: two each", two.repeat(32), Ok(false)),
            ("two each, and more", two.repeat(33), Err(TooMany)),
            ("before all of it", format!("x={secret}&{}", one.repeat(700)), Ok(true)),
            ("four each", four.repeat(16), Ok(false)),
            ("four each, and more", four.repeat(17), Err(TooMany)),
        ] {
            assert_eq!(holder(Some(&query), &register).map(|holder| holder.is_some()), found, "{what}");
        }
    }

    #[test]
    fn the_longest_that_could_be_one_is_looked_into() {
        let register = register();
        let long = "s".repeat(LONGEST - 2);
        register.enrol(Kind::ApiClient, "l", "clinic", "l", |record| {
            record.attributes = Attributes::Proofs(stage::proofs([(&long, None)]));
        });
        for (more, found) in [("", true), ("s", false)] {
            let holder = holder(Some(&format!("x=l:{long}{more}")), &register).expect("it is one value");
            assert_eq!(holder.is_some(), found, "{more}");
        }
    }
}
