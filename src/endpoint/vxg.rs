//! What VXG's endpoints share: ids that are whole numbers, the license key that an account goes by, and the two layers of
//! an access token.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Map, Value, json};
use sha1::Sha1;

use crate::clock::UnixTime;
use crate::secret::Secret;
use crate::store::{Outcome, Refused, Resource, Store};

/// The lifetime that VXG writes into its tokens: 36,530 days. When a token really ends is kept with it, so that it can
/// be changed.
const LIFETIME: u64 = 0xbc1f_ab00;
/// How many license keys of an account are looked at together.
const LOOKED_AT: usize = 64;

/// A new id: a whole number that fits 31 bits, because clients keep it in an `int`. Random, so that nobody can tell from
/// one how many there are, or guess another; who meets one that is taken asks again.
pub(super) fn new_id() -> String {
    let mut random = [0; 4];
    getrandom::fill(&mut random).expect("the operating system has randomness once it runs programs");
    (1 + u32::from_be_bytes(random) % 0x7fff_ffff).to_string()
}

/// An id as VXG's JSON has it: a number where it is one that every client can hold, else a text.
pub(super) fn id(id: &str) -> Value {
    const LARGEST: u64 = 1 << 53;
    match id.parse::<u64>() {
        Ok(number) if number <= LARGEST && number.to_string() == id => number.into(),
        Ok(_) | Err(_) => id.into(),
    }
}

/// The license key of an account that is good, and of those the first; where none is, the first.
pub(super) fn license_key(store: &Store, account: &str) -> Result<Option<Outcome>, Refused> {
    let (mut first, mut looked_at) = (None, 0);
    loop {
        let slice = store.slice(Resource::LicenseKey, Some((Resource::Account, account)), looked_at, LOOKED_AT)?;
        looked_at += slice.items.len();
        let all = slice.items.is_empty() || looked_at >= slice.total;
        for key in slice.items {
            if key.document.get("status").and_then(Value::as_str) == Some("active") {
                return Ok(Some(key));
            }
            first.get_or_insert(key);
        }
        if all {
            return Ok(first);
        }
    }
}

/// Makes an inner share token of VXG's form. With the operator's verification key the MAC is a true one; without it, it
/// is random. Either way the token is known by look-up alone.
pub(super) fn share_token(sharing: &str, now: UnixTime, key: Option<&Secret>) -> Secret {
    let payload = URL_SAFE_NO_PAD.encode(format!("{{\"si\": {}}}", id(sharing)));
    let signed = format!("share.{payload}.{:x}t{LIFETIME:x}", now.0);
    let mut mac = [0; 20];
    match key {
        Some(key) => {
            let keyed = Hmac::<Sha1>::new_from_slice(key.expose()).expect("HMAC takes a key of any length");
            mac.copy_from_slice(&keyed.chain_update(signed.as_bytes()).finalize().into_bytes());
        }
        None => getrandom::fill(&mut mac).expect("the operating system has randomness once it runs programs"),
    }
    Secret::new(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac)).into_bytes())
}

/// When an inner token was issued, if it has VXG's form.
pub(super) fn issued(inner: &str) -> Option<UnixTime> {
    let time = inner.split('.').nth(2)?.split_once('t')?.0;
    u64::from_str_radix(time, 16).ok().map(UnixTime)
}

/// What an access token opens.
pub(super) enum Opens<'a> {
    /// One camera, with these scopes.
    Camera(&'a str, &'a [String]),
    /// A group. VXG's clients tell its tokens from a camera's by the missing `camid`.
    Group,
}

/// The outer token as VXG hands it out: base64 over JSON. `api` and `cam` are hosts.
pub(super) fn access_token(inner: &str, opens: &Opens<'_>, api: &str, cam: &str) -> String {
    let mut outer = Map::new();
    if let Opens::Camera(camera, scopes) = opens {
        outer.insert("camid".into(), id(camera));
        outer.insert("access".into(), access(scopes));
    }
    outer.insert("token".into(), inner.into());
    outer.insert("api".into(), api.into());
    if let Opens::Camera(..) = opens {
        outer.insert("cam".into(), cam.into());
    }
    STANDARD.encode(Value::Object(outer).to_string())
}

/// Scopes as VXG writes them: a word alone where there is one.
pub(super) fn access(scopes: &[String]) -> Value {
    match scopes {
        [only] => only.as_str().into(),
        more => json!(more),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vector of the inner token in `tests/vectors`, made with Python's `hmac`.
    #[test]
    fn a_share_token_has_the_mac_that_vxg_would_give_it() {
        let key = Secret::new(b"vxg-lab-secret".to_vec());
        let token = share_token("235639", UnixTime(0x61a9_64c3), Some(&key));
        assert_eq!(
            str::from_utf8(token.expose()).unwrap(),
            "share.eyJzaSI6IDIzNTYzOX0.61a964c3tbc1fab00.4NuL1qp8jcInCqp0RGnQGJOQtm4"
        );
    }

    #[test]
    fn without_a_key_no_two_tokens_are_the_same_and_the_scheme_reads_them() {
        let tokens = [1, 2].map(|_| share_token("7", UnixTime(0x61a9_64c3), None));
        assert_ne!(tokens[0].expose(), tokens[1].expose());
        for token in &tokens {
            let outer = access_token(
                str::from_utf8(token.expose()).unwrap(),
                &Opens::Camera("248527", &["all".to_owned()]),
                "web.example.test",
                "cam.example.test",
            );
            assert_eq!(crate::scheme::access_token::inner_token(outer.as_bytes()).unwrap().expose(), token.expose());
        }
    }

    #[test]
    fn the_outer_token_of_a_camera_names_it_and_that_of_a_group_does_not() {
        let read = |token: String| -> Value { serde_json::from_slice(&STANDARD.decode(token).unwrap()).unwrap() };
        let scopes = ["live".to_owned(), "play".to_owned()];
        let camera = read(access_token("share.x", &Opens::Camera("248527", &scopes), "api", "cam"));
        assert_eq!(
            camera,
            json!({ "camid": 248_527, "access": ["live", "play"], "token": "share.x", "api": "api", "cam": "cam" })
        );
        assert_eq!(
            read(access_token("share.x", &Opens::Group, "api", "cam")),
            json!({ "token": "share.x", "api": "api" })
        );
    }

    #[test]
    fn ids_are_numbers_where_they_can_be() {
        for (text, expected) in [
            ("248527", json!(248_527)),
            ("acme", json!("acme")),
            ("007", json!("007")),
            ("+7", json!("+7")),
            ("9007199254740993", json!("9007199254740993")),
        ] {
            assert_eq!(id(text), expected);
        }
        for _ in 0..1000 {
            let made: u32 = new_id().parse().unwrap();
            assert!((1..=0x7fff_ffff).contains(&made));
        }
    }
}
