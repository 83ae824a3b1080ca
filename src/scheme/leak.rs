//! Secrets of API clients in the query, where they end up in logs, histories and referrers: whoever sends one has given
//! it away, and is refused whatever else they present. Which routes are watched is said by the schemes that they use.
//!
//! Every value is looked into, whichever its name: as it is, behind its first colon (`id:secret`), and as the base64 of
//! either. That is four digests for a value at most, twice that where a `+` may stand for a blank. What is too short or
//! too long to be any of these is not digested, so that the longest target that a listener takes (8 KiB as a rule) is
//! the bound of the whole: some 700 values, and 3,000 digests where each of them can be read in several ways. It is asked
//! before anyone is proven, but behind the failure guard. A request without a query pays nothing.

use std::sync::Arc;

use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use percent_encoding::percent_decode;

use crate::record::{Directory, Record};
use crate::scheme::buffer::Buffer;

/// A shorter secret would be found in innocent values; nobody makes one.
const SHORTEST: usize = 8;
/// The longest identifier, colon and secret, in bytes: what `Basic` takes.
const LONGEST: usize = 1024;
/// The same in base64.
const LONGEST_TEXT: usize = LONGEST.div_ceil(3) * 4;

/// Base64 as anybody writes it: what is given away is given away, also without its padding.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The API client whose secret stands in `query`.
pub(crate) fn holder(query: Option<&str>, directory: &dyn Directory) -> Option<Arc<Record>> {
    query?.split('&').find_map(|pair| {
        let value = pair.split_once('=').map_or(pair, |(_, value)| value);
        // Decoding makes nothing longer.
        if value.len() < SHORTEST {
            return None;
        }
        let text = Buffer::<LONGEST_TEXT>::collect(percent_decode(value.as_bytes())).ok()?;
        given_away(text.bytes(), directory)
            .or_else(|| {
                // Forms write a blank as `+`.
                let spaced = value.contains('+').then(|| value.replace('+', " "))?;
                let text = Buffer::<LONGEST_TEXT>::collect(percent_decode(spaced.as_bytes())).ok()?;
                given_away(text.bytes(), directory)
            })
            .or_else(|| given_away(decoded(text.bytes())?.bytes(), directory))
    })
}

/// The holder of a text, or of what stands behind its first colon.
fn given_away(text: &[u8], directory: &dyn Directory) -> Option<Arc<Record>> {
    let look_up = |text: &[u8]| {
        let likely = (SHORTEST..=LONGEST).contains(&text.len());
        if likely { directory.look_up_secret(text) } else { None }
    };
    let behind = || text.iter().position(|&byte| byte == b':').and_then(|colon| look_up(&text[colon + 1..]));
    look_up(text).or_else(behind)
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
            let found = holder(Some(query), &register);
            assert_eq!(found.as_ref().map(|record| record.id()), expected, "{query}");
        }
        assert!(holder(None, &register).is_none());
    }

    #[test]
    fn the_last_of_many_values_is_looked_into_and_the_longest_that_could_be_one() {
        let register = register();
        let many = format!("{}x=99176b1d244c484ed65dd792abc1", "a=12345678&".repeat(700));
        assert!(holder(Some(&many), &register).is_some());
        let long = "s".repeat(LONGEST - 2);
        register.enrol(Kind::ApiClient, "l", "clinic", "l", |record| {
            record.attributes = Attributes::Proofs(stage::proofs([(&long, None)]));
        });
        assert!(holder(Some(&format!("x=l:{long}")), &register).is_some());
        assert!(holder(Some(&format!("x=l:{long}s")), &register).is_none());
    }
}
