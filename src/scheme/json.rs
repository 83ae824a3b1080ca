//! JSON read strictly: no member twice, no deep nesting, numbers only where they are integers. Two readers of one
//! token must never see two different tokens.

use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};

/// More members than any real token has, so that finding one twice stays cheap.
const MOST_MEMBERS: usize = 64;

/// A JSON value, as far as anyone here looks into it.
#[derive(Debug, PartialEq)]
pub(super) enum Json {
    /// A number without fraction, exponent and sign.
    Integer(u64),
    /// A string.
    Text(String),
    /// An object.
    Object(Vec<(String, Json)>),
    /// A list.
    List(Vec<Json>),
    /// Everything else.
    Other,
}

impl Json {
    /// Reads a whole text that is an object, at most `depth` levels deep.
    pub(super) fn object(text: &str, depth: usize) -> Option<Self> {
        if !shallow(text, depth) {
            return None;
        }
        serde_json::from_str(text).ok().filter(|json| matches!(json, Self::Object(_)))
    }

    /// The member with this name.
    pub(super) fn member(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => members.iter().find(|(own, _)| own == name).map(|(_, value)| value),
            Self::Integer(_) | Self::Text(_) | Self::List(_) | Self::Other => None,
        }
    }

    /// The text, if it is one.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Integer(_) | Self::Object(_) | Self::List(_) | Self::Other => None,
        }
    }

    /// The number, if it is a whole one of 64 bits without sign.
    pub(super) fn integer(&self) -> Option<u64> {
        match self {
            Self::Integer(number) => Some(*number),
            Self::Text(_) | Self::Object(_) | Self::List(_) | Self::Other => None,
        }
    }
}

/// Whether objects and lists are nested at most `depth` deep. Reads nothing else: the text need not be JSON.
pub(crate) fn shallow(text: &str, depth: usize) -> bool {
    let (mut level, mut quoted, mut escaped) = (0_usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = quoted,
            b'"' => quoted = !quoted,
            b'{' | b'[' if !quoted => level += 1,
            b'}' | b']' if !quoted => level = level.saturating_sub(1),
            _ => {}
        }
        if level > depth {
            return false;
        }
    }
    true
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Json, E> {
        Ok(Json::Integer(number))
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Json, E> {
        Ok(Json::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Json, A::Error> {
        let mut all = Vec::new();
        while let Some(one) = list.next_element()? {
            all.push(one);
        }
        Ok(Json::List(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let mut members: Vec<(String, Json)> = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            if members.len() == MOST_MEMBERS || members.iter().any(|(own, _)| *own == name) {
                return Err(de::Error::custom("too many members, or one twice"));
            }
            members.push((name, map.next_value()?));
        }
        Ok(Json::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_found_by_name_and_type() {
        let json = Json::object(r#" {"a":"b","n":7,"f":7.0,"e":7e0,"m":-7,"z":null,"l":[{}]} "#, 16).unwrap();
        assert_eq!(json.member("a").unwrap().text(), Some("b"));
        assert_eq!(json.member("n").unwrap().integer(), Some(7));
        assert_eq!(json.member("x"), None);
        assert_eq!(json.member("l"), Some(&Json::List(vec![Json::Object(Vec::new())])));
        for other in ["f", "e", "m", "z"] {
            assert_eq!(json.member(other), Some(&Json::Other), "{other}");
        }
    }

    #[test]
    fn a_text_that_could_be_read_in_two_ways_is_not_read() {
        let many: Vec<String> = (0..=MOST_MEMBERS).map(|n| format!("\"m{n}\":0")).collect();
        let many = format!("{{{}}}", many.join(","));
        for (what, text) in [
            ("a member twice", r#"{"a":1,"a":1}"#),
            ("a member twice, once escaped", r#"{"a":1,"\u0061":1}"#),
            ("a member twice further in", r#"{"x":{"a":1,"a":2}}"#),
            ("a member twice in a list", r#"{"x":[{"a":1,"a":2}]}"#),
            ("too many members", many.as_str()),
            ("a second value", r#"{"a":1}{"a":2}"#),
            ("not an object", r#"["a"]"#),
            ("a comment", "{/* */}"),
            ("a trailing comma", r#"{"a":1,}"#),
            ("nothing", ""),
        ] {
            assert_eq!(Json::object(text, 16), None, "{what}");
        }
    }

    #[test]
    fn nesting_has_a_limit_that_strings_do_not_count_towards() {
        let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert!(Json::object(&nested(15), 16).is_some());
        assert!(Json::object(&nested(16), 16).is_none());
        assert!(Json::object(r#"{"a":"\"[[[[[[[[[[[[[[[[[[[["}"#, 16).is_some());
        assert!(!shallow(&"[".repeat(8000), 16));
        for (text, expected) in [
            ("[],[],{}", true),
            (r#"["]"]"#, true),
            (r#"["[{"]"#, true),
            (r#"["\"[", 1]"#, true),
            (r#"["]", []]"#, false),
            (r#"["}", {}]"#, false),
            (r#"["\"]", []]"#, false),
            (r#"["\\", []]"#, false),
            ("]][[]", false),
        ] {
            assert_eq!(shallow(text, 1), expected, "{text}");
        }
    }
}
