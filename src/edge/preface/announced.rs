//! What the head of a request says of its form, said once and in one way.

use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};

use super::parameters::{Parameter, parameters};
use super::unlooked;
use crate::refusal::Refusal;

/// The longest boundary, in bytes (RFC 2046 §5.1.1).
const LONGEST_BOUNDARY: usize = 70;

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
        let (essence, rest) = text.split_once(';').unwrap_or((text, ""));
        let essence = essence.trim_ascii();
        let url_encoded = essence.eq_ignore_ascii_case("application/x-www-form-urlencoded");
        if !url_encoded && !essence.eq_ignore_ascii_case("multipart/form-data") {
            return Err(unlooked("a body that is no form"));
        }
        let parameters = parameters(rest).ok_or(unlooked("the parameters of a form's type cannot be read"))?;
        if !is_plain_text(&parameters) {
            return Err(unlooked("a form in another coding than UTF-8"));
        }
        // RFC 2231 gives parameters a second way to be said; the boundary has one.
        if parameters.iter().any(|parameter| parameter.name.contains('*')) {
            return Err(unlooked("a form whose type has a parameter in parts"));
        }
        if url_encoded { Ok(Self::UrlEncoded) } else { boundary(&parameters).map(Self::Multipart) }
    }
}

/// Whether text under these parameters of a type is read as it stands: in UTF-8, or in a coding that has ASCII where
/// UTF-8 has it, as Java's clients announce.
pub(super) fn is_plain_text(parameters: &[Parameter<'_>]) -> bool {
    let known = |charset: &str| ["utf-8", "us-ascii", "iso-8859-1"].iter().any(|own| own.eq_ignore_ascii_case(charset));
    parameters.iter().filter(|own| own.name.eq_ignore_ascii_case("charset")).all(|charset| known(charset.value))
}

/// The boundary of a form (RFC 2046 §5.1.1, without the blank, which nobody uses and some trim).
fn boundary(parameters: &[Parameter<'_>]) -> Result<Box<str>, Refusal> {
    let named = |parameter: &&Parameter<'_>| parameter.name.eq_ignore_ascii_case("boundary");
    let boundary = parameters.iter().find(named).ok_or(unlooked("a multipart form without a boundary"))?.value;
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"'()+_,-./:=?".contains(&byte);
    if !(1..=LONGEST_BOUNDARY).contains(&boundary.len()) || !boundary.bytes().all(fits) {
        return Err(unlooked("a multipart form with a boundary that is none"));
    }
    Ok(boundary.into())
}
