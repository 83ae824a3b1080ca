//! `[traces]`, as meant.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderMap, HeaderName, Uri};
use url::Url;

use super::credential;
use super::networks::Networks;
use crate::config::file::{File, Placed, Traces, TracesProtocol};
use crate::config::report::Report;
use crate::config::source::Source;
use crate::forward::tls::client_config;
use crate::forward::upstream;
use crate::invalid::Invalid;
use crate::secret::SecretSource;
use crate::telemetry::trace::{Collector, Protocol, Ratio, Sampling, Settings};
use crate::units::{Network, is_this_machine};

/// How many requests are sampled, where nothing is said.
const SAMPLE: f64 = 0.01;
/// Where OTLP is spoken over gRPC, and over HTTP.
const GRPC: u16 = 4317;
const HTTP: u16 = 4318;
/// The longest name of a service or of anything else, and the longest that is said of it, in bytes.
const LONGEST_NAME: usize = 255;
/// How many things are said of a gateway at most.
const MOST_ATTRIBUTES: usize = 32;
/// How many spans are sent at a time: at most so many that all of them, as long as they may be, are less than the 4 MiB
/// that collectors take.
const BATCH: usize = 512;
const MOST: usize = 1000;
/// How long a collector may take.
const TIMEOUT: Duration = Duration::from_secs(5);
const TIMEOUTS: std::ops::RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_mins(1);

