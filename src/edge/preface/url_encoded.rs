//! `application/x-www-form-urlencoded` (WHATWG URL §5.1), as far as everybody reads it alike. An escape that is none is
//! refused: some readers leave it, some drop it, and to ASP.NET `%u0063` is a letter.

use bytes::Bytes;
use percent_encoding::percent_decode_str;

use super::{Field, malformed, sound};
use crate::refusal::Refusal;

/// The most pairs, and the most parts behind semicolons.
const MOST: usize = 1024;
/// The longest name, in bytes, as it stands there: names are compared, one by one, with each that somebody looks for.
const LONGEST_NAME: usize = 1024;

/// Every pair; and what those readers would find who end a pair at a semicolon as well.
pub(super) fn read(body: &Bytes) -> Result<(Vec<Field>, Vec<Field>), Refusal> {
    let text = str::from_utf8(body).map_err(|_| malformed("a form that is not text"))?;
    if text.bytes().any(|byte| byte.is_ascii_control()) || !every_escape_is_one(text) {
        return Err(malformed("a form with control characters, or with escapes that are none"));
    }
    let (mut fields, mut hidden) = (Vec::new(), Vec::new());
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        push(&mut fields, field(pair, body)?)?;
        // What stands before the first semicolon has the name that it has anyhow, unless that name goes on behind it.
        let within = usize::from(!name(pair).contains(';'));
        for part in pair.split(';').skip(within).filter(|_| pair.contains(';')) {
            push(&mut hidden, field(part, body)?)?;
        }
    }
    Ok((fields, hidden))
}

/// The body without the pairs of these names, each with one of the `&` beside it; the rest byte for byte.
pub(super) fn without(body: &Bytes, is_listed: &dyn Fn(&str) -> bool) -> Bytes {
    let stays = |pair: &&[u8]| {
        let name = pair.split(|&byte| byte == b'=').next().unwrap_or_default();
        // It was read before.
        !str::from_utf8(name).is_ok_and(|name| is_listed(&String::from_utf8_lossy(&decoded(name))))
    };
    let pairs: Vec<&[u8]> = body.split(|&byte| byte == b'&').filter(stays).collect();
    pairs.join(&b'&').into()
}

fn push(fields: &mut Vec<Field>, field: Field) -> Result<(), Refusal> {
    if fields.len() == MOST {
        return Err(malformed("too many fields in a form"));
    }
    fields.push(field);
    Ok(())
}

fn field(pair: &str, body: &Bytes) -> Result<Field, Refusal> {
    let own = name(pair);
    if own.len() > LONGEST_NAME {
        return Err(malformed("a name in the form is too long"));
    }
    let value = pair.get(own.len() + 1..).unwrap_or_default();
    let name = String::from_utf8(decoded(own)).map_err(|_| malformed("a name in the form is not text"))?;
    let as_it_stands = !value.contains(['%', '+']);
    let value = if as_it_stands { body.slice_ref(value.as_bytes()) } else { decoded(value).into() };
    Ok(Field { name: sound(name)?, value })
}

fn name(pair: &str) -> &str {
    pair.split_once('=').map_or(pair, |(name, _)| name)
}

fn every_escape_is_one(text: &str) -> bool {
    let is_hex = |digit: Option<&u8>| digit.is_some_and(u8::is_ascii_hexdigit);
    let bytes = text.as_bytes();
    memchr::memchr_iter(b'%', bytes).all(|at| is_hex(bytes.get(at + 1)) && is_hex(bytes.get(at + 2)))
}

/// As forms are written: `+` is a blank.
fn decoded(text: &str) -> Vec<u8> {
    percent_decode_str(&text.replace('+', " ")).collect()
}
