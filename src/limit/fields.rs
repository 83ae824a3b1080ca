//! How a caller is told of the limits: `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-10).
//! Both are lists, so what an upstream says of limits of its own stands beside: the draft has intermediaries add what
//! is narrower, and take nothing out.

use std::fmt::Write as _;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::policy::{Measure, Policy};
use super::tally::{Moment, Standing};

const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// Room for one limit in a field besides its name, so that as a rule a field is allocated once.
const ITEM: usize = 48;

/// Both fields of one answer.
#[derive(Debug, Default)]
pub(super) struct Fields(Option<Box<[HeaderValue; 2]>>);

impl Fields {
    /// What to tell of these limits; nothing, where there are none that bite.
    pub(super) fn of<'p>(limits: impl Iterator<Item = (&'p Policy, Standing)> + Clone, now: Moment) -> Self {
        let room: usize = limits.clone().map(|(policy, _)| policy.name.len() + ITEM).sum();
        if room == 0 {
            return Self::default();
        }
        let [mut policies, mut standings] = [(); 2].map(|()| String::with_capacity(room));
        for (policy, standing) in limits {
            if !policies.is_empty() {
                policies.push_str(", ");
                standings.push_str(", ");
            }
            describe(&mut policies, policy, standing.quota, now);
            stand(&mut standings, policy, standing);
        }
        let value = |text: String| HeaderValue::try_from(text).expect("names of limits and digits make a header value");
        Self(Some(Box::new([value(policies), value(standings)])))
    }

    /// The fields, by name.
    fn into_pairs(self) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
        self.0.into_iter().flat_map(|values| [RATELIMIT_POLICY, RATELIMIT].into_iter().zip(*values))
    }

    /// Adds them to an answer.
    pub(super) fn add_to(self, headers: &mut HeaderMap) {
        for (name, value) in self.into_pairs() {
            headers.append(name, value);
        }
    }

    /// The same for the answer that a refusal will become.
    pub(super) fn add_to_refusal(self, fields: &mut Vec<(HeaderName, HeaderValue)>) {
        fields.extend(self.into_pairs());
    }
}

/// `"hourly";q=100;w=3600`. What is not counted by time has its unit instead of a window.
fn describe(field: &mut String, policy: &Policy, quota: u64, now: Moment) {
    let name = &policy.name;
    let window = match policy.measure {
        // Of a burst: so many may come at once, and are there again after that time.
        Measure::Rate(rate) => rate.refill(),
        Measure::Quota(quota) => {
            let window = quota.period.window(now.unix);
            window.end.0 - window.start.0
        }
        Measure::Concurrency(_) => {
            write!(field, "\"{name}\";q={quota};qu=\"concurrent-requests\"").expect("a string takes everything");
            return;
        }
    };
    write!(field, "\"{name}\";q={quota};w={window}").expect("a string takes everything");
}

/// `"hourly";r=57;t=1200`.
fn stand(field: &mut String, policy: &Policy, standing: Standing) {
    let (name, remaining) = (&policy.name, standing.remaining);
    write!(field, "\"{name}\";r={remaining}").expect("a string takes everything");
    if let Some(reset) = standing.reset {
        write!(field, ";t={reset}").expect("a string takes everything");
    }
}
