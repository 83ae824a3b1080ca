//! The client certificate of the connection. The handshake has proven that the caller holds its key; here it is asked
//! whose it is. Known by itself (a pinned file, or its digest on file), a certificate needs no authority and may be
//! self-signed; known by its subject, or as any of an authority, the listener's `client_ca` must vouch for it. Dates hold
//! in every case and at every request, and so does a revocation.

use std::path::PathBuf;
use std::sync::Arc;

use http::HeaderValue;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use schemars::JsonSchema;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::clock::UnixTime;
use crate::edge::client_certificate::{ClientCertificate, Doubt};
use crate::edge::head::Head;
use crate::edge::preface::Preface;
use crate::invalid::Invalid;
use crate::record::{Kind, Record};
use crate::refusal::Reason;
use crate::scheme::principal::Certified;
use crate::scheme::{Kit, Places, Principal, Rejection, Scene, Scheme, usable};

/// `[scheme.<name>.mtls]`
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// PEM files with certificates that are good by themselves, whoever has issued them. Beside these, the certificates
    /// are good that are on file.
    #[serde(default)]
    pinned: Vec<PathBuf>,
    /// Whether every certificate of the listener's `client_ca` is good. Default: only those that are pinned or on file.
    #[serde(default)]
    trust_ca: bool,
}

/// The scheme.
#[derive(Debug)]
pub struct Mtls {
    /// SHA-256 of each.
    pinned: Vec<[u8; 32]>,
    trust_ca: bool,
    /// Who speaks with a certificate that is not on file.
    subject: HeaderValue,
}

impl From<Doubt> for Rejection {
    fn from(doubt: Doubt) -> Self {
        Self::new(doubt.reason, doubt.detail)
    }
}

impl Scheme for Mtls {
    type Settings = Settings;
    type Credential<'a> = &'a ClientCertificate;

    fn new(settings: Settings, kit: &Kit<'_>) -> Result<Self, Invalid> {
        let mut pinned = Vec::new();
        for path in &settings.pinned {
            pinned.extend(digests(&(kit.file)(path)?).ok_or_else(|| {
                Invalid::new(format!("{} holds no certificate", path.display()))
                    .hint("a certificate is PEM and begins with -----BEGIN CERTIFICATE-----")
            })?);
        }
        let subject = HeaderValue::try_from(format!("certificate:{}", kit.name))
            .map_err(|_| Invalid::new("the name of a scheme is written in visible ASCII characters"))?;
        Ok(Self { pinned, trust_ca: settings.trust_ca, subject })
    }

    fn places(&self) -> Places {
        Places::default()
    }

    fn read<'a>(&self, head: &Head<'a>, _: &'a Preface) -> Result<Option<&'a ClientCertificate>, Rejection> {
        Ok(head.connection().client_certificate())
    }

    fn verify(&self, certificate: &ClientCertificate, scene: &Scene<'_>) -> Result<Principal, Rejection> {
        certificate.in_time(scene.now)?;
        certificate.not_revoked(scene.now)?;
        let end = behind(certificate.not_after);
        let on_file = |text: &str| scene.directory.look_up(Kind::AdminCertificate, text.as_bytes());
        // Before it is asked whether it is pinned: one that was switched off on file is off.
        if let Some(record) = on_file(&hex(&certificate.sha256)) {
            return believed(record, scene).map(|principal| principal.until(end).certified(Certified::ByItself));
        }
        if self.pinned.contains(&certificate.sha256) {
            return Ok(self.holder().until(end).certified(Certified::ByItself));
        }
        // Until when it is vouched for is asked again while a stream is open: another list may have come by then.
        certificate.vouched_for(scene.now)?;
        if let Some(record) = subjects(certificate).find_map(on_file) {
            return believed(record, scene).map(|principal| principal.until(end).certified(Certified::ByAuthority));
        }
        if self.trust_ca {
            return Ok(self.holder().until(end).certified(Certified::ByAuthority));
        }
        Err(Rejection::new(Reason::Unknown, "the certificate is neither pinned nor on file"))
    }

    fn by_certificate(&self) -> bool {
        true
    }
}

impl Mtls {
    /// Whoever holds a certificate that no record is about.
    fn holder(&self) -> Principal {
        Principal::of_certificate("mtls", self.subject.clone())
    }
}

fn believed(record: Arc<Record>, scene: &Scene<'_>) -> Result<Principal, Rejection> {
    usable(&record, scene)?;
    Ok(Principal::of_record("mtls", record))
}

/// The second behind the last one that counts.
pub(super) fn behind(last: i64) -> UnixTime {
    UnixTime(u64::try_from(last).unwrap_or(0).saturating_add(1))
}

