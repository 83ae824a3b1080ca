//! VXG's inner token, `share.<payload>.<issued>t<lifetime>.<mac>`: its form, its expiry, its MAC. Whether it was ever
//! given out, to whom and for what is known by the record that stands for it, never by the token.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use memchr::memchr;
use sha1::Sha1;

use crate::clock::UnixTime;
use crate::invalid::Invalid;
use crate::refusal::Reason;
use crate::scan;
use crate::scheme::buffer::DIGITS;
use crate::scheme::{Kit, Rejection};
use crate::secret::{Secret, SecretSource};

/// The longest one that anyone looks into; real ones have about 70 bytes.
const LONGEST: usize = 256;
/// 20 bytes in base64url without padding: 26 characters of six bits, and one of four.
const MAC_TEXT: usize = 27;

/// What a text says that has the form of an inner token.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form {
    /// How much of the text the MAC covers; behind it stand a full stop and the MAC.
    signed: usize,
    /// Issue time and lifetime, together.
    expires: UnixTime,
}

impl Form {
    /// `None`: the text has another form.
    pub(super) fn of(text: &[u8]) -> Option<Self> {
        if text.len() > LONGEST {
            return None;
        }
        // From both ends: the MAC is as long as it is, and in none of the parts there can be another full stop.
        let (signed, mac) = text.split_at_checked(text.len().checked_sub(MAC_TEXT)?)?;
        let signed = signed.strip_suffix(b".")?;
        let rest = signed.strip_prefix(b"share.")?;
        let (payload, time) = rest.split_at(memchr(b'.', rest)?);
        if payload.is_empty() || !is_base64url(payload) || !is_mac(mac) {
            return None;
        }
        let time = &time[1..];
        let t = memchr(b't', time)?;
        // Both are 32-bit numbers whose sum is not: seen in the wild, 0x61a964c3 + 0xbc1fab00.
        let expires = hexadecimal(&time[..t])?.checked_add(hexadecimal(&time[t + 1..])?)?;
        Some(Self { signed: signed.len(), expires: UnixTime(expires) })
    }

    /// Good before then.
    pub(super) fn expires(&self) -> UnixTime {
        self.expires
    }

    /// Refuses it from the second on at which it expires.
    pub(super) fn current(&self, now: UnixTime) -> Result<(), Rejection> {
        if now < self.expires {
            return Ok(());
        }
        Err(Rejection::new(Reason::Expired, "the share token has outlived the lifetime it states"))
    }
}

/// Whether this is how 20 bytes are written: the last character has two bits to spare, which are zero.
fn is_mac(text: &[u8]) -> bool {
    let Some((last, rest)) = text.split_last() else { return false };
    text.len() == MAC_TEXT && is_base64url(rest) && b"AEIMQUYcgkosw048".contains(last)
}

/// RFC 4648 §5.
#[expect(
    clippy::needless_bitwise_bool,
    reason = "lazy operators are branches, and then it is one byte after the other"
)]
fn is_base64url(text: &[u8]) -> bool {
    let own = |byte: u8| {
        ((byte | 0x20).wrapping_sub(b'a') < 26) | (byte.wrapping_sub(b'0') < 10) | (byte == b'-') | (byte == b'_')
    };
    scan::all(text, own)
}

fn hexadecimal(digits: &[u8]) -> Option<u64> {
    let add = |number: u64, digit: &u8| {
        let digit = DIGITS[usize::from(*digit)];
        (digit < 16 && number >> 60 == 0).then_some(number << 4 | u64::from(digit))
    };
    if digits.is_empty() { None } else { digits.iter().try_fold(0, add) }
}

/// The key that the tokens are made with, where an operator knows it: HMAC-SHA1, keyed once.
pub(super) struct VerificationKey(Hmac<Sha1>);

impl VerificationKey {
    /// The key that a setting names, if it names one.
    pub(super) fn resolve(source: Option<&SecretSource>, kit: &Kit<'_>) -> Result<Option<Self>, Invalid> {
        let Some(source) = source else { return Ok(None) };
        let key = (kit.resolve)(source)?;
        if key.expose().is_empty() {
            return Err(Invalid::new("`verification_key` is empty").hint("leave it out where the key is not known"));
        }
        Ok(Some(Self::new(&key)))
    }

    fn new(key: &Secret) -> Self {
        Self(Hmac::new_from_slice(key.expose()).expect("HMAC takes a key of any length"))
    }

    /// Compares the MAC of a text of this form, in constant time.
    pub(super) fn check(&self, form: &Form, text: &[u8]) -> Result<(), Rejection> {
        let wrong = Rejection::new(Reason::Mismatch, "the share token's MAC does not hold");
        let (signed, mac) = text.split_at(form.signed);
        let mut bytes = [0; 20];
        let read = URL_SAFE_NO_PAD.decode_slice(&mac[1..], &mut bytes);
        read.ok().filter(|&length| length == bytes.len()).ok_or(wrong)?;
        self.0.clone().chain_update(signed).verify_slice(&bytes).map_err(|_| wrong)
    }
}

