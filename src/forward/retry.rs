//! A request that is sent once more, because an endpoint failed it before a byte of an answer went to the caller: which
//! ones, what is kept of them, and how many there may be.

use std::cell::Cell;
use std::sync::atomic::Ordering;

use http::{HeaderMap, Method};

use crate::forward::door::Door;
use crate::forward::outgoing::Outgoing;
use crate::forward::policy::{Retry, Sign};
use crate::forward::request::Errand;

/// The most bytes of a body that are kept to be sent once more.
const MOST_BYTES: usize = 64 * 1024;
/// What one retry costs, in hundredths of a request.
const PRICE: u32 = 100;
/// How many retries a worker starts with, and how many it can save up.
const FIRST: u32 = 10;
const MOST: u32 = 500;

/// How many retries a worker may still make: each request earns a part of one, so that retries never become the load that
/// they were to help against.
#[derive(Debug)]
pub(super) struct Budget(Cell<u32>);

impl Budget {
    pub(super) fn new() -> Self {
        Self(Cell::new(FIRST * PRICE))
    }

    /// A request has come.
    pub(super) fn earn(&self, retry: &Retry) {
        self.0.set((self.0.get() + retry.budget).min(MOST * PRICE));
    }

    /// Takes one retry, if there is one left.
    pub(super) fn spend(&self) -> bool {
        let left = self.0.get().checked_sub(PRICE);
        left.inspect(|left| self.0.set(*left)).is_some()
    }
}

/// What is kept of a request, so that it can be sent once more.
#[derive(Debug)]
pub(super) struct Spare {
    fields: HeaderMap,
    body: Outgoing,
    /// How often it may still be sent.
    left: u32,
}

impl Spare {
    /// What is to be kept of a request that has come. `None`: it is sent once, since it does not mean the same twice (RFC
    /// 9110 §9.2.2), or its body is not here as a whole.
    pub(super) fn of(door: &Door, errand: &mut Errand<'_>, body: &Outgoing) -> Option<Box<Self>> {
        let retry = door.policy.retry.as_ref()?;
        door.budget.earn(retry);
        if !is_idempotent(errand.method()) {
            return None;
        }
        let body = body.again(MOST_BYTES)?;
        Some(Box::new(Self { fields: errand.fields().clone(), body, left: retry.attempts.saturating_sub(1) }))
    }

    /// Whether it goes out once more after this; one of its chances and of the worker's are spent then.
    pub(super) fn may_go(&mut self, sign: Sign, door: &Door) -> bool {
        let goes = self.left > 0 && door.policy.retry.is_some_and(|retry| retry.on.has(sign)) && door.budget.spend();
        self.left -= u32::from(goes);
        if goes {
            door.group.load.retries.fetch_add(1, Ordering::Relaxed);
        }
        goes
    }

    /// Puts the request together once more; its body.
    pub(super) fn restore(&mut self, errand: &mut Errand<'_>) -> Outgoing {
        errand.fields().clone_from(&self.fields);
        self.body.again(MOST_BYTES).expect("it could be kept before")
    }
}

/// Whether it means the same, sent twice.
fn is_idempotent(method: &Method) -> bool {
    [Method::GET, Method::HEAD, Method::OPTIONS, Method::PUT, Method::DELETE].contains(method)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forward::policy::Signs;

    #[test]
    fn retries_are_a_part_of_the_requests_and_no_more() {
        let (budget, retry) = (Budget::new(), Retry { budget: 20, attempts: 2, on: Signs::default() });
        let spent = |budget: &Budget| std::iter::from_fn(|| budget.spend().then_some(())).count();
        assert_eq!(spent(&budget), 10);
        (0..100).for_each(|_| budget.earn(&retry));
        assert_eq!(spent(&budget), 20);
        (0..4).for_each(|_| budget.earn(&retry));
        assert_eq!(spent(&budget), 0);
        (0..1_000_000).for_each(|_| budget.earn(&retry));
        assert_eq!(spent(&budget), 500);
    }

    #[test]
    fn only_what_means_the_same_twice_is_sent_twice() {
        for method in [Method::GET, Method::HEAD, Method::OPTIONS, Method::PUT, Method::DELETE] {
            assert!(is_idempotent(&method));
        }
        for method in [Method::POST, Method::PATCH, Method::CONNECT, Method::from_bytes(b"PURGE").unwrap()] {
            assert!(!is_idempotent(&method));
        }
    }
}
