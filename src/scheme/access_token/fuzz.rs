//! What a fuzzer holds the readers of an access token to: both of ours find what a plain reader of its JSON finds.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use serde_json::value::RawValue;

use super::{AccessToken, LONGEST_CLAIM, LONGEST_JSON, Parts, outer, plain};
use crate::scheme::fuzz::{Members, plain_share_token};

/// The JSON of a token, before it is put in base64.
pub(crate) fn access_token(json: &[u8]) {
    if json.len() <= LONGEST_JSON
        && let Some(parts) = plain::read(json)
    {
        let (text, others) = outer::read(json).expect("what is plain is JSON");
        assert_eq!(texts(parts, json), texts(others, text.bytes()));
    }
    let expected = expected(json);
    let Ok(token) = AccessToken::open(STANDARD.encode(json).as_bytes()) else {
        assert_eq!(expected, None, "a sound token is not read");
        return;
    };
    let own = texts(token.parts, token.text.bytes());
    assert_eq!(Some(own), expected);
    // As it stands it may be a token as well.
    let _ = AccessToken::open(json);
}

/// The token, the camera and the access that it claims.
type Texts = (Vec<u8>, Option<Vec<u8>>, Option<Vec<u8>>);

fn texts(parts: Parts, text: &[u8]) -> Texts {
    let of = |span: super::Span| span.of(text).to_vec();
    (of(parts.token), parts.camera.map(of), parts.access.map(of))
}

/// What a plain reader finds, if it is what a token holds.
fn expected(json: &[u8]) -> Option<Texts> {
    let deep = str::from_utf8(json).is_ok_and(|text| depth(text, 16) > 16);
    let members = Members::of(json).filter(|_| json.len() <= LONGEST_JSON && !deep)?.0;
    let mut found: [Option<&RawValue>; 3] = [None; 3];
    for (name, value) in &members {
        if let Some(place) = ["token", "camid", "access"].iter().position(|own| own == name)
            && found[place].replace(value).is_some()
        {
            return None;
        }
    }
    let claim = |raw: Option<&RawValue>, words: bool| -> Result<Option<Vec<u8>>, ()> {
        let Some(raw) = raw.filter(|raw| raw.get() != "null") else { return Ok(None) };
        let text = match serde_json::from_str(raw.get()).map_err(|_| ())? {
            Value::String(text) => text,
            Value::Number(number) if !words && number.is_u64() => number.to_string(),
            Value::Array(list) if words => joined(&list).ok_or(())?,
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => return Err(()),
        };
        if text.len() <= LONGEST_CLAIM { Ok(Some(text.into_bytes())) } else { Err(()) }
    };
    let token: String = serde_json::from_str(found[0]?.get()).ok()?;
    plain_share_token(token.as_bytes())?;
    Some((token.into_bytes(), claim(found[1], false).ok()?, claim(found[2], true).ok()?))
}

/// Words with blanks between them; those that say nothing at the beginning leave none.
fn joined(list: &[Value]) -> Option<String> {
    let words: Option<Vec<&str>> = list.iter().map(Value::as_str).collect();
    let words = words?;
    let from = words.iter().position(|word| !word.is_empty()).unwrap_or(words.len());
    Some(words[from..].join(" "))
}

/// How deep a text goes that was read as JSON; more than 16 is as deep as can be.
fn depth(json: &str, left: usize) -> usize {
    let within = |values: Vec<Box<RawValue>>| {
        let below = |value: &RawValue| left.checked_sub(1).map_or(1, |left| depth(value.get(), left));
        1 + values.iter().map(|value| below(value)).max().unwrap_or(0)
    };
    match json.trim_ascii_start().as_bytes() {
        [b'{', ..] => within(Members::of(json.as_bytes()).map_or_else(Vec::new, Members::into_values)),
        [b'[', ..] => within(serde_json::from_str(json).unwrap_or_default()),
        _ => 0,
    }
}
