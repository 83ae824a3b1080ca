//! What things are called, for those who tell of requests: an exchange may outlast the World that it began under, and
//! must not keep it.

use std::sync::Arc;

use crate::edge::connection::ListenerId;

/// What things of one World are called.
#[derive(Debug, Default)]
pub struct Names {
    /// Listeners, by their `ListenerId`; `None`: it is no listener of this World.
    pub listeners: Vec<Option<Box<str>>>,
    /// Routes, in the order of the World.
    pub routes: Vec<RouteNames>,
    /// Upstreams, in the order of the World.
    pub upstreams: Vec<UpstreamNames>,
    /// Names in a query whose values are never told: places of credentials, and what the operator named.
    pub hidden: Arc<[Box<str>]>,
}

/// What is told of a route.
#[derive(Debug)]
pub struct RouteNames {
    /// Its name.
    pub name: Box<str>,
    /// Its path, as it is written.
    pub pattern: Box<str>,
}

/// What is told of an upstream.
#[derive(Debug)]
pub struct UpstreamNames {
    /// Its name.
    pub name: Box<str>,
    /// The addresses of its endpoints, in its order.
    pub endpoints: Vec<Box<str>>,
}

impl Names {
    /// The name of a listener.
    pub fn listener(&self, id: ListenerId) -> &str {
        self.listeners.get(id.0).and_then(Option::as_deref).unwrap_or_default()
    }

    /// The path of a route, as it is written; empty where there was none.
    #[cfg(feature = "otlp")]
    pub(super) fn pattern(&self, place: Option<usize>) -> &str {
        place.and_then(|place| self.routes.get(place)).map_or("", |route| &route.pattern)
    }

    /// The name of a route; empty where there was none.
    pub fn route(&self, place: Option<usize>) -> &str {
        place.and_then(|place| self.routes.get(place)).map_or("", |route| &route.name)
    }
}
