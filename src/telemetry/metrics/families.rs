//! Every metric there is: its name, its type, its labels and what it means. What is exposed, what the documentation says
//! and what dashboard and alerts may name all come from this one table.
//!
//! Names are as Prometheus wants them: a unit at the end (`_seconds`, `_bytes`), counters with `_total`.

use std::fmt::Write as _;

/// How the values of a metric behave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only grows, and begins anew with the process.
    Counter,
    /// It is what it is now.
    Gauge,
    /// Times in buckets.
    Histogram,
}

/// A metric, with all of its label sets.
#[derive(Debug)]
pub struct Family {
    /// The name, as it is exposed; of a histogram without `_bucket`, `_sum` and `_count`.
    pub name: &'static str,
    /// How its values behave.
    pub kind: Kind,
    /// What it means, in a sentence without a full stop.
    pub help: &'static str,
    /// What tells its values apart, in the order in which they are given.
    pub labels: &'static [&'static str],
}

impl Kind {
    /// The word in the exposition.
    pub fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

impl Family {
    /// The unit at the end of its name.
    pub fn unit(&self) -> Option<&'static str> {
        let name = self.stem();
        ["seconds", "bytes"].into_iter().find(|unit| name.strip_suffix(unit).is_some_and(|rest| rest.ends_with('_')))
    }

    /// The name without what its kind puts behind it.
    pub fn stem(&self) -> &'static str {
        match self.kind {
            Kind::Counter => self.name.strip_suffix("_total").unwrap_or(self.name),
            Kind::Gauge | Kind::Histogram => self.name,
        }
    }
}

