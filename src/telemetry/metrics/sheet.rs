//! What was found when somebody asked, and how it is written: OpenMetrics 1.0, or the text format of Prometheus for whoever
//! does not ask for that.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::exemplar::Exemplar;
use prometheus_client::registry::{Registry, Unit};

use super::families::{Family, Kind, all};
use crate::counted::{BOUNDS, Histogram};

/// What the two formats are called.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All values at one moment: by metric, and by its labels in the order of the table. What is said twice of the same counts
/// as it was said last.
#[derive(Debug, Default)]
pub struct Sheet(HashMap<&'static str, BTreeMap<Vec<String>, Value>>);

#[derive(Debug)]
enum Value {
    Count(u64),
    Number(f64),
    Times(Box<Histogram>),
}

impl Sheet {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A counter with these labels, which stand in the order of the table.
    pub fn count(&mut self, family: &'static Family, labels: &[&str], value: u64) {
        debug_assert_eq!(family.kind, Kind::Counter, "{}", family.name);
        self.put(family, labels, Value::Count(value));
    }

    /// The same for one that counts parts.
    pub fn amount(&mut self, family: &'static Family, labels: &[&str], value: f64) {
        debug_assert_eq!(family.kind, Kind::Counter, "{}", family.name);
        self.put(family, labels, Value::Number(value));
    }

    /// What is so now.
    pub fn gauge(&mut self, family: &'static Family, labels: &[&str], value: f64) {
        debug_assert_eq!(family.kind, Kind::Gauge, "{}", family.name);
        self.put(family, labels, Value::Number(value));
    }

    /// The same for a number of things.
    #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53, and whoever reads it has nothing finer")]
    pub fn number(&mut self, family: &'static Family, labels: &[&str], value: impl TryInto<u64>) {
        self.gauge(family, labels, value.try_into().unwrap_or(u64::MAX) as f64);
    }

    /// Times.
    pub fn times(&mut self, family: &'static Family, labels: &[&str], value: &Histogram) {
        debug_assert_eq!(family.kind, Kind::Histogram, "{}", family.name);
        self.put(family, labels, Value::Times(Box::new(value.clone())));
    }

    fn put(&mut self, family: &'static Family, labels: &[&str], value: Value) {
        debug_assert_eq!(family.labels.len(), labels.len(), "{}", family.name);
        let labels = labels.iter().map(|label| (*label).to_owned()).collect();
        self.0.entry(family.name).or_default().insert(labels, value);
    }

    /// All of it in OpenMetrics.
    fn open_metrics(self) -> Result<String, fmt::Error> {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(self));
        let mut page = String::with_capacity(64 * 1024);
        text::encode(&mut page, &registry)?;
        Ok(page)
    }
}

impl Collector for Sheet {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        for family in all() {
            let Some(samples) = self.0.get(family.name) else { continue };
            let unit = family.unit().map(|unit| if unit == "bytes" { Unit::Bytes } else { Unit::Seconds });
            // The unit and `_total` are put behind it.
            let stem = family.stem();
            let name = unit.as_ref().map_or(stem, |unit| stem.trim_end_matches(unit.as_str()).trim_end_matches('_'));
            let kind = match family.kind {
                Kind::Counter => MetricType::Counter,
                Kind::Gauge => MetricType::Gauge,
                Kind::Histogram => MetricType::Histogram,
            };
            let mut metric = encoder.encode_descriptor(name, family.help, unit.as_ref(), kind)?;
            if family.labels.is_empty() {
                samples.values().try_for_each(|value| value.encode(family.kind, &mut metric))?;
                continue;
            }
            for (labels, value) in samples {
                let labels: Vec<_> = family.labels.iter().copied().zip(labels.iter().map(String::as_str)).collect();
                value.encode(family.kind, &mut metric.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}

type Example = Exemplar<NoLabelSet, f64>;

impl Value {
    fn encode(&self, kind: Kind, metric: &mut MetricEncoder<'_>) -> Result<(), fmt::Error> {
        match (kind, self) {
            (Kind::Counter, Self::Count(value)) => metric.encode_counter(value, None::<&Example>),
            (Kind::Counter, Self::Number(value)) => metric.encode_counter(value, None::<&Example>),
            (_, Self::Count(value)) => metric.encode_gauge(value),
            (_, Self::Number(value)) => metric.encode_gauge(value),
            (_, Self::Times(times)) => {
                let bounds = BOUNDS.into_iter().chain([f64::INFINITY]);
                let buckets: Vec<(f64, u64)> = bounds.zip(times.buckets).collect();
                metric.encode_histogram::<NoLabelSet>(times.sum, times.count(), &buckets, None)
            }
        }
    }
}

/// The page for whoever accepts this (RFC 9110 §12.5.1), with its media type.
pub fn page(sheet: Sheet, accept: Option<&str>) -> (&'static str, String) {
    // Writing to memory does not fail; and where it would, an empty page is one that no scraper takes for a good one.
    let page = sheet.open_metrics().unwrap_or_default();
    if takes_open_metrics(accept.unwrap_or_default()) { (OPEN_METRICS, page) } else { (TEXT, plain(&page)) }
}

/// Whether OpenMetrics is asked for by its name, and not as what is wanted least (`q=0`).
fn takes_open_metrics(accept: &str) -> bool {
    accept.split(',').any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("application/openmetrics-text"));
        let refused = |part: &str| {
            part.split_once('=').is_some_and(|(name, value)| {
                name.trim().eq_ignore_ascii_case("q") && value.trim().parse::<f32>().is_ok_and(|weight| weight <= 0.0)
            })
        };
        named && !parts.any(refused)
    })
}

