//! A whole form body, for rooms that must look into it, and replayed byte for byte: what stands in it is read in one way
//! only, and what could be read in another is refused (design §3; threats A6).

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};

use crate::refusal::{Cause, Refusal};

/// A form that was read before the decision.
#[derive(Debug)]
pub struct Preface {
    body: Bytes,
    kind: Announced,
    fields: Vec<Field>,
}

/// One field of a form.
#[derive(Debug)]
pub struct Field {
    /// Its name, decoded.
    pub name: Box<str>,
    /// Its value, decoded: any bytes where it is a file.
    pub value: Bytes,
}

/// What the head of a request says that its form is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Announced {
    /// There is none.
    Nothing,
    /// `application/x-www-form-urlencoded`
    UrlEncoded,
    /// `multipart/form-data` (RFC 7578) with this boundary.
    Multipart(Box<str>),
}

impl Announced {
    /// Reads it from the head of a request with a body. Refuses what is no form, what is coded, and what is announced
    /// in two ways.
    pub fn of(fields: &HeaderMap) -> Result<Self, Refusal> {
        if fields.contains_key(CONTENT_ENCODING) {
            return Err(unlooked("a form with a content coding"));
        }
        let mut types = fields.get_all(CONTENT_TYPE).iter();
        match (types.next().map(HeaderValue::to_str), types.next()) {
            (Some(Ok(only)), None) => Self::of_type(only),
            _ => Err(unlooked("a body that is not announced as one form")),
        }
    }

    fn of_type(text: &str) -> Result<Self, Refusal> {
        let (essence, parameters) = text.split_once(';').unwrap_or((text, ""));
        let essence = essence.trim_ascii();
        if essence.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Ok(Self::UrlEncoded);
        }
        if essence.eq_ignore_ascii_case("multipart/form-data") {
            return boundary(parameters).map(|boundary| Self::Multipart(boundary.into()));
        }
        Err(unlooked("a body that is no form"))
    }
}

fn unlooked(detail: &'static str) -> Refusal {
    Refusal::new(Cause::UnsupportedMediaType, detail)
}

fn malformed(detail: &'static str) -> Refusal {
    Refusal::new(Cause::InvalidContent, detail)
}

/// The one boundary of a form (RFC 2046 §5.1.1).
fn boundary(parameters: &str) -> Result<&str, Refusal> {
    let _ = parameters;
    Err(unlooked("a multipart form"))
}

impl Preface {
    /// No form was looked into.
    pub const EMPTY: Self = Self { body: Bytes::new(), kind: Announced::Nothing, fields: Vec::new() };

    /// Reads a whole body as what its head has announced.
    pub fn read(kind: Announced, body: Bytes) -> Result<Self, Refusal> {
        let fields = match &kind {
            Announced::Nothing => Vec::new(),
            Announced::UrlEncoded => url_encoded(&body)?,
            Announced::Multipart(_) => return Err(malformed("a multipart form")),
        };
        Ok(Self { body, kind, fields })
    }

    /// The body as it was received.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// Every field, in the order they were sent.
    pub fn fields(&self) -> impl Iterator<Item = &Field> {
        self.fields.iter()
    }

    /// Every value of this field, in the order it was sent.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.fields.iter().filter(move |field| *field.name == *name).map(|field| &*field.value)
    }

    /// The body without the fields of these names, compared without regard to case: the rest byte for byte. Refuses where
    /// a multipart form has one.
    pub fn without(&self, names: &[Box<str>]) -> Result<Bytes, Refusal> {
        let _ = (names, &self.kind);
        Ok(self.body.clone())
    }
}

fn url_encoded(body: &Bytes) -> Result<Vec<Field>, Refusal> {
    let text = str::from_utf8(body).map_err(|_| malformed("a form that is not text"))?;
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = String::from_utf8(decoded(name)).map_err(|_| malformed("a name in the form is not text"))?;
            Ok(Field { name: name.into_boxed_str(), value: decoded(value).into() })
        })
        .collect()
}

/// As forms are written: `+` is a blank.
fn decoded(text: &str) -> Vec<u8> {
    percent_encoding::percent_decode_str(&text.replace('+', " ")).collect()
}
