//! Public keys of service accounts, from PEM.

use jsonwebtoken::DecodingKey;
use x509_parser::pem::parse_x509_pem;
use x509_parser::prelude::{FromDer, SubjectPublicKeyInfo};
use x509_parser::public_key::{PublicKey as Parsed, RSAPublicKey};

use crate::invalid::Invalid;
use crate::record::PublicKey;

/// What aws-lc verifies with: anything else would be refused at the first token.
const BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// An RSA public key that is long enough.
pub(crate) fn read(pem: &[u8]) -> Result<PublicKey, Invalid> {
    let (_, block) = parse_x509_pem(pem)
        .map_err(|_| Invalid::new("this is not PEM").hint("it begins with -----BEGIN PUBLIC KEY-----"))?;
    let bits = match block.label.as_str() {
        "PUBLIC KEY" => subject_public_key_bits(&block.contents),
        "RSA PUBLIC KEY" => RSAPublicKey::from_der(&block.contents).ok().map(|(_, key)| key.key_size()),
        "CERTIFICATE" => {
            return Err(Invalid::new("this is a certificate, not a public key")
                .hint("openssl x509 -in cert.pem -noout -pubkey > key.pem"));
        }
        label if label.contains("PRIVATE KEY") => {
            return Err(Invalid::new("this is a private key: it belongs to the service account alone")
                .hint("openssl pkey -in private.pem -pubout > key.pem"));
        }
        label => return Err(Invalid::new(format!("this is a `{label}`, not a public key"))),
    };
    match bits {
        None => Err(Invalid::new("this is not an RSA public key").hint("service accounts sign with RS256")),
        Some(bits) if !BITS.contains(&bits) => {
            Err(Invalid::new(format!("this RSA key has {bits} bits; it takes {} to {}", BITS.start(), BITS.end())))
        }
        Some(_) => DecodingKey::from_rsa_pem(pem)
            .map(PublicKey)
            .map_err(|_| Invalid::new("this RSA public key cannot be used")),
    }
}

fn subject_public_key_bits(der: &[u8]) -> Option<usize> {
    let (rest, info) = SubjectPublicKeyInfo::from_der(der).ok()?;
    let Ok(Parsed::RSA(key)) = info.parsed() else { return None };
    rest.is_empty().then(|| key.key_size())
}

#[cfg(test)]
mod tests {
    use super::*;

    // Made with `openssl genrsa 2048 | openssl rsa -pubout` (and `-RSAPublicKey_out`, `1024`), `openssl ecparam`,
    // `openssl req -x509`.
    const SPKI: &str = include_str!("../tests/fixtures/keys/rsa2048.pem");
    const PKCS1: &str = include_str!("../tests/fixtures/keys/rsa2048-pkcs1.pem");
    const SHORT: &str = include_str!("../tests/fixtures/keys/rsa1024.pem");
    const ELLIPTIC: &str = include_str!("../tests/fixtures/keys/p256.pem");
    const CERTIFICATE: &str = include_str!("../tests/fixtures/keys/certificate.pem");

    #[test]
    fn both_forms_of_an_rsa_key_are_taken() {
        assert!(read(SPKI.as_bytes()).is_ok());
        assert!(read(PKCS1.as_bytes()).is_ok());
    }

    #[test]
    fn anything_else_is_named_for_what_it_is() {
        for (pem, expected) in [
            (SHORT, "this RSA key has 1024 bits; it takes 2048 to 8192"),
            (ELLIPTIC, "this is not an RSA public key"),
            (CERTIFICATE, "this is a certificate, not a public key"),
            (
                "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
                "this is a private key: it belongs to the service account alone",
            ),
            ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "this is not an RSA public key"),
            ("ssh-rsa AAAAB3NzaC1yc2E", "this is not PEM"),
            ("", "this is not PEM"),
        ] {
            assert_eq!(read(pem.as_bytes()).unwrap_err().message, expected);
        }
    }
}