/// What a record may call the certificate: its whole subject, or its common name. Whoever has an authority sign a common
/// name may choose what it looks like, so that one which could be a whole subject, or a digest, is never looked for.
fn subjects(certificate: &ClientCertificate) -> impl Iterator<Item = &str> {
    let whole = Some(certificate.subject.as_str()).filter(|subject| !subject.is_empty());
    let common = certificate.common_name.as_deref().filter(|name| !name.contains('=') && !is_digest(name));
    whole.into_iter().chain(common)
}

/// Whether a text reads as SHA-256 does.
fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The digest by which a certificate is found, from what `sha256sum` prints, or `openssl x509 -fingerprint`, which has
/// colons, upper case and what it is in front.
pub(crate) fn digest(text: &str) -> Result<String, Invalid> {
    let text = match text.split_once('=') {
        Some((what, digest)) if what.eq_ignore_ascii_case("sha256 fingerprint") => digest.trim_ascii_end(),
        Some(_) | None => text,
    };
    let plain = if text.split(':').all(|byte| byte.len() == 2) { text.replace(':', "") } else { text.to_owned() };
    if is_digest(&plain) {
        return Ok(plain.to_ascii_lowercase());
    }
    Err(Invalid::new("SHA-256 is 64 hex digits, with or without colons between each two")
        .hint("`openssl x509 -in FILE -noout -fingerprint -sha256` prints it"))
}

/// The subject by which a certificate is found: a common name, or a whole one.
pub(crate) fn presentable(subject: &str) -> Result<String, Invalid> {
    if digest(subject).is_ok() {
        return Err(Invalid::new("this is a digest, and no subject").hint("write it as `sha256`"));
    }
    if !(1..=256).contains(&subject.len()) || subject.chars().any(char::is_control) {
        return Err(Invalid::new("a subject is 1 to 256 bytes without control characters"));
    }
    Ok(subject.to_owned())
}

fn digests(pem: &[u8]) -> Option<Vec<[u8; 32]>> {
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().ok()?;
    let digests = certificates.iter().map(|der| Sha256::digest(der).into()).collect::<Vec<_>>();
    (!digests.is_empty()).then_some(digests)
}

fn hex(digest: &[u8; 32]) -> String {
    digest
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|nibble| char::from(DIGITS[usize::from(nibble)]))
        .collect()
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scheme::stage::kit;

    #[test]
    fn a_pinned_file_holds_certificates() {
        let build = |pinned: &str| Mtls::new(toml::from_str(&format!("pinned = {pinned}")).unwrap(), &kit("ops"));
        assert_eq!(build("[]").unwrap().pinned.len(), 0);
        assert_eq!(build("[\"mtls/company.pem\", \"mtls/ops.pem\"]").unwrap().pinned.len(), 2);
        for (wrong, expected) in [
            ("mtls/ca.crl", "holds no certificate"),
            ("mtls/vectors.json", "holds no certificate"),
            ("no.pem", "no.pem"),
        ] {
            let invalid = build(&format!("[{wrong:?}]")).unwrap_err();
            assert!(invalid.message.contains(expected), "{invalid}");
        }
    }

    #[test]
    fn a_digest_is_taken_as_sha256sum_and_openssl_write_it() {
        let digest: [u8; 32] = std::array::from_fn(|at| u8::try_from(at * 8 + 1).unwrap());
        assert_eq!(hex(&digest), "0109111921293139414951596169717981899199a1a9b1b9c1c9d1d9e1e9f1f9");
        let plain = hex(&digest);
        let upper = plain.to_uppercase();
        let pairs: Vec<&str> = (0..32).map(|at| &upper[2 * at..2 * at + 2]).collect();
        let printed = ["sha256 Fingerprint=", "SHA256 Fingerprint="].map(|what| format!("{what}{}\n", pairs.join(":")));
        for good in [&plain, &upper, &pairs.join(":"), &printed[0], &printed[1]] {
            assert_eq!(super::digest(good).unwrap(), plain, "{good}");
            assert!(presentable(good).is_err(), "{good}");
        }
        let sha1 = format!("sha1 Fingerprint={}", pairs.join(":"));
        for wrong in
            [&plain[1..], &pairs[1..].join(":"), &pairs.join(" "), &format!("{}:", pairs.join(":")), &sha1, "", ":"]
        {
            assert!(super::digest(wrong).is_err(), "{wrong}");
        }
        for (subject, expected) in
            [("ops", true), ("", false), ("ops\n", false), (&"o".repeat(256), true), (&"o".repeat(257), false)]
        {
            assert_eq!(presentable(subject).is_ok(), expected, "{subject:?}");
        }
    }
}
