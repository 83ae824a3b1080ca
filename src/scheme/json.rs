//! JSON read strictly: no member twice, no deep nesting, numbers only where they are integers. Two readers of one
//! token must never see two different tokens.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};

/// More members than any real token has, so that finding one twice stays cheap.
const MOST_MEMBERS: usize = 64;

/// A JSON value, as far as anyone here looks into it. What has no escapes in it stays where it was read.
#[derive(Debug, PartialEq)]
pub(super) enum Json<'t> {
    /// A number without fraction, exponent and sign.
    Integer(u64),
    /// A string.
    Text(Cow<'t, str>),
    /// An object.
    Object(Vec<Member<'t>>),
    /// A list.
    List(Vec<Json<'t>>),
    /// Everything else.
    Other,
}

/// A member of an object: its name and its value.
pub(super) type Member<'t> = (Cow<'t, str>, Json<'t>);

impl<'t> Json<'t> {
    /// Reads a whole text that is an object, at most `depth` levels deep.
    pub(super) fn object(text: &'t str, depth: usize) -> Option<Self> {
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

    /// The same, which needs the text no more.
    pub(super) fn into_owned(self) -> Json<'static> {
        let own = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        match self {
            Self::Integer(number) => Json::Integer(number),
            Self::Text(text) => Json::Text(own(text)),
            Self::Object(all) => {
                Json::Object(all.into_iter().map(|(name, one)| (own(name), one.into_owned())).collect())
            }
            Self::List(all) => Json::List(all.into_iter().map(Json::into_owned).collect()),
            Self::Other => Json::Other,
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
    // So few that none of them can lie too deep: no need to tell which stand in strings.
    if text.bytes().filter(|byte| matches!(byte, b'{' | b'[')).count() <= depth {
        return true;
    }
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

impl<'de> Deserialize<'de> for Json<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

/// The name of a member.
#[derive(Deserialize)]
struct Name<'t>(#[serde(borrow)] Cow<'t, str>);

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(Json::Other)
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Json::Other)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Json::Integer(number))
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Json::Other)
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Json::Other)
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Json::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Json::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut all = Vec::new();
        while let Some(one) = list.next_element()? {
            all.push(one);
        }
        Ok(Json::List(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members: Vec<Member<'de>> = Vec::new();
        while let Some(Name(name)) = map.next_key()? {
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
