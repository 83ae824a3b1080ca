//! What stands in the place of traces where they were left out of the build: nothing, in all places.

use std::io;
use std::rc::Rc;

use http::HeaderMap;

use super::{Sampling, Settings};
use crate::telemetry::exchange::Exchange;
use crate::telemetry::sinks::Scope;

/// Where workers put their spans.
#[derive(Clone, Copy, Debug)]
pub struct Queue;

/// Who sends them.
#[derive(Clone, Copy, Debug)]
pub struct Running;

/// The place of a request in a trace.
#[derive(Clone, Copy, Debug, Default)]
pub struct Span;

/// Who gives requests their places.
#[derive(Clone, Copy, Debug)]
pub struct Tracer;
