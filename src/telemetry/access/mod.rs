//! The access log: one line a request. A worker gathers its lines and hands them over in batches; a thread writes them.
//! Nobody waits for it: where it cannot keep up, lines are dropped and counted.

mod line;
mod pen;
mod phrases;
mod share;
mod writer;

use std::path::PathBuf;

pub use self::pen::Pen;
pub(super) use self::phrases::Phrases;
pub use self::share::Share;
pub use self::writer::{Log, Output, Running};

/// What a line says, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The form of a line.
    pub format: Format,
    /// The file that lines are added to; `None` is wherever the server was told, standard error as a rule.
    pub file: Option<PathBuf>,
    /// How many of the requests that were let in have a line; others always do.
    pub sample: Share,
}

impl Default for Settings {
    fn default() -> Self {
        Self { format: Format::Json, file: None, sample: Share::default() }
    }
}

/// The form of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "AccessFormat")]
pub enum Format {
    /// A JSON object with all that is known.
    #[default]
    Json,
    /// The combined format of Apache and nginx.
    Combined,
}
