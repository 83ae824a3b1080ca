//! The monitoring listener: plain HTTP for machines that hold no operator's credential. It says whether the gateway lives
//! and whether it is ready, and nothing that is secret; nothing can be changed by it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;

use axum::response::{IntoResponse, Response};
use http::header::ALLOW;
use http::request::Parts;
use http::{HeaderValue, Method, StatusCode};
use tokio_util::sync::CancellationToken;

use super::accept;
use super::listener::{self, Attendant};
use super::problem::Problem;
use super::status::{self, Overview};
use crate::background::give_way;
use crate::clock::Clock;
use crate::edge::connection::Connection;
use crate::edge::listener::{Limits, Listener};
use crate::edge::request_body::RequestBody;

/// What it bears: a few who ask, each now and then.
const LIMITS: Limits = Limits { connections: 64, head_bytes: 8 * 1024, target_bytes: 1024, ..listener::LIMITS };

/// `[monitoring]`, as meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where it binds.
    pub address: SocketAddr,
}

/// Binds the listener and serves it on a thread of its own until `stop`; then it drops `alive`. Returns where it is bound.
pub fn start(
    Settings { address }: Settings,
    overview: Arc<dyn Overview>,
    clock: Clock,
    stop: CancellationToken,
    alive: impl Send + 'static,
) -> io::Result<SocketAddr> {
    let socket = crate::edge::listener::bind(address).map_err(|error| {
        io::Error::new(error.kind(), format!("the monitoring listener cannot bind {address}: {error}"))
    })?;
    let bound = socket.local_addr()?;
    let listener = listener::own("monitoring", bound, None, LIMITS);
    thread::Builder::new().name("vidgate-monitor".to_owned()).spawn(move || {
        give_way();
        if let Err(error) = listener::run(socket, Desk { overview, listener }, LIMITS.connections, &clock, &stop) {
            tracing::error!(%error, "the monitoring listener has ended");
        }
        drop(alive);
    })?;
    Ok(bound)
}

/// What answers the requests of the listener.
struct Desk {
    overview: Arc<dyn Overview>,
    listener: Arc<Listener>,
}

impl Desk {
    fn page(&self, parts: &Parts) -> Response {
        let page: fn(&dyn Overview, Option<&str>) -> Response = match parts.uri.path() {
            "/live" => |overview, _| overview.live().answer(),
            "/ready" => |overview, _| overview.ready().answer(),
            "/metrics" => status::measured,
            _ => return Problem::new(StatusCode::NOT_FOUND, "there is nothing at this address").into_response(),
        };
        if parts.method != Method::GET && parts.method != Method::HEAD {
            let problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED, "this can be asked with GET, HEAD only");
            return problem.with(ALLOW, HeaderValue::from_static("GET, HEAD")).into_response();
        }
        page(&*self.overview, accept(&parts.headers).as_deref())
    }
}

impl Attendant for Desk {
    async fn attend(&self, parts: Box<Parts>, _body: RequestBody, _connection: &Connection) -> Response {
        self.page(&parts)
    }

    fn listener(&self) -> &Arc<Listener> {
        &self.listener
    }
}
