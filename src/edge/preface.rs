//! A whole form body, for rooms that must look into it, and replayed byte for byte: what stands in it is read in one way
//! only, and what could be read in another is refused.
//!
//! Both readers are our own. A library for forms is made to read as much as it can, and two of them read differently: what
//! one passes over is where a second `cmd` or a second credential hides from the other. So whatever does not stand as the
//! standards and the vendors' clients write it is refused, and what others would take for a field counts as one.

mod announced;
mod multipart;
mod name;
mod parameters;
#[cfg(test)]
mod tests;
mod url_encoded;

use std::fmt;

use bytes::Bytes;

pub use self::announced::Announced;
pub use self::name::reads_as;
use crate::refusal::{Cause, Refusal};

/// How much of a form is read at a time, in bytes.
const PIECE: usize = 64 << 10;

/// A form that was read before the decision.
pub struct Preface {
    body: Bytes,
    kind: Announced,
    fields: Vec<Field>,
    /// What only some readers would find: pairs that a semicolon parts.
    hidden: Vec<Field>,
}

/// One field of a form.
#[derive(Clone, PartialEq, Eq)]
pub struct Field {
    /// Its name, decoded.
    pub name: Box<str>,
    /// Its value, decoded: any bytes where it is a file.
    pub value: Bytes,
    /// Where in the name readers begin who take something off it: it is asked for many names.
    begins: usize,
}

impl Field {
    fn new(name: Box<str>, value: Bytes) -> Self {
        let begins = name::beginning(&name);
        Self { name, value, begins }
    }

    /// Whether anybody could read it as the field of this name.
    fn is_called(&self, name: &str) -> bool {
        name::goes_on_as(&self.name[self.begins..], name)
    }
}

/// A form on its way to being read, in pieces: between two of them others have their turn.
pub struct Reading {
    form: Preface,
    /// How far it came, in bytes.
    at: usize,
    /// How many pieces there were between `&`, empty ones too; and where the part of a multipart form begins.
    pairs: usize,
    part: Option<usize>,
}

impl Reading {
    /// A whole body, which is to be read as what its head has announced.
    pub fn new(kind: Announced, body: Bytes) -> Self {
        Self { form: Preface { body, kind, fields: Vec::new(), hidden: Vec::new() }, at: 0, pairs: 0, part: None }
    }

    /// Reads on, for 64 KiB and to the end of the field that stands there: in about a tenth of a millisecond, or, of one
    /// value that is larger, in up to three milliseconds for each MiB. `None`: there is more of it.
    pub fn go_on(&mut self) -> Result<Option<Preface>, Refusal> {
        let until = self.at.saturating_add(PIECE);
        let ended = match &self.form.kind {
            Announced::Nothing => true,
            Announced::UrlEncoded => url_encoded::go_on(self, until)?,
            Announced::Multipart(boundary) => {
                let delimiter = ["--", boundary].concat();
                multipart::go_on(self, &delimiter, until)?
            }
        };
        if !ended {
            return Ok(None);
        }
        let form = std::mem::replace(&mut self.form, Preface::EMPTY);
        // HTML gives a form this field to say how its text is coded, and some readers go by it.
        if form.values("_charset_").any(|charset| !charset.eq_ignore_ascii_case(b"utf-8")) {
            return Err(malformed("a form in another coding than UTF-8"));
        }
        Ok(Some(form))
    }
}

impl fmt::Debug for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reading").field("form", &self.form).field("at", &self.at).finish_non_exhaustive()
    }
}

/// A field that not everybody would read as the same: its values differ, or only some readers find one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Differing;

impl Preface {
    /// No form was looked into.
    pub const EMPTY: Self =
        Self { body: Bytes::new(), kind: Announced::Nothing, fields: Vec::new(), hidden: Vec::new() };

    /// Reads a whole body as what its head has announced. Refuses what is not written as such a form is, or could be read
    /// in two ways.
    pub fn read(kind: Announced, body: Bytes) -> Result<Self, Refusal> {
        let mut reading = Reading::new(kind, body);
        loop {
            if let Some(form) = reading.go_on()? {
                return Ok(form);
            }
        }
    }

    /// The body as it was received.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// Whether anybody could find a field in it.
    pub fn has_fields(&self) -> bool {
        !self.fields.is_empty() || !self.hidden.is_empty()
    }

    /// Every field, in the order they were sent.
    pub fn fields(&self) -> impl Iterator<Item = &Field> {
        self.fields.iter()
    }

    /// Every value that anybody could read as this field's: whether they know upper from lower case or not, take `name[]`
    /// or `name[0]` for the name (PHP, Rails), or end a pair at a semicolon as well. Whoever decides by a field takes it
    /// only where all of these agree.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        let all = self.fields.iter().chain(&self.hidden);
        all.filter(move |field| field.is_called(name)).map(|field| &*field.value)
    }

    /// The one value of a field, which everybody finds under this very name; the same value twice is one.
    pub fn value<'a>(&'a self, name: &'a str) -> Result<Option<&'a [u8]>, Differing> {
        let mut values = self.values(name);
        let Some(first) = values.next() else { return Ok(None) };
        let plain = self.fields.iter().any(|field| *field.name == *name);
        if plain && values.all(|value| value == first) { Ok(Some(first)) } else { Err(Differing) }
    }

    /// The body without the fields that anybody could read as one of these names: the rest byte for byte. Refuses where a
    /// multipart form has one, and where only some readers would find it.
    pub fn without(&self, names: &[Box<str>]) -> Result<Bytes, Refusal> {
        let is_listed = |own: &str| names.iter().any(|name| name::reads_as(own, name));
        let is_one = |field: &Field| names.iter().any(|name| field.is_called(name));
        if self.hidden.iter().any(is_one) {
            return Err(malformed("a credential in a form behind a semicolon"));
        }
        if !self.fields.iter().any(is_one) {
            return Ok(self.body.clone());
        }
        match self.kind {
            Announced::UrlEncoded => Ok(url_encoded::without(&self.body, &is_listed)),
            Announced::Nothing | Announced::Multipart(_) => {
                Err(malformed("a credential in a multipart form, out of which nothing is taken"))
            }
        }
    }
}

// Any value may be a secret; what the fields are called is none.
impl fmt::Debug for Preface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Preface").field("kind", &self.kind).field("fields", &self.fields).finish_non_exhaustive()
    }
}

impl fmt::Debug for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Field").field("name", &self.name).finish_non_exhaustive()
    }
}

fn unlooked(detail: &'static str) -> Refusal {
    Refusal::new(Cause::UnsupportedMediaType, detail)
}

fn malformed(detail: &'static str) -> Refusal {
    Refusal::new(Cause::InvalidContent, detail)
}

/// Finds a name sound: no reader ends it early, or takes something off its beginning.
fn sound(name: String) -> Result<Box<str>, Refusal> {
    if name.contains('\0') || name.starts_with('\u{feff}') {
        return Err(malformed("a name in the form has NUL or a byte order mark"));
    }
    Ok(name.into_boxed_str())
}
