//! The certificate of a client: what is noted of it when the handshake is done, and whether it is still good when a
//! request comes. The handshake has proven that the client holds its key, and nothing more; chain, validity and
//! revocation are judged here, so that a refusal can be worded as HTTP instead of a broken handshake.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::path::Path;
use std::sync::{Arc, Weak};

use aws_lc_rs::digest;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime as Instant};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use rustls::{CertificateError, Error};
use x509_parser::prelude::{CertificateRevocationList, FromDer as _, X509Certificate};

use super::distinguished_name;
use super::pem_file::{certificates, flaw, roots};
use super::tls::{Asking, Keeper, Mistake, Part};
use crate::clock::UnixTime;
use crate::invalid::Invalid;
use crate::refusal::Reason;

/// A client certificate. Possession of its key is proven by the handshake.
#[derive(Debug)]
pub struct ClientCertificate {
    /// SHA-256 of the whole certificate.
    pub sha256: [u8; 32],
    /// Its subject, as RFC 4514 and `openssl x509 -nameopt RFC2253` write it; empty where that could be read in two ways.
    pub subject: String,
    /// The one common name of the subject.
    pub common_name: Option<Box<str>>,
    /// Good from then on, in seconds since the epoch.
    pub not_before: i64,
    /// Good until then, that second included.
    pub not_after: i64,
    /// What is said of it by those who judge it.
    pub standing: Standing,
}

/// What is said of a certificate: when the connection began, and anew at the first request after authorities or lists were
/// read anew.
#[derive(Debug)]
pub struct Standing {
    word: Cell<Word>,
    again: Option<Again>,
}

/// What was said of it once.
#[derive(Clone, Copy, Debug)]
pub struct Word {
    /// Whether the listener's `client_ca` vouches for it (chain, purpose, validity, revocation), and the last second for
    /// which that is said: another certificate of the chain, or the list that does not name it, may end before it does.
    pub verdict: Result<i64, Doubt>,
    /// Whether a list of its issuer names it, be that list over by now or not: who was taken back stays so.
    pub revoked: bool,
}

/// What it takes to ask anew.
#[derive(Debug)]
struct Again {
    keeper: Arc<Keeper>,
    /// The certificate first, as the client presented it.
    chain: Vec<CertificateDer<'static>>,
    /// Who was asked last. Not kept alive: lists may be large.
    asked: RefCell<Weak<Asking>>,
}

impl Standing {
    /// What is said once and for all.
    pub fn new(word: Word) -> Self {
        Self { word: Cell::new(word), again: None }
    }

    pub(super) fn word(&self, now: UnixTime) -> Word {
        if let Some(word) = self.again.as_ref().and_then(|again| again.word(self.word.get(), now)) {
            self.word.set(word);
        }
        self.word.get()
    }
}

impl Again {
    /// What is said now; `None` where that cannot have changed.
    fn word(&self, before: Word, now: UnixTime) -> Option<Word> {
        let present = self.keeper.present();
        let Some(asking) = present.asking() else {
            // The listener asks nobody any more.
            return Some(Word { verdict: Err(NO_AUTHORITY), ..before });
        };
        if std::ptr::eq(self.asked.borrow().as_ptr(), Arc::as_ptr(asking)) {
            return None;
        }
        self.asked.replace(Arc::downgrade(asking));
        let (leaf, intermediates) = self.chain.split_first()?;
        Some(asking.judge.word(leaf, intermediates, now))
    }
}

/// Why a certificate is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Doubt {
    /// What kind of wrong.
    pub reason: Reason,
    /// The precise cause, for the log.
    pub detail: &'static str,
}

const fn doubt(reason: Reason, detail: &'static str) -> Doubt {
    Doubt { reason, detail }
}

const UNREADABLE: Doubt = doubt(Reason::Malformed, "the certificate cannot be read in one way only");
const NO_AUTHORITY: Doubt = doubt(Reason::Unknown, "the listener names no authority of client certificates");
const EXPIRED: Doubt = doubt(Reason::Expired, "the certificate has expired");
const NOT_YET_VALID: Doubt = doubt(Reason::NotYetValid, "the certificate is not valid yet");
const REVOKED: Doubt = doubt(Reason::Disabled, "the certificate has been revoked");

impl ClientCertificate {
    /// Whether `now` lies within its own dates.
    pub fn in_time(&self, now: UnixTime) -> Result<(), Doubt> {
        let now = seconds(now);
        if self.not_before > self.not_after {
            return Err(UNREADABLE);
        }
        if now < self.not_before {
            return Err(NOT_YET_VALID);
        }
        if now > self.not_after {
            return Err(EXPIRED);
        }
        Ok(())
    }

    /// Whether an authority of the listener vouches for it at `now`, and until when: the last second, since 1970.
    pub fn vouched_for(&self, now: UnixTime) -> Result<i64, Doubt> {
        self.in_time(now)?;
        let last = self.standing.word(now).verdict?;
        if seconds(now) > last {
            return Err(doubt(Reason::Expired, "what vouched for the certificate has expired since"));
        }
        Ok(last)
    }

