//! `tls` of a listener, as meant: whose certificates are shown and asked for, and what they are judged by.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, UnixTime};
use crate::config::file::{KeyPair, Placed, Tls, TlsFiles, TlsVersion};
use crate::config::nearest;
use crate::config::report::Report;
use crate::config::rules;
use crate::config::source::Source;
use crate::edge::guard;
use crate::edge::http_versions::HttpVersions;
use crate::edge::own_certificate::{Flaw, OwnCertificate};
use crate::edge::protocol::{Protocol, Suite, Version};
use crate::edge::tls::{Acceptor, Files, Half, Keeper, Part};
use crate::invalid::Invalid;

/// How often files are looked at. More often than every second is a slip of the keyboard.
pub(super) fn look(written: &TlsFiles, report: &mut Report) -> Duration {
    const LEAST: Duration = Duration::from_secs(1);
    let Some(reload) = &written.reload else { return Duration::from_secs(10) };
    if reload.value.0 < LEAST {
        report.error(reload.place.clone(), Invalid::new("files are looked at once a second at most"));
    }
    reload.value.0.max(LEAST)
}

/// Whether callers are asked for a certificate.
pub(super) fn asks(tls: &Tls) -> bool {
    tls.client_certificates.as_ref().map_or(tls.client_ca.is_some(), |written| written.value)
}

/// What the listener `name` shows and speaks.
pub(super) fn keeper(
    name: &str,
    written: &Placed<Tls>,
    versions: HttpVersions,
    source: &Source,
    report: &mut Report,
) -> Option<Arc<Keeper>> {
    let tls = &written.value;
    let errors = report.errors();
    contradictions(tls, report);
    names(tls, report);
    let protocol = protocol(tls, report);
    let first = KeyPair { certificate: tls.certificate.clone(), key: tls.key.clone() };
    let pairs: Vec<&KeyPair> = [&first].into_iter().chain(&tls.more).collect();
    let public = pairs.iter().map(|pair| &pair.certificate).chain(&tls.client_ca).chain(&tls.client_crl);
    for file in public.chain(pairs.iter().map(|pair| &pair.key)) {
        if let Err(invalid) = source.file(&file.value) {
            report.error(file.place.clone(), invalid);
        }
    }
    if report.errors() > errors {
        return None;
    }
    for pair in &pairs {
        if let Some(exposed) = source.exposure(&pair.key.value) {
            report.find(&rules::READABLE_SECRET, pair.key.place.clone(), exposed);
        }
    }
    let path = |written: &Placed<PathBuf>| source.path(&written.value);
    let files = Files {
        certificates: pairs.iter().map(|pair| (path(&pair.certificate), path(&pair.key))).collect(),
        client_ca: tls.client_ca.as_ref().map(path),
        client_crl: tls.client_crl.as_ref().map(path),
        ask: asks(tls),
        names: tls.names.iter().map(|name| name.value.clone()).collect(),
        protocol,
        versions,
    };
    match Acceptor::kept(name, files) {
        Ok(keeper) => {
            let now = Clock::system().unix();
            revocation(&keeper.present(), tls, now, report);
            for (own, pair) in keeper.present().own.iter().zip(&pairs) {
                flaws(own, &pair.certificate, now, report);
            }
            (report.errors() == errors).then(|| Arc::new(keeper))
        }
        Err(mistakes) => {
            for mistake in mistakes {
                let place = match mistake.part {
                    Part::Own(at, Half::Certificate) => pairs.get(at).map(|pair| &pair.certificate),
                    Part::Own(at, Half::Key) => pairs.get(at).map(|pair| &pair.key),
                    Part::Whole => None,
                    Part::Authorities => tls.client_ca.as_ref(),
                    Part::RevocationLists => tls.client_crl.as_ref(),
                };
                let place = place.map_or(&written.place, |file| &file.place);
                report.error(place.clone(), source.as_written(mistake.invalid));
            }
            None
        }
    }
}

fn contradictions(tls: &Tls, report: &mut Report) {
    if let (Some(crl), None) = (&tls.client_crl, &tls.client_ca) {
        let invalid = Invalid::new("revoked client certificates need `client_ca`: no list is believed without it");
        report.error(crl.place.clone(), invalid);
    }
    if let (Some(asked), Some(_)) = (tls.client_certificates.as_ref().filter(|asked| !asked.value), &tls.client_ca) {
        let invalid = Invalid::new("`client_ca` judges certificates that nobody is asked for")
            .hint("leave one of the two out: with `client_ca`, callers are asked");
        report.error(asked.place.clone(), invalid);
    }
}

