//! Secrets of one request, so that an upstream which repeats them in a report of its own does not bring them into the
//! log: what the caller has shown to prove who they are, and what was put in its place.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::request::Parts;
use http::{HeaderValue, Uri};

use crate::scheme::Places;

/// The most fields that are remembered of a request; no route asks for more credentials than that at a time.
const MOST: usize = 4;
/// What is shorter is a word, and no secret.
const SHORTEST: usize = 8;
/// What stands in the place of a secret.
const STARS: &[u8] = b"***";

/// Where the secrets of a request are found, should they be needed: sharing its bytes, not copying them.
#[derive(Debug)]
pub struct Hidden {
    fields: [Option<HeaderValue>; MOST],
    /// For its query.
    uri: Option<Uri>,
}

impl Hidden {
    /// The secrets in these places of a request.
    pub fn of(parts: &Parts, places: &Places) -> Self {
        let mut found = places.headers.iter().flat_map(|name| parts.headers.get_all(name)).cloned();
        let fields = [(); MOST].map(|()| found.next());
        let uri = (!places.query.is_empty()).then(|| parts.uri.clone());
        Self { fields, uri }
    }

    /// One more.
    pub fn and(mut self, value: Option<&HeaderValue>) -> Self {
        if let Some(free) = self.fields.iter_mut().find(|field| field.is_none()) {
            *free = value.cloned();
        }
        self
    }

    /// Puts stars over every secret in `text`, whether it stands there as it was sent or, where that was base64, as it
    /// was meant.
    pub fn cover(&self, text: Vec<u8>) -> Vec<u8> {
        let words = self.fields.iter().flatten().flat_map(|field| field.as_bytes().split(|byte| *byte == b' '));
        let query = self.uri.as_ref().and_then(Uri::query).unwrap_or_default();
        let values = query.split('&').filter_map(|pair| Some(pair.split_once('=')?.1.as_bytes()));
        let mut secrets: Vec<Vec<u8>> = Vec::new();
        for word in words.chain(values) {
            // An identifier with its secret, or a token in a token.
            let meant = STANDARD.decode(word).unwrap_or_default();
            let parts = meant.split(|byte| matches!(byte, b':' | b'"'));
            secrets.extend(parts.chain([word]).filter(|part| part.len() >= SHORTEST).map(<[u8]>::to_vec));
        }
        // The longest first: a short one may be part of it.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        secrets.iter().fold(text, |text, secret| cover(text, secret))
    }
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

    #[test]
    fn a_secret_is_covered_as_it_was_sent_and_as_it_was_meant() {
        // vendors 2.3
        let basic = "Basic OGRlZDVhODkwNTFhOWEwMWEzODliY2RmMWUxNzQ6OTkxNzZiMWQyNDRjNDg0ZWQ2NWRkNzkyYWJjMQ==";
        let request = Request::get("/user?token=share.eyJ9.abc&x=1").header(AUTHORIZATION, basic).body(()).unwrap();
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
        ] {
            assert_eq!(hidden.cover(text.into_bytes()), covered.as_bytes());
        }
        assert_eq!(hidden.cover(Vec::new()), b"");
    }
}