    /// Whether its authority has not taken it back. Says nothing of one that nobody could have.
    pub fn not_revoked(&self, now: UnixTime) -> Result<(), Doubt> {
        let Word { verdict, revoked } = self.standing.word(now);
        if revoked || verdict == Err(REVOKED) { Err(REVOKED) } else { Ok(()) }
    }

    /// Has it judged anew, `chain` being what the client presented, once `keeper` has others to ask than `asked`.
    pub(super) fn again(mut self, keeper: &Arc<Keeper>, asked: &Arc<Asking>, chain: &[CertificateDer<'_>]) -> Self {
        self.standing.again = Some(Again {
            keeper: Arc::clone(keeper),
            chain: chain.iter().map(|der| der.clone().into_owned()).collect(),
            asked: RefCell::new(Arc::downgrade(asked)),
        });
        self
    }
}

fn seconds(time: UnixTime) -> i64 {
    i64::try_from(time.0).unwrap_or(i64::MAX)
}

/// What certificates are judged by.
#[derive(Debug, Default)]
pub(super) struct Judge {
    /// Judges chains; `None`: no authority is named.
    pub(super) verifier: Option<Arc<dyn ClientCertVerifier>>,
    /// The revocation lists that it goes by.
    pub(super) lists: Vec<RevocationList>,
}

/// A revocation list, as far as it is looked at here.
#[derive(Debug)]
pub struct RevocationList {
    /// Whose it is, to compare.
    pub(super) issuer_der: Vec<u8>,
    /// Whose it is, to read.
    pub issuer: String,
    /// When it was made.
    pub this_update: i64,
    /// When it is over, that second included.
    pub next_update: i64,
    /// The serial numbers on it, as DER has them.
    revoked: HashSet<Box<[u8]>>,
}

impl RevocationList {
    fn names(&self, certificate: &X509Certificate<'_>) -> bool {
        self.issuer_der == certificate.issuer().as_raw() && self.revoked.contains(certificate.raw_serial())
    }
}

impl Judge {
    /// Notes what a client has presented, and judges it as of `now`.
    pub(super) fn examine(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> ClientCertificate {
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(digest::digest(&digest::SHA256, leaf).as_ref());
        let standing = Standing::new(self.word(leaf, intermediates, now));
        match readable(leaf) {
            Some(certificate) => ClientCertificate {
                sha256,
                subject: distinguished_name::written(certificate.subject()).unwrap_or_default(),
                common_name: distinguished_name::common_name(certificate.subject()).map(Into::into),
                not_before: certificate.validity().not_before.timestamp(),
                not_after: certificate.validity().not_after.timestamp(),
                standing,
            },
            None => ClientCertificate {
                sha256,
                subject: String::new(),
                common_name: None,
                not_before: i64::MAX,
                not_after: i64::MIN,
                standing,
            },
        }
    }

    /// What is to be said of a certificate as of `now`.
    fn word(&self, leaf: &CertificateDer<'_>, intermediates: &[CertificateDer<'_>], now: UnixTime) -> Word {
        let Some(certificate) = readable(leaf) else { return Word { verdict: Err(UNREADABLE), revoked: false } };
        let revoked = self.lists.iter().any(|list| list.names(&certificate));
        Word { verdict: self.verdict(leaf, intermediates, now), revoked }
    }

    fn verdict(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<i64, Doubt> {
        let Some(verifier) = &self.verifier else { return Err(NO_AUTHORITY) };
        let instant = Instant::since_unix_epoch(std::time::Duration::from_secs(now.0));
        verifier.verify_client_cert(leaf, intermediates, instant).map_err(|error| doubted(&error))?;
        Ok(self.end(leaf, intermediates, seconds(now)))
    }

    /// The earliest end of what this verdict may rest on. What has ended before it was given cannot be among that.
    fn end(&self, leaf: &CertificateDer<'_>, intermediates: &[CertificateDer<'_>], now: i64) -> i64 {
        let mut end = i64::MAX;
        for der in std::iter::once(leaf).chain(intermediates) {
            let Ok((_, certificate)) = X509Certificate::from_der(der) else { continue };
            let lists = self.lists.iter().filter(|list| list.issuer_der == certificate.issuer().as_raw());
            let ends = lists
                .map(|list| list.next_update.saturating_sub(1))
                .chain([certificate.validity().not_after.timestamp()]);
            end = ends.filter(|end| *end >= now).fold(end, i64::min);
        }
        end
    }
}

/// `None`: a subject with NUL, or bytes behind the certificate: somebody would read it otherwise than we do.
fn readable<'a>(der: &'a CertificateDer<'_>) -> Option<X509Certificate<'a>> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) if !certificate.subject().as_raw().contains(&0) => Some(certificate),
        Ok(_) | Err(_) => None,
    }
}