/// What is spoken. Says so where nothing would be.
fn protocol(tls: &Tls, report: &mut Report) -> Protocol {
    let least = match tls.min_version.as_ref().map(|written| written.value) {
        None | Some(TlsVersion::Tls12) => Version::Tls12,
        Some(TlsVersion::Tls13) => Version::Tls13,
    };
    if let (Some(resumption), true) = (tls.session_resumption.as_ref().filter(|written| written.value), asks(tls)) {
        let invalid = Invalid::new("no session is resumed where callers are asked for a certificate")
            .hint("leave this out: who resumed one would not be asked again");
        report.error(resumption.place.clone(), invalid);
    }
    let resume = tls.session_resumption.as_ref().is_none_or(|written| written.value);
    let Some(written) = &tls.cipher_suites else { return Protocol { least, suites: Vec::new(), resume } };
    let mut suites: Vec<Suite> = Vec::new();
    let mut all_known = true;
    for name in &written.value {
        match suite(&name.value, least) {
            Ok(suite) => suites.push(suite),
            Err(invalid) => {
                all_known = false;
                report.error(name.place.clone(), invalid);
            }
        }
    }
    let speaks = |version| suites.iter().any(|suite| suite.version() == version);
    if written.value.is_empty() {
        report.error(written.place.clone(), Invalid::new("nothing is spoken without a cipher suite"));
    } else if let (Some(version), true, false) = (&tls.min_version, all_known, speaks(least)) {
        let invalid =
            Invalid::new("no suite here is of `min_version`").hint("add one of it, or leave `min_version` out");
        report.conflict(written.place.clone(), invalid, version.place.clone(), "it is said here");
    } else if all_known && !speaks(Version::Tls13) {
        let invalid = Invalid::new("nobody speaks TLS 1.3 with these suites")
            .hint("add `TLS_AES_256_GCM_SHA384` and `TLS_AES_128_GCM_SHA256`");
        report.find(&rules::NO_TLS13, written.place.clone(), invalid);
    }
    Protocol { least, suites, resume }
}

fn suite(name: &str, least: Version) -> Result<Suite, Invalid> {
    let Some(suite) = Suite::named(name) else {
        let known: Vec<String> = Suite::all().map(Suite::name).collect();
        let mut invalid = Invalid::new(format!("`{name}` is no cipher suite that is spoken"));
        invalid.hint = nearest::hint(name, known.iter().map(String::as_str));
        return Err(invalid);
    };
    if suite.version() < least {
        return Err(Invalid::new(format!("`{name}` is a suite of TLS 1.2, which is not spoken here"))
            .hint("leave it out, or let `min_version` be \"1.2\""));
    }
    Ok(suite)
}

/// What callers would find wrong with a certificate. None of it keeps the house from starting: the one that is there may
/// be all that there is.
pub(super) fn flaws(own: &OwnCertificate, written: &Placed<PathBuf>, now: UnixTime, report: &mut Report) {
    for flaw in own.flaws(now) {
        let renew = "renew it: a new one is read without a restart";
        let rule = match flaw {
            Flaw::Expired(_) => &rules::CERTIFICATE_EXPIRED,
            Flaw::ExpiresSoon(_) => &rules::CERTIFICATE_EXPIRES,
            Flaw::NotYetValid(_) | Flaw::Nameless | Flaw::OutOfOrder => &rules::CERTIFICATE_FLAW,
        };
        let invalid = match flaw {
            Flaw::Expired(end) => {
                Invalid::new(format!("this certificate, or one behind it, expired on {}", end.to_text())).hint(renew)
            }
            Flaw::ExpiresSoon(end) => {
                let days = own.days_left(now);
                Invalid::new(format!(
                    "this certificate, or one behind it, expires in {days} days, on {}",
                    end.to_text()
                ))
                .hint(renew)
            }
            Flaw::NotYetValid(begin) => {
                Invalid::new(format!("this certificate, or one behind it, is not valid before {}", begin.to_text()))
            }
            Flaw::Nameless => Invalid::new("this certificate names no host: callers look at `subjectAltName` alone")
                .hint("let it be issued with the names that callers use"),
            Flaw::OutOfOrder => Invalid::new("the certificates in this file do not stand in order")
                .hint("the server's own comes first, and after each one that of its issuer"),
        };
        report.find(rule, written.place.clone(), invalid);
    }
}

fn names(tls: &Tls, report: &mut Report) {
    for name in &tls.names {
        let literal = name.value.parse::<std::net::IpAddr>().is_ok();
        if !literal && !guard::is_host(name.value.strip_prefix("*.").unwrap_or(&name.value)) {
            let invalid = Invalid::new(format!("`{}` is neither a name nor an address", name.value))
                .hint("write it without a port: \"admin.example.com\", \"*.example.com\" or \"203.0.113.9\"");
            report.error(name.place.clone(), invalid);
        }
    }
    if let (Some(name), false) = (tls.names.first(), asks(tls)) {
        let invalid = Invalid::new("these names are asked for only where callers are asked for a certificate")
            .hint("leave `names` out, or add `client_ca`");
        report.find(&rules::IN_VAIN, name.place.clone(), invalid);
    }
}

/// A list that is over at the start, or that is missing, keeps everyone out: nobody means that.
fn revocation(acceptor: &Acceptor, tls: &Tls, now: UnixTime, report: &mut Report) {
    let Some(place) = tls.client_crl.as_ref().map(|file| &file.place) else { return };
    for list in acceptor.revocation_lists() {
        let end = u64::try_from(list.next_update).map_or(UnixTime(0), UnixTime);
        if now >= end {
            let invalid =
                Invalid::new(format!("the revocation list of `{}` expired on {}", list.issuer, end.to_text()))
                    .hint("every certificate of this authority would be refused: get its present list");
            report.error(place.clone(), invalid);
        }
    }
    for authority in acceptor.unlisted() {
        let invalid = Invalid::new(format!("no list here is of `{authority}`: every certificate of it is refused"))
            .hint("put the lists of all authorities, those in between included, into this one file");
        report.find(&rules::UNLISTED_AUTHORITY, place.clone(), invalid);
    }
}