/// Makes an inner token as VXG does: the number of a sharing, when it is issued and for how many seconds.
pub fn make(key: &Secret, sharing: u64, issued: UnixTime, lifetime: u64) -> Secret {
    // Python's `json.dumps`: a blank behind the colon.
    let payload = URL_SAFE_NO_PAD.encode(format!("{{\"si\": {sharing}}}"));
    let signed = format!("share.{payload}.{:x}t{lifetime:x}", issued.0);
    let mac = VerificationKey::new(key).0.chain_update(&signed).finalize().into_bytes();
    Secret::new(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac)).into_bytes())
}

impl fmt::Debug for VerificationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "share.eyJzaSI6IDIzNTYzOX0.61a964c3tbc1fab00.4NuL1qp8jcInCqp0RGnQGJOQtm4";

    fn parse(text: &str) -> Option<Form> {
        Form::of(text.as_bytes())
    }

    #[test]
    fn the_second_number_is_a_lifetime_beyond_32_bits() {
        let token = parse(GOOD).unwrap();
        // Issued 2021-12-03T00:28:51Z, for 36530 days.
        let end = 0x61a9_64c3 + 36530 * 86400;
        assert_eq!(token.current(UnixTime(end - 1)), Ok(()));
        assert_eq!(token.current(UnixTime(end)).unwrap_err().reason, Reason::Expired);
    }

    #[test]
    fn the_mac_covers_payload_and_time() {
        // Computed with `openssl dgst -sha1 -hmac`; see tests/vectors/acc.
        let key = VerificationKey::new(&Secret::new(b"vxg-lab-secret".to_vec()));
        assert_eq!(key.check(&parse(GOOD).unwrap(), GOOD.as_bytes()), Ok(()));
        for (what, from, to) in
            [("mac", "4NuL", "5NuL"), ("payload", "X0.", "X1."), ("time", "61a9", "61aa"), ("lifetime", "ab00", "ab01")]
        {
            let text = GOOD.replacen(from, to, 1);
            let rejection = key.check(&parse(&text).unwrap(), text.as_bytes()).unwrap_err();
            assert_eq!(rejection.reason, Reason::Mismatch, "{what}");
        }
        let other = VerificationKey::new(&Secret::new(b"another".to_vec()));
        assert!(other.check(&parse(GOOD).unwrap(), GOOD.as_bytes()).is_err());
    }

    #[test]
    fn a_token_is_made_as_vxg_makes_it() {
        let key = Secret::new(b"vxg-lab-secret".to_vec());
        let made = make(&key, 235_639, UnixTime(0x61a9_64c3), 0xbc1f_ab00);
        assert!(made.equals(GOOD.as_bytes()));
    }

    #[test]
    fn another_form_is_not_a_share_token() {
        for (what, from, to) in [
            ("another word", "share.", "Share."),
            ("a letter beyond ASCII in the payload", "eyJz", "ey\u{e9}z"),
            ("a bracket in the payload", "eyJz", "ey[z"),
            ("no word", "share.", ""),
            ("no payload", "eyJzaSI6IDIzNTYzOX0", ""),
            ("a payload of another alphabet", "eyJz", "ey+z"),
            ("a fifth part", "Qtm4", "Qtm4.x"),
            ("no `t`", "tbc", "bc"),
            ("a sign", "61a964c3", "+61a964c3"),
            ("no number", "61a964c3", ""),
            ("not hexadecimal", "61a9", "61g9"),
            ("more than 64 bits", "61a964c3", "10000000000000000"),
            ("a sum of more than 64 bits", "61a964c3", "ffffffffffffffff"),
            ("a short MAC", "Qtm4", "Qtm"),
            ("a long MAC", "Qtm4", "Qtm4A"),
            ("padding", "Qtm4", "Qtm4="),
            ("trailing bits", "Qtm4", "Qtm5"),
            ("a MAC of another alphabet", "4NuL", "4+uL"),
            ("too long a payload", "eyJz", &"A".repeat(200)),
        ] {
            assert!(parse(&GOOD.replacen(from, to, 1)).is_none(), "{what}");
        }
    }

    #[test]
    fn a_payload_is_of_the_alphabet_and_no_other_byte() {
        for byte in 0..=u8::MAX {
            let expected = byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
            assert_eq!(is_base64url(&[byte]), expected, "{byte:#04x}");
            assert_eq!(is_base64url(&[b'a', byte, b'0']), expected, "{byte:#04x}");
        }
    }

    #[test]
    fn the_longest_token_is_read_and_a_longer_one_is_not() {
        let long = |more: usize| GOOD.replacen("eyJz", &format!("eyJz{}", "a".repeat(LONGEST - GOOD.len() + more)), 1);
        assert_eq!((parse(&long(0)).is_some(), parse(&long(1)).is_some()), (true, false));
    }
}
