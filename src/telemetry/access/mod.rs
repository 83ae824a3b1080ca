//! The access log: one line a request. A worker gathers its lines and hands them over in batches; a thread writes them.
//! Nobody waits for it: where it cannot keep up, lines are dropped and counted.

mod line;
mod pen;
mod writer;

pub use self::pen::Pen;
pub use self::writer::{Log, Output, Running};

/// What a line says, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The form of a line.
    pub format: Format,
}

/// The form of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// A JSON object with all that is known.
    #[default]
    Json,
    /// The combined format of Apache and nginx.
    Combined,
}
