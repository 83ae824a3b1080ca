//! `vidgate explain-ip`: how the address of a caller is derived, step by step, by the very code that the gateway runs.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};

use super::{complain, print};
use crate::config;
use crate::edge::client_ip::{self, Step, Witness};
use crate::edge::listener::Listener;
use crate::store::Purpose;
use crate::world::World;

/// Whose request, and what stands in it.
#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// The configuration file.
    #[arg(short, long, value_name = "FILE", default_value = "vidgate.toml")]
    config: PathBuf,
    /// The address at the other end of the socket
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    peer: IpAddr,
    /// A field of the request, as often as there are some
    #[arg(long = "header", value_name = "NAME: VALUE", value_parser = field)]
    headers: Vec<(HeaderName, HeaderValue)>,
    /// The listener that it comes in by; needed where there are several and PROXY headers matter
    #[arg(long, value_name = "NAME")]
    listener: Option<String>,
    /// The caller's address in the PROXY header that the connection begins with
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    proxied: Option<IpAddr>,
    /// Answer in JSON, for scripts
    #[arg(long)]
    json: bool,
}

/// An address, with or without a port.
fn address(text: &str) -> Result<IpAddr, String> {
    let with_port = |_| text.parse::<SocketAddr>().map(|socket| socket.ip());
    text.parse().or_else(with_port).map_err(|_| "this is not an address".to_owned())
}

/// A field, as curl takes one.
fn field(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text.split_once(':').ok_or("write it as \"X-Forwarded-For: 192.0.2.1\"")?;
    let name = name.parse().map_err(|_| "this is no name of a field: the request would be refused (400)")?;
    let value = HeaderValue::from_bytes(value.trim_matches([' ', '\t']).as_bytes());
    Ok((name, value.map_err(|_| "a field has no control characters: the request would be refused (400)")?))
}

impl Arguments {
    /// Explains.
    pub(super) fn run(&self) -> ExitCode {
        let loaded = match config::load(&self.config, Purpose::Look) {
            Ok(loaded) => loaded,
            Err(report) => {
                complain(&report.render(true));
                return ExitCode::FAILURE;
            }
        };
        match self.explain(&loaded.world) {
            Ok(account) => {
                let written = print(&if self.json { format!("{}\n", account.json()) } else { account.text() });
                if account.result.is_ok() { written } else { ExitCode::FAILURE }
            }
            Err(complaint) => {
                complain(&format!("error: {complaint}\n"));
                ExitCode::FAILURE
            }
        }
    }

    fn explain(&self, world: &World) -> Result<Account, String> {
        let mut account = Account::default();
        let listener = self.listener(world)?;
        let peer = self.peer.to_canonical();
        account.tell(format!("{peer} is at the other end of the socket"), json!({ "peer": peer }));
        let expected = listener.is_some_and(|listener| listener.expects_proxy_header(peer));
        let caller = match (self.proxied, expected) {
            (Some(_), false) => {
                account.result = Err("from there a PROXY header is no request: it is refused (400)");
                return Ok(account);
            }
            (None, true) => {
                account.result = Err("from there a connection must begin with a PROXY header: it is closed");
                return Ok(account);
            }
            (Some(said), true) => {
                let said = said.to_canonical();
                let text = format!("it may say whose connection it is (`proxy_protocol`), and says {said}");
                account.tell(text, json!({ "proxy_protocol": said }));
                said
            }
            (None, false) => peer,
        };
        let headers: HeaderMap = self.headers.iter().cloned().collect();
        account.result = Ok(client_ip::derive(caller, &headers, &world.trusted_proxies, &mut account));
        for name in headers.keys().filter(|name| !["x-forwarded-for", "forwarded"].contains(&name.as_str())) {
            account.tell(format!("{name} is not looked at"), json!({ "ignored": name.as_str() }));
        }
        Ok(account)
    }

    /// The listener that is meant, where it matters.
    fn listener<'w>(&self, world: &'w World) -> Result<Option<&'w Listener>, String> {
        match (&self.listener, &world.listeners[..]) {
            (Some(name), listeners) => {
                let found = listeners.iter().find(|listener| *listener.name == **name);
                found.map(|own| Some(&**own)).ok_or_else(|| format!("there is no listener `{name}`"))
            }
            (None, [only]) => Ok(Some(only)),
            (None, listeners) => {
                let matters = listeners.iter().any(|listener| listener.expects_proxy_header(self.peer));
                if matters || self.proxied.is_some() {
                    return Err(
                        "some listeners take PROXY headers from there: say which is meant with --listener".into()
                    );
                }
                Ok(None)
            }
        }
    }
}