const fn counter(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Family {
    Family { name, kind: Kind::Counter, help, labels }
}

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Family {
    Family { name, kind: Kind::Gauge, help, labels }
}

const fn histogram(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Family {
    Family { name, kind: Kind::Histogram, help, labels }
}

/// Declares the table: each row a constant, and all rows in a list, in groups with a heading.
macro_rules! table {
    ($($heading:literal { $($constant:ident: $kind:ident $name:literal [$($label:literal),*] $help:literal;)* })*) => {
        $($(#[doc = $help] pub static $constant: Family = $kind($name, &[$($label),*], $help);)*)*

        /// All of them, in groups.
        pub static GROUPS: &[(&str, &[&Family])] = &[$(($heading, &[$(&$constant),*])),*];
    };
}

table! {
    "Requests" {
        REQUESTS: counter "vidgate_requests_total" ["route", "scheme", "outcome"]
            "Requests that have ended, by route, by the kind of the scheme that proved the caller, and by what came of them: \
             `allowed`, `refused`, `failed` (let in, and the upstream or the gateway could not answer), `house` (a preflight or a ping, \
             answered by the gateway itself) or `abandoned` (the caller left before there was an answer)";
        RESPONSES: counter "vidgate_responses_total" ["route", "status"]
            "Answers by the class of their status, `2xx` to `5xx`, refusals included";
        REFUSALS: counter "vidgate_refusals_total" ["route", "cause"]
            "Requests that were not answered by an upstream or an endpoint, by the precise cause that the log has";
        REQUEST_DURATION: histogram "vidgate_request_duration_seconds" ["route"]
            "From the head of a request to the end of its answer's body; streams and tunnels last as long as they last";
        UPSTREAM_DURATION: histogram "vidgate_upstream_duration_seconds" ["route"]
            "From when a request went upstream to the head of the upstream's answer, waiting for a place and retries included";
        REQUEST_BYTES: counter "vidgate_request_body_bytes_total" ["route"]
            "Bytes of requests' bodies that were taken in";
        RESPONSE_BYTES: counter "vidgate_response_body_bytes_total" ["route"]
            "Bytes of answers' bodies that were sent";
    }
    "Connections, streams and TLS" {
        CONNECTIONS: gauge "vidgate_connections" ["listener"]
            "Open connections";
        MAX_CONNECTIONS: gauge "vidgate_max_connections" ["listener"]
            "Open connections that the listener takes at most";
        STREAMS: gauge "vidgate_open_streams" ["kind"]
            "What is on its way for longer: `stream` (an answer or a large upload) and `tunnel` (WebSocket)";
        STREAMS_ENDED: counter "vidgate_streams_ended_total" ["reason"]
            "Open streams and tunnels that were cut off, because their callers would be let in no longer: `revoked`, \
             `disabled`, `expired`, or `withdrawn` where what they do is not allowed any more";
        HANDSHAKES: counter "vidgate_tls_handshakes_total" ["listener", "version", "outcome"]
            "TLS handshakes by version and by what came of them: `done`, `failed` or `late`; one that is not done has the \
             version `-`";
        CERTIFICATE_EXPIRY: gauge "vidgate_certificate_expiry_timestamp_seconds" ["listener", "certificate"]
            "When a certificate that a listener shows, or one behind it, is over, in seconds since the epoch";
        CRL_THIS_UPDATE: gauge "vidgate_crl_this_update_timestamp_seconds" ["listener", "issuer"]
            "When a revocation list for client certificates was made, in seconds since the epoch";
        CRL_NEXT_UPDATE: gauge "vidgate_crl_next_update_timestamp_seconds" ["listener", "issuer"]
            "When a revocation list for client certificates is over, in seconds since the epoch";
    }
    "Limits and the failure guard" {
        LIMIT_DECISIONS: counter "vidgate_limit_decisions_total" ["limit", "decision"]
            "Requests that a limit was asked about: `admitted`, `refused`, or `would_refuse` where it only logs";
        LIMIT_CALLERS: gauge "vidgate_limit_callers" ["limit"]
            "Callers that a limit counts just now";
        LIMIT_SHARED: counter "vidgate_limit_shared_total" ["limit"]
            "Requests that were counted together with strangers, because the limit's memory for callers is full";
        GUARD_COUNTED: gauge "vidgate_guard_counted" ["limit", "per"]
            "Addresses, and identifiers from one network, with wrong credentials that the failure guard remembers";
        GUARD_HELD: gauge "vidgate_guard_held" ["limit", "per"]
            "Those of them from which, or for which, nothing is looked at just now";
        GUARD_REFUSALS: counter "vidgate_guard_refusals_total" ["limit"]
            "Requests that the failure guard has refused";
    }
    "Upstreams" {
        ENDPOINT_STATE: gauge "vidgate_upstream_endpoint_state" ["upstream", "endpoint", "state"]
            "1 for the state that an endpoint is in and 0 for all others: `in`, `unhealthy` (health checks), `resting` (left \
             alone after failures), `on_trial` or `returning`";
        UPSTREAM_IN_FLIGHT: gauge "vidgate_upstream_requests_in_flight" ["upstream"]
            "Requests under way to an upstream, where they are counted (`max_in_flight`)";
        ENDPOINT_IN_FLIGHT: gauge "vidgate_upstream_endpoint_requests_in_flight" ["upstream", "endpoint"]
            "Requests under way to an endpoint, where they are counted";
        UPSTREAM_WAITING: gauge "vidgate_upstream_requests_waiting" ["upstream"]
            "Requests that wait for a place at an upstream";
        UPSTREAM_CONNECTIONS: gauge "vidgate_upstream_connections" ["upstream", "endpoint", "state"]
            "Connections to an endpoint, of all workers: `busy` or `idle`";
        RETRIES: counter "vidgate_upstream_retries_total" ["upstream"]
            "Requests that were sent once more after a failure";
        EJECTIONS: counter "vidgate_upstream_ejections_total" ["upstream", "endpoint"]
            "How often an endpoint was left alone for a while because requests to it failed";
        HEALTH_CHECKS: counter "vidgate_upstream_health_checks_total" ["upstream", "endpoint", "outcome"]
            "Health checks: `passed` or `failed`";
    }
    "Who exists" {
        ACCOUNTS: gauge "vidgate_accounts" []
            "Accounts, declared and stored";
        CREDENTIALS: gauge "vidgate_credentials" ["kind"]
            "Credentials in memory, declared and stored, by kind";
        STORE_ENTRIES: gauge "vidgate_store_entries" []
            "Entries in the file of the store";
        STORE_BYTES: gauge "vidgate_store_file_bytes" []
            "Size of the file of the store";
        STORE_QUEUE: gauge "vidgate_store_queue_length" []
            "Changes and reservations that wait to be written";
        STORE_SILENCE: gauge "vidgate_store_writer_silence_seconds" []
            "For how long the thread of the store has not come round; it does so several times a second unless the disk hangs";
        STORE_COMMITS: histogram "vidgate_store_commit_duration_seconds" []
            "How long a transaction took, until it was on disk";
        STORE_READ_ONLY: gauge "vidgate_store_read_only" []
            "1 where the store can only be read, so that every change is refused";
        KEY_SET_FETCHES: counter "vidgate_key_set_fetches_total" ["source", "outcome"]
            "Attempts to fetch the keys of a foreign issuer: `succeeded` or `failed`";
        KEY_SET_AGE: gauge "vidgate_key_set_last_success_timestamp_seconds" ["source"]
            "When the keys of a foreign issuer were fetched last, in seconds since the epoch; 0: never";
        KEY_SET_EXPIRY: gauge "vidgate_key_set_expiry_timestamp_seconds" ["source"]
            "When the keys of a foreign issuer are too old to be believed unless they are fetched again (`max_age`), in seconds \
             since the epoch; 0: there are none";
        KEY_SET_KEYS: gauge "vidgate_key_set_keys" ["source"]
            "Keys of a foreign issuer that tokens are verified with";
    }
    "Workers and the process" {
        WORKERS: gauge "vidgate_workers" []
            "Threads that serve connections";
        WORKER_LAG: gauge "vidgate_worker_lag_seconds" ["worker"]
            "How much later than it wanted a worker came round last";
        WORKER_SILENCE: gauge "vidgate_worker_silence_seconds" ["worker"]
            "For how long a worker has not come round; it does so ten times a second";
        WORKER_CONNECTIONS: gauge "vidgate_worker_connections" ["worker"]
            "Connections that a worker has";
        WORKER_REQUESTS: gauge "vidgate_worker_requests_in_flight" ["worker"]
            "Requests that a worker has in flight";
        WORKER_OVERLOAD: gauge "vidgate_worker_overload" ["worker", "reason"]
            "1 where a worker refuses what is new: `memory`, `lag` or `in_flight`, as the setting of `[overload]` that it is over";
        MAX_MEMORY: gauge "vidgate_max_memory_bytes" []
            "Memory that the process may take before it refuses what is new, where that is set";
        LOG_DROPPED: counter "vidgate_log_lines_dropped_total" ["log"]
            "Lines that were dropped because they could not be written fast enough: `events`, or of requests (`access`)";
        SPANS: counter "vidgate_trace_spans_total" ["outcome"]
            "Spans for the collector of `[traces]`: `sent`, `dropped` (they came faster than they were sent) or `failed` (it could \
             not be reached, or did not take them)";
        BUILD: gauge "vidgate_build_info" ["version"]
            "1, with the version that runs";
        GENERATION: gauge "vidgate_config_generation" []
            "Which configuration is in force, counted from the start";
        RELOADS: counter "vidgate_config_reloads_total" ["outcome"]
            "Attempts to read the configuration anew: `succeeded` or `failed`";
        RELOAD_OK: gauge "vidgate_config_last_reload_successful" []
            "1 where the last attempt succeeded or there was none, 0 where it changed nothing";
        LOADED: gauge "vidgate_config_loaded_timestamp_seconds" []
            "When the configuration in force was read, in seconds since the epoch";
        PROCESS_START: gauge "process_start_time_seconds" []
            "When the process began to serve, in seconds since the epoch";
        PROCESS_CPU: counter "process_cpu_seconds_total" []
            "Processor time that the process has used";
        PROCESS_RESIDENT: gauge "process_resident_memory_bytes" []
            "Memory that the process takes";
        PROCESS_VIRTUAL: gauge "process_virtual_memory_bytes" []
            "Address space that the process has";
        PROCESS_FDS: gauge "process_open_fds" []
            "Open file descriptors";
        PROCESS_MAX_FDS: gauge "process_max_fds" []
            "File descriptors that the process may have";
        PROCESS_THREADS: gauge "process_threads" []
            "Threads of the process";
    }
}

/// All of them.
pub fn all() -> impl Iterator<Item = &'static Family> {
    GROUPS.iter().flat_map(|(_, families)| families.iter().copied())
}

/// The table as a page of documentation, in Markdown.
pub fn document() -> String {
    let mut page = "# Metrics\n\n\
        This page is written from the table in `src/telemetry/metrics/families.rs`; a test compares them.\n\n\
        `GET /metrics` at the admin listener (with an operator's credential) and at the `[monitoring]` listener (without) \
        answers in OpenMetrics 1.0, or in Prometheus' text format to whoever does not ask for that. Labels hold names from the \
        configuration and words of the gateway, never anything that a caller sent; `-` stands where there is nothing to \
        name.\n\n\
        Counters begin anew with the process. A reload keeps them: a route, a limit or an endpoint of the same name goes on \
        counting, and one that is gone is exposed no more. A `source` is an address without its query, which may be secret; \
        of those that are alike then, the second is `…#2`.\n"
        .to_owned();
    for (heading, families) in GROUPS {
        let _ = write!(page, "\n## {heading}\n\n| metric | type | labels | meaning |\n|---|---|---|---|\n");
        for family in *families {
            let labels = family.labels.iter().map(|label| format!("`{label}`")).collect::<Vec<_>>().join(", ");
            let _ = writeln!(page, "| `{}` | {} | {labels} | {} |", family.name, family.kind.name(), family.help);
        }
    }
    let bounds = crate::counted::BOUNDS.map(|bound| format!("{bound}")).join(", ");
    let _ = write!(page, "\nHistograms have buckets up to {bounds} seconds, and one for what lies beyond.\n");
    page
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_as_prometheus_wants_them() {
        let mut names = BTreeSet::new();
        for family in all() {
            let Family { name, kind, help, labels } = family;
            assert!(names.insert(*name), "{name} twice");
            assert!(name.starts_with("vidgate_") || name.starts_with("process_"), "{name}");
            assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{name}");
            assert_eq!(name.ends_with("_total"), *kind == Kind::Counter, "{name}");
            assert!(*kind != Kind::Histogram || family.unit() == Some("seconds"), "{name}");
            let suffixes = ["_bucket", "_sum", "_count", "_created"];
            assert!(!suffixes.iter().any(|suffix| name.ends_with(suffix)), "{name} reads as a part of another");
            assert!(!help.ends_with('.') && !help.contains('\n') && !help.contains('|'), "{name}: {help}");
            let own: BTreeSet<_> = labels.iter().collect();
            assert_eq!(own.len(), labels.len(), "{name} has a label twice");
            assert!(!own.contains(&"le") && !own.contains(&"job") && !own.contains(&"instance"), "{name}");
        }
    }
}
