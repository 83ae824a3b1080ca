//! How an upstream of several endpoints is used: settings, as meant. What happens under them is the business of `door`,
//! `standing` and `health`.

use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::time::Duration;

use http::{HeaderValue, StatusCode};
use schemars::JsonSchema;
use serde::Deserialize;

/// The most endpoints of one upstream.
pub const MOST_ENDPOINTS: usize = 64;

/// How the endpoints of one upstream are used.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Which endpoint gets a request.
    pub balance: Balance,
    /// The share of each endpoint, in their order; at least 1.
    pub weights: Box<[u32]>,
    /// How many requests may be under way.
    pub room: Room,
    /// Which requests are sent once more; `None`: those alone that were never sent.
    pub retry: Option<Retry>,
    /// Which endpoints are left alone for a while.
    pub ejection: Ejection,
    /// How endpoints are asked whether they are well.
    pub health: Option<Health>,
    /// What is done while every endpoint is out.
    pub when_all_out: WhenAllOut,
    /// How long the addresses of a name are believed.
    pub resolve: Duration,
}

/// Which endpoint gets a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Balance {
    /// They take turns, by weight.
    #[default]
    RoundRobin,
    /// Of two chosen at random, the one with fewer requests under way for its weight.
    LeastInFlight,
    /// The same one for the same account, by consistent hashing; round robin for callers without one.
    HashAccount,
    /// The same for the camera that the credential is for.
    HashCamera,
    /// The same for the caller's address.
    HashAddress,
}

/// How many requests may be under way at the same time, counted over all workers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Room {
    /// To the upstream as a whole.
    pub upstream: Option<NonZeroU32>,
    /// To one endpoint.
    pub endpoint: Option<NonZeroU32>,
    /// Who may wait for a place, where all are taken.
    pub queue: Option<Queue>,
}

/// Those who wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queue {
    /// How many, over all workers.
    pub length: usize,
    /// How long each of them.
    pub wait: Duration,
}

/// Which requests are sent once more, when an endpoint has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// How many retries there may be, in hundredths of the requests.
    pub budget: u32,
    /// How often one request is sent at most, the first time included.
    pub attempts: u32,
    /// After which failures.
    pub on: Signs,
}

/// When an endpoint is left alone because of what became of requests, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ejection {
    /// After so many failures in a row.
    pub failures: u32,
    /// Which lie within so long.
    pub window: Duration,
    /// For so long the first time; each further time doubles it.
    pub rest: Duration,
    /// And for so long at most.
    pub longest: Duration,
    /// How long it takes until an endpoint that came back has its whole share again.
    pub slow_return: Duration,
    /// The most endpoints that may be out at a time, in hundredths. One that cannot be reached is out in any case.
    pub most: u32,
    /// What a failure is, besides no connection.
    pub on: Signs,
}

impl Default for Ejection {
    fn default() -> Self {
        Self {
            failures: 5,
            window: Duration::from_secs(10),
            rest: Duration::from_secs(1),
            longest: Duration::from_secs(30),
            slow_return: Duration::from_secs(10),
            most: 50,
            on: Signs::of(&[Sign::Timeout, Sign::Reset]),
        }
    }
}

/// How an endpoint is asked whether it is well: a GET every so often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// The path, with its query.
    pub path: Box<str>,
    /// The `Host`; else that of the endpoint.
    pub host: Option<HeaderValue>,
    /// How often, give or take a tenth.
    pub interval: Duration,
    /// How long an answer may take, with its connection.
    pub timeout: Duration,
    /// After so many good answers in a row an endpoint is well.
    pub healthy: u32,
    /// After so many bad ones it is not.
    pub unhealthy: u32,
    /// The statuses of a good answer.
    pub status: RangeInclusive<u16>,
}

/// What is done while every endpoint is out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WhenAllOut {
    /// They are used as if none was: what is known of them may be wrong.
    #[default]
    Try,
    /// Requests are refused.
    Refuse,
}

/// How an endpoint fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum Sign {
    /// It does not answer in time.
    #[serde(rename = "timeout")]
    Timeout = 1,
    /// It breaks off before the head of its answer, or answers what is not HTTP.
    #[serde(rename = "reset")]
    Reset = 2,
    /// It answers with status 502.
    #[serde(rename = "502")]
    BadGateway = 4,
    /// It answers with status 503.
    #[serde(rename = "503")]
    Unavailable = 8,
    /// It answers with status 504.
    #[serde(rename = "504")]
    GatewayTimeout = 16,
}

impl Sign {
    /// What a status is a sign of.
    pub fn of_status(status: StatusCode) -> Option<Self> {
        match status {
            StatusCode::BAD_GATEWAY => Some(Self::BadGateway),
            StatusCode::SERVICE_UNAVAILABLE => Some(Self::Unavailable),
            StatusCode::GATEWAY_TIMEOUT => Some(Self::GatewayTimeout),
            _ => None,
        }
    }
}

/// A set of signs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Signs(u8);

impl Signs {
    /// These.
    pub fn of(signs: &[Sign]) -> Self {
        Self(signs.iter().fold(0, |all, sign| all | *sign as u8))
    }

    /// Whether this is one of them.
    pub fn has(self, sign: Sign) -> bool {
        self.0 & sign as u8 != 0
    }
}
