//! What is told of requests.

use crate::config::file;
use crate::telemetry::{Settings, access, trace};

/// As the file says.
pub(super) fn telemetry(written: &file::Log, traces: Option<&trace::Settings>) -> Settings {
    let access = written.access.unwrap_or(true).then(|| access::Settings { format: access::Format::default() });
    Settings { access, traces: traces.map(|traces| traces.sampling.clone()) }
}
