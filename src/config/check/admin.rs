//! `[admin]`, as meant.

use std::net::SocketAddr;
use std::sync::Arc;

use super::{listener, plain_name, secret};
use crate::admin::Settings;
use crate::admin::auth::Token;
use crate::clock::Clock;
use crate::config::file::{self, Admin, AdminTls, Named, Placed};
use crate::config::report::Report;
use crate::config::rules;
use crate::config::source::Source;
use crate::edge::tls::{Acceptor, Files, Half, Keeper, Part};
use crate::invalid::Invalid;

/// The shortest token, in bytes.
const SHORTEST: usize = 16;

/// The admin listener, if there is nothing wrong with it.
pub(super) fn admin(
    written: &Placed<Admin>,
    listeners: &[Named<file::Listener>],
    source: &Source,
    report: &mut Report,
) -> Option<Settings> {
    let table = &written.value;
    let address = address(table, listeners, report);
    let tokens = tokens(table, source, report);
    let authority = table.tls.as_ref().and_then(|tls| tls.value.client_ca.as_ref());
    if authority.is_none() && table.tokens.is_empty() {
        let invalid = Invalid::new("nobody could come in here: there is no token, and no authority of certificates")
            .hint("add [admin.tokens] with a name and a secret, or `client_ca` to `tls`");
        report.error(written.place.clone(), invalid);
    }
    let elsewhere = address.is_some_and(|address| !address.ip().is_loopback());
    if elsewhere && table.tls.is_some() && authority.is_none() {
        let invalid = Invalid::new("only callers on this machine can come in: tokens are taken from there alone")
            .hint("add `client_ca` to `tls`, or bind 127.0.0.1");
        report.find(&rules::UNREACHABLE_ADMIN, table.address.place.clone(), invalid);
    }
    let errors = report.errors();
    let tls = table.tls.as_ref().map(|tls| keeper(tls, !tokens.is_empty(), source, report));
    if report.errors() > errors {
        return None;
    }
    Some(Settings { address: address?, tls: tls.flatten(), tokens })
}

fn address(table: &Admin, listeners: &[Named<file::Listener>], report: &mut Report) -> Option<SocketAddr> {
    let place = || table.address.place.clone();
    let Ok(address) = table.address.value.parse::<SocketAddr>() else {
        let invalid = Invalid::new(format!("`{}` is not an address with a port", table.address.value))
            .hint("for example: 127.0.0.1:9443 or [::1]:9443");
        report.error(place(), invalid);
        return None;
    };
    if table.tls.is_none() && !address.ip().is_loopback() {
        let invalid = Invalid::new("without TLS, everything that is said here could be read on the way")
            .hint("bind 127.0.0.1 or [::1], or add tls = { certificate, key, client_ca }");
        report.error(place(), invalid);
    }
    let others = listeners.iter().filter_map(|named| Some(&named.table.as_ref()?.address));
    let taken = others.filter(|other| other.value.parse().is_ok_and(|other| listener::overlap(other, address)));
    for first in taken.take(1) {
        let invalid = Invalid::new(format!("`{address}` is taken by a listener"))
            .hint("give it a port of its own, or an address that the other does not cover");
        report.conflict(place(), invalid, first.place.clone(), "this one");
    }
    Some(address)
}

fn tokens(table: &Admin, source: &Source, report: &mut Report) -> Vec<Token> {
    let mut tokens: Vec<Token> = Vec::new();
    for (name, written) in &table.tokens {
        plain_name(&Placed::new(name.clone(), written.place.clone()), &[], report);
        let Some(secret) = secret(written, source, report) else { continue };
        let text = secret.expose();
        if text.len() < SHORTEST || !text.iter().all(u8::is_ascii_graphic) {
            let invalid = Invalid::new(format!("a token is {SHORTEST} or more visible ASCII characters"))
                .hint("for example what `openssl rand -hex 32` prints");
            report.error(written.place.clone(), invalid);
        } else if let Some(first) = tokens.iter().find(|token| token.secret.equals(text)) {
            // The audit trail could not tell them apart.
            let invalid = Invalid::new(format!("the token `{}` is the same", first.name));
            report.error(written.place.clone(), invalid);
        }
        tokens.push(Token { name: name.clone(), secret });
    }
    tokens
}

fn keeper(tls: &Placed<AdminTls>, tokens: bool, source: &Source, report: &mut Report) -> Option<Arc<Keeper>> {
    let (place, tls) = (&tls.place, &tls.value);
    let errors = report.errors();
    for file in [&tls.certificate, &tls.key].into_iter().chain(&tls.client_ca).chain(&tls.client_crl) {
        if let Err(invalid) = source.file(&file.value) {
            report.error(file.place.clone(), invalid);
        }
    }
    if let (Some(crl), None) = (&tls.client_crl, &tls.client_ca) {
        let invalid = Invalid::new("revoked client certificates need `client_ca`: nobody asks for a certificate here");
        report.error(crl.place.clone(), invalid);
    }
    if report.errors() > errors {
        return None;
    }
    if let Some(exposed) = source.exposure(&tls.key.value) {
        report.find(&rules::READABLE_SECRET, tls.key.place.clone(), exposed);
    }
    let files = Files {
        certificates: vec![(source.path(&tls.certificate.value), source.path(&tls.key.value))],
        client_ca: tls.client_ca.as_ref().map(|file| source.path(&file.value)),
        client_crl: tls.client_crl.as_ref().map(|file| source.path(&file.value)),
        ..Files::default()
    };
    let loaded = Acceptor::kept_demanding("admin", files, tokens);
    let place_of = |part| match part {
        Part::Own(_, Half::Certificate) => &tls.certificate.place,
        Part::Own(_, Half::Key) => &tls.key.place,
        Part::Whole => place,
        Part::Authorities => tls.client_ca.as_ref().map_or(place, |file| &file.place),
        Part::RevocationLists => tls.client_crl.as_ref().map_or(place, |file| &file.place),
    };
    match loaded {
        Ok(keeper) => {
            let now = Clock::system().unix();
            for own in &keeper.present().own {
                super::tls::flaws(own, &tls.certificate, now, report);
            }
            Some(Arc::new(keeper))
        }
        Err(mistakes) => {
            for own in mistakes {
                report.error(place_of(own.part).clone(), source.as_written(own.invalid));
            }
            None
        }
    }
}
