//! `[overload]`, as meant.

use std::time::Duration;

use crate::config::file::Overload;
use crate::config::report::Report;
use crate::edge::overload::Settings;
use crate::invalid::Invalid;
use crate::units::Size;

/// Less cannot be seen: a worker looks no more often.
const LEAST_LAG: Duration = Duration::from_millis(100);
/// Less is taken by a gateway that has nothing to do.
const LEAST_MEMORY: Size = Size::kib(64 * 1024);

/// How much a worker bears.
pub(super) fn overload(written: &Overload, report: &mut Report) -> Settings {
    let Overload { max_lag, max_in_flight, max_memory } = written;
    if let Some(lag) = max_lag.as_ref().filter(|lag| lag.value.0 < LEAST_LAG) {
        report.error(lag.place.clone(), Invalid::new("a lag that can be seen is 100 ms or more"));
    }
    if let Some(most) = max_in_flight.as_ref().filter(|most| most.value == 0) {
        report.error(most.place.clone(), Invalid::new("a worker takes at least one request"));
    }
    if let Some(memory) = max_memory.as_ref().filter(|memory| memory.value < LEAST_MEMORY) {
        let invalid = Invalid::new("less than 64 MiB is taken by a gateway that has nothing to do");
        report.error(memory.place.clone(), invalid);
    }
    Settings {
        lag: max_lag.as_ref().map_or(Duration::from_secs(1), |lag| lag.value.0),
        in_flight: max_in_flight.as_ref().map_or(10_000, |most| most.value),
        memory: max_memory.as_ref().map(|memory| memory.value.0),
    }
}
