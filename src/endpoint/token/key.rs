//! The RSA pair to whose public half callers encrypt their key, and what they make of it. aws-lc-rs alone: it makes
//! pairs, writes them, encrypts and opens.

use std::fmt;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::{
    KeySize, OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, Pkcs1PrivateDecryptingKey, Pkcs1PublicEncryptingKey,
    PrivateDecryptingKey, PublicEncryptingKey,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer};
use zeroize::Zeroizing;

use crate::invalid::Invalid;
use crate::secret::Secret;

/// The largest modulus, in bytes.
pub(super) const LARGEST: usize = 512;

/// A pair that opens.
pub struct Pair {
    pub(super) pkcs1: Pkcs1PrivateDecryptingKey,
    /// Where it is switched on.
    oaep: Option<OaepPrivateDecryptingKey>,
    /// The size of its modulus, in bytes.
    pub(super) bytes: usize,
}

/// The half that callers have.
pub struct PublicKey {
    key: PublicEncryptingKey,
}

/// Makes a pair of 2048 bits, as the vendor's: its PKCS#8 in PEM, and the public half.
pub fn generate() -> Result<(Secret, PublicKey), Invalid> {
    let broken = |_| Invalid::new("no RSA key could be made");
    let pair = PrivateDecryptingKey::generate(KeySize::Rsa2048).map_err(broken)?;
    let der: Pkcs8V1Der<'_> = pair.as_der().map_err(broken)?;
    let text = Zeroizing::new(STANDARD.encode(der.as_ref()));
    // At its full length from the start: growing would leave a part of the key behind in the old memory.
    let mut pem = Vec::with_capacity(text.len() + text.len() / 64 + 64);
    pem.extend_from_slice(b"-----BEGIN PRIVATE KEY-----\n");
    for line in text.as_bytes().chunks(64) {
        pem.extend_from_slice(line);
        pem.push(b'\n');
    }
    pem.extend_from_slice(b"-----END PRIVATE KEY-----\n");
    Ok((Secret::new(pem), PublicKey { key: pair.public_key() }))
}

fn private(pem: &[u8]) -> Result<PrivateDecryptingKey, Invalid> {
    let der = PrivatePkcs8KeyDer::from_pem_slice(pem)
        .map_err(|_| Invalid::new("this is no PKCS#8 key in PEM").hint("make one: vidgate multicam key new FILE"))?;
    let key = PrivateDecryptingKey::from_pkcs8(der.secret_pkcs8_der())
        .map_err(|_| Invalid::new("this is not an RSA key of at least 2048 bits"))?;
    if key.key_size_bytes() > LARGEST || key.key_size_bits() % 8 != 0 {
        return Err(Invalid::new("an RSA key has 2048 to 4096 bits here, in whole bytes"));
    }
    Ok(key)
}

impl Pair {
    /// Reads PKCS#8 in PEM: RSA of 2048 to 4096 bits. With `oaep`, what was encrypted by OAEP with SHA-256 opens too.
    pub fn read(pem: &[u8], oaep: bool) -> Result<Self, Invalid> {
        let key = private(pem)?;
        let unusable = |_| Invalid::new("this RSA key cannot be used");
        Ok(Self {
            bytes: key.key_size_bytes(),
            oaep: if oaep { Some(OaepPrivateDecryptingKey::new(key.clone()).map_err(unusable)?) } else { None },
            pkcs1: Pkcs1PrivateDecryptingKey::new(key).map_err(unusable)?,
        })
    }

    /// In how many ways a text may be encrypted to it.
    pub(super) fn ways(&self) -> usize {
        1 + usize::from(self.oaep.is_some())
    }

    /// Opens a text of the length of the modulus in one of these ways; how long what was in it is.
    pub(super) fn open(&self, way: usize, text: &[u8], into: &mut [u8]) -> Option<usize> {
        match &self.oaep {
            Some(oaep) if way == 1 => {
                oaep.decrypt(&OAEP_SHA256_MGF1SHA256, text, into, None).ok().map(|opened| opened.len())
            }
            Some(_) | None => self.pkcs1.decrypt(text, into).ok().map(|opened| opened.len()),
        }
    }
}