/// What happened on the way to the address.
struct Account {
    lines: Vec<String>,
    steps: Vec<Value>,
    /// The address, or why there is none.
    result: Result<IpAddr, &'static str>,
}

impl Default for Account {
    fn default() -> Self {
        Self { lines: Vec::new(), steps: Vec::new(), result: Err("nothing was asked") }
    }
}

impl Account {
    fn tell(&mut self, line: String, step: Value) {
        self.lines.push(line);
        self.steps.push(step);
    }

    fn text(&self) -> String {
        let last = match self.result {
            Ok(address) => format!("the caller is at {address}"),
            Err(why) => why.to_owned(),
        };
        self.lines.iter().chain([&last]).flat_map(|line| [line, "\n"]).collect()
    }

    fn json(&self) -> Value {
        json!({ "client_ip": self.result.ok(), "refused": self.result.err(), "steps": self.steps })
    }
}

impl Witness for Account {
    fn step(&mut self, step: Step<'_>) {
        let by = |network: Option<&crate::units::Network>| network.map(ToString::to_string);
        let (line, value) = match step {
            Step::Peer(address, Some(network)) => (
                format!("{address} is a trusted proxy ({network}): what it says of the caller is read"),
                json!({ "address": address, "trusted_by": by(Some(network)) }),
            ),
            Step::Peer(address, None) => (
                format!("{address} is no trusted proxy: nothing that it says of a caller is read"),
                json!({ "address": address, "trusted_by": null }),
            ),
            Step::List(name) => (format!("{name}, from the right:"), json!({ "field": name.as_str() })),
            Step::Hop(address, Some(network)) => (
                format!("  {address}: a trusted proxy ({network}), so that the hop before it counts"),
                json!({ "hop": address, "trusted_by": by(Some(network)) }),
            ),
            Step::Hop(address, None) => (
                format!("  {address}: no trusted proxy, so that it is the caller"),
                json!({ "hop": address, "trusted_by": null }),
            ),
            Step::Nothing(entry, hop) => (
                format!("  {}: no address, so that whoever wrote it is the caller: {hop}", shown(entry)),
                json!({ "no_address": entry, "written_by": hop }),
            ),
            Step::Contradiction(one, other) => (
                format!(
                    "the two fields lead to {one} and {other}: one of them is the caller's own, so that neither counts"
                ),
                json!({ "contradiction": [one, other] }),
            ),
        };
        self.tell(line, value);
    }
}