/// Where spans go, and of which requests, if there is nothing wrong with it.
pub(super) fn traces(
    file: &File,
    (networks, proxies): (&Networks<'_>, &[Network]),
    source: &Source,
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
    let collector = collector(table, source, report);
    Some(Settings { collector: collector?, sampling: Sampling { ratio: ratio?, trust } })
}

fn collector(table: &Traces, source: &Source, report: &mut Report) -> Option<Collector> {
    let protocol = match table.protocol {
        TracesProtocol::Http => Protocol::Http,
        TracesProtocol::Grpc => Protocol::Grpc,
    };
    // All of them, so that all mistakes are told.
    let endpoint = endpoint(&table.endpoint, protocol, report);
    let attributes = attributes(table, report);
    let headers = headers(&table.headers, source, report);
    let ca = authorities(table, endpoint.as_ref(), source, report);
    let timeout = table.timeout.as_ref().map_or(TIMEOUT, |written| written.value.0);
    if let Some(written) = table.timeout.as_ref().filter(|_| !TIMEOUTS.contains(&timeout)) {
        report.error(written.place.clone(), Invalid::new("a collector is waited for 100 ms to a minute"));
    }
    let batch = table.batch.as_ref().map_or(BATCH, |written| written.value);
    if let Some(written) = table.batch.as_ref().filter(|_| !(1..=MOST).contains(&batch)) {
        report.error(written.place.clone(), Invalid::new(format!("a batch is 1 to {MOST} spans")));
    }
    let endpoint = endpoint?;
    if let Some(first) = table
        .headers
        .values()
        .next()
        .filter(|_| endpoint.scheme_str() == Some("http") && !endpoint.host().is_some_and(is_this_machine))
    {
        let invalid = Invalid::new("what stands in `headers` crosses the network in clear")
            .hint("let the collector speak https, or one on this machine pass spans on");
        report.warn(first.place.clone(), invalid);
    }
    Some(Collector { endpoint, protocol, ca, headers, timeout, batch, attributes })
}

fn endpoint(written: &Placed<String>, protocol: Protocol, report: &mut Report) -> Option<Uri> {
    let plain = |url: &Url| {
        let alone = url.query().is_none() && url.fragment().is_none() && url.port() != Some(0);
        matches!(url.scheme(), "http" | "https") && url.has_host() && alone
    };
    let nobody = |url: &Url| url.username().is_empty() && url.password().is_none();
    let Some(url) = Url::parse(&written.value).ok().filter(|url| plain(url) && nobody(url)) else {
        // It may hold a password.
        if written.value.contains('@') {
            report.mask(written.place.clone());
        }
        let invalid = Invalid::new("a collector is `http` or `https`, a host and a port")
            .hint("for example: http://127.0.0.1:4318; what proves you to it stands in `headers`");
        report.error(written.place.clone(), invalid);
        return None;
    };
    let port = url.port_or_known_default().unwrap_or(80);
    let path = match (protocol, url.path()) {
        (Protocol::Http, "/") => "/v1/traces",
        (Protocol::Grpc, path) if path != "/" => {
            let invalid = Invalid::new("gRPC has its own path: a collector is host and port only");
            report.error(written.place.clone(), invalid.hint("take the path out, or set protocol = \"http/protobuf\""));
            return None;
        }
        (_, path) => path,
    };
    let elsewhere = match protocol {
        Protocol::Http => (port == GRPC).then_some(("gRPC", "protocol = \"grpc\", or port 4318")),
        Protocol::Grpc => (port == HTTP).then_some(("HTTP", "protocol = \"http/protobuf\", or port 4317")),
    };
    if let Some((spoken, hint)) = elsewhere {
        let invalid = Invalid::new(format!("this is the port where collectors speak {spoken} as a rule"));
        report.warn(written.place.clone(), invalid.hint(format!("set {hint}")));
    }
    let uri = format!("{}://{}:{port}{path}", url.scheme(), url.host_str().unwrap_or_default()).parse();
    if uri.is_err() {
        report.error(written.place.clone(), Invalid::new("this address cannot be asked for"));
    }
    uri.ok()
}

/// The file of authorities, once it was read; where there is none, whether this host has any.
fn authorities(table: &Traces, endpoint: Option<&Uri>, source: &Source, report: &mut Report) -> Option<PathBuf> {
    let endpoint = endpoint?;
    let path = table.ca.as_ref().map(|ca| source.path(&ca.value));
    let place = table.ca.as_ref().map_or(&table.endpoint.place, |ca| &ca.place);
    if endpoint.scheme_str() == Some("https") {
        if let Err(invalid) = client_config(path.as_deref(), upstream::Protocol::Http1) {
            report.error(place.clone(), invalid);
        }
    } else if table.ca.is_some() {
        report.error(place.clone(), Invalid::new("`ca` is for https, and the collector is asked by http"));
    }
    path
}

/// What is said of this gateway, its name first.
fn attributes(table: &Traces, report: &mut Report) -> Vec<(Box<str>, Box<str>)> {
    let is_name = |text: &str| !text.is_empty() && text.len() <= LONGEST_NAME && !text.chars().any(char::is_control);
    let rule = format!("is 1 to {LONGEST_NAME} bytes without control characters");
    let service = table.service_name.as_ref().map_or("vidgate", |name| &name.value);
    if let Some(name) = table.service_name.as_ref().filter(|name| !is_name(&name.value)) {
        report.error(name.place.clone(), Invalid::new(format!("the name of a service {rule}")));
    }
    for (number, (name, value)) in table.attributes.iter().enumerate() {
        let invalid = match name.as_str() {
            _ if number == MOST_ATTRIBUTES => Invalid::new(format!("at most {MOST_ATTRIBUTES} attributes are said")),
            "service.name" => Invalid::new("`service_name` says what this gateway is called"),
            "service.version" | "process.pid" => Invalid::new(format!("`{name}` is said by vidgate itself")),
            _ if !is_name(name) => Invalid::new(format!("the name of an attribute {rule}")),
            _ if !is_name(&value.value) => Invalid::new(format!("what an attribute says {rule}")),
            _ => continue,
        };
        report.error(value.place.clone(), invalid);
    }
    let own = table.attributes.iter().map(|(name, value)| (name.as_str().into(), value.value.as_str().into()));
    [("service.name".into(), service.into())].into_iter().chain(own).collect()
}

/// Fields that frame a message, say who it is for, or what it is.
const NOT_THEIRS: [&str; 12] = [
    "host",
    "content-length",
    "content-type",
    "content-encoding",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "te",
    "trailer",
    "upgrade",
    "user-agent",
    "expect",
];

fn headers(written: &BTreeMap<String, Placed<SecretSource>>, source: &Source, report: &mut Report) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, secret) in written {
        let value = credential::value(secret, source, report);
        let Ok(field) = HeaderName::try_from(name) else {
            report.error(secret.place.clone(), Invalid::new("what it stands under is not a header name"));
            continue;
        };
        if NOT_THEIRS.contains(&field.as_str()) || field.as_str().starts_with("grpc-") {
            report.error(secret.place.clone(), Invalid::new(format!("`{field}` is set by vidgate")));
        } else if value.as_ref().is_some_and(|value| value.to_str().is_err()) {
            let invalid = Invalid::new("this secret cannot stand in a header: it holds more than visible ASCII");
            report.error(secret.place.clone(), invalid);
        } else if let Some(value) = value
            && headers.insert(field, value).is_some()
        {
            report.error(secret.place.clone(), Invalid::new("this field stands here twice"));
        }
    }
    headers
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    #[cfg(feature = "otlp")]
    use super::{BATCH, Duration, Protocol, TIMEOUT};
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
        for endpoint in
            ["127.0.0.1:4318", "ftp://a:4318", "http://", "http://u:p@a", "http://a?b", "http://a:0", "nowhere"]
        {
            let told = told(&format!("endpoint = \"{endpoint}\""));
            assert!(of(&told, "a collector is `http` or `https`"), "{endpoint}: {told:?}");
            assert!(!of(&told, "u:p"), "{told:?}");
        }
        let good = "endpoint = \"http://collector.internal/custom\"";
        for (more, what) in [
            ("sample = 1.5", "0 to 1"),
            ("sample = -0.1", "0 to 1"),
            ("service_name = \"\"", "the name of a service"),
            ("trust = [\"0.0.0.0/0\"]", "any caller could claim"),
            ("trust = [\"nobody-knows\"]", "neither a network nor a name"),
            ("protocol = \"thrift\"", "http/protobuf"),
            ("protocol = \"grpc\"", "gRPC has its own path"),
            ("ca = \"../keys/server.pem\"", "`ca` is for https"),
            ("timeout = \"50ms\"", "100 ms to a minute"),
            ("timeout = \"2m\"", "100 ms to a minute"),
            ("batch = 0", "1 to 1000 spans"),
            ("batch = 1001", "1 to 1000 spans"),
            ("headers = { \"a b\" = \"x\" }", "not a header name"),
            ("headers = { \"Content-Type\" = \"x\" }", "`content-type` is set by vidgate"),
            ("headers = { \"grpc-timeout\" = \"x\" }", "`grpc-timeout` is set by vidgate"),
            ("headers = { A = \"x\", a = \"y\" }", "stands here twice"),
            ("headers = { A = \"x\\ny\" }", "control characters"),
            ("headers = { A = \"ü\" }", "visible ASCII"),
            ("headers = { A = { file = \"no-such\" } }", "cannot read `no-such`"),
            ("headers = { A = \"a\" }", "crosses the network in clear"),
            ("attributes = { \"service.name\" = \"a\" }", "`service_name` says"),
            ("attributes = { \"process.pid\" = \"1\" }", "said by vidgate itself"),
            ("attributes = { \"\" = \"a\" }", "the name of an attribute"),
            ("attributes = { a = \"\" }", "what an attribute says"),
        ] {
            let told = told(&format!("{good}\n{more}"));
            assert!(of(&told, what), "{more}: {told:?}");
        }
        for (endpoint, what) in [
            ("http://127.0.0.1:4317\"", "collectors speak gRPC"),
            ("http://127.0.0.1:4318\"\nprotocol = \"grpc\"", "collectors speak HTTP"),
            ("https://127.0.0.1:4318\"\nca = \"no-such.pem\"", "no-such.pem"),
        ] {
            assert!(of(&told(&format!("endpoint = \"{endpoint}")), what), "{endpoint}");
        }
        let more = (0..33).map(|number| format!("a{number} = \"b\"")).collect::<Vec<_>>().join(", ");
        assert!(of(&told(&format!("{good}\nattributes = {{ {more} }}")), "at most 32"));
    }

    #[cfg(feature = "otlp")]
    #[test]
    fn a_collector_is_what_was_written_and_its_secrets_are_shown_to_nobody() {
        let of = |traces: &str| {
            let text = format!("{FILE}\n[traces]\n{traces}\n");
            let loaded = load_text("a.toml", &text, Path::new("."), Purpose::Look);
            loaded.unwrap_or_else(|report| panic!("{report}")).traces.expect("they are sent").collector
        };
        let plain = of("endpoint = \"http://[::1]:4318\"");
        assert_eq!(
            (plain.endpoint.to_string(), plain.protocol),
            ("http://[::1]:4318/v1/traces".into(), Protocol::Http)
        );
        assert_eq!((plain.timeout, plain.batch, plain.headers.len()), (TIMEOUT, BATCH, 0));
        assert_eq!(plain.attributes, [("service.name".into(), "vidgate".into())]);
        let more = "endpoint = \"http://localhost:4317\"\nprotocol = \"grpc\"\ntimeout = \"1s\"\nbatch = 7\n\
                    headers = { Authorization = \"Bearer hunter2\" }\nattributes = { zone = \"b\" }";
        let more = of(more);
        assert_eq!((more.endpoint.to_string(), more.protocol), ("http://localhost:4317/".into(), Protocol::Grpc));
        assert_eq!((more.timeout, more.batch), (Duration::from_secs(1), 7));
        assert_eq!(more.attributes[1], ("zone".into(), "b".into()));
        assert!(more.headers["authorization"].is_sensitive() && !format!("{more:?}").contains("hunter2"));
    }
}
