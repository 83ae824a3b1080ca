//! `application/x-www-form-urlencoded` (WHATWG URL §5.1), as far as everybody reads it alike. An escape that is none is
//! refused: some readers leave it, some drop it, and to ASP.NET `%u0063` is a letter.

use bytes::Bytes;

use super::{Field, Preface, Reading, malformed, sound};
use crate::refusal::Refusal;

/// The most pairs, and the most parts behind semicolons.
const MOST: usize = 1024;
/// The longest name, in bytes, as it stands there: names are compared, one by one, with each that somebody looks for.
const LONGEST_NAME: usize = 256;

/// Reads on up to there, and to the end of the pair: every pair, and what those readers would find who end one at a
/// semicolon as well. Says whether that was the end.
pub(super) fn go_on(reading: &mut Reading, until: usize) -> Result<bool, Refusal> {
    let Reading { form: Preface { body, fields, hidden, .. }, at, pairs, .. } = reading;
    while *at < body.len() {
        if *at >= until {
            return Ok(false);
        }
        let rest = &body[*at..];
        let end = memchr::memchr(b'&', rest).unwrap_or(rest.len());
        (*at, *pairs) = (*at + end + 1, *pairs + 1);
        // Nobody finds anything between two `&` that stand together, and still they are looked at.
        if *pairs > 2 * MOST {
            return Err(malformed("too many fields in a form"));
        }
        if end > 0 {
            pair(&rest[..end], body, (fields, hidden))?;
        }
    }
    Ok(true)
}

fn pair(bytes: &[u8], body: &Bytes, (fields, hidden): (&mut Vec<Field>, &mut Vec<Field>)) -> Result<(), Refusal> {
    let pair = str::from_utf8(bytes).map_err(|_| malformed("a form that is not text"))?;
    if has_controls(bytes) || !every_escape_is_one(bytes) {
        return Err(malformed("a form with control characters, or with escapes that are none"));
    }
    push(fields, field(pair, body)?)?;
    // What stands before the first semicolon has the name that it has anyhow, unless that name goes on behind it.
    let within = usize::from(!name(pair).contains(';'));
    for part in pair.split(';').skip(within).filter(|_| pair.contains(';')) {
        push(hidden, field(part, body)?)?;
    }
    Ok(())
}

/// Many at once, and without a branch for each.
fn has_controls(bytes: &[u8]) -> bool {
    bytes.chunks(64).any(|some| some.iter().fold(false, |found, byte| found | byte.is_ascii_control()))
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
    let as_it_stands = memchr::memchr2(b'%', b'+', value.as_bytes()).is_none();
    let value = if as_it_stands { body.slice_ref(value.as_bytes()) } else { decoded(value).into() };
    Ok(Field::new(sound(name)?, value))
}

fn name(pair: &str) -> &str {
    pair.split_once('=').map_or(pair, |(name, _)| name)
}

fn every_escape_is_one(bytes: &[u8]) -> bool {
    let is_hex = |digit: Option<&u8>| digit.is_some_and(u8::is_ascii_hexdigit);
    memchr::memchr_iter(b'%', bytes).all(|at| is_hex(bytes.get(at + 1)) && is_hex(bytes.get(at + 2)))
}

/// As forms are written: `+` is a blank, and every escape is one.
fn decoded(text: &str) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => (nibble(bytes.next()) << 4) | nibble(bytes.next()),
            other => other,
        });
    }
    decoded
}

/// The value of a hex digit, which it was found to be.
fn nibble(digit: Option<u8>) -> u8 {
    match digit {
        Some(digit @ b'0'..=b'9') => digit - b'0',
        Some(digit @ (b'a'..=b'f' | b'A'..=b'F')) => (digit | 0x20) - b'a' + 10,
        Some(_) | None => 0,
    }
}
