//! `tls` of a listener, as meant: whose certificates are shown and asked for, and what they are judged by.

use std::path::PathBuf;
use std::sync::Arc;

use crate::clock::{Clock, UnixTime};
use crate::config::file::{KeyPair, Placed, Tls};
use crate::config::report::Report;
use crate::config::source::Source;
use crate::edge::guard;
use crate::edge::http_versions::HttpVersions;
use crate::edge::tls::{Acceptor, Files, Part};
use crate::invalid::Invalid;

/// Whether callers are asked for a certificate.
pub(super) fn asks(tls: &Tls) -> bool {
    tls.client_certificates.as_ref().map_or(tls.client_ca.is_some(), |written| written.value)
}

pub(super) fn acceptor(
    written: &Placed<Tls>,
    versions: HttpVersions,
    source: &Source,
    report: &mut Report,
) -> Option<Arc<Acceptor>> {
    let tls = &written.value;
    let errors = report.errors();
    contradictions(tls, report);
    names(tls, report);
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
            report.warn(pair.key.place.clone(), exposed);
        }
    }
    let path = |written: &Placed<PathBuf>| source.path(&written.value);
    let files = Files {
        certificates: pairs.iter().map(|pair| (path(&pair.certificate), path(&pair.key))).collect(),
        client_ca: tls.client_ca.as_ref().map(path),
        client_crl: tls.client_crl.as_ref().map(path),
        ask: asks(tls),
        names: tls.names.iter().map(|name| name.value.clone()).collect(),
        versions,
    };
    match Acceptor::load(&files) {
        Ok(acceptor) => {
            revocation(&acceptor, tls, Clock::system().unix(), report);
            (report.errors() == errors).then(|| Arc::new(acceptor))
        }
        Err(mistakes) => {
            for mistake in mistakes {
                let place = match mistake.part {
                    Part::Own => None,
                    Part::Authorities => tls.client_ca.as_ref(),
                    Part::RevocationLists => tls.client_crl.as_ref(),
                };
                report.error(place.map_or(&written.place, |file| &file.place).clone(), mistake.invalid);
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
        report.warn(name.place.clone(), invalid);
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
        report.warn(place.clone(), invalid);
    }
}
