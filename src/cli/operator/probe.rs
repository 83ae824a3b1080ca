//! One question after the health of the gateway that runs, without a credential.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use http::header::HOST;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::remote::{PATIENCE, Sender, converse, dialled};
use super::{Trouble, runtime, trust};
use crate::config::Ways;

/// The longest answer that is read.
const LONGEST: usize = 64 << 10;

/// What was answered.
pub(in crate::cli) struct Probed {
    /// 200 where all is well.
    pub(in crate::cli) status: StatusCode,
    pub(in crate::cli) body: Bytes,
}

/// Asks for this path, at the monitoring listener or else at the admin listener. `Err`: nobody answers, or not in time.
pub(in crate::cli) fn probe(ways: &Ways, path: &str) -> Result<Probed, Trouble> {
    let (address, certificate) = match (ways.monitoring, &ways.admin) {
        (Some(address), _) => (address, None),
        (None, Some(admin)) => (admin.address, admin.certificate.clone()),
        (None, None) => {
            return Err(Trouble::plain("the configuration has no [monitoring] and no [admin]: nobody can be asked"));
        }
    };
    let address = dialled(address);
    let asked = async { timeout(PATIENCE, ask(address, certificate, path)).await };
    let answered = runtime()?.block_on(asked);
    answered
        .unwrap_or_else(|_| Err(Trouble::plain(format!("no answer from {address} within {} s", PATIENCE.as_secs()))))
}

async fn ask(address: SocketAddr, certificate: Option<PathBuf>, path: &str) -> Result<Probed, Trouble> {
    let mut sender = open(address, certificate).await?;
    let request = Request::get(path).header(HOST, address.to_string()).body(Full::default());
    let request = request.expect("a path and an address make a request");
    let broken = |error: &dyn std::fmt::Display| Trouble::plain(format!("no answer from {address}: {error}"));
    let answer = sender.send_request(request).await.map_err(|error| broken(&error))?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), LONGEST).collect().await.map_err(|error| broken(&error))?;
    Ok(Probed { status, body: body.to_bytes() })
}

async fn open(address: SocketAddr, certificate: Option<PathBuf>) -> Result<Sender, Trouble> {
    let socket = TcpStream::connect(address).await;
    let socket = socket.map_err(|error| Trouble::plain(format!("no gateway answers at {address}: {error}")))?;
    let Some(certificate) = certificate else { return converse(TokioIo::new(socket)).await };
    let tls = TlsConnector::from(Arc::new(trust::client_config(&certificate, None)?));
    let secure = tls.connect(ServerName::IpAddress(address.ip().into()), socket).await;
    let secure = secure.map_err(|error| Trouble::plain(format!("no TLS with the admin listener: {error}")))?;
    converse(TokioIo::new(secure)).await
}
