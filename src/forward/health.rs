//! Asks endpoints whether they are well, beside the corridor: a GET every so often, in the version of HTTP that they are
//! spoken to in. So many bad answers in a row take an
//! endpoint out, so many good ones bring it back; no answer in time is a bad one.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{HOST, USER_AGENT};
use http::uri::Scheme;
use http::{HeaderValue, Request, StatusCode, Uri, Version};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::runtime::Handle;
use tokio::time::{sleep, timeout};

use crate::clock::Clock;
use crate::forward::body::BodyError;
use crate::forward::connect;
use crate::forward::fleet::{Group, Groups, Member};
use crate::forward::http1::Socket;
use crate::forward::names::Name;
use crate::forward::policy::Health;
use crate::forward::tls::Trust;
use crate::forward::upstream::{Endpoint, HostPolicy, Protocol, Upstream};

/// The most bytes of a head that is looked at.
const MOST: usize = 16 * 1024;
/// The same as HTTP/2 counts it.
const MOST_LISTED: u32 = 16 * 1024;
/// How often a clock that is moved by hand is looked at.
const GLANCE: Duration = Duration::from_millis(20);

/// Looks after these upstreams beside the corridor, until another configuration comes.
pub(super) fn care(upstreams: &[Upstream], groups: &Groups, clock: &Clock, beside: &Handle) {
    for (upstream, group) in upstreams.iter().zip(groups.iter()) {
        for (endpoint, member) in upstream.endpoints.iter().zip(&group.members) {
            let (group, clock) = (Arc::clone(group), clock.clone());
            if let Some(name) = &member.name {
                let (group, clock, every) = (Arc::clone(&group), clock.clone(), upstream.policy.resolve);
                beside.spawn(resolve(Arc::clone(name), every, group, clock));
            }
            if let Some(health) = &upstream.policy.health {
                let host = health.host.clone().unwrap_or_else(|| match &upstream.host {
                    HostPolicy::Named(name) => name.clone(),
                    HostPolicy::Preserve | HostPolicy::Endpoint => endpoint.authority.clone(),
                });
                let patient = Patient {
                    member: Arc::clone(member),
                    endpoint: endpoint.clone(),
                    protocol: upstream.protocol,
                    tls: upstream.tls.clone(),
                    health: health.clone(),
                    host,
                };
                beside.spawn(watch(patient, group, clock));
            }
        }
    }
}

/// Looks a name up again and again.
async fn resolve(name: Arc<Name>, every: Duration, group: Arc<Group>, clock: Clock) {
    let mut failing = false;
    while !group.is_retired() {
        // Before the attempt: what is due is due, however long that takes.
        let due = clock.now() + every;
        match name.refresh().await {
            Ok(()) => failing = false,
            // Said once for each time that it begins.
            Err(error) if !std::mem::replace(&mut failing, true) => {
                let (upstream, host) = (&*group.upstream, name.host());
                tracing::warn!(upstream, host, %error, "a name was not looked up; what was known before stays good");
            }
            Err(_) => {}
        }
        pause(&clock, due, &group).await;
    }
}

/// An endpoint that is asked how it is.
struct Patient {
    member: Arc<Member>,
    endpoint: Endpoint,
    protocol: Protocol,
    tls: Option<Arc<Trust>>,
    health: Health,
    host: HeaderValue,
}

/// Asks again and again.
async fn watch(patient: Patient, group: Arc<Group>, clock: Clock) {
    let Patient { member, health, .. } = &patient;
    let mut tally = Tally::new(member.is_well());
    while !group.is_retired() {
        let asked = clock.now();
        let answer = match timeout(health.timeout, patient.ask()).await {
            Ok(answer) => answer,
            Err(_) => Err("no answer in time".into()),
        };
        let counter = if answer.is_ok() { &member.passed } else { &member.failed };
        counter.fetch_add(1, Ordering::Relaxed);
        let (upstream, endpoint) = (&*group.upstream, &*member.url);
        if let Some(well) = tally.count(answer.is_ok(), health) {
            member.set_well(well);
            match answer {
                Ok(()) => tracing::info!(upstream, endpoint, "an endpoint is well again"),
                Err(error) => tracing::warn!(upstream, endpoint, %error, "an endpoint is not well"),
            }
        }
        pause(&clock, asked + jittered(health.interval), &group).await;
    }
}

