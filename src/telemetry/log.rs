//! The log: written by a thread of its own, so that no worker ever waits for a disk or a terminal. When more is said than
//! can be written, lines are dropped rather than requests delayed.

use std::sync::OnceLock;

use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::writer::BoxMakeWriter;

/// Lines that may wait to be written.
const LINES: usize = 64_000;

/// Sets what is said, once the log was started.
static FILTER: OnceLock<Box<dyn Fn(EnvFilter) + Send + Sync>> = OnceLock::new();

/// Counts the lines that were dropped, once the log was started.
static DROPPED: OnceLock<ErrorCounter> = OnceLock::new();

/// How much is said, and in which form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The least important level that is written.
    pub level: Level,
    /// The form of a line.
    pub format: Format,
}

/// How important a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// What an operator must act on.
    Error,
    /// What an operator should look at.
    Warn,
    /// What happens.
    #[default]
    Info,
    /// How it happens.
    Debug,
    /// Everything.
    Trace,
}

/// The form of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// A JSON object, for machines.
    #[default]
    Json,
    /// Words, for people.
    Text,
}

impl Level {
    fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// Starts the log on standard error; it ends, and is flushed, when the guard is dropped.
pub fn start(settings: &Settings) -> WorkerGuard {
    let (writer, guard) =
        NonBlockingBuilder::default().lossy(true).buffered_lines_limit(LINES).finish(std::io::stderr());
    // A second start in one process (a test) keeps the first.
    let _ = DROPPED.set(writer.error_counter());
    let colour = anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never;
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter(settings.level)).with_writer(BoxMakeWriter::new(writer));
    // A second start in one process (a test) keeps the first.
    let _ = match settings.format {
        Format::Json => {
            let builder = builder.json().flatten_event(true).with_current_span(false).with_filter_reloading();
            let handle = builder.reload_handle();
            builder.try_init().inspect(|()| allow_changes(move |filter| handle.reload(filter).unwrap_or_default()))
        }
        Format::Text => {
            let builder = builder.with_ansi(colour).with_filter_reloading();
            let handle = builder.reload_handle();
            builder.try_init().inspect(|()| allow_changes(move |filter| handle.reload(filter).unwrap_or_default()))
        }
    };
    guard
}

/// How many lines were dropped because they could not be written fast enough.
pub fn dropped() -> u64 {
    DROPPED.get().map_or(0, |counter| counter.dropped_lines() as u64)
}

/// Says from now on what is this important. Before the log was started, nothing comes of it.
pub fn set_level(level: Level) {
    if let Some(set) = FILTER.get() {
        set(filter(level));
    }
}

fn allow_changes(set: impl Fn(EnvFilter) + Send + Sync + 'static) {
    // A second start in one process keeps the first.
    let _ = FILTER.set(Box::new(set));
}

fn filter(level: Level) -> EnvFilter {
    // What the libraries below us say is for their makers.
    EnvFilter::new(format!("warn,vidgate={0},access={0}", level.name()))
}
