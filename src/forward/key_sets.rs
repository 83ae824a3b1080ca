//! Fetches the keys of foreign issuers, beside the corridor: at the start, every so often, and when a token comes with a
//! key that is not there. While a source fails, what was fetched before stays good for a while.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, HOST};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper::rt::{Read, Write};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;
use tower::Service;

use crate::clock::{Clock, UnixTime};
use crate::forward::body::BodyError;
use crate::forward::tls;
use crate::forward::upstream::Protocol;
use crate::key_set::{KeySet, Source};

/// How long an attempt may take. Requests wait for it that come with a key which is not there.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// The largest JWK Set, in bytes.
const MOST: usize = 1 << 20;

/// Keeps a set fresh for ever. When keys came, and whether they are too old, is told by this clock.
pub async fn keep(keys: Arc<KeySet>, clock: Clock) {
    let Some(source) = keys.source() else { return };
    loop {
        keys.begin();
        let fetched = match timeout(PATIENCE, fetch(source)).await {
            Ok(fetched) => fetched,
            Err(_) => Err("it did not answer in time".into()),
        };
        let now = clock.unix();
        let told = match &fetched {
            Ok(text) => keys.end(Some(text), now).map_err(|invalid| invalid.message.into_owned()),
            Err(error) => {
                let ended = keys.end(None, now);
                debug_assert!(ended.is_ok(), "there was nothing to be read");
                Err(error.to_string())
            }
        };
        // An answer that holds no keys is a failure as well: many a server says so with status 200.
        let pause = if told.is_ok() { source.refresh } else { source.cool_down };
        if let Err(error) = told {
            complain(&keys, source, &error, now);
        }
        tokio::select! {
            () = sleep(pause) => {}
            () = std::future::poll_fn(|context| keys.poll_wanted(context)) => {}
        }
    }
}

/// Says that they did not come, and how bad that is.
fn complain(keys: &KeySet, source: &Source, error: &str, now: UnixTime) {
    let url = source.shown();
    match keys.good_until().map(|until| until.0.saturating_sub(now.0)) {
        None => tracing::error!(
            url,
            error,
            "the keys of an issuer were not fetched: there are none, and its tokens are refused"
        ),
        Some(0) => tracing::error!(
            url,
            error,
            "the keys of an issuer were not fetched: those from before are older than `max_age`, and its tokens are refused"
        ),
        Some(left) => tracing::warn!(
            url,
            error,
            good_for_seconds = left,
            "the keys of an issuer were not fetched; those from before stay good for a while"
        ),
    }
}

/// One attempt. Redirects are not followed.
async fn fetch(source: &Source) -> Result<Bytes, BodyError> {
    let url = &source.url;
    let authority = url.authority().ok_or("the address has no host")?;
    let secure = url.scheme() == Some(&http::uri::Scheme::HTTPS);
    let port = url.port_u16().unwrap_or(if secure { 443 } else { 80 });
    let dialled =
        http::Uri::builder().scheme("http").authority(format!("{}:{port}", authority.host())).path_and_query("/");
    let stream = HttpConnector::new().call(dialled.build()?).await?.into_inner();
    let path = url.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    let request = Request::get(path).header(HOST, authority.as_str()).header(ACCEPT, "application/json");
    let request = request.body(Empty::<Bytes>::new())?;
    if !secure {
        return ask(TokioIo::new(stream), request).await;
    }
    let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
    let connector = TlsConnector::from(client_config(source.authorities.clone()).await?);
    ask(TokioIo::new(connector.connect(ServerName::try_from(host)?, stream).await?), request).await
}

/// What the server is judged by, as it is now. Put together aside: those of this host are some hundred files, and this
/// thread is the one that accepts connections.
async fn client_config(authorities: Option<Vec<u8>>) -> Result<Arc<ClientConfig>, BodyError> {
    let built = spawn_blocking(move || match authorities {
        Some(pem) => tls::client_config_of(&pem, Protocol::Http1),
        None => tls::client_config(None, Protocol::Http1),
    });
    built.await?.map_err(|invalid| invalid.message.into())
}

async fn ask<T: Read + Write + Unpin + Send + 'static>(
    stream: T,
    request: Request<Empty<Bytes>>,
) -> Result<Bytes, BodyError> {
    let (mut sender, connection) = http1::handshake(stream).await?;
    let asking = async {
        let answer = sender.send_request(request).await?;
        if answer.status() != StatusCode::OK {
            return Err::<Bytes, BodyError>(format!("it answered with status {}", answer.status().as_u16()).into());
        }
        Ok(Limited::new(answer.into_body(), MOST).collect().await?.to_bytes())
    };
    tokio::pin!(asking, connection);
    tokio::select! {
        answer = &mut asking => answer,
        ended = &mut connection => {
            ended?;
            // The whole answer may have come before the connection ended.
            asking.await
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::sync::mpsc::channel;

    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;

    #[test]
    fn authorities_are_read_on_another_thread() {
        let runtime = tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).build().unwrap();
        let _entered = runtime.enter();
        // The only thread for such things is busy until it is let go.
        let (go, may_go) = channel::<()>();
        spawn_blocking(move || may_go.recv().unwrap_or_default());
        for authorities in [None, Some(b"no certificate".to_vec())] {
            let building = pin!(client_config(authorities));
            assert!(building.poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
        let none = client_config(Some(b"no certificate".to_vec()));
        drop(go);
        let error = runtime.block_on(none).unwrap_err().to_string();
        assert!(error.contains("certificate"), "{error}");
    }

    #[test]
    fn an_answer_that_holds_no_keys_is_a_failure() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/keys", server.local_addr().unwrap()).parse().unwrap();
        let (say, said) = channel();
        std::thread::spawn(move || {
            for caller in server.incoming() {
                let mut caller = caller.unwrap();
                let read = caller.read(&mut [0; 4096]).unwrap();
                caller.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>").unwrap();
                if say.send(read).is_err() {
                    return;
                }
            }
        });
        let (refresh, cool_down) = (Duration::from_hours(1), Duration::from_millis(1));
        let keys = Arc::new(KeySet::at(Source { url, authorities: None, refresh, cool_down, max_age: refresh }));
        let keeper = Arc::clone(&keys);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(keep(keeper, Clock::system()));
        });
        for time in ["first", "second"] {
            assert!(said.recv_timeout(Duration::from_mins(3)).is_ok(), "the {time} attempt");
        }
        let told = keys.told();
        assert!(told.failed >= 1 && (told.succeeded, told.last_success) == (0, None), "{told:?}");
    }
}
