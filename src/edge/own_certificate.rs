//! A certificate that a listener shows: until when it is good, whom it names, and whether those behind it stand in order.
//! Callers find these mistakes first; so they are looked for here.

use std::path::{Path, PathBuf};

use rustls::pki_types::CertificateDer;
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

use crate::clock::UnixTime;

/// One day, in seconds.
const DAY: i64 = 24 * 3600;
/// How long before its end it is time to renew a certificate, in days.
const SOON: i64 = 14;

/// A certificate that a listener shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnCertificate {
    /// The file that it was read from.
    pub file: PathBuf,
    /// It and all behind it are good from then on, in seconds since the epoch.
    pub not_before: i64,
    /// And until then, that second included.
    pub not_after: i64,
    /// The hosts that it names, in lower case; `*.` stands for one label.
    pub hosts: Vec<String>,
    /// Whether it names any host or address (RFC 9525 §2): callers do not look at its common name.
    pub has_names: bool,
    /// Whether each one behind it has issued the one before (RFC 8446 §4.4.2: older callers need it).
    pub in_order: bool,
}

/// What is wrong with a certificate though it can be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// It is over, since then.
    Expired(UnixTime),
    /// It will be over within 14 days, then.
    ExpiresSoon(UnixTime),
    /// It begins then.
    NotYetValid(UnixTime),
    /// It names no host.
    Nameless,
    /// Those behind it are not in order.
    OutOfOrder,
}

impl OwnCertificate {
    /// What is noted of a chain, the own certificate first.
    pub(super) fn of(file: &Path, chain: &[CertificateDer<'_>]) -> Self {
        let links: Vec<Link> = chain.iter().filter_map(Link::of).collect();
        let own = links.first();
        Self {
            file: file.to_owned(),
            not_before: links.iter().map(|link| link.not_before).max().unwrap_or(i64::MIN),
            not_after: links.iter().map(|link| link.not_after).min().unwrap_or(i64::MAX),
            hosts: own.map(|own| own.hosts.clone()).unwrap_or_default(),
            has_names: own.is_some_and(|own| own.has_names),
            in_order: links.windows(2).all(|pair| pair[0].issuer == pair[1].subject),
        }
    }

    /// Whether it is for a host of a route, `api.example.com` or `*.example.com`.
    pub fn is_for(&self, host: &str) -> bool {
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        let wildcard = host.split_once('.').map(|(_, parent)| format!("*.{parent}"));
        self.hosts.iter().any(|own| *own == host || Some(own) == wildcard.as_ref())
    }

    /// Whole days until it is over; negative where it is.
    pub fn days_left(&self, now: UnixTime) -> i64 {
        self.not_after.saturating_sub(seconds(now)).div_euclid(DAY)
    }

    /// What is wrong with its dates.
    pub fn untimely(&self, now: UnixTime) -> Option<Flaw> {
        let instant = |seconds: i64| UnixTime(u64::try_from(seconds).unwrap_or(0));
        if seconds(now) > self.not_after {
            return Some(Flaw::Expired(instant(self.not_after)));
        }
        if seconds(now) < self.not_before {
            return Some(Flaw::NotYetValid(instant(self.not_before)));
        }
        (self.days_left(now) < SOON).then(|| Flaw::ExpiresSoon(instant(self.not_after)))
    }

    /// Everything that is wrong with it.
    pub fn flaws(&self, now: UnixTime) -> impl Iterator<Item = Flaw> {
        let others = [(!self.has_names).then_some(Flaw::Nameless), (!self.in_order).then_some(Flaw::OutOfOrder)];
        self.untimely(now).into_iter().chain(others.into_iter().flatten())
    }
}

/// What is looked at of each certificate of a chain.
struct Link {
    not_before: i64,
    not_after: i64,
    hosts: Vec<String>,
    has_names: bool,
    subject: Vec<u8>,
    issuer: Vec<u8>,
}

impl Link {
    fn of(der: &CertificateDer<'_>) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let alternatives = certificate.subject_alternative_name().ok().flatten();
        let names = alternatives.map(|alternatives| &alternatives.value.general_names[..]).unwrap_or_default();
        let host =
            |name: &_| if let GeneralName::DNSName(name) = name { Some(name.to_ascii_lowercase()) } else { None };
        Some(Self {
            not_before: certificate.validity().not_before.timestamp(),
            not_after: certificate.validity().not_after.timestamp(),
            hosts: names.iter().filter_map(host).collect(),
            has_names: !names.is_empty(),
            subject: certificate.subject().as_raw().to_vec(),
            issuer: certificate.issuer().as_raw().to_vec(),
        })
    }
}

fn seconds(time: UnixTime) -> i64 {
    i64::try_from(time.0).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};

