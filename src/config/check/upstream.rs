//! `[upstream.<name>]`, as meant.

use std::path::PathBuf;
use std::sync::Arc;

use http::HeaderValue;
use rustls_pki_types::ServerName;
use url::Url;

use super::{balance, credential, plain_name};
use crate::config::file::{self, Named, Placed};
use crate::config::report::Report;
use crate::config::rules;
use crate::config::source::Source;
use crate::edge::tls::Half;
use crate::forward::names::System;
use crate::forward::policy::MOST_ENDPOINTS;
use crate::forward::tls;
use crate::forward::upstream::{Endpoint, Protocol, Timeouts, Upstream};
use crate::invalid::Invalid;
use crate::units::Span;

/// The upstreams; all of them, if the report has no error.
pub(super) fn upstreams(written: &[Named<file::Upstream>], source: &Source, report: &mut Report) -> Vec<Upstream> {
    let mut meant = Vec::new();
    for named in written {
        plain_name(&named.name, &[], report);
        if let Some(table) = &named.table {
            meant.extend(upstream(&named.name.value, table, source, report));
        }
    }
    meant
}

fn upstream(name: &str, table: &file::Upstream, source: &Source, report: &mut Report) -> Option<Upstream> {
    let errors = report.errors();
    let (endpoints, weights) = endpoints(&table.endpoints, report);
    let policy = balance::policy(table, weights, report);
    let host = balance::host(table.host.as_ref(), report);
    let secure = endpoints.iter().any(|endpoint| endpoint.tls);
    let credential = table.credential.as_ref().and_then(|own| credential::own(own, source, report));
    if !secure && report.errors() == errors {
        in_vain(table, report);
    }
    let files = files(table, source, report);
    if report.errors() > errors {
        return None;
    }
    let protocol = match table.protocol {
        file::UpstreamProtocol::Http1 => Protocol::Http1,
        file::UpstreamProtocol::Http2 => Protocol::Http2,
    };
    let trust = secure.then(|| tls::Terms::kept(&format!("upstream {name}"), files, protocol)).transpose();
    let tls = match trust {
        Ok(trust) => trust.map(Arc::new),
        Err(mistake) => {
            let mut wrong = |file: &Option<Placed<PathBuf>>, invalid| {
                let place = file.as_ref().map_or(&table.endpoints.place, |file| &file.place);
                report.error(place.clone(), source.as_written(invalid));
            };
            match mistake {
                tls::Mistake::Authorities(invalid) => wrong(&table.ca, invalid),
                tls::Mistake::Own(halves) => halves.into_iter().for_each(|(half, invalid)| match half {
                    Half::Certificate => wrong(&table.client_certificate, invalid),
                    Half::Key => wrong(&table.client_key, invalid),
                }),
            }
            return None;
        }
    };
    Some(Upstream {
        name: name.into(),
        endpoints,
        protocol,
        host: host?,
        credential,
        timeouts: timeouts(table),
        idle_connections: table.idle_connections.unwrap_or(64),
        tls,
        policy: Arc::new(policy?),
        lookup: Arc::new(System),
    })
}

/// What is said of TLS where nothing speaks it.
fn in_vain(table: &file::Upstream, report: &mut Report) {
    let files =
        [("ca", &table.ca), ("client_certificate", &table.client_certificate), ("client_key", &table.client_key)];
    let places = files.iter().filter_map(|(name, file)| Some((*name, &file.as_ref()?.place)));
    for (name, place) in places.chain(table.server_name.iter().map(|name| ("server_name", &name.place))) {
        let invalid = Invalid::new(format!("`{name}` is for https, and every endpoint here is http"));
        report.error(place.clone(), invalid);
    }
}

/// What TLS towards it needs; where something is wrong with that, the report has it.
fn files(table: &file::Upstream, source: &Source, report: &mut Report) -> tls::Files {
    for file in [&table.ca, &table.client_certificate, &table.client_key].into_iter().flatten() {
        if let Err(invalid) = source.file(&file.value) {
            report.error(file.place.clone(), invalid);
        }
    }
    let own = match (&table.client_certificate, &table.client_key) {
        (Some(certificate), Some(key)) => {
            if let Some(exposed) = source.exposure(&key.value) {
                report.find(&rules::READABLE_SECRET, key.place.clone(), exposed);
            }
            Some((source.path(&certificate.value), source.path(&key.value)))
        }
        (Some(alone), None) | (None, Some(alone)) => {
            let invalid = Invalid::new("`client_certificate` and `client_key` are presented together")
                .hint("name both of them, or none");
            report.error(alone.place.clone(), invalid);
            None
        }
        (None, None) => None,
    };
    let server_name = table.server_name.as_ref().and_then(|written| {
        let name = ServerName::try_from(written.value.clone()).ok();
        if name.is_none() {
            let invalid = Invalid::new(format!("`{}` is neither a name nor an address", written.value))
                .hint("write it as its certificate has it, without a port: \"vms.example.com\"");
            report.error(written.place.clone(), invalid);
        }
        name
    });
    tls::Files { ca: table.ca.as_ref().map(|ca| source.path(&ca.value)), own, server_name }
}