impl PublicKey {
    /// Reads what there is of it: the one line of base64 that `vidgate multicam key` prints, SPKI in PEM, or the
    /// gateway's own pair.
    pub fn read(text: &[u8]) -> Result<Self, Invalid> {
        if let Ok(key) = private(text) {
            return Ok(Self { key: key.public_key() });
        }
        let der = match SubjectPublicKeyInfoDer::from_pem_slice(text) {
            Ok(der) => der.to_vec(),
            Err(_) => STANDARD
                .decode(text.trim_ascii())
                .map_err(|_| Invalid::new("this is no public key: neither PEM nor one line of base64"))?,
        };
        let key = PublicEncryptingKey::from_der(&der)
            .map_err(|_| Invalid::new("this is not an RSA public key of at least 2048 bits"))?;
        Ok(Self { key })
    }

    /// The SPKI in base64, in one line, as the vendor shows it.
    pub fn to_line(&self) -> String {
        let der: PublicKeyX509Der<'_> = self.key.as_der().expect("a key that was made or read can be written");
        STANDARD.encode(der.as_ref())
    }

    /// The SPKI in PEM.
    pub fn to_pem(&self) -> String {
        let line = self.to_line();
        let lines: Vec<&str> =
            line.as_bytes().chunks(64).map(|line| str::from_utf8(line).expect("base64 is ASCII")).collect();
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"))
    }

    /// What `JSEncrypt` sends for this text: PKCS#1 v1.5, in base64. `None`: it is too long.
    pub fn encrypt(&self, text: &[u8]) -> Option<String> {
        let key = Pkcs1PublicEncryptingKey::new(self.key.clone()).ok()?;
        let mut sealed = vec![0; key.ciphertext_size()];
        key.encrypt(text, &mut sealed).ok().map(|sealed| STANDARD.encode(sealed))
    }
}

impl fmt::Debug for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pair").field("bytes", &self.bytes).field("ways", &self.ways()).finish_non_exhaustive()
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PublicKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_that_was_made_is_read_again_and_opens_what_its_half_has_closed() {
        let (pem, public) = generate().unwrap();
        let pair = Pair::read(pem.expose(), false).unwrap();
        for text in [pem.expose(), public.to_line().as_bytes(), public.to_pem().as_bytes()] {
            let sealed = PublicKey::read(text).unwrap().encrypt("ключ".as_bytes()).unwrap();
            let mut opened = [0; 256];
            let length = pair.open(0, &STANDARD.decode(sealed).unwrap(), &mut opened).unwrap();
            assert_eq!(&opened[..length], "ключ".as_bytes());
        }
        // Vendors 4.1: JSEncrypt takes 245 bytes with a key of 2048 bits.
        assert!(public.encrypt(&[7; 245]).is_some() && public.encrypt(&[7; 246]).is_none());
        assert!(!format!("{pair:?} {public:?}").contains("MII"));
    }

    #[test]
    fn what_is_no_pair_is_refused() {
        for (what, pem) in [
            ("nothing", &b""[..]),
            ("a public key", include_bytes!("../../../tests/fixtures/keys/rsa2048.pem")),
            ("a certificate", include_bytes!("../../../tests/fixtures/keys/certificate.pem")),
        ] {
            assert!(Pair::read(pem, false).is_err(), "{what}");
        }
        assert!(PublicKey::read(include_bytes!("../../../tests/fixtures/keys/rsa2048.pem")).is_ok());
        assert!(PublicKey::read(include_bytes!("../../../tests/fixtures/keys/rsa1024.pem")).is_err());
        assert!(PublicKey::read(include_bytes!("../../../tests/fixtures/keys/p256.pem")).is_err());
    }
}
