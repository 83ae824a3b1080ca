//! How a caller is told of the limits: `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-10).
//! Both are lists, so what an upstream says of limits of its own stands beside: the draft has intermediaries add what
//! is narrower, and take nothing out.

use std::sync::Arc;

use bytes::{BufMut, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::limits::Limit;
use super::policy::{Measure, Policy, PolicyId};
use super::taking::Standings;
use super::tally::Standing;

const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// Both fields of one answer; boxed, since an admission is handed from room to room.
#[derive(Debug, Default)]
pub(super) struct Fields(Option<Box<[HeaderValue; 2]>>);

impl Fields {
    fn into_pairs(self) -> Option<[(HeaderName, HeaderValue); 2]> {
        let [policies, standings] = *self.0?;
        Some([(RATELIMIT_POLICY, policies), (RATELIMIT, standings)])
    }

    /// Adds them to an answer.
    pub(super) fn add_to(self, headers: &mut HeaderMap) {
        let Some(pairs) = self.into_pairs() else { return };
        for (name, value) in pairs {
            headers.append(name, value);
        }
    }

    /// The same for the answer that a refusal will become.
    pub(super) fn add_to_refusal(self, fields: &mut Vec<(HeaderName, HeaderValue)>) {
        fields.extend(self.into_pairs().into_iter().flatten());
    }
}

/// How much a worker allocates at once for what it writes: some fifty fields.
const AT_ONCE: usize = 2048;

const VISIBLE: &str = "names of limits and digits are visible ASCII";

/// Where a worker writes its fields: one behind the other, in memory that they share.
#[derive(Debug)]
pub(super) struct Writing {
    text: BytesMut,
    /// What was told last of the policies of a request, by its first limit: mostly it is the same again, and then answers
    /// share it.
    told: Vec<Option<Told>>,
}

/// A field of policies with all that is told in it.
#[derive(Debug)]
struct Told {
    of: Vec<Terms>,
    /// `None`: none of them bites.
    policies: Option<HeaderValue>,
}

/// A limit, of how many it is for this caller, and in which window.
type Terms = (PolicyId, u64, Option<u64>);

impl Default for Writing {
    fn default() -> Self {
        Self { text: BytesMut::with_capacity(AT_ONCE), told: Vec::new() }
    }
}

impl Writing {
    /// What to tell of these limits; nothing, where there are none that bite.
    pub(super) fn fields(&mut self, ids: &[PolicyId], standings: &Standings<'_>) -> Fields {
        let Some(policies) = self.policies(ids, standings) else { return Fields::default() };
        self.text.clear();
        for (limit, standing) in biting(standings) {
            part(&mut self.text);
            stand(&mut self.text, &limit.named, *standing);
        }
        let standings = HeaderValue::from_maybe_shared(self.text.split().freeze()).expect(VISIBLE);
        Fields(Some(Box::new([policies, standings])))
    }

    fn policies(&mut self, ids: &[PolicyId], standings: &Standings<'_>) -> Option<HeaderValue> {
        let terms = || ids.iter().zip(standings).map(|(id, (_, it))| (*id, it.quota, it.window));
        let first = ids.first()?.0;
        if let Some(Some(told)) = self.told.get(first)
            && told.of.iter().copied().eq(terms())
        {
            return told.policies.clone();
        }
        self.text.clear();
        for (limit, standing) in biting(standings) {
            part(&mut self.text);
            match &limit.described {
                Some(described) => self.text.extend_from_slice(described.as_bytes()),
                None => describe(&mut self.text, &limit.policy, standing.quota, standing.window),
            }
        }
        // In memory of its own, since it stays.
        let policies = (!self.text.is_empty()).then(|| HeaderValue::from_bytes(&self.text).expect(VISIBLE));
        if self.told.len() <= first {
            self.told.resize_with(first + 1, || None);
        }
        self.told[first] = Some(Told { of: terms().collect(), policies: policies.clone() });
        policies
    }
}

/// Those that have an effect, and are told of.
fn biting<'s, 'g>(standings: &'s Standings<'g>) -> impl Iterator<Item = &'s (&'g Limit, Standing)> {
    standings.iter().filter(|(limit, _)| !limit.policy.log_only)
}

/// Parts what follows from what stands there.
fn part(field: &mut BytesMut) {
    if !field.is_empty() {
        field.extend_from_slice(b", ");
    }
}

/// The description that all callers get; `None`: a quota, of which each may have their own.
pub(super) fn described(policy: &Policy) -> Option<Arc<str>> {
    let mut text = BytesMut::new();
    match policy.measure {
        // Of a burst: so many may come at once, and are there again after that time.
        Measure::Rate(rate) => describe(&mut text, policy, rate.burst.get().into(), Some(rate.refill())),
        Measure::Concurrency(concurrency) => describe(&mut text, policy, concurrency.most.get().into(), None),
        Measure::Quota(_) => return None,
    }
    Some(std::str::from_utf8(&text).expect(VISIBLE).into())
}

/// How the standing of a limit begins: `"hourly";r=`.
pub(super) fn named(policy: &Policy) -> Arc<str> {
    ["\"", &policy.name, "\";r="].concat().into()
}

/// `"hourly";q=100;w=3600`. What is not counted by time has its unit instead of a window.
fn describe(field: &mut BytesMut, policy: &Policy, quota: u64, window: Option<u64>) {
    field.put_u8(b'"');
    field.extend_from_slice(policy.name.as_bytes());
    field.extend_from_slice(b"\";q=");
    number(field, quota);
    match window {
        Some(window) => {
            field.extend_from_slice(b";w=");
            number(field, window);
        }
        None => field.extend_from_slice(b";qu=\"concurrent-requests\""),
    }
}

/// `"hourly";r=57;t=1200`.
fn stand(field: &mut BytesMut, named: &str, standing: Standing) {
    field.extend_from_slice(named.as_bytes());
    number(field, standing.remaining);
    if let Some(reset) = standing.reset {
        field.extend_from_slice(b";t=");
        number(field, reset);
    }
}

/// In decimal.
fn number(field: &mut BytesMut, value: u64) {
    field.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_everybody_writes_them() {
        let powers = (0..20).map(|power| 10_u64.pow(power)).flat_map(|ten| [ten - 1, ten, ten + 1]);
        for value in (0..1001).chain(powers).chain([u64::from(u32::MAX), u64::MAX]) {
            let mut field = BytesMut::from("x");
            number(&mut field, value);
            assert_eq!(field, format!("x{value}").as_bytes());
        }
    }
}
