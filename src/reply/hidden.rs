//! Secrets of one request, so that an upstream which repeats them in a report of its own does not bring them into the
//! log: what the caller has shown to prove who they are, and what was put in its place.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Uri};
use percent_encoding::percent_decode;

use crate::edge::pairs;
use crate::edge::preface::{Preface, reads_as};
use crate::scheme::Places;

/// The most fields that are remembered of a request; no route asks for more credentials than that at a time.
const MOST: usize = 4;
/// What is shorter is a word, and no secret.
const SHORTEST: usize = 8;
/// What stands in the place of a secret.
const STARS: &[u8] = b"***";

/// Where the secrets of a request are found, should they be needed: sharing its bytes, not copying them.
#[derive(Debug)]
pub struct Hidden<'a> {
    fields: [Option<HeaderValue>; MOST],
    /// For its query, and under which names secrets stand there.
    query: Option<(Uri, &'a [Box<str>])>,
    /// Those of its form.
    form: Vec<Bytes>,
}

impl<'a> Hidden<'a> {
    /// The secrets in these places of a request.
    pub fn of(parts: &Parts, places: &'a Places) -> Self {
        let mut found = places.headers.iter().flat_map(|name| parts.headers.get_all(name)).cloned();
        let fields = [(); MOST].map(|()| found.next());
        let query = (!places.query.is_empty()).then(|| (parts.uri.clone(), &*places.query));
        Self { fields, query, form: Vec::new() }
    }

    /// And those in its form, where one was looked into.
    pub fn and_form(mut self, form: Option<&Preface>, places: &Places) -> Self {
        let secrets = form.into_iter().flat_map(Preface::fields);
        let secrets = secrets.filter(|field| places.form.iter().any(|own| reads_as(&field.name, own)));
        self.form.extend(secrets.take(MOST).map(|field| field.value.clone()));
        self
    }

    /// One more.
    pub fn and(mut self, value: Option<&HeaderValue>) -> Self {
        if let Some(free) = self.fields.iter_mut().find(|field| field.is_none()) {
            *free = value.cloned();
        }
        self
    }

    /// Puts stars over every secret in `text`, whether it stands there as it was sent or, where that was percent-encoded,
    /// base64 or folded, as it was meant.
    pub fn cover(&self, text: Vec<u8>) -> Vec<u8> {
        let mut secrets: Vec<Vec<u8>> = Vec::new();
        let form = self.form.iter().map(|value| Cow::Borrowed(&**value));
        for word in self.fields.iter().flatten().flat_map(words).chain(self.values()).chain(form) {
            // An identifier with its secret, or a token in a token.
            let meant = STANDARD.decode(&word).unwrap_or_default();
            let parts = meant.split(|byte| matches!(byte, b':' | b'"'));
            secrets.extend(parts.chain([&*word]).filter(|part| part.len() >= SHORTEST).map(<[u8]>::to_vec));
        }
        // The longest first: a short one may be part of it.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        secrets.dedup();
        secrets.iter().fold(text, |text, secret| cover(text, secret))
    }

    /// What stands in the query under the names of credentials, as it was sent and decoded.
    fn values(&self) -> impl Iterator<Item = Cow<'_, [u8]>> {
        let (query, names) =
            self.query.as_ref().map_or(("", &[][..]), |(uri, names)| (uri.query().unwrap_or(""), names));
        let is_listed = |name: &str| names.iter().any(|own| pairs::is_called(name, own));
        let pairs = pairs::parts(query).filter_map(|pair| pair.split_once('='));
        pairs
            .filter(move |(name, _)| is_listed(name))
            .take(MOST)
            .flat_map(|(_, value)| [value.as_bytes().into(), percent_decode(value.as_bytes()).into()])
    }
}

/// The words of a field, and what stands behind the first in one piece: blanks inside are of a folded one.
fn words(field: &HeaderValue) -> impl Iterator<Item = Cow<'_, [u8]>> {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let behind = field.as_bytes().iter().copied().skip_while(move |byte| !blank(byte));
    let unfolded: Vec<u8> = behind.filter(move |byte| !blank(byte)).collect();
    field.as_bytes().split(blank).map(Cow::Borrowed).chain([Cow::Owned(unfolded)])
}

