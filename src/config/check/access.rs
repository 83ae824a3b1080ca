//! What is told of requests.

use crate::config::file;
use crate::telemetry::{Settings, access};

/// As the file says.
pub(super) fn telemetry(written: &file::Log) -> Settings {
    let access = written.access.unwrap_or(true).then(|| access::Settings { format: access::Format::default() });
    Settings { access }
}