impl Patient {
    /// One question. The answer's body is not read, and its connection not used again.
    async fn ask(&self) -> Result<(), BodyError> {
        let Self { member, endpoint, tls, health, .. } = self;
        let (socket, _) = connect::socket(endpoint, member.name.as_deref(), tls.as_ref(), health.timeout).await?;
        let status = match self.protocol {
            Protocol::Http1 => self.ask_in_lines(socket).await?,
            Protocol::Http2 if endpoint.tls && socket.protocol() != Some(b"h2") => {
                return Err("it does not speak HTTP/2".into());
            }
            Protocol::Http2 => self.ask_in_frames(socket).await?,
        };
        if health.status.contains(&status.as_u16()) {
            return Ok(());
        }
        Err(format!("it answered with status {}", status.as_u16()).into())
    }

    async fn ask_in_lines(&self, socket: Socket) -> Result<StatusCode, BodyError> {
        let Self { health, host, .. } = self;
        let (mut sender, connection) = http1::Builder::new().max_buf_size(MOST).handshake(TokioIo::new(socket)).await?;
        let request = Request::get(&*health.path).header(HOST, host).header(USER_AGENT, "vidgate-health");
        let request = request.body(Empty::<Bytes>::new())?;
        let answer = async { Ok::<_, BodyError>(sender.send_request(request).await?.status()) };
        tokio::pin!(answer, connection);
        tokio::select! {
            biased;
            status = &mut answer => status,
            // The answer may have come before the connection ended, whatever ended that.
            _ = &mut connection => answer.await,
        }
    }

    async fn ask_in_frames(&self, socket: Socket) -> Result<StatusCode, BodyError> {
        let Self { endpoint, health, host, .. } = self;
        let mut builder = h2::client::Builder::new();
        builder.enable_push(false).max_header_list_size(MOST_LISTED).max_concurrent_reset_streams(1);
        let (sender, connection) = builder.handshake::<_, Bytes>(socket).await?;
        let scheme = if endpoint.tls { Scheme::HTTPS } else { Scheme::HTTP };
        let target = Uri::builder().scheme(scheme).authority(host.as_bytes()).path_and_query(&*health.path).build()?;
        let request = Request::get(target).version(Version::HTTP_2).header(USER_AGENT, "vidgate-health").body(())?;
        let answer = async {
            let (answer, _) = sender.ready().await?.send_request(request, true)?;
            Ok::<_, BodyError>(answer.await?.status())
        };
        tokio::pin!(answer, connection);
        tokio::select! {
            biased;
            status = &mut answer => status,
            _ = &mut connection => answer.await,
        }
    }
}

/// Answers in a row.
#[derive(Debug)]
struct Tally {
    well: bool,
    /// How many in a row speak against that.
    against: u32,
}

impl Tally {
    fn new(well: bool) -> Self {
        Self { well, against: 0 }
    }

    /// One more answer; what holds from now on, if that is something else.
    fn count(&mut self, good: bool, health: &Health) -> Option<bool> {
        if good == self.well {
            self.against = 0;
            return None;
        }
        self.against += 1;
        let enough = if good { health.healthy } else { health.unhealthy };
        if self.against < enough {
            return None;
        }
        *self = Self::new(good);
        Some(good)
    }
}

/// Give or take a tenth, so that many gateways do not ask in step.
fn jittered(interval: Duration) -> Duration {
    let chance = u32::try_from(RandomState::new().hash_one(0) % 201).expect("it is small");
    interval * (900 + chance) / 1000
}

/// Until then, or until nobody needs it any more. A clock that is moved by hand is looked at often.
async fn pause(clock: &Clock, due: Instant, group: &Group) {
    loop {
        let left = due.saturating_duration_since(clock.now());
        if left.is_zero() || group.is_retired() {
            return;
        }
        sleep(if clock.manual_now().is_some() { GLANCE } else { left.min(Duration::from_secs(1)) }).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_answers_in_a_row_turn_it_and_one_in_between_begins_anew() {
        let health = Health {
            path: "/".into(),
            host: None,
            interval: Duration::from_secs(5),
            timeout: Duration::from_secs(2),
            healthy: 2,
            unhealthy: 3,
            status: 200..=299,
        };
        let mut tally = Tally::new(true);
        let answers = [false, false, true, false, false, false, false, true, false, true, true, true];
        let turned = answers.map(|good| tally.count(good, &health));
        let mut expected = [None; 12];
        (expected[5], expected[10]) = (Some(false), Some(true));
        assert_eq!(turned, expected);
    }

    #[test]
    fn an_interval_is_kept_to_a_tenth() {
        for _ in 0..1000 {
            let interval = jittered(Duration::from_secs(10));
            assert!((Duration::from_secs(9)..=Duration::from_secs(11)).contains(&interval), "{interval:?}");
        }
    }
}
