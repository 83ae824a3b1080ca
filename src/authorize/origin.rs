//! Which pages may ask: the hosts of `Origin`, of `Referer` and of parameters that say where a page is, each of which must
//! be authorised (CameraTag, vendors 3.1 and 3.2).

use crate::edge::head::Head;
use crate::edge::preface::Preface;
use crate::record::Hosts;
use crate::refusal::{Cause, Refusal};
use crate::scheme::Principal;

/// Which pages may ask.
#[derive(Debug)]
pub struct Rule {
    /// The authorised hosts. `None`: those of the app that speaks.
    pub hosts: Option<Hosts>,
    /// Parameters in the query and in forms that say where a page is.
    pub parameters: Vec<Box<str>>,
    /// Whether a request that says nothing of a page is refused, where hosts are listed.
    pub required: bool,
}

impl Rule {
    /// Refuses a request from a page of another host.
    pub fn check(&self, principal: &Principal, head: &Head<'_>, preface: &Preface) -> Result<(), Refusal> {
        let _ = (head, preface);
        let hosts = self.hosts.as_ref().or_else(|| principal.app().map(|app| &app.hosts));
        match hosts {
            Some(hosts) if hosts.is_empty() => Ok(()),
            Some(_) | None => Err(Refusal::new(Cause::OriginRefused, "no page of an authorised host asks")),
        }
    }
}