/// What the verifier says, in the words of the house.
fn doubted(error: &Error) -> Doubt {
    use CertificateError as Wrong;
    const UNCLEAR: Doubt = doubt(Reason::Mismatch, "the chain of the certificate does not hold");
    const NO_CLIENT: Doubt = doubt(Reason::Mismatch, "the certificate is not one for clients");
    const OUTDATED: Doubt = doubt(Reason::Mismatch, "the revocation list has expired");
    if matches!(error, Error::InvalidCertRevocationList(_)) {
        return doubt(Reason::Mismatch, "the revocation list is not its authority's");
    }
    let Error::InvalidCertificate(wrong) = error else { return UNCLEAR };
    let known = [
        (matches!(wrong, Wrong::Expired | Wrong::ExpiredContext { .. }), EXPIRED),
        (matches!(wrong, Wrong::NotValidYet | Wrong::NotValidYetContext { .. }), NOT_YET_VALID),
        (matches!(wrong, Wrong::Revoked), REVOKED),
        (matches!(wrong, Wrong::UnknownIssuer), doubt(Reason::Unknown, "no authority here has issued the certificate")),
        (matches!(wrong, Wrong::BadSignature), doubt(Reason::Mismatch, "the certificate is signed by somebody else")),
        (matches!(wrong, Wrong::InvalidPurpose | Wrong::InvalidPurposeContext { .. }), NO_CLIENT),
        (matches!(wrong, Wrong::ExpiredRevocationList | Wrong::ExpiredRevocationListContext { .. }), OUTDATED),
        (
            matches!(wrong, Wrong::UnknownRevocationStatus),
            doubt(Reason::Mismatch, "no revocation list speaks of the certificate"),
        ),
    ];
    known.into_iter().find_map(|(is, doubt)| is.then_some(doubt)).unwrap_or(UNCLEAR)
}

/// Who judges by these authorities and lists, and which of the authorities have no list though there are some.
pub(super) fn judge(
    ca: &Path,
    crl: Option<&Path>,
    anonymous: bool,
    provider: &Arc<CryptoProvider>,
) -> Result<(Judge, Vec<String>), Mistake> {
    let authorities = certificates(ca).map_err(|invalid| Part::Authorities.wrong(invalid))?;
    let roots = roots(ca).map_err(|invalid| Part::Authorities.wrong(invalid))?;
    let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    let (mut lists, mut unlisted) = (Vec::new(), Vec::new());
    if let Some(path) = crl {
        let ders = revocation_lists(path).map_err(|invalid| Part::RevocationLists.wrong(invalid))?;
        lists = ders.iter().filter_map(|der| noted(der)).collect();
        unlisted = authorities.iter().filter_map(|der| without_list(der, &lists)).collect();
        // An expired list would otherwise be taken for a fresh one. That a certificate of which no list speaks is refused,
        // anywhere in the chain, is the builder's default.
        builder = builder.with_crls(ders).enforce_revocation_expiration();
    }
    if anonymous {
        builder = builder.allow_unauthenticated();
    }
    let verifier = builder.build().map_err(|error| {
        if let VerifierBuilderError::InvalidCrl(wrong) = error {
            let invalid = Invalid::new(format!("a revocation list in this file cannot be used: {wrong:?}"))
                .hint("a list here is complete (no delta) and direct: signed by the authority that it speaks for");
            return Part::RevocationLists.wrong(invalid);
        }
        let invalid = format!("client certificates cannot be judged with {}: {error}", ca.display());
        Part::Authorities.wrong(Invalid::new(invalid))
    })?;
    Ok((Judge { verifier: Some(verifier), lists }, unlisted))
}

/// Reads a PEM file with at least one revocation list.
fn revocation_lists(path: &Path) -> Result<Vec<CertificateRevocationListDer<'static>>, Invalid> {
    const HINT: &str = "a list is PEM and begins with -----BEGIN X509 CRL-----; \
                        `openssl crl -inform DER -in FILE` prints one that is not";
    let nothing = || Invalid::new("this file holds no revocation list").hint(HINT);
    let lists: Vec<_> = CertificateRevocationListDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<_, _>>)
        .map_err(|error| {
        flaw(&error).map_or_else(nothing, |flaw| {
            Invalid::new(format!("no revocation list can be read from this file: {flaw}")).hint(HINT)
        })
    })?;
    if lists.is_empty() { Err(nothing()) } else { Ok(lists) }
}

fn noted(der: &CertificateRevocationListDer<'_>) -> Option<RevocationList> {
    let (_, list) = CertificateRevocationList::from_der(der).ok()?;
    Some(RevocationList {
        issuer_der: list.issuer().as_raw().to_vec(),
        issuer: distinguished_name::written(list.issuer()).unwrap_or_else(|| list.issuer().to_string()),
        // RFC 5280 §5.1.2.5: it is always there.
        this_update: list.last_update().timestamp(),
        next_update: list.next_update().map_or(i64::MIN, |end| end.timestamp()),
        revoked: list.iter_revoked_certificates().map(|entry| entry.raw_serial().into()).collect(),
    })
}

fn without_list(authority: &CertificateDer<'_>, lists: &[RevocationList]) -> Option<String> {
    let (_, certificate) = X509Certificate::from_der(authority).ok()?;
    let subject = certificate.subject();
    let listed = lists.iter().any(|list| list.issuer_der == subject.as_raw());
    (!listed).then(|| distinguished_name::written(subject).unwrap_or_else(|| subject.to_string()))
}