fn shown(entry: Option<&str>) -> String {
    entry.map_or("what is not visible ASCII".to_owned(), |entry| format!("`{entry}`"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn world(listeners: &str) -> World {
        let toml = format!(
            r#"
            trusted_proxies = ["edge", "2001:db8::/32"]
            networks = {{ edge = ["10.0.0.0/8"], balancers = ["198.51.100.0/24"] }}
            {listeners}
            [upstream.api]
            endpoints = ["http://127.0.0.1:1"]
            [[route]]
            name = "all"
            path = "/"
            authenticate = "open"
            forward = "api"
            "#
        );
        let loaded = config::load_text("test.toml", &toml, Path::new(""), Purpose::Look);
        loaded.unwrap_or_else(|report| panic!("{}", report.render(false))).world
    }

    const ONE: &str = "listener.a = { address = '127.0.0.1:0', proxy_protocol = ['balancers'] }";
    const TWO: &str = "listener.a = { address = '127.0.0.1:0', proxy_protocol = ['balancers'] }\n\
                       listener.b = { address = '127.0.0.1:0' }";

    fn account(listeners: &str, line: &[&str]) -> Result<Account, String> {
        let line = Line::try_parse_from([&["explain-ip"], line].concat()).expect("a line");
        line.arguments.explain(&world(listeners))
    }

    #[test]
    fn each_step_is_told_with_its_reason() {
        let line = [
            "--peer",
            "10.0.0.1",
            "--header",
            "X-Forwarded-For: 203.0.113.9, 192.0.2.7",
            "--header",
            "X-Forwarded-For: 10.2.2.2:80",
            "--header",
            "X-Real-IP: 203.0.113.9",
        ];
        let account = account(ONE, &line).unwrap();
        insta::assert_snapshot!(account.text(), @r"
        10.0.0.1 is at the other end of the socket
        10.0.0.1 is a trusted proxy (10.0.0.0/8): what it says of the caller is read
        x-forwarded-for, from the right:
          10.2.2.2: a trusted proxy (10.0.0.0/8), so that the hop before it counts
          192.0.2.7: no trusted proxy, so that it is the caller
        x-real-ip is not looked at
        the caller is at 192.0.2.7
        ");
        let expected = json!({
            "client_ip": "192.0.2.7",
            "refused": null,
            "steps": [
                { "peer": "10.0.0.1" },
                { "address": "10.0.0.1", "trusted_by": "10.0.0.0/8" },
                { "field": "x-forwarded-for" },
                { "hop": "10.2.2.2", "trusted_by": "10.0.0.0/8" },
                { "hop": "192.0.2.7", "trusted_by": null },
                { "ignored": "x-real-ip" },
            ],
        });
        assert_eq!(account.json(), expected);
    }

    #[test]
    fn what_is_no_address_ends_the_walk_as_it_does_in_the_gateway() {
        for (headers, expected) in [
            (&["X-Forwarded-For: 192.0.2.7, unknown"][..], "10.0.0.1"),
            (&["Forwarded: for=\"[2001:db8::5]:80\""], "2001:db8::5"),
            (&["Forwarded: for=_hidden, for=10.1.1.1"], "10.1.1.1"),
            (&["X-Forwarded-For: 192.0.2.7", "Forwarded: for=192.0.2.8"], "0.0.0.0"),
            (&["X-Forwarded-For: \u{e9}"], "10.0.0.1"),
        ] {
            let line: Vec<_> = ["--peer", "10.0.0.1:443"]
                .into_iter()
                .chain(headers.iter().flat_map(|own| ["--header", own]))
                .collect();
            assert_eq!(account(ONE, &line).unwrap().result, Ok(expected.parse().unwrap()), "{headers:?}");
        }
    }

    #[test]
    fn a_proxy_header_counts_where_the_listener_takes_it() {
        let at = |address: &str| Ok(Ok(address.parse::<IpAddr>().unwrap()));
        let closed = Ok(Err("from there a connection must begin with a PROXY header: it is closed"));
        let refused = Ok(Err("from there a PROXY header is no request: it is refused (400)"));
        let which =
            || Err("some listeners take PROXY headers from there: say which is meant with --listener".to_owned());
        for (listeners, line, expected) in [
            (ONE, &["--peer", "198.51.100.1", "--proxied", "192.0.2.1"][..], at("192.0.2.1")),
            (ONE, &["--peer", "::ffff:198.51.100.1", "--proxied", "192.0.2.1:80"], at("192.0.2.1")),
            (ONE, &["--peer", "198.51.100.1"], closed),
            (ONE, &["--peer", "203.0.113.1", "--proxied", "192.0.2.1"], refused),
            (ONE, &["--peer", "203.0.113.1"], at("203.0.113.1")),
            (TWO, &["--peer", "203.0.113.1"], at("203.0.113.1")),
            (TWO, &["--peer", "198.51.100.1"], which()),
            (TWO, &["--peer", "198.51.100.1", "--listener", "b"], at("198.51.100.1")),
            (TWO, &["--peer", "198.51.100.1", "--listener", "c"], Err("there is no listener `c`".into())),
        ] {
            assert_eq!(account(listeners, line).map(|account| account.result), expected, "{line:?}");
        }
    }

    #[test]
    fn what_no_request_could_carry_is_no_argument() {
        for wrong in ["X-Forwarded-For", "X Forwarded For: 192.0.2.1", "X-Forwarded-For: a\u{7}b"] {
            assert!(Line::try_parse_from(["explain-ip", "--peer", "::1", "--header", wrong]).is_err(), "{wrong}");
        }
        assert!(Line::try_parse_from(["explain-ip", "--peer", "localhost"]).is_err());
    }
}