fn timeouts(table: &file::Upstream) -> Timeouts {
    let or = |span: Option<Span>, default: u64| span.unwrap_or(Span::seconds(default)).0;
    Timeouts {
        connect: or(table.timeouts.connect, 5),
        response: or(table.timeouts.response, 60),
        body: or(table.timeouts.body, 60),
        idle: or(table.timeouts.idle, 55),
    }
}

fn endpoints(written: &Placed<Vec<Placed<file::Endpoint>>>, report: &mut Report) -> (Vec<Endpoint>, Vec<u32>) {
    if written.value.is_empty() {
        report.error(written.place.clone(), Invalid::new("an upstream has at least one endpoint"));
    }
    if written.value.len() > MOST_ENDPOINTS {
        let invalid = Invalid::new(format!("an upstream has at most {MOST_ENDPOINTS} endpoints"));
        report.error(written.place.clone(), invalid);
    }
    let (mut meant, mut weights): (Vec<Endpoint>, _) = (Vec::new(), Vec::new());
    for Placed { value, place } in &written.value {
        let (url, weight) = value.parts();
        if !(1..=100).contains(&weight) {
            report.error(place.clone(), Invalid::new("a weight is 1 to 100"));
        }
        match endpoint(url) {
            Ok(endpoint) if meant.contains(&endpoint) => {
                report.error(place.clone(), Invalid::new("this endpoint is listed twice"));
            }
            Ok(endpoint) => {
                meant.push(endpoint);
                weights.push(weight);
            }
            Err(invalid) => {
                // It may hold a password.
                if url.contains('@') {
                    report.mask(place.clone());
                }
                report.error(place.clone(), invalid);
            }
        }
    }
    (meant, weights)
}

/// `http://10.0.0.5:8000`: what is asked for comes from the caller, who the gateway is from `credential`.
fn endpoint(text: &str) -> Result<Endpoint, Invalid> {
    let example = "for example: http://10.0.0.5:8000";
    let url = Url::parse(text).map_err(|error| Invalid::new(format!("this is no URL: {error}")).hint(example))?;
    let tls = match url.scheme() {
        "http" => false,
        "https" => true,
        other => return Err(Invalid::new(format!("an endpoint speaks http or https, not `{other}`")).hint(example)),
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Invalid::new("an endpoint names no user").hint("use `credential` with header and value"));
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return Err(Invalid::new("an endpoint is host and port only: the path is the caller's").hint(example));
    }
    let shown = url.host_str().filter(|host| !host.is_empty()).ok_or_else(|| Invalid::new("no host").hint(example))?;
    let port = url.port_or_known_default().expect("http and https have a default port");
    if port == 0 {
        return Err(Invalid::new("nobody listens on port 0").hint(example));
    }
    let authority = url.port().map_or_else(|| shown.to_owned(), |port| format!("{shown}:{port}"));
    Ok(Endpoint {
        tls,
        host: shown.trim_start_matches('[').trim_end_matches(']').into(),
        port,
        authority: HeaderValue::try_from(authority).map_err(|_| Invalid::new("this host cannot stand in a header"))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_host_and_port() {
        for (text, tls, host, port, authority) in [
            ("http://10.0.0.5:8000", false, "10.0.0.5", 8000, "10.0.0.5:8000"),
            ("http://vms.example/", false, "vms.example", 80, "vms.example"),
            ("https://vms.example:443", true, "vms.example", 443, "vms.example"),
            ("https://[2001:db8::1]:8443", true, "2001:db8::1", 8443, "[2001:db8::1]:8443"),
        ] {
            let authority = HeaderValue::from_static(authority);
            assert_eq!(endpoint(text), Ok(Endpoint { tls, host: host.into(), port, authority }), "{text}");
        }
    }

    #[test]
    fn anything_else_in_an_endpoint_is_a_mistake() {
        for text in [
            "10.0.0.5:8000",
            "vms.example",
            "ftp://vms.example",
            "http://vms.example/api",
            "http://vms.example?x=1",
            "http://vms.example#x",
            "http://user:password@vms.example",
            "http://user@vms.example",
            "http://",
            "http://vms.example:0",
            "http://vms.example:70000",
            "",
        ] {
            assert!(endpoint(text).is_err(), "{text}");
        }
    }
}