fn cover(mut text: Vec<u8>, secret: &[u8]) -> Vec<u8> {
    let mut from = 0;
    while let Some(at) = text[from..].windows(secret.len()).position(|window| window == secret) {
        let at = from + at;
        text.splice(at..at + secret.len(), STARS.iter().copied());
        from = at + STARS.len();
    }
    text
}

#[cfg(test)]
mod tests {
    use http::Request;
    use http::header::AUTHORIZATION;

    use super::*;
    use crate::edge::preface::Announced;

    #[test]
    fn a_secret_is_covered_as_it_was_sent_and_as_it_was_meant() {
        // The identifier and the secret of SecureVideo's own example.
        let basic = "Basic OGRlZDVhODkwNTFhOWEwMWEzODliY2RmMWUxNzQ6OTkxNzZiMWQyNDRjNDg0ZWQ2NWRkNzkyYWJjMQ==";
        let request =
            Request::get("/user?token=share.eyJ9.abc&x=12345678").header(AUTHORIZATION, basic).body(()).unwrap();
        let places = Places { query: vec!["token".into()], ..Places::authorization() };
        let hidden = Hidden::of(&request.into_parts().0, &places);
        let hidden = hidden.and(Some(&HeaderValue::from_static("LKey own-license-key")));
        for (text, covered) in [
            ("Authorization: ".to_owned() + basic + ";", "Authorization: Basic ***;"),
            ("bad secret 99176b1d244c484ed65dd792abc1".to_owned(), "bad secret ***"),
            ("8ded5a89051a9a01a389bcdf1e174:99176b1d244c484ed65dd792abc1".to_owned(), "***:***"),
            ("?token=share.eyJ9.abc&x=1".to_owned(), "?token=***&x=1"),
            ("own-license-key own-license-key".to_owned(), "*** ***"),
            ("Basic".to_owned(), "Basic"),
            ("?x=12345678".to_owned(), "?x=12345678"),
        ] {
            assert_eq!(hidden.cover(text.into_bytes()), covered.as_bytes());
        }
        assert_eq!(hidden.cover(Vec::new()), b"");
    }

    #[test]
    fn a_secret_in_a_form_is_covered() {
        let body = "account_id=1&API_KEY=eec36d6c-a0eb-46b5-a006-1c2b65343bac&count=12345678";
        let form = Preface::read(Announced::UrlEncoded, body.into()).unwrap();
        let places = Places { form: vec!["api_key".into()], ..Places::default() };
        let parts = Request::new(()).into_parts().0;
        let hidden = Hidden::of(&parts, &places).and_form(Some(&form), &places);
        let told = b"no key eec36d6c-a0eb-46b5-a006-1c2b65343bac, count 12345678".to_vec();
        assert_eq!(hidden.cover(told), b"no key ***, count 12345678");
    }

    #[test]
    fn a_secret_is_covered_whole_where_it_was_folded_or_percent_encoded() {
        // The blank is where a MIME encoder folds (RFC 2045 §6.8).
        let folded = "Basic  OGRlZDVhODkwNTFhOWEwMWEzODliY2RmMWUxNzQ6OTkxNzZiMWQyNDRjNDg0ZWQ2NWRkNzkyYWJj\tMQ==";
        let request = Request::get("/user?%54oken=share%2EeyJ9%2Eabc").header(AUTHORIZATION, folded).body(()).unwrap();
        let places = Places { query: vec!["token".into()], ..Places::authorization() };
        let hidden = Hidden::of(&request.into_parts().0, &places);
        for text in ["99176b1d244c484ed65dd792abc1", "share.eyJ9.abc", "share%2EeyJ9%2Eabc"] {
            assert_eq!(hidden.cover(text.into()), b"***", "{text}");
        }
    }
}