/// The same page in the text format of Prometheus: a counter is called by its whole name also where it is described, and
/// neither units nor the end are said.
fn plain(page: &str) -> String {
    let counters: HashMap<&str, &str> =
        all().filter(|family| family.kind == Kind::Counter).map(|family| (family.stem(), family.name)).collect();
    let mut text = String::with_capacity(page.len());
    for line in page.lines() {
        let mut words = line.splitn(4, ' ');
        let (Some("#"), Some(what), name, rest) = (words.next(), words.next(), words.next(), words.next()) else {
            text.extend([line, "\n"]);
            continue;
        };
        if let ("HELP" | "TYPE", Some(name)) = (what, name) {
            let name = counters.get(name).copied().unwrap_or(name);
            text.extend(["# ", what, " ", name, " ", rest.unwrap_or_default(), "\n"]);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::families::{CONNECTIONS, PROCESS_CPU, REQUEST_BYTES, REQUESTS, STORE_BYTES, UPSTREAM_DURATION};
    use super::*;

    fn sheet() -> Sheet {
        let mut sheet = Sheet::new();
        sheet.count(&REQUESTS, &["a \"b\"\\\n", "acc", "allowed"], 3);
        sheet.count(&REQUEST_BYTES, &["-"], 5);
        sheet.number(&CONNECTIONS, &["public"], 2_usize);
        sheet.number(&STORE_BYTES, &[], 4096_u64);
        sheet.amount(&PROCESS_CPU, &[], 1.5);
        let mut times = Histogram::default();
        (times.buckets[0], times.buckets[18], times.sum) = (1, 1, 2.5);
        sheet.times(&UPSTREAM_DURATION, &["a"], &times);
        sheet
    }

    #[test]
    fn open_metrics_is_for_whoever_asks_for_it() {
        for (accept, expected) in [
            (None, TEXT),
            (Some("*/*"), TEXT),
            (Some("text/plain"), TEXT),
            (Some("application/openmetrics-text;q=0, text/plain"), TEXT),
            (Some("application/openmetrics-text"), OPEN_METRICS),
            (
                Some("application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1"),
                OPEN_METRICS,
            ),
        ] {
            assert_eq!(page(Sheet::new(), accept).0, expected, "{accept:?}");
        }
    }

    #[test]
    fn both_formats_say_the_same() {
        let (_, open) = page(sheet(), Some("application/openmetrics-text"));
        let (_, text) = page(sheet(), None);
        for line in [
            "# HELP vidgate_connections Open connections",
            "# TYPE vidgate_requests counter",
            r#"vidgate_requests_total{route="a \"b\"\\\n",scheme="acc",outcome="allowed"} 3"#,
            "# UNIT vidgate_request_body_bytes bytes",
            r#"vidgate_request_body_bytes_total{route="-"} 5"#,
            r#"vidgate_connections{listener="public"} 2.0"#,
            "vidgate_store_file_bytes 4096.0",
            "process_cpu_seconds_total 1.5",
            r#"vidgate_upstream_duration_seconds_sum{route="a"} 2.5"#,
            r#"vidgate_upstream_duration_seconds_count{route="a"} 2"#,
            r#"vidgate_upstream_duration_seconds_bucket{le="0.0005",route="a"} 1"#,
            r#"vidgate_upstream_duration_seconds_bucket{le="1800.0",route="a"} 1"#,
            r#"vidgate_upstream_duration_seconds_bucket{le="+Inf",route="a"} 2"#,
            "# EOF",
        ] {
            assert_eq!(open.lines().filter(|own| *own == line).count(), 1, "{line}: {open}");
        }
        let values =
            |page: &str| page.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(values(&open), values(&text));
        let described: Vec<_> = text.lines().filter(|line| line.starts_with("# TYPE")).collect();
        assert_eq!(
            described,
            [
                "# TYPE vidgate_requests_total counter",
                "# TYPE vidgate_upstream_duration_seconds histogram",
                "# TYPE vidgate_request_body_bytes_total counter",
                "# TYPE vidgate_connections gauge",
                "# TYPE vidgate_store_file_bytes gauge",
                "# TYPE process_cpu_seconds_total counter",
            ]
        );
        assert!(!text.contains("# UNIT") && !text.contains("# EOF"));
    }
}
