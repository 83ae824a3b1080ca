//! Which pages may ask: the hosts of `Origin`, of `Referer` and of parameters that say where a page is, each of which must
//! be authorised (CameraTag; RFC 6455 §10.2 for WebSocket, which knows no CORS).

use std::borrow::Cow;

use http::header::{ORIGIN, REFERER};
use http::{HeaderMap, HeaderName};
use percent_encoding::percent_decode_str;

use crate::edge::head::Head;
use crate::edge::pairs;
use crate::edge::preface::Preface;
use crate::record::{Hosts, Page};
use crate::refusal::{Cause, Refusal};
use crate::scheme::{Principal, Scene};

/// Which pages may ask.
#[derive(Debug)]
pub struct Rule {
    /// The authorised hosts. `None`: those of the app that speaks, or else of the app that the route says.
    pub hosts: Option<Hosts>,
    /// Parameters in the query and in forms that say where a page is.
    pub parameters: Vec<Box<str>>,
    /// Whether a request that says nothing of a page is refused, where hosts are listed.
    pub required: bool,
}

fn refuse(detail: &'static str) -> Refusal {
    Refusal::new(Cause::OriginRefused, detail)
}

/// The page that `Origin` tells of, in the one field that there is.
pub fn page(fields: &HeaderMap) -> Option<Page> {
    let mut values = fields.get_all(ORIGIN).iter();
    values.next().filter(|_| values.next().is_none()).and_then(|value| Page::of_origin(value.as_bytes()))
}

impl Rule {
    /// Refuses a request from a page of another host, whatever says so.
    pub fn check(
        &self,
        principal: &Principal,
        (head, preface): (&Head<'_>, &Preface),
        scene: &Scene<'_>,
    ) -> Result<(), Refusal> {
        if let Some(hosts) = self.hosts.as_ref().or_else(|| principal.app().map(|app| &app.hosts)) {
            return self.check_hosts(hosts, head, preface);
        }
        let record = scene.named_app();
        let app = record.as_ref().and_then(|record| record.attributes.app());
        self.check_hosts(&app.ok_or_else(|| refuse("nobody here knows the app"))?.hosts, head, preface)
    }

    fn check_hosts(&self, hosts: &Hosts, head: &Head<'_>, preface: &Preface) -> Result<(), Refusal> {
        if hosts.is_empty() {
            return Ok(());
        }
        let origin = one_field(head, &ORIGIN, Page::of_origin, hosts)?;
        let referer = one_field(head, &REFERER, Page::at, hosts)?;
        let mut told = origin || referer;
        for pair in head.query().unwrap_or_default().split('&') {
            // To some readers a semicolon ends a pair as well: they would find one that nobody has looked at.
            if pair.split(';').skip(usize::from(!named(pair).0.contains(';'))).any(|part| self.is_named(named(part).0))
            {
                return Err(refuse("a page is told of behind a semicolon"));
            }
            let (name, value) = named(pair);
            if self.is_named(name) {
                check(hosts, Page::at(&Cow::from(percent_decode_str(value))))?;
                told = true;
            }
        }
        for value in self.parameters.iter().flat_map(|own| preface.values(own)) {
            check(hosts, Page::at(value))?;
            told = true;
        }
        if !told && self.required {
            return Err(refuse("nothing says which page asks"));
        }
        Ok(())
    }

    /// Whether some reader would find one of the parameters under this name, as it stands in the query.
    fn is_named(&self, name: &str) -> bool {
        self.parameters.iter().any(|own| pairs::is_called(name, own))
    }
}

/// Checks what one field tells of a page; says whether it tells of any.
fn one_field(
    head: &Head<'_>,
    name: &HeaderName,
    read: fn(&[u8]) -> Option<Page>,
    hosts: &Hosts,
) -> Result<bool, Refusal> {
    let mut values = head.headers().get_all(name).iter();
    let Some(value) = values.next() else { return Ok(false) };
    if values.next().is_some() {
        return Err(refuse("two fields tell of the page that asks"));
    }
    check(hosts, read(value.as_bytes()))?;
    Ok(true)
}

fn check(hosts: &Hosts, page: Option<Page>) -> Result<(), Refusal> {
    match page {
        Some(page) if hosts.allow(&page) => Ok(()),
        Some(_) => Err(refuse("the page that asks is of another host")),
        None => Err(refuse("what tells of the page that asks is no address of one")),
    }
}

/// The name and the value of a pair.
fn named(pair: &str) -> (&str, &str) {
    pair.split_once('=').unwrap_or((pair, ""))
}

#[cfg(test)]
mod tests;
