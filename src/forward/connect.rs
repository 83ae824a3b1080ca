//! A new connection to an endpoint: name, TCP and TLS.

use std::sync::Arc;

use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use tokio_rustls::TlsConnector;
use tower::Service;

use crate::forward::body::BodyError;
use crate::forward::http1::{Connection, Socket};
use crate::forward::last_word::LastWord;
use crate::forward::tls::Trust;
use crate::forward::upstream::Endpoint;

/// Opens a connection for HTTP/1.1; who waits for it sets the deadline.
pub(super) async fn open(
    connector: &HttpConnector,
    endpoint: &Endpoint,
    tls: Option<&Arc<Trust>>,
) -> Result<Connection, BodyError> {
    socket(connector, endpoint, tls).await.map(Connection::new)
}

/// Opens a connection.
pub(super) async fn socket(
    connector: &HttpConnector,
    endpoint: &Endpoint,
    tls: Option<&Arc<Trust>>,
) -> Result<Socket, BodyError> {
    let address = Uri::builder().scheme("http").authority(dialled(endpoint)).path_and_query("/").build()?;
    let stream = LastWord::new(connector.clone().call(address).await?.into_inner());
    Ok(match tls.filter(|_| endpoint.tls) {
        None => Socket::Plain(stream),
        Some(trust) => {
            let (config, name) = trust.present().towards(&endpoint.host)?;
            let connecting = TlsConnector::from(config).connect(name, stream);
            Socket::Tls(Box::new(Box::pin(connecting).await?))
        }
    })
}

/// Where to dial: always with the port, which `Endpoint::authority` leaves out where it is the scheme's own.
fn dialled(endpoint: &Endpoint) -> String {
    let Endpoint { host, port, .. } = endpoint;
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn an_endpoint_is_dialled_at_its_own_port() {
        for (host, port, expected) in [("api.example.com", 443, "api.example.com:443"), ("::1", 80, "[::1]:80")] {
            let authority = HeaderValue::from_static("api.example.com");
            assert_eq!(dialled(&Endpoint { tls: true, host: host.into(), port, authority }), expected);
        }
    }
}
