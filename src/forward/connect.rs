//! A new connection to an endpoint: name, TCP and TLS.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use std::vec;

use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns;
use tokio_rustls::TlsConnector;
use tower::Service;

use crate::forward::body::BodyError;
use crate::forward::http1::Socket;
use crate::forward::last_word::LastWord;
use crate::forward::names::Name;
use crate::forward::tls::Trust;
use crate::forward::upstream::Endpoint;

/// Opens a connection; who waits for it sets the deadline, and says here how long that is, so that it is shared out among
/// the addresses of the name. Says which of them it was.
pub(super) async fn socket(
    endpoint: &Endpoint,
    name: Option<&Name>,
    tls: Option<&Arc<Trust>>,
    patience: Duration,
) -> Result<(Socket, Option<IpAddr>), BodyError> {
    // Where the endpoint is an address, nobody is asked for it.
    let addresses = match name {
        None => Vec::new(),
        Some(name) => name.addresses(endpoint.port).await?,
    };
    let mut connector = HttpConnector::new_with_resolver(Known(addresses));
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(patience));
    let dialled = Uri::builder().scheme("http").authority(endpoint.socket()).path_and_query("/").build()?;
    let stream = connector.call(dialled).await?.into_inner();
    let address = name.map(|_| stream.peer_addr()).transpose()?.map(|address| address.ip());
    let stream = LastWord::new(stream);
    let socket = match tls.filter(|_| endpoint.tls) {
        None => Socket::Plain(stream),
        Some(trust) => {
            let (config, name) = trust.present().towards(&endpoint.host)?;
            let connecting = TlsConnector::from(config).connect(name, stream);
            Socket::Tls(Box::new(Box::pin(connecting).await?))
        }
    };
    Ok((socket, address))
}

/// Addresses that are known already, as the connector asks for them.
#[derive(Clone, Debug)]
struct Known(Vec<SocketAddr>);

impl Service<dns::Name> for Known {
    type Response = vec::IntoIter<SocketAddr>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: dns::Name) -> Self::Future {
        ready(Ok(self.0.clone().into_iter()))
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn an_endpoint_is_dialled_at_its_own_port() {
        for (host, port, expected) in [("api.example.com", 443, "api.example.com:443"), ("::1", 80, "[::1]:80")] {
            let authority = HeaderValue::from_static("api.example.com");
            assert_eq!(Endpoint { tls: true, host: host.into(), port, authority }.socket(), expected);
        }
    }
}
