//! What a gateway that runs cannot change: another value needs a restart, and is said to.

use std::ops::Range;

use super::store::Checked;
use crate::admin::{self, monitoring};
use crate::config::file::File;
use crate::config::report::Report;
use crate::invalid::Invalid;
use crate::store;
use crate::telemetry::log::Format;

/// The settings that stay as they are from the start to the end.
#[derive(Debug)]
pub struct Fixed {
    workers: Option<usize>,
    format: Format,
    store: Option<store::Settings>,
    admin: Option<admin::Identity>,
    monitoring: Option<monitoring::Settings>,
    traces: bool,
}

impl Fixed {
    /// Those of a file. What is wrong with them is said elsewhere.
    pub(super) fn of(
        file: &File,
        store: Option<&Checked>,
        (admin, monitoring): (Option<&admin::Settings>, Option<monitoring::Settings>),
    ) -> Self {
        Self {
            workers: file.workers.as_ref().map(|workers| workers.value.get()),
            format: file.log.format,
            store: store.map(|checked| checked.settings().clone()),
            admin: admin.map(admin::Settings::identity),
            monitoring,
            traces: file.traces.is_some(),
        }
    }

    /// Says which of them are others than `before`.
    pub(super) fn differences(&self, before: &Self, file: &File, report: &mut Report) {
        let mut differs = |differs: bool, what: &str, place: Option<Range<usize>>| {
            if differs {
                let invalid = Invalid::new(format!("another value of {what} needs a restart"));
                report.error(place, invalid.hint("nothing was changed: put it back, or restart vidgate"));
            }
        };
        let place = file.workers.as_ref().map(|workers| workers.place.clone());
        differs(self.workers != before.workers, "`workers`", place);
        differs(self.format != before.format, "`log.format`", None);
        let place = file.store.as_ref().map(|store| store.path.place.clone());
        differs(self.store != before.store, "`[store]`", place);
        let place = file.admin.as_ref().map(|admin| admin.place.clone());
        differs(self.admin != before.admin, "`[admin]`", place);
        let place = file.monitoring.as_ref().map(|monitoring| monitoring.place.clone());
        differs(self.monitoring != before.monitoring, "`[monitoring]`", place);
        let place = file.traces.as_ref().map(|traces| traces.place.clone());
        differs(self.traces != before.traces, "whether there is `[traces]`", place);
    }
}
