//! PEM files with certificates and keys, and what is wrong with one in words that help whoever has written its name.

use std::path::Path;

use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use crate::invalid::Invalid;

/// One half of what a side shows of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Half {
    /// The chain of certificates.
    Certificate,
    /// The private key.
    Key,
}

/// Reads a certificate chain and its key, which must belong together.
///
/// # Errors
///
/// Everything that is wrong with either half.
pub fn certified_key(
    certificate: &Path,
    key: &Path,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, Vec<(Half, Invalid)>> {
    let chain = certificates(certificate).map_err(|invalid| (Half::Certificate, invalid));
    let read = private_key(key).map_err(|invalid| (Half::Key, invalid));
    let (chain, read) = match (chain, read) {
        (Ok(chain), Ok(key)) => (chain, key),
        (chain, read) => return Err(chain.err().into_iter().chain(read.err()).collect()),
    };
    CertifiedKey::from_der(chain, read, provider).map_err(|error| vec![unfit(&error, certificate, key)])
}

/// What is wrong with two halves that could be read.
fn unfit(error: &rustls::Error, certificate: &Path, key: &Path) -> (Half, Invalid) {
    if matches!(error, rustls::Error::InconsistentKeys(_)) {
        let invalid = Invalid::new(format!("{} is not the key of {}", key.display(), certificate.display()));
        let hint = "it is the one that the certificate was made for: `openssl x509 -in FILE -noout -pubkey` and \
                    `openssl pkey -in FILE -pubout` then print the same";
        return (Half::Key, invalid.hint(hint));
    }
    if matches!(error, rustls::Error::InvalidCertificate(_)) {
        let invalid = Invalid::new(format!("the first certificate in {} cannot be read", certificate.display()));
        return (Half::Certificate, invalid.hint("`openssl x509 -in FILE -noout -text` shows one that can"));
    }
    let invalid = Invalid::new(format!("the key in {} is of no kind that is spoken", key.display()));
    (Half::Key, invalid.hint("RSA from 2048 bits on, ECDSA over P-256, P-384 or P-521, or Ed25519"))
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, Invalid> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| {
        Invalid::new(match flaw(&error) {
            Some(flaw) => format!("no private key can be read from {}: {flaw}", path.display()),
            None => format!("{} holds no private key", path.display()),
        })
        .hint(
            "a key is PEM and begins with -----BEGIN PRIVATE KEY-----; of one that has a passphrase, or is DER, \
             `openssl pkey -in FILE` prints that",
        )
    })
}

/// Reads a PEM file with at least one certificate.
pub fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Invalid> {
    const HINT: &str = "a certificate is PEM and begins with -----BEGIN CERTIFICATE-----; of one that is DER, \
                        `openssl x509 -inform DER -in FILE` prints that";
    let nothing = || Invalid::new(format!("{} holds no certificate", path.display())).hint(HINT);
    let chain: Vec<_> =
        CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<_, _>>).map_err(|error| {
            flaw(&error).map_or_else(nothing, |flaw| {
                Invalid::new(format!("no certificate can be read from {}: {flaw}", path.display())).hint(HINT)
            })
        })?;
    if chain.is_empty() { Err(nothing()) } else { Ok(chain) }
}

/// What is wrong with a PEM file; `None`: what is looked for is not in it.
pub(super) fn flaw(error: &pem::Error) -> Option<String> {
    Some(match error {
        pem::Error::NoItemsFound => return None,
        pem::Error::MissingSectionEnd { .. } => "the line -----END …----- is missing: the file was cut off".to_owned(),
        pem::Error::IllegalSectionStart { .. } => "a line that begins with ----- is not as PEM has it".to_owned(),
        pem::Error::Base64Decode(_) => "what stands between -----BEGIN and -----END is not base64".to_owned(),
        pem::Error::Io(error) => error.to_string(),
        pem::Error::SectionTooLarge => "a part of it is too large".to_owned(),
        _ => "it is not PEM".to_owned(),
    })
}

/// The authorities in a PEM file.
pub fn roots(path: &Path) -> Result<RootCertStore, Invalid> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|error| {
            Invalid::new(format!("{} holds a certificate that cannot be an authority: {error}", path.display()))
        })?;
    }
    Ok(roots)
}
