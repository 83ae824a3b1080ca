//! What browsers are told of an answer: whose pages may read it (CORS, WHATWG Fetch §3.2) and show it in a frame (CSP
//! Level 3 §6.4.2). A preflight is answered before identity: it carries none.
//!
//! The very `Origin` is said, never `*`, and only where its host is listed as authorised (threats A35). Answers are never
//! released to requests with cookies.

use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, CONTENT_SECURITY_POLICY, ORIGIN, VARY, X_FRAME_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};

use crate::authorize::origin;
use crate::edge::head::Head;
use crate::forward::Body;
use crate::record::{App, Hosts};
use crate::refusal::{Cause, Refusal};

/// How long a browser may remember the answer to a preflight, in seconds.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");
/// Fields that pages may read beside those that are safe anyhow.
const EXPOSED: HeaderValue =
    HeaderValue::from_static("x-request-id, ratelimit, ratelimit-policy, retry-after, accept-ranges, content-range");
/// What the answer to a preflight depends on.
const ASKED: HeaderValue = HeaderValue::from_static("Access-Control-Request-Method, Access-Control-Request-Headers");
/// The longest list of fields that a page may ask for, in bytes.
const LONGEST_LIST: usize = 1024;
/// A directive of a policy.
const FRAME_ANCESTORS: &str = "frame-ancestors";

/// What a route tells browsers.
#[derive(Debug)]
pub struct Rule {
    /// The authorised hosts. `None`: those of the app that the route says, where the app asks for that.
    pub hosts: Option<Hosts>,
    /// The methods of the route, as a list.
    pub methods: HeaderValue,
}

/// What the answer to one request tells them.
#[derive(Debug)]
pub struct Grant {
    /// The origin whose pages may read it.
    origin: Option<HeaderValue>,
    /// Whose pages may show it.
    policy: HeaderValue,
}

/// The method that a preflight asks for, if the request is one.
pub fn asked(head: &Head<'_>) -> Option<Method> {
    let mut methods = head.headers().get_all(ACCESS_CONTROL_REQUEST_METHOD).iter();
    let method = methods.next().filter(|_| head.method() == Method::OPTIONS && head.headers().contains_key(ORIGIN))?;
    Method::from_bytes(method.as_bytes()).ok().filter(|_| methods.next().is_none())
}

impl Rule {
    /// What the answer to this request says, be it a refusal or not. `None`: nothing, since nobody wants it, or since no
    /// host is listed that it could name.
    pub fn grant(&self, head: &Head<'_>, app: Option<&App>) -> Option<Grant> {
        let hosts = match &self.hosts {
            Some(hosts) => hosts,
            None => &app.filter(|app| app.cross_origin)?.hosts,
        };
        if hosts.is_empty() {
            return None;
        }
        let page = origin::page(head.headers()).filter(|page| hosts.allow(page));
        let origin = page.and_then(|_| head.headers().get(ORIGIN).cloned());
        Some(Grant { origin, policy: policy(hosts.sources()) })
    }

    /// The answer to a preflight; what the grant says is still to be stamped on it.
    pub fn preflight(&self, head: &Head<'_>, grant: &Grant) -> Result<Response<Body>, Refusal> {
        if grant.origin.is_none() {
            return Err(Refusal::new(Cause::OriginRefused, "a preflight from a page of another host"));
        }
        let mut answer = Response::new(Body::whole(Bytes::new()));
        *answer.status_mut() = StatusCode::NO_CONTENT;
        let fields = answer.headers_mut();
        fields.insert(ACCESS_CONTROL_ALLOW_METHODS, self.methods.clone());
        fields.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE);
        fields.insert(VARY, ASKED);
        if let Some(list) = requested_fields(head.headers()) {
            fields.insert(ACCESS_CONTROL_ALLOW_HEADERS, list);
        }
        Ok(answer)
    }
}

/// The fields that a page wants to send, if that is one list of plain names.
fn requested_fields(fields: &HeaderMap) -> Option<HeaderValue> {
    let mut lists = fields.get_all(ACCESS_CONTROL_REQUEST_HEADERS).iter();
    let list = lists.next().filter(|list| lists.next().is_none() && list.len() <= LONGEST_LIST)?;
    let is_name = |name: &[u8]| HeaderName::from_bytes(name.trim_ascii()).is_ok();
    list.as_bytes().split(|byte| *byte == b',').all(is_name).then(|| list.clone())
}

fn policy(sources: &str) -> HeaderValue {
    let sources = if sources.is_empty() { "'none'" } else { sources };
    let policy = HeaderValue::try_from([FRAME_ANCESTORS, " ", sources].concat());
    policy.expect("names of hosts in their ASCII form make a header value")
}

impl Grant {
    /// Says it, in the place of whatever the upstream says of the same.
    pub fn stamp(self, fields: &mut HeaderMap) {
        fields.remove(ACCESS_CONTROL_ALLOW_ORIGIN);
        fields.remove(ACCESS_CONTROL_ALLOW_CREDENTIALS);
        // Also where this origin is not granted: the answer to another one would be another.
        fields.append(VARY, HeaderValue::from_static("Origin"));
        if let Some(origin) = self.origin {
            fields.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            fields.append(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
        }
        fields.remove(X_FRAME_OPTIONS);
        if fields.contains_key(CONTENT_SECURITY_POLICY) {
            without_ancestors(fields);
        }
        fields.append(CONTENT_SECURITY_POLICY, self.policy);
    }
}

/// Leaves of every policy what it says of other things: browsers hold to all policies together.
fn without_ancestors(fields: &mut HeaderMap) {
    let kept: Vec<HeaderValue> = fields.get_all(CONTENT_SECURITY_POLICY).iter().filter_map(without_own).collect();
    fields.remove(CONTENT_SECURITY_POLICY);
    for policy in kept {
        fields.append(CONTENT_SECURITY_POLICY, policy);
    }
}

fn without_own(value: &HeaderValue) -> Option<HeaderValue> {
    let is_own = |directive: &[u8]| {
        let name = directive.trim_ascii_start().split(u8::is_ascii_whitespace).next().unwrap_or_default();
        name.eq_ignore_ascii_case(FRAME_ANCESTORS.as_bytes())
    };
    let policy = |text: &[u8]| {
        let kept: Vec<&[u8]> = text.split(|byte| *byte == b';').filter(|directive| !is_own(directive)).collect();
        kept.join(&b';')
    };
    // A field may hold several policies.
    let policies: Vec<Vec<u8>> = value.as_bytes().split(|byte| *byte == b',').map(policy).collect();
    let text = policies.join(&b',');
    let says_something = text.iter().any(|byte| !matches!(byte, b' ' | b'\t' | b',' | b';'));
    HeaderValue::from_bytes(&text).ok().filter(|_| says_something)
}

#[cfg(test)]
mod tests;
