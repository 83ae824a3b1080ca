//! The JSON of an access token as VXG writes it, read in one pass: a flat object of plain strings and whole numbers.
//! Anything else is left to `outer`, which reads the whole of JSON: this one never decides that a token is wrong.

use memchr::memchr;

use super::{LONGEST_CLAIM, Parts, Span};
use crate::scan;

/// More digits might not fit into 64 bits.
const MOST_DIGITS: usize = 19;

/// Where the parts of a token stand in `json`. `None`: it is not as plain as that, or something is missing.
pub(super) fn read(json: &[u8]) -> Option<Parts> {
    if !is_plain(json) {
        return None;
    }
    let mut reader = Reader { text: json, at: 0 };
    let (mut token, mut camera, mut access) = (None, None, None);
    reader.symbol(b'{')?;
    loop {
        reader.symbol(b'"')?;
        let name = reader.string()?;
        reader.symbol(b':')?;
        let value = reader.value()?;
        match (name.of(json), value) {
            (b"token", Value::Text(text)) => put(&mut token, text)?,
            (b"camid", Value::Text(text) | Value::Integer(text)) if text.len() <= LONGEST_CLAIM => {
                put(&mut camera, text)?;
            }
            (b"access", Value::Text(text) | Value::Word(text)) if text.len() <= LONGEST_CLAIM => {
                put(&mut access, text)?;
            }
            (b"token" | b"camid" | b"access", _) => return None,
            // `api`, `cam`, `cmngrid`, …: nothing is routed by a token.
            _ => {}
        }
        match reader.next()? {
            b',' => {}
            b'}' => break,
            _ => return None,
        }
    }
    reader.is_at_the_end().then_some(())?;
    Some(Parts { token: token?, camera, access })
}

/// Notes where something stands, for the first time.
fn put(place: &mut Option<Span>, found: Span) -> Option<()> {
    match place.replace(found) {
        None => Some(()),
        Some(_) => None,
    }
}

/// A value, as far as it is plain.
enum Value {
    /// A string without escapes.
    Text(Span),
    /// A whole number without sign.
    Integer(Span),
    /// A list of one string, which says something.
    Word(Span),
    /// Any other list of strings.
    Words,
}

