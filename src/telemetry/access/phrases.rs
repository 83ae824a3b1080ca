//! What is the same in line after line: written and escaped once for a configuration.

use super::line::escaped;
use crate::edge::connection::ListenerId;
use crate::forward::upstream::UpstreamId;
use crate::telemetry::names::{Names, UpstreamNames};

/// Members of a line, each with its comma.
#[derive(Debug, Default)]
pub(in crate::telemetry) struct Phrases {
    /// Up to where the address of the caller goes, by `ListenerId`.
    listeners: Vec<Box<[u8]>>,
    routes: Vec<Box<[u8]>>,
    upstreams: Vec<UpstreamPhrases>,
}

#[derive(Debug)]
struct UpstreamPhrases {
    alone: Box<[u8]>,
    /// The upstream with each of its endpoints.
    endpoints: Vec<Box<[u8]>>,
}

impl Phrases {
    /// Those of a World in which things have these names.
    pub(in crate::telemetry) fn of(names: &Names) -> Self {
        let listener = |name: &Option<Box<str>>| {
            let mut phrase = member("listener", name.as_deref().unwrap_or_default());
            phrase.extend_from_slice(CALLER);
            phrase.into_boxed_slice()
        };
        Self {
            listeners: names.listeners.iter().map(listener).collect(),
            routes: names.routes.iter().map(|route| member("route", &route.name).into_boxed_slice()).collect(),
            upstreams: names.upstreams.iter().map(UpstreamPhrases::of).collect(),
        }
    }

    /// The listener, and the beginning of the member that names the caller's address.
    pub(super) fn listener(&self, id: ListenerId) -> &[u8] {
        self.listeners.get(id.0).map_or(CALLER, |phrase| phrase)
    }

    /// The route; nothing where there was none.
    pub(super) fn route(&self, place: Option<usize>) -> &[u8] {
        place.and_then(|place| self.routes.get(place)).map_or(b"", |phrase| phrase)
    }

    /// The upstream and the endpoint; nothing where it went to none.
    pub(super) fn upstream(&self, place: Option<(UpstreamId, usize)>) -> &[u8] {
        let Some((upstream, endpoint)) = place else { return b"" };
        let Some(UpstreamPhrases { alone, endpoints }) = self.upstreams.get(upstream.0) else { return b"" };
        endpoints.get(endpoint).unwrap_or(alone)
    }
}

impl UpstreamPhrases {
    fn of(upstream: &UpstreamNames) -> Self {
        let alone = member("upstream", &upstream.name);
        let with = |name: &str| [&*alone, &*member("endpoint", name)].concat().into_boxed_slice();
        let endpoints = upstream.endpoints.iter().map(|name| with(name)).collect();
        Self { endpoints, alone: alone.into_boxed_slice() }
    }
}

const CALLER: &[u8] = b",\"client_ip\":\"";

/// None where there is no value.
fn member(name: &str, value: &str) -> Vec<u8> {
    if value.is_empty() {
        return Vec::new();
    }
    let mut member = format!(",\"{name}\":\"").into_bytes();
    escaped(&mut member, value, true);
    member.push(b'"');
    member
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::names::RouteNames;

    #[test]
    fn names_are_escaped_and_what_has_none_is_left_out() {
        let names = Names {
            listeners: vec![None, Some("a \"b\"".into())],
            routes: vec![RouteNames { name: "\u{e9}".into(), pattern: "/".into() }],
            upstreams: vec![UpstreamNames { name: "api".into(), endpoints: vec!["http://a:80".into(), "".into()] }],
            ..Names::default()
        };
        let phrases = Phrases::of(&names);
        let text = |phrase: &[u8]| String::from_utf8(phrase.to_vec()).unwrap();
        assert_eq!(text(phrases.listener(ListenerId(0))), r#","client_ip":""#);
        assert_eq!(text(phrases.listener(ListenerId(1))), r#","listener":"a \"b\"","client_ip":""#);
        assert_eq!(text(phrases.listener(ListenerId(2))), r#","client_ip":""#);
        assert_eq!(text(phrases.route(Some(0))), r#","route":"\u00e9""#);
        assert_eq!((phrases.route(None), phrases.route(Some(1))), (&b""[..], &b""[..]));
        let at = |upstream, endpoint| text(phrases.upstream(Some((UpstreamId(upstream), endpoint))));
        assert_eq!(at(0, 0), r#","upstream":"api","endpoint":"http://a:80""#);
        assert_eq!((at(0, 1), at(0, 2)), (r#","upstream":"api""#.into(), r#","upstream":"api""#.into()));
        assert_eq!((at(1, 0), phrases.upstream(None)), (String::new(), &b""[..]));
    }
}
