//! `multipart/form-data` (RFC 7578 over RFC 2046), as strictly as every client of the five systems writes it: no preamble,
//! no epilogue, CRLF line ends, heads that nobody reads differently, and the delimiter nowhere but where a part ends.

use bytes::Bytes;
use memchr::memmem;

use super::announced::is_plain_text;
use super::parameters::{is_token, parameters};
use super::{Field, Preface, Reading, malformed, sound};
use crate::refusal::Refusal;

/// The most parts.
const MOST: usize = 256;
/// The longest head of a part, in bytes.
const LONGEST_HEAD: usize = 4096;
/// The most lines of it.
const MOST_LINES: usize = 8;

/// Reads on up to there, and to the end of the part. Says whether that was the last one.
pub(super) fn go_on(reading: &mut Reading, delimiter: &str, until: usize) -> Result<bool, Refusal> {
    let Reading { form: Preface { body, fields, .. }, at: behind, part: from, .. } = reading;
    // Wherever else it stands, be it with a bare line feed before it or more letters behind it, it is one to some.
    while let Some(next) = memmem::find(&body[*behind..], delimiter.as_bytes()) {
        let at = *behind + next;
        match *from {
            None if at == 0 => {}
            None => return Err(malformed("a multipart form that does not begin with its delimiter")),
            Some(from) => {
                let part = at.checked_sub(2).filter(|&end| from <= end && body[end..].starts_with(b"\r\n"));
                let end = part.ok_or(malformed("a delimiter within a part"))?;
                if fields.len() == MOST {
                    return Err(malformed("too many fields in a form"));
                }
                fields.push(field(&body.slice(from..end))?);
            }
        }
        *behind = at + delimiter.len();
        match &body[*behind..] {
            b"--" | b"--\r\n" => return Ok(true),
            [b'\r', b'\n', ..] => *from = Some(*behind + 2),
            _ => return Err(malformed("a delimiter that does not end its line")),
        }
        if *behind >= until {
            return Ok(false);
        }
    }
    Err(malformed("a multipart form without its end"))
}

/// What the head of a part says.
#[derive(Default)]
struct Said {
    name: Option<Box<str>>,
    length: Option<usize>,
    /// The lines that may stand once.
    once: Vec<String>,
}

fn field(part: &Bytes) -> Result<Field, Refusal> {
    let end = memmem::find(part, b"\r\n\r\n").filter(|&end| end <= LONGEST_HEAD);
    let end = end.ok_or(malformed("a part without a head, or with too long a one"))?;
    let head = str::from_utf8(&part[..end]).map_err(|_| malformed("the head of a part is not text"))?;
    let value = part.slice(end + 4..);
    let mut said = Said::default();
    for (place, line) in head.split("\r\n").enumerate() {
        if place == MOST_LINES {
            return Err(malformed("too many lines in the head of a part"));
        }
        said.line(line)?;
    }
    if said.length.is_some_and(|length| length != value.len()) {
        return Err(malformed("the length of a part is another"));
    }
    let name = said.name.ok_or(malformed("a part that does not say which field it is"))?;
    Ok(Field::new(name, value))
}

impl Said {
    fn line(&mut self, line: &str) -> Result<(), Refusal> {
        let (name, value) = line.split_once(':').ok_or(malformed("a line in the head of a part is no field"))?;
        // A line that begins with a blank goes on from the one before to some, and a bare line feed ends one.
        if !is_token(name) || value.contains(|letter: char| letter.is_control() && letter != '\t') {
            return Err(malformed("a line in the head of a part is no field"));
        }
        let (name, value) = (name.to_ascii_lowercase(), value.trim_matches([' ', '\t']));
        match name.as_str() {
            "content-disposition" => self.name = Some(disposition(value)?),
            "content-type" => check_type(value)?,
            "content-transfer-encoding" if is_one_of(value, &["binary", "7bit", "8bit"]) => {}
            "content-length" => {
                let digits = value.bytes().all(|byte| byte.is_ascii_digit());
                let length = value.parse().ok().filter(|_| digits);
                self.length = Some(length.ok_or(malformed("the length of a part is none"))?);
            }
            "content-transfer-encoding" | "content-encoding" => return Err(malformed("a part with a coding")),
            // RFC 7578 §4.8: everything else is ignored.
            _ => return Ok(()),
        }
        if self.once.contains(&name) {
            return Err(malformed("the head of a part says something twice"));
        }
        self.once.push(name);
        Ok(())
    }
}

/// The name that `Content-Disposition` gives to a field.
fn disposition(value: &str) -> Result<Box<str>, Refusal> {
    let none = || malformed("a Content-Disposition that cannot be read in one way");
    let (kind, rest) = value.split_once(';').ok_or_else(none)?;
    let parameters = parameters(rest).ok_or_else(none)?;
    // Everybody writes it first, and so no file can have a name that looks like one.
    let (name, others) = parameters.split_first().ok_or_else(none)?;
    let looks_like_one = |text: &str| text.to_ascii_lowercase().contains("name=");
    if !kind.trim_ascii_end().eq_ignore_ascii_case("form-data")
        || !name.name.eq_ignore_ascii_case("name")
        || others.iter().any(|other| other.name.eq_ignore_ascii_case("name*") || looks_like_one(other.value))
    {
        return Err(none());
    }
    // Some decode escapes in it (`%22` for a quote), some backslashes, some the words of RFC 2047.
    if name.value.contains(['%', '\\']) || name.value.contains("=?") {
        return Err(malformed("a name in the form that some would decode"));
    }
    sound(name.value.to_owned())
}

/// What a part holds is nobody's business, unless it says that there are more parts in it, or another coding of its text.
fn check_type(value: &str) -> Result<(), Refusal> {
    let (essence, rest) = value.split_once(';').unwrap_or((value, ""));
    let kind = essence.split('/').next().unwrap_or_default().trim_ascii();
    if is_one_of(kind, &["multipart", "message"]) {
        return Err(malformed("a part with parts of its own"));
    }
    if parameters(rest).is_some_and(|parameters| is_plain_text(&parameters)) {
        return Ok(());
    }
    Err(malformed("a part in another coding than UTF-8"))
}

fn is_one_of(text: &str, words: &[&str]) -> bool {
    words.iter().any(|word| word.eq_ignore_ascii_case(text))
}
