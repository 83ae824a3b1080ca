//! `[traces]`, as meant.

use super::networks::Networks;
use crate::config::file::{File, Placed};
use crate::config::report::Report;
use crate::invalid::Invalid;
use crate::telemetry::trace::{Collector, Ratio, Sampling, Settings};
use crate::units::Network;

/// How many requests are sampled, where nothing is said.
const SAMPLE: f64 = 0.01;
/// Where OTLP is spoken over gRPC.
const GRPC: u16 = 4317;
/// The longest name of a service.
const LONGEST_NAME: usize = 255;

/// Where spans go, and of which requests, if there is nothing wrong with it.
pub(super) fn traces(
    file: &File,
    (networks, proxies): (&Networks<'_>, &[Network]),
    report: &mut Report,
) -> Option<Settings> {
    let written = file.traces.as_ref()?;
    if !cfg!(feature = "otlp") {
        let invalid = Invalid::new("this vidgate was built without traces")
            .hint("build it with `--features otlp`, or take [traces] out");
        report.error(written.place.clone(), invalid);
    }
    let table = &written.value;
    let ratio = table.sample.as_ref().map_or(SAMPLE, |sample| sample.value);
    let ratio = Ratio::new(ratio);
    if let (Some(sample), None) = (&table.sample, ratio) {
        report.error(sample.place.clone(), Invalid::new("a part of all requests is 0 to 1").hint("for example: 0.01"));
    }
    let trust = match &table.trust {
        Some(trust) => networks.proxies(trust, report),
        None => proxies.to_vec(),
    };
    let service = table.service_name.as_ref().map_or("vidgate", |name| &name.value);
    if let Some(name) = &table.service_name
        && (service.is_empty() || service.len() > LONGEST_NAME || service.chars().any(char::is_control))
    {
        let invalid =
            Invalid::new(format!("the name of a service is 1 to {LONGEST_NAME} bytes without control characters"));
        report.error(name.place.clone(), invalid);
    }
    let collector = collector(&table.endpoint, service, report);
    Some(Settings { collector: collector?, sampling: Sampling { ratio: ratio?, trust } })
}

fn collector(written: &Placed<String>, service: &str, report: &mut Report) -> Option<Collector> {
    let url = url::Url::parse(&written.value).ok().filter(|url| url.scheme() == "http" && url.has_host());
    let plain = |url: &url::Url| {
        url.username().is_empty() && url.password().is_none() && url.query().is_none() && url.fragment().is_none()
    };
    let Some(url) = url.filter(plain) else {
        let invalid = Invalid::new("a collector is `http`, a host and a port").hint(
            "for example: http://127.0.0.1:4318; for one elsewhere, over TLS, let a collector on this machine pass spans on",
        );
        report.error(written.place.clone(), invalid);
        return None;
    };
    let port = url.port_or_known_default().unwrap_or(80);
    if port == GRPC {
        let invalid = Invalid::new("this is the port of OTLP over gRPC; spans are sent over HTTP")
            .hint("the same collector listens for that on port 4318 as a rule");
        report.warn(written.place.clone(), invalid);
    }
    let path = if url.path() == "/" { "/v1/traces" } else { url.path() };
    let authority = format!("{}:{port}", url.host_str().unwrap_or_default());
    Some(Collector { authority, path: path.to_owned(), service: service.to_owned() })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::load_text;
    use crate::store::Purpose;

    const FILE: &str = include_str!("../../../tests/fixtures/valid/plain.toml");

    /// Each mistake, with its line; or each warning.
    fn told(traces: &str) -> Vec<String> {
        let text = format!("{FILE}\n[traces]\n{traces}\n");
        let base = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/valid"));
        let report = match load_text("a.toml", &text, base, Purpose::Look) {
            Ok(loaded) => loaded.warnings,
            Err(report) => report,
        };
        report.sentences().filter(|sentence| !sentence.contains("anyone on this machine")).collect()
    }

    #[cfg(not(feature = "otlp"))]
    #[test]
    fn traces_are_a_mistake_in_a_build_without_them() {
        let told = told("endpoint = \"http://127.0.0.1:4318\"");
        assert!(
            matches!(&told[..], [only] if only.contains("built without traces") && only.contains("--features otlp"))
        );
    }

    #[test]
    fn what_is_wrong_with_a_collector_and_a_sample_is_told() {
        let of = |told: &[String], what: &str| told.iter().any(|sentence| sentence.contains(what));
        for endpoint in ["127.0.0.1:4318", "https://a:4318", "http://", "http://u:p@a", "http://a?b", "nowhere"] {
            let told = told(&format!("endpoint = \"{endpoint}\""));
            assert!(of(&told, "a collector is `http`"), "{endpoint}: {told:?}");
        }
        let good = "endpoint = \"http://collector.internal/custom\"";
        for (more, what) in [
            ("sample = 1.5", "0 to 1"),
            ("sample = -0.1", "0 to 1"),
            ("service_name = \"\"", "the name of a service"),
            ("trust = [\"0.0.0.0/0\"]", "any caller could claim"),
            ("trust = [\"nobody-knows\"]", "neither a network nor a name"),
        ] {
            let told = told(&format!("{good}\n{more}"));
            assert!(of(&told, what), "{more}: {told:?}");
        }
        assert!(of(&told("endpoint = \"http://127.0.0.1:4317\""), "OTLP over gRPC"));
        assert!(!of(&told(good), "collector is"));
    }
}
