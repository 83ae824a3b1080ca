//! What stands in the place of traces where they were left out of the build: nothing, in all places.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;

use super::{Counts, Sampling, Settings};
use crate::telemetry::exchange::Exchange;
use crate::telemetry::sinks::Scope;

/// Where workers put their spans.
#[derive(Clone, Debug, Default)]
pub struct Queue(());

/// Who sends them.
#[derive(Clone, Copy, Debug)]
pub struct Running;

/// What another collector would need.
#[derive(Clone, Copy, Debug)]
pub struct Prepared;

/// The place of a request in a trace.
#[derive(Clone, Copy, Debug, Default)]
pub struct Span(());

/// Who gives requests their places.
#[derive(Clone, Copy, Debug)]
pub struct Tracer;

impl Queue {
    /// There is none.
    ///
    /// # Errors
    ///
    /// Never.
    pub fn start(_: Option<&Settings>) -> io::Result<(Self, Running)> {
        Ok((Self(()), Running))
    }
}

impl Running {
    /// There are no spans.
    pub fn counts(self) -> Arc<Counts> {
        Arc::default()
    }

    /// There is nothing to prepare.
    ///
    /// # Errors
    ///
    /// Never.
    pub fn prepare(self, _: Option<&Settings>) -> io::Result<Prepared> {
        Ok(Prepared)
    }

    /// Nothing is sent anywhere.
    pub fn go_on_with(self, _: Prepared) {}

    /// There is nothing to wait for.
    pub fn end(self) {}
}

impl Span {
    /// Headers go on as they came.
    pub fn propagate(self, _: &mut HeaderMap) {}
}

impl Tracer {
    /// Nobody.
    pub fn new(_: Queue) -> Self {
        Self
    }

    /// None.
    pub fn begin(self, _: &Sampling, _: &HeaderMap, _: IpAddr) -> Span {
        Span(())
    }

    /// Nothing is written.
    pub(in crate::telemetry) fn finished(self, _: &Exchange, _: &Scope, _: Duration) {
        let Self = self;
    }

    /// Nothing was gathered.
    pub fn flush(self) {}
}
