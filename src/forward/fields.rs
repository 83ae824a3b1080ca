//! Where the header fields of a request go, once it is decided which ones: into the lines of HTTP/1.1 or into the field
//! section of HTTP/2. What is decided stands in `request.rs`, once for both.

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::forward::http1;

/// A list of fields that is put together.
pub(super) trait Fields {
    /// Whether the message itself says where its body ends, and no field has to.
    const FRAMED: bool;

    /// Appends a field.
    fn field(&mut self, name: &HeaderName, value: &HeaderValue);

    /// The same for a value that is known to be one.
    fn line(&mut self, name: &HeaderName, value: &[u8]);

    /// The same for words that are, with spaces between them.
    fn words(&mut self, name: &HeaderName, words: &[Box<str>]);
}

impl Fields for Vec<u8> {
    const FRAMED: bool = false;

    fn field(&mut self, name: &HeaderName, value: &HeaderValue) {
        http1::field(self, name, value);
    }

    fn line(&mut self, name: &HeaderName, value: &[u8]) {
        http1::line(self, name.as_str(), value);
    }

    fn words(&mut self, name: &HeaderName, words: &[Box<str>]) {
        self.extend_from_slice(name.as_str().as_bytes());
        self.extend_from_slice(b":");
        for word in words {
            self.extend_from_slice(b" ");
            self.extend_from_slice(word.as_bytes());
        }
        self.extend_from_slice(b"\r\n");
    }
}

impl Fields for HeaderMap {
    const FRAMED: bool = true;

    fn field(&mut self, name: &HeaderName, value: &HeaderValue) {
        self.append(name.clone(), value.clone());
    }

    fn line(&mut self, name: &HeaderName, value: &[u8]) {
        // A map takes no value that is none; nothing that is written here can be one.
        if let Ok(value) = HeaderValue::from_bytes(value) {
            self.append(name.clone(), value);
        }
    }

    fn words(&mut self, name: &HeaderName, words: &[Box<str>]) {
        self.line(name, words.join(" ").as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(fields: &mut impl Fields) {
        let name = HeaderName::from_static("x-a");
        fields.field(&name, &HeaderValue::from_static("1"));
        fields.line(&name, b"2");
        fields.words(&name, &["three".into(), "four".into()]);
    }

    #[test]
    fn both_lists_say_the_same() {
        let (mut text, mut map) = (Vec::new(), HeaderMap::new());
        fill(&mut text);
        fill(&mut map);
        assert_eq!(text, b"x-a: 1\r\nx-a: 2\r\nx-a: three four\r\n");
        let values: Vec<_> = map.get_all("x-a").iter().collect();
        assert_eq!(values, ["1", "2", "three four"]);
    }
}
