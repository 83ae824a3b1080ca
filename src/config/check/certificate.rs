//! Client certificates, as meant: routes that want one are reached where callers are asked for it, and nobody is asked in
//! vain.

use super::{route, tls};
use crate::config::file::{File, Listener, Named};
use crate::config::report::Report;
use crate::config::rules;
use crate::edge::listener as edge;
use crate::invalid::Invalid;

/// The kind of scheme that looks at certificates.
const KIND: &str = "mtls";

/// Says which routes could never see a certificate, and which listeners ask for certificates that no route looks at.
pub(super) fn certificates(file: &File, routes: &[Option<route::Checked>], report: &mut Report) {
    let mut looked_at = vec![false; file.listeners.len()];
    for (written, meant) in file.routes.iter().zip(routes) {
        let (Some(written), Some(meant)) = (&written.table, meant) else { continue };
        let names: Vec<&str> = meant.meant.authenticate.schemes().filter(|name| is_mtls(name, file)).collect();
        let Some(name) = names.first() else { continue };
        for at in &meant.listeners {
            let listener = &file.listeners[*at];
            if listener.table.as_ref().is_some_and(|table| table.decide.is_some()) {
                let invalid = Invalid::new(format!(
                    "`{name}` looks at client certificates, and at the listener `{}` callers show theirs to a proxy",
                    listener.name.value
                ))
                .hint(remedy(file));
                report.error(written.authenticate.place.clone(), invalid);
                continue;
            }
            looked_at[*at] = true;
            if !listener.table.as_ref().is_none_or(asks) {
                let invalid = Invalid::new(format!(
                    "`{name}` looks at client certificates, and the listener `{}` asks for none",
                    listener.name.value
                ))
                .hint(remedy(file));
                report.error(written.authenticate.place.clone(), invalid);
            }
        }
        if names.iter().any(|name| trusts_ca(name, file)) && meant.listeners.iter().all(|at| nobody_vouches(file, *at))
        {
            let invalid = Invalid::new("`trust_ca` lets nobody in here: no listener of this route names an authority")
                .hint("add `client_ca` to its `tls`");
            report.find(rules::NO_AUTHORITY.on(&written.name.value), written.authenticate.place.clone(), invalid);
        }
    }
    // A route that could not be read may be the one that looks, and what is wrong may be whom it looks for.
    if report.errors() > 0 {
        return;
    }
    for (listener, _) in file.listeners.iter().zip(looked_at).filter(|(_, looked_at)| !looked_at) {
        idle(listener, report);
    }
}

/// Warns of hosts for which callers would be shown a certificate that is for others.
pub(super) fn covered(
    file: &File,
    routes: &[Option<route::Checked>],
    listeners: &[edge::Listener],
    report: &mut Report,
) {
    for (written, meant) in file.routes.iter().zip(routes) {
        let host = written.table.as_ref().and_then(|table| table.host.as_ref());
        let (Some(host), Some(meant)) = (host, meant) else { continue };
        // Where a listener is in clear, somebody in front of it may have the certificate.
        let is_shown = |at: &usize| {
            // Of a listener that decides, only proxies see the certificate.
            let own = listeners.get(*at).filter(|listener| listener.decide.is_none());
            let keeper = own.and_then(|listener| listener.tls.as_ref());
            keeper.is_none_or(|keeper| keeper.present().own.iter().any(|own| own.is_for(&host.value)))
        };
        if !meant.listeners.iter().any(is_shown) {
            let invalid = Invalid::new(format!("no certificate of this route's listeners is for `{}`", host.value))
                .hint("add one to the `tls` of a listener: more = [{ certificate = \"…\", key = \"…\" }]");
            report.find(rules::UNCOVERED_HOST.on(&meant.meant.name), host.place.clone(), invalid);
        }
    }
}

fn idle(listener: &Named<Listener>, report: &mut Report) {
    let Some(tls) = listener.table.as_ref().and_then(|table| table.tls.as_ref()) else { return };
    let asked = tls.value.client_ca.as_ref().map(|file| &file.place);
    let asked = asked.or(tls.value.client_certificates.as_ref().map(|written| &written.place));
    if let (Some(place), true) = (asked, tls::asks(&tls.value)) {
        let invalid = Invalid::new("callers are asked for a certificate, but no route of this listener looks at it")
            .hint("name a scheme of the kind `mtls` in the `authenticate` of its routes");
        report.find(&rules::UNUSED_CERTIFICATES, place.clone(), invalid);
    }
}

fn asks(listener: &Listener) -> bool {
    listener.tls.as_ref().is_some_and(|tls| tls::asks(&tls.value))
}

fn nobody_vouches(file: &File, listener: usize) -> bool {
    let table = file.listeners[listener].table.as_ref();
    table.and_then(|table| table.tls.as_ref()).is_none_or(|tls| tls.value.client_ca.is_none())
}

fn remedy(file: &File) -> String {
    let is_one = |table: &Listener| asks(table) && table.decide.is_none();
    let asking = file.listeners.iter().filter(|listener| listener.table.as_ref().is_some_and(is_one));
    let names: Vec<String> = asking.map(|listener| format!("\"{}\"", listener.name.value)).collect();
    if names.is_empty() {
        "add `client_ca` to the `tls` of a listener, and name it in the `listeners` of the route".to_owned()
    } else {
        format!("keep the route to where they are asked for: listeners = [{}]", names.join(", "))
    }
}

fn is_mtls(name: &str, file: &File) -> bool {
    settings(name, file).is_some()
}

fn trusts_ca(name: &str, file: &File) -> bool {
    settings(name, file).and_then(|settings| settings.get("trust_ca")?.as_bool()).unwrap_or(false)
}

fn settings<'a>(name: &str, file: &'a File) -> Option<&'a toml::Value> {
    let scheme = file.schemes.iter().find(|scheme| scheme.name.value == name)?.table.as_ref()?;
    (scheme.kind.kind == KIND).then_some(&scheme.settings)
}
