//! A new connection to an endpoint: name, TCP and TLS, then hyper's half of the conversation.

use std::sync::Arc;

use http::Uri;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::rt::{Read, Write};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio_rustls::TlsConnector;
use tower::Service;

use crate::edge::gather::Gather;
use crate::forward::body::{BodyError, Outgoing};
use crate::forward::last_word::LastWord;
use crate::forward::upstream::Endpoint;

/// Large enough for a body to flow with few system calls, small enough for many streams at once.
const BUFFER: usize = 32 * 1024;
/// The largest head of an answer.
const HEAD: usize = BUFFER;

/// Opens a connection; who waits for it sets the deadline.
pub(super) async fn open(
    connector: &HttpConnector,
    endpoint: &Endpoint,
    tls: Option<&Arc<ClientConfig>>,
) -> Result<SendRequest<Outgoing>, BodyError> {
    let address = Uri::builder().scheme("http").authority(socket(endpoint)).path_and_query("/").build()?;
    let stream = LastWord::new(connector.clone().call(address).await?.into_inner());
    match tls.filter(|_| endpoint.tls) {
        None => converse(TokioIo::new(Gather(stream))).await,
        Some(config) => {
            let name = ServerName::try_from(endpoint.host.to_string())?;
            let connecting = TlsConnector::from(Arc::clone(config)).connect(name, stream);
            converse(TokioIo::new(Gather(Box::pin(connecting).await?))).await
        }
    }
}

/// Where to dial: always with the port, which `Endpoint::authority` leaves out where it is the scheme's own.
fn socket(endpoint: &Endpoint) -> String {
    let Endpoint { host, port, .. } = endpoint;
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

async fn converse<T: Read + Write + Unpin + 'static>(socket: T) -> Result<SendRequest<Outgoing>, BodyError> {
    let (sender, conversation) =
        http1::Builder::new().max_buf_size(BUFFER).max_header_size(HEAD).handshake(socket).await?;
    tokio::task::spawn_local(async move {
        // What goes wrong on it is told to the request that it happens to.
        conversation.await.ok();
    });
    Ok(sender)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn an_endpoint_is_dialled_at_its_own_port() {
        for (host, port, expected) in [("api.example.com", 443, "api.example.com:443"), ("::1", 80, "[::1]:80")] {
            let authority = HeaderValue::from_static("api.example.com");
            assert_eq!(socket(&Endpoint { tls: true, host: host.into(), port, authority }), expected);
        }
    }
}
