//! VXG's inner token, `share.<payload>.<issued>t<lifetime>.<mac>`: its form, its expiry, its MAC. Whether it was ever
//! given out, to whom and for what is known by the record that stands for it, never by the token.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

use crate::clock::UnixTime;
use crate::refusal::Reason;
use crate::scheme::Rejection;
use crate::scheme::buffer::Buffer;
use crate::secret::Secret;

/// The longest one that anyone looks into; real ones have about 70 bytes.
pub(super) const LONGEST: usize = 256;

/// An inner token of the right form.
#[derive(Debug)]
pub(super) struct ShareToken {
    text: Buffer<LONGEST>,
    /// How much of the text the MAC covers.
    signed: usize,
    mac: [u8; 20],
    /// Issue time and lifetime, together.
    expires: UnixTime,
}

impl ShareToken {
    /// Takes the text over if it has the form.
    pub(super) fn parse(text: Buffer<LONGEST>) -> Option<Self> {
        let (signed, mac, expires) = dissect(text.bytes())?;
        Some(Self { text, signed, mac, expires })
    }

    /// The token itself: what its record is looked up by.
    pub(super) fn expose(&self) -> &[u8] {
        self.text.bytes()
    }

    /// Refuses it from the second on at which it expires.
    pub(super) fn current(&self, now: UnixTime) -> Result<(), Rejection> {
        if now < self.expires {
            return Ok(());
        }
        Err(Rejection::new(Reason::Expired, "the share token has outlived the lifetime it states"))
    }
}

/// The length of the signed part, the MAC and the expiry.
fn dissect(text: &[u8]) -> Option<(usize, [u8; 20], UnixTime)> {
    let mut parts = text.split(|&byte| byte == b'.');
    let (word, payload, time, mac) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    if word != b"share"
        || payload.is_empty()
        || !payload.iter().all(|&byte| is_base64url(byte))
        || parts.next().is_some()
    {
        return None;
    }
    let t = time.iter().position(|&byte| byte == b't')?;
    // Both are 32-bit numbers whose sum is not: seen in the wild, 0x61a964c3 + 0xbc1fab00.
    let expires = hexadecimal(&time[..t])?.checked_add(hexadecimal(&time[t + 1..])?)?;
    let mut bytes = [0; 20];
    // 27 characters are 20 bytes and two bits, which must be zero: the engine is strict.
    if mac.len() != 27 || URL_SAFE_NO_PAD.decode_slice(mac, &mut bytes) != Ok(20) {
        return None;
    }
    Some((text.len() - mac.len() - 1, bytes, UnixTime(expires)))
}

fn is_base64url(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

fn hexadecimal(digits: &[u8]) -> Option<u64> {
    // `from_str_radix` alone would take a sign.
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u64::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()
}

/// The key that the tokens are made with, where an operator knows it: HMAC-SHA1, keyed once.
pub(super) struct VerificationKey(Hmac<Sha1>);

impl VerificationKey {
    pub(super) fn new(key: &Secret) -> Self {
        Self(Hmac::new_from_slice(key.expose()).expect("HMAC takes a key of any length"))
    }

    /// Compares the MAC, in constant time.
    pub(super) fn check(&self, token: &ShareToken) -> Result<(), Rejection> {
        let mac = self.0.clone().chain_update(&token.expose()[..token.signed]);
        mac.verify_slice(&token.mac)
            .map_err(|_| Rejection::new(Reason::Mismatch, "the share token's MAC does not hold"))
    }
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

    fn parse(text: &str) -> Option<ShareToken> {
        ShareToken::parse(Buffer::collect(text.bytes()).unwrap())
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
        assert_eq!(key.check(&parse(GOOD).unwrap()), Ok(()));
        for (what, from, to) in
            [("mac", "4NuL", "5NuL"), ("payload", "X0.", "X1."), ("time", "61a9", "61aa"), ("lifetime", "ab00", "ab01")]
        {
            let token = parse(&GOOD.replacen(from, to, 1)).unwrap();
            assert_eq!(key.check(&token).unwrap_err().reason, Reason::Mismatch, "{what}");
        }
        let other = VerificationKey::new(&Secret::new(b"another".to_vec()));
        assert!(other.check(&parse(GOOD).unwrap()).is_err());
    }

    #[test]
    fn another_form_is_not_a_share_token() {
        for (what, from, to) in [
            ("another word", "share.", "Share."),
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
        ] {
            assert!(parse(&GOOD.replacen(from, to, 1)).is_none(), "{what}");
        }
    }
}
