//! What browsers are told of an answer: whose pages may read it (CORS, WHATWG Fetch §3.2) and show it in a frame (CSP
//! Level 3 §6.4.2). A preflight is answered before identity: it carries none.
//!
//! The very `Origin` is said, and only where it, or its host, is listed; `*` only where everyone's pages may
//! read. Answers are released to requests with cookies only where that is said of a list of origins.

mod origins;

use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, CONTENT_SECURITY_POLICY, ORIGIN, VARY, X_FRAME_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};

pub use self::origins::Origins;
use crate::authorize::origin;
use crate::edge::head::Head;
use crate::forward::Body;
use crate::record::{App, Hosts};
use crate::refusal::{Cause, Refusal};

/// How long a browser may remember the answer to a preflight where nothing is said, in seconds.
pub const MAX_AGE: u64 = 600;
/// Fields that pages may read beside those that are safe anyhow.
pub const READABLE: &str = "x-request-id, ratelimit, ratelimit-policy, retry-after, accept-ranges, content-range";
const EXPOSED: HeaderValue = HeaderValue::from_static(READABLE);
/// What the answer to a preflight depends on.
const ASKED: HeaderValue = HeaderValue::from_static("Access-Control-Request-Method, Access-Control-Request-Headers");
/// The longest list of fields that a page may ask for, in bytes.
const LONGEST_LIST: usize = 1024;
/// A directive of a policy.
const FRAME_ANCESTORS: &str = "frame-ancestors";

/// What a route tells browsers.
#[derive(Debug)]
pub struct Rule {
    /// Whose pages may read answers.
    pub readers: Readers,
    /// The methods that they may use, as a list.
    pub methods: HeaderValue,
    /// The fields that they may send, as a list. `None`: those that a page asks for.
    pub headers: Option<HeaderValue>,
    /// The fields that they may read, as a list, in the place of those that the upstream says. `None`: those of the house,
    /// beside those that the upstream says.
    pub exposed: Option<HeaderValue>,
    /// Whether they may ask with cookies and client certificates.
    pub credentials: bool,
    /// How long a browser may remember the answer to a preflight, in seconds.
    pub max_age: HeaderValue,
}

/// Whose pages may read answers.
#[derive(Debug)]
pub enum Readers {
    /// Those of the authorised hosts, which may also show answers in frames.
    Hosts(Hosts),
    /// The same of the app that the route says, where the app asks for that.
    App,
    /// Those of these origins.
    Origins(Origins),
    /// Everyone's.
    Anyone,
}

/// What the answer to one request tells them.
#[derive(Debug)]
pub struct Grant {
    /// The origin whose pages may read it.
    origin: Option<HeaderValue>,
    /// Whose pages may show it, where anything is said of that.
    policy: Option<HeaderValue>,
    exposed: Option<HeaderValue>,
    credentials: bool,
    /// Whether the answer to another origin would be another.
    varies: bool,
    /// Whether the answer is the house's own, to a preflight.
    is_preflight: bool,
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
        let sent = || head.headers().get(ORIGIN).cloned();
        let (origin, policy) = match &self.readers {
            Readers::Hosts(hosts) => of_hosts(hosts, head)?,
            Readers::App => of_hosts(&app.filter(|app| app.cross_origin)?.hosts, head)?,
            Readers::Origins(origins) => {
                let one = head.headers().get_all(ORIGIN).iter().nth(1).is_none();
                (sent().filter(|origin| one && origins.hold(origin.as_bytes())), None)
            }
            Readers::Anyone => (Some(HeaderValue::from_static("*")), None),
        };
        Some(Grant {
            origin,
            policy,
            exposed: self.exposed.clone(),
            credentials: self.credentials,
            varies: !matches!(self.readers, Readers::Anyone),
            is_preflight: asked(head).is_some(),
        })
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
        fields.insert(ACCESS_CONTROL_MAX_AGE, self.max_age.clone());
        fields.insert(VARY, ASKED);
        if let Some(list) = self.headers.clone().or_else(|| requested_fields(head.headers())) {
            fields.insert(ACCESS_CONTROL_ALLOW_HEADERS, list);
        }
        Ok(answer)
    }
}

/// The origin of the page that asks, if it is of one of these hosts, and whose pages may show the answer.
fn of_hosts(hosts: &Hosts, head: &Head<'_>) -> Option<(Option<HeaderValue>, Option<HeaderValue>)> {
    if hosts.is_empty() {
        return None;
    }
    let page = origin::page(head.headers()).filter(|page| hosts.allow(page));
    let origin = page.and_then(|_| head.headers().get(ORIGIN).cloned());
    Some((origin, Some(policy(hosts.sources()))))
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
        if !self.is_preflight {
            // Nobody asked for them.
            for name in [ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_MAX_AGE] {
                fields.remove(name);
            }
        }
        // Also where this origin is not granted: the answer to another one would be another.
        if self.varies && !varies_by_origin(fields) {
            fields.append(VARY, HeaderValue::from_static("Origin"));
        }
        if self.exposed.is_some() {
            fields.remove(ACCESS_CONTROL_EXPOSE_HEADERS);
        }
        if let Some(origin) = self.origin {
            fields.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            fields.append(ACCESS_CONTROL_EXPOSE_HEADERS, self.exposed.unwrap_or(EXPOSED));
            if self.credentials {
                fields.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
            }
        }
        let Some(policy) = self.policy else { return };
        fields.remove(X_FRAME_OPTIONS);
        if fields.contains_key(CONTENT_SECURITY_POLICY) {
            without_ancestors(fields);
        }
        fields.append(CONTENT_SECURITY_POLICY, policy);
    }
}

/// Whether the upstream says so itself (RFC 9110 §12.5.5).
fn varies_by_origin(fields: &HeaderMap) -> bool {
    let names = |value: &HeaderValue| {
        let named =
            |name: &[u8]| matches!(name.trim_ascii(), b"*") || name.trim_ascii().eq_ignore_ascii_case(b"origin");
        value.as_bytes().split(|byte| *byte == b',').any(named)
    };
    fields.get_all(VARY).iter().any(names)
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
