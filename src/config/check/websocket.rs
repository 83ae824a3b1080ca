//! `websocket` of a route, as meant.

use std::time::Duration;

use http::Method;

use crate::config::file::{File, Route, Tunnels, UpstreamProtocol, Websocket};
use crate::config::report::Report;
use crate::forward::Terms;
use crate::invalid::Invalid;

const IDLE: Duration = Duration::from_mins(1);
const LIFETIME: Duration = Duration::from_hours(12);

/// How long tunnels may last on a route, where it lets WebSocket through.
pub(super) fn terms(route: &Route, methods: Option<&[Method]>, file: &File, report: &mut Report) -> Option<Terms> {
    let written = route.websocket.as_ref()?;
    let nothing = Tunnels::default();
    let tunnels = match &written.value {
        Websocket::Passes(false) => return None,
        Websocket::Passes(true) => &nothing,
        Websocket::For(tunnels) => tunnels,
    };
    let mut wrong = |message: &str, hint: &str| {
        report.error(written.place.clone(), Invalid::new(message.to_owned()).hint(hint.to_owned()));
    };
    if route.forward.is_none() || route.endpoint.is_some() || route.wall.is_some() {
        wrong("WebSocket passes to an upstream alone", "give it a route of its own, with `forward`");
    }
    let upstream =
        file.upstreams.iter().find(|own| route.forward.as_ref().is_some_and(|name| name.value == own.name.value));
    let protocol = upstream.and_then(|own| own.table.as_ref()).map(|table| &table.protocol);
    if matches!(protocol, Some(UpstreamProtocol::Http2)) {
        wrong(
            "WebSocket passes to upstreams in HTTP/1.1 alone",
            "forward it to an upstream without `protocol = \"h2\"`",
        );
    }
    if methods.is_some_and(|methods| !methods.contains(&Method::GET)) {
        wrong("WebSocket begins with a GET, which this route does not take", "list it: methods = [\"GET\"]");
    }
    let or = |span: &Option<crate::units::Span>, default| span.as_ref().map_or(default, |span| span.0);
    let terms = Terms { idle: or(&tunnels.idle, IDLE), lifetime: or(&tunnels.lifetime, LIFETIME) };
    if terms.idle < Duration::from_secs(1) || terms.lifetime < terms.idle {
        wrong(
            "`idle` is at least one second, and `lifetime` at least as long",
            "websocket = { idle = \"60s\", lifetime = \"12h\" }",
        );
    }
    Some(terms)
}
