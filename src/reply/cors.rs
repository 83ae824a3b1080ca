//! What browsers are told of an answer: whose pages may read it (CORS, WHATWG Fetch) and show it in a frame (CSP).
//! A preflight is answered before identity: it carries none.

use http::{HeaderMap, Response};

use crate::edge::head::Head;
use crate::forward::Body;
use crate::record::Hosts;
use crate::scheme::Scene;

/// What a route tells browsers.
#[derive(Debug)]
pub struct Rule {
    /// The authorised hosts. `None`: those of the app that the request is for, where it asks for that.
    pub hosts: Option<Hosts>,
}

/// What the answer to one request tells them.
#[derive(Debug)]
pub struct Grant;

impl Rule {
    /// What the answer to this request says, be it a refusal or not.
    pub fn grant(&self, head: &Head<'_>, scene: &Scene<'_>) -> Option<Grant> {
        let _ = (head, scene, &self.hosts);
        None
    }

    /// The answer to a preflight, if the request is one.
    pub fn preflight(&self, head: &Head<'_>, grant: Option<&Grant>) -> Option<Response<Body>> {
        let _ = (head, grant);
        None
    }
}

impl Grant {
    /// Says it.
    pub fn stamp(&self, fields: &mut HeaderMap) {
        let _ = (self, fields);
    }
}
