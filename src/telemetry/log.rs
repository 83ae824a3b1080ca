//! The log: written by a thread of its own, so that no worker ever waits for a disk or a terminal. When more is said than
//! can be written, lines are dropped rather than requests delayed.

use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::writer::BoxMakeWriter;

/// Lines that may wait to be written.
const LINES: usize = 64_000;

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
    // What the libraries below us say is for their makers.
    let filter = EnvFilter::new(format!("warn,vidgate={0},access={0}", settings.level.name()));
    let colour = anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(BoxMakeWriter::new(writer));
    // A second start in one process (a test) keeps the first.
    let _ = match settings.format {
        Format::Json => builder.json().flatten_event(true).with_current_span(false).try_init(),
        Format::Text => builder.with_ansi(colour).try_init(),
    };
    guard
}