/// Whether each byte stands for itself: ASCII without control characters and backslashes, so that a string ends at the next
/// quote.
#[expect(
    clippy::needless_bitwise_bool,
    reason = "lazy operators are branches, and then it is one byte after the other"
)]
fn is_plain(text: &[u8]) -> bool {
    scan::all(text, |byte| (0x20..0x80).contains(&byte) & (byte != b'\\'))
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    /// The next byte that is no white space (RFC 8259 §2); of that, only blanks are plain.
    fn next(&mut self) -> Option<u8> {
        loop {
            let byte = *self.text.get(self.at)?;
            self.at += 1;
            if byte != b' ' {
                return Some(byte);
            }
        }
    }

    fn symbol(&mut self, symbol: u8) -> Option<()> {
        (self.next()? == symbol).then_some(())
    }

    fn is_at_the_end(&mut self) -> bool {
        self.next().is_none()
    }

    /// The rest of a string whose first quote was read.
    fn string(&mut self) -> Option<Span> {
        let length = memchr(b'"', &self.text[self.at..])?;
        let found = Span { from: self.at, to: self.at + length };
        self.at = found.to + 1;
        Some(found)
    }

    fn value(&mut self) -> Option<Value> {
        match self.next()? {
            b'"' => self.string().map(Value::Text),
            b'[' => self.list(),
            b'0'..=b'9' => self.integer().map(Value::Integer),
            _ => None,
        }
    }

    /// The rest of a number whose first digit was read. A fraction or an exponent behind it is no delimiter, and ends the
    /// reading there.
    fn integer(&mut self) -> Option<Span> {
        let from = self.at - 1;
        let more = self.text[self.at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += more;
        // RFC 8259 §6: a number has no leading zero.
        let whole = more < MOST_DIGITS && (more == 0 || self.text[from] != b'0');
        whole.then_some(Span { from, to: self.at })
    }

    /// The rest of a list whose bracket was read.
    fn list(&mut self) -> Option<Value> {
        self.symbol(b'"')?;
        let first = self.string()?;
        let mut one = first.len() > 0;
        loop {
            match self.next()? {
                b']' => return Some(if one { Value::Word(first) } else { Value::Words }),
                b',' => {}
                _ => return None,
            }
            self.symbol(b'"')?;
            self.string()?;
            one = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Text, outer};
    use super::*;

    /// What a reader finds: the token, the camera, the words.
    type Found = (Vec<u8>, Option<Vec<u8>>, Option<Vec<u8>>);

    fn cut(text: &[u8], parts: Parts) -> Found {
        let own = |part: Span| part.of(text).to_vec();
        (own(parts.token), parts.camera.map(own), parts.access.map(own))
    }

    fn plainly(json: &[u8]) -> Option<Found> {
        read(json).map(|parts| cut(json, parts))
    }

    fn by_serde(json: &[u8]) -> Option<Found> {
        outer::read(json).map(|(text, parts): (Text, Parts)| cut(text.bytes(), parts))
    }

    fn found(token: &str, camera: Option<&str>, access: Option<&str>) -> Found {
        let own = |text: &str| text.as_bytes().to_vec();
        (own(token), camera.map(own), access.map(own))
    }

    #[test]
    fn what_vxg_writes_is_plain() {
        for (json, expected) in [
            (
                r#"{"camid": 248527, "cmngrid": 248964, "access": "all", "token": "share.a", "api": "web.example", "api_p": 80}"#,
                found("share.a", Some("248527"), Some("all")),
            ),
            (r#"{"token": "share.a", "api": "web.example"}"#, found("share.a", None, None)),
            (r#" { "token"  : "a" ,"camid":"07"} "#, found("a", Some("07"), None)),
            (r#"{"access":["watch"],"x":["live","play",""],"token":"a"}"#, found("a", None, Some("watch"))),
            (r#"{"access":"live play","token":"a","camid":0}"#, found("a", Some("0"), Some("live play"))),
        ] {
            assert_eq!(plainly(json.as_bytes()).as_ref(), Some(&expected), "{json}");
            assert_eq!(by_serde(json.as_bytes()), Some(expected), "{json}");
        }
    }

    #[test]
    fn what_is_not_plain_is_left_to_the_whole_of_json() {
        for (json, expected) in [
            (r#"{"token":"\u0061"}"#, Some(found("a", None, None))),
            (r#"{"\u0074oken":"a"}"#, Some(found("a", None, None))),
            (r#"{"token":"a","x":{}}"#, Some(found("a", None, None))),
            ("\t{\"token\"\n:\r\"a\"}", Some(found("a", None, None))),
            ("{\"token\":\"a\n\"}", None),
            (r#"{"token":"a","x":null,"camid":null}"#, Some(found("a", None, None))),
            (r#"{"token":"a","x":-1,"y":1e3,"z":1.5}"#, Some(found("a", None, None))),
            (r#"{"token":"a","x":"é"}"#, Some(found("a", None, None))),
            (r#"{"token":"a","access":["watch","live"]}"#, Some(found("a", None, Some("watch live")))),
            (r#"{"token":"a","access":[]}"#, Some(found("a", None, Some("")))),
            (r#"{"token":"a","camid":18446744073709551615}"#, Some(found("a", Some("18446744073709551615"), None))),
            (r#"{"token":"a","camid":18446744073709551616}"#, None),
            (r#"{"token":"a","camid":07}"#, None),
            (r#"{"token":"a","camid":7.0}"#, None),
            (r#"{"token":"a","token":"a"}"#, None),
            (r#"{"token":"a","x":1,}"#, None),
            (r#"{"token":"a"}x"#, None),
            (r#"{"token":"a""#, None),
            (r#"{"camid":1}"#, None),
            (r#"["a",1,"all"]"#, None),
            ("", None),
        ] {
            assert_eq!(plainly(json.as_bytes()), None, "{json}");
            assert_eq!(by_serde(json.as_bytes()), expected, "{json}");
        }
        for claim in ["camid", "access"] {
            let long = format!("{{\"token\":\"a\",\"{claim}\":\"{}\"}}", "7".repeat(LONGEST_CLAIM + 1));
            assert_eq!((plainly(long.as_bytes()), by_serde(long.as_bytes())), (None, None), "{claim}");
        }
    }

    fn names() -> impl Strategy<Value = String> {
        prop_oneof![
            Just("token".to_owned()),
            Just("camid".to_owned()),
            Just("access".to_owned()),
            Just("to\\u006ben".to_owned()),
            "[a-zA-Z_ é\\\\]{0,6}",
        ]
    }

    fn values() -> impl Strategy<Value = String> {
        let words = prop::collection::vec("[a-z ]{0,6}", 0..3).prop_map(|words| format!("{words:?}"));
        prop_oneof![
            4 => "[ !#-~]{0,12}".prop_map(|text| format!("\"{text}\"")),
            4 => "0|[1-9][0-9]{0,21}",
            2 => words,
            1 => "-?[0-9]{1,3}(\\.[0-9]{1,2})?(e[+-]?[0-9])?",
            1 => prop_oneof![Just("null".to_owned()), Just("true".to_owned()), Just("{\"a\": [1]}".to_owned())],
            1 => "\\PC{0,8}".prop_map(|text| format!("\"{text}\"")),
            1 => "[a-z]{0,140}".prop_map(|text| format!("\"{text}\"")),
        ]
    }

    fn documents() -> impl Strategy<Value = String> {
        let blanks = "[ \t\r\n]{0,2}";
        let member =
            (names(), blanks, values(), blanks).prop_map(|(name, b, value, c)| format!("\"{name}\"{b}:{value}{c}"));
        prop::collection::vec(member, 0..6).prop_map(|members| format!("{{{}}}", members.join(", ")))
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(4096) })]

        #[test]
        fn both_readers_of_a_token_see_the_same_token(json in documents()) {
            if let Some(found) = plainly(json.as_bytes()) {
                prop_assert_eq!(by_serde(json.as_bytes()), Some(found));
            }
        }

        #[test]
        fn nor_does_a_changed_byte_part_them(
            json in documents(),
            at in any::<prop::sample::Index>(),
            byte in prop_oneof![any::<u8>(), prop::sample::select(b"\"\\{}[],:0 1.e-".to_vec())],
            cut in any::<bool>(),
        ) {
            let mut json = json.into_bytes();
            let at = at.index(json.len());
            json[at] = byte;
            if cut {
                json.truncate(at);
            }
            if let Some(found) = plainly(&json) {
                prop_assert_eq!(by_serde(&json), Some(found));
            }
        }
    }
}