    use super::*;

    /// 2025-01-01.
    const NOW: UnixTime = UnixTime(1_735_689_600);

    fn authority(name: &str, until: i32) -> CertifiedIssuer<'static, KeyPair> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.not_after = date_time_ymd(until, 1, 1);
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    }

    fn leaf(names: &[&str], from: (i32, u8, u8), until: (i32, u8, u8)) -> CertificateDer<'static> {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.not_before = date_time_ymd(from.0, from.1, from.2);
        params.not_after = date_time_ymd(until.0, until.1, until.2);
        params.signed_by(&KeyPair::generate().unwrap(), &authority("one", 2030)).unwrap().der().clone()
    }

    fn flaws(chain: &[CertificateDer<'_>]) -> Vec<Flaw> {
        OwnCertificate::of(Path::new("a.pem"), chain).flaws(NOW).collect()
    }

    #[test]
    fn what_callers_would_find_wrong_is_found() {
        let day = |days: u64| UnixTime(NOW.0 + days * 24 * 3600);
        let past = (2024, 1, 1);
        for (names, from, until, expected) in [
            (&["a.example"][..], past, (2025, 1, 15), vec![]),
            (&["a.example"], past, (2025, 1, 14), vec![Flaw::ExpiresSoon(day(13))]),
            (&["a.example"], past, (2024, 12, 31), vec![Flaw::Expired(UnixTime(NOW.0 - 24 * 3600))]),
            (&["a.example"], (2025, 1, 2), (2026, 1, 1), vec![Flaw::NotYetValid(day(1))]),
            (&[], past, (2026, 1, 1), vec![Flaw::Nameless]),
        ] {
            assert_eq!(flaws(&[leaf(names, from, until)]), expected, "{names:?} {from:?} {until:?}");
        }
    }

    #[test]
    fn a_certificate_is_for_the_hosts_that_it_names() {
        let der = leaf(&["A.example", "*.w.example"], (2024, 1, 1), (2026, 1, 1));
        let own = OwnCertificate::of(Path::new("a.pem"), &[der]);
        for (host, expected) in [
            ("a.example", true),
            ("A.EXAMPLE.", true),
            ("x.w.example", true),
            ("*.w.example", true),
            ("x.y.w.example", false),
            ("*.a.example", false),
            ("w.example", false),
            ("b.example", false),
        ] {
            assert_eq!(own.is_for(host), expected, "{host}");
        }
    }

    #[test]
    fn a_chain_ends_with_its_first_certificate_that_does_and_is_in_order() {
        let [one, two, short] = [("one", 2030), ("two", 2030), ("one", 2024)].map(|(name, end)| authority(name, end));
        let own = leaf(&["a.example"], (2024, 1, 1), (2026, 1, 1));
        assert_eq!(flaws(&[own.clone(), one.der().clone()]), []);
        assert_eq!(flaws(&[own.clone(), two.der().clone(), one.der().clone()]), [Flaw::OutOfOrder]);
        assert!(matches!(flaws(&[own, short.der().clone()])[..], [Flaw::Expired(_)]));
    }
}
