//! The addresses of endpoints that have names: looked up beside the corridor every so often, and remembered. Where a
//! look-up fails, what was known before stays good; a request waits for one only where nothing was ever known.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

/// How long one look-up may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The most addresses of one name.
const MOST: usize = 64;

/// A look-up under way.
pub type LookingUp = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// Who knows the addresses of names.
pub trait LookUp: fmt::Debug + Send + Sync {
    /// The addresses of this host, the best ones first.
    fn look_up(&self, host: &str) -> LookingUp;
}

/// Whoever is asked.
pub type Lookup = Arc<dyn LookUp>;

/// The resolver of this host (`getaddrinfo`), with its hosts file and search list.
#[derive(Clone, Copy, Debug, Default)]
pub struct System;

impl LookUp for System {
    fn look_up(&self, host: &str) -> LookingUp {
        let host = host.to_owned();
        Box::pin(async move {
            let found = spawn_blocking(move || (host.as_str(), 0).to_socket_addrs()).await;
            Ok(found.map_err(io::Error::other)??.map(|address| address.ip()).collect())
        })
    }
}

/// A name and what is known of it; shared by all workers.
#[derive(Debug)]
pub(super) struct Name {
    host: Box<str>,
    lookup: Lookup,
    known: ArcSwapOption<Vec<IpAddr>>,
    turn: AtomicUsize,
}

impl Name {
    /// Nothing is known yet.
    pub(super) fn new(host: &str, lookup: &Lookup) -> Self {
        let (lookup, known, turn) = (Arc::clone(lookup), ArcSwapOption::empty(), AtomicUsize::new(0));
        Self { host: host.into(), lookup, known, turn }
    }

    /// Looks it up once. An answer without an address is a failure too.
    pub(super) async fn refresh(&self) -> io::Result<()> {
        let late = |_| io::Error::new(io::ErrorKind::TimedOut, "the name was not looked up in time");
        let mut found = timeout(PATIENCE, self.lookup.look_up(&self.host)).await.map_err(late)??;
        found.truncate(MOST);
        if found.is_empty() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
        }
        if self.known.load().as_ref().is_none_or(|known| **known != found) {
            tracing::debug!(host = &*self.host, addresses = ?found, "the addresses of an upstream");
            self.known.store(Some(Arc::new(found)));
        }
        Ok(())
    }

    /// Whether a connection to this address may be used further.
    pub(super) fn has(&self, address: IpAddr) -> bool {
        self.known.load().as_ref().is_none_or(|known| known.contains(&address))
    }

    /// Where to dial, one after the other: those of the family that comes first take turns.
    pub(super) async fn addresses(&self, port: u16) -> io::Result<Vec<SocketAddr>> {
        if self.known.load().is_none() {
            self.refresh().await?;
        }
        let known = self.known.load_full().unwrap_or_default();
        let (mut first, rest): (Vec<&IpAddr>, Vec<_>) =
            known.iter().partition(|address| known.first().is_some_and(|first| first.is_ipv4() == address.is_ipv4()));
        if !first.is_empty() {
            let turn = self.turn.fetch_add(1, Ordering::Relaxed) % first.len();
            first.rotate_left(turn);
        }
        Ok(first.into_iter().chain(rest).map(|address| SocketAddr::new(*address, port)).collect())
    }

    /// The name.
    pub(super) fn host(&self) -> &str {
        &self.host
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Says what it was given, one after the other; then nothing more.
    #[derive(Debug)]
    struct Given(Mutex<Vec<io::Result<Vec<IpAddr>>>>);

    impl LookUp for Given {
        fn look_up(&self, host: &str) -> LookingUp {
            assert_eq!(host, "api.example");
            let mut answers = self.0.lock().unwrap();
            let answer = if answers.is_empty() { Err(io::Error::other("down")) } else { answers.remove(0) };
            Box::pin(async move { answer })
        }
    }

    fn name(answers: Vec<io::Result<Vec<IpAddr>>>) -> Name {
        let lookup: Lookup = Arc::new(Given(Mutex::new(answers)));
        Name::new("api.example", &lookup)
    }

    fn run<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
    }

    #[test]
    fn what_was_known_before_stays_good_while_look_ups_fail() {
        let [one, two]: [IpAddr; 2] = ["192.0.2.1", "192.0.2.2"].map(|text| text.parse().unwrap());
        let name = name(vec![Err(io::Error::other("down")), Ok(vec![one]), Ok(vec![]), Ok(vec![two])]);
        assert!(name.has(one), "nothing is known: nothing is let go");
        run(async {
            assert!(name.addresses(80).await.is_err());
            assert_eq!(name.addresses(80).await.unwrap(), [SocketAddr::new(one, 80)]);
            assert!(name.refresh().await.is_err(), "no address is no answer");
            assert!(name.has(one) && !name.has(two));
            name.refresh().await.unwrap();
            assert!(!name.has(one) && name.has(two));
            assert!(name.refresh().await.is_err());
            assert_eq!(name.addresses(81).await.unwrap(), [SocketAddr::new(two, 81)]);
        });
    }

    #[test]
    fn all_addresses_are_used_and_the_family_that_comes_first_stays_first() {
        let all = ["192.0.2.1", "2001:db8::1", "192.0.2.2"].map(|text| text.parse::<IpAddr>().unwrap());
        let name = name(vec![Ok(all.to_vec())]);
        run(async {
            for expected in [[0, 2, 1], [2, 0, 1], [0, 2, 1]] {
                let dialled = name.addresses(80).await.unwrap();
                assert_eq!(dialled, expected.map(|at| SocketAddr::new(all[at], 80)));
            }
        });
    }
}
