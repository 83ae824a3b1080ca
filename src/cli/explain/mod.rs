//! `vidgate explain`: what would become of a request, and why, by the very rooms that decide it. Nothing is sent and nothing
//! is counted.

mod curl;
mod drawn;
mod flags;
mod recorded;

use std::fs;
use std::io::{self, IsTerminal, Read};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use serde_json::Value;

use self::curl::Sent;
use super::operator::{Call, Trouble, Where, running};
use super::{complain, print};
use crate::clock::{Clock, UnixTime};
use crate::config;
use crate::gateway::explain::{Asked, Scenery};
use crate::store::Purpose;

/// The longest call of curl that is read from a file, in bytes.
const LONGEST_CALL: u64 = 1 << 20;

/// Who explains where a gateway runs.
const LIVE: &str = "the gateway that runs, as it stands now";

/// Which request.
#[derive(Args, Debug)]
pub(super) struct Explain {
    /// The whole address, as `https://api.example.com/path?query`
    #[arg(value_name = "URL", conflicts_with_all = ["curl", "curl_file"])]
    url: Option<String>,
    /// The method
    #[arg(short = 'X', long, value_name = "METHOD")]
    request: Option<String>,
    /// A field of the request, as often as there are some; @FILE reads them from a file, a line each
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    headers: Vec<String>,
    /// The body, as a form; @FILE reads it from a file
    #[arg(short, long, value_name = "DATA")]
    data: Option<String>,
    /// A call of curl, behind two hyphens: -- curl -H '…' https://…
    #[arg(last = true, value_name = "CURL", conflicts_with = "curl_file")]
    curl: Vec<String>,
    /// A file with a call of curl, - for standard input: so no secret stands on the command line
    #[arg(long, value_name = "FILE")]
    curl_file: Option<PathBuf>,
    /// A request that was refused lately, by its id: what is on record of it, and what would become of it now
    #[arg(long, value_name = "REQUEST_ID", conflicts_with_all = ["url", "curl", "curl_file", "offline"])]
    id: Option<String>,
    /// The address at the other end of the socket. If it is left out: this machine's, for a URL of this machine; else
    /// 0.0.0.0, which is nobody's, so that lists of addresses cannot be judged
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    peer: Option<IpAddr>,
    /// The listener that it comes in by, where several fit
    #[arg(long, value_name = "NAME")]
    listener: Option<String>,
    /// The certificate that the client presents (PEM); its key is not needed
    #[arg(long, value_name = "FILE", visible_alias = "client-cert")]
    client_certificate: Option<PathBuf>,
    /// When it comes, as 2027-01-01T00:00:00Z; now, if it is left out
    #[arg(long, value_name = "TIME", value_parser = instant)]
    at: Option<UnixTime>,
    /// Go by the configuration alone, also where a gateway runs with it
    #[arg(long)]
    offline: bool,
    /// Answer in JSON, for scripts
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Where,
}

/// An address, with or without a port.
fn address(text: &str) -> Result<IpAddr, String> {
    let with_port = |_| text.parse::<SocketAddr>().map(|socket| socket.ip());
    text.parse().or_else(with_port).map_err(|_| "this is not an address".to_owned())
}

fn instant(text: &str) -> Result<UnixTime, String> {
    UnixTime::parse(text).ok_or_else(|| "this is not an instant: write it as 2027-01-01T00:00:00Z".to_owned())
}

/// Why there is no explanation.
enum Unclear {
    /// The request is none, in words.
    Request(String),
    /// There is nobody to ask.
    Trouble(Trouble),
}

impl From<String> for Unclear {
    fn from(what: String) -> Self {
        Self::Request(what)
    }
}

#[cfg(test)]
impl Explain {
    fn of_call(line: &str) -> Self {
        Self {
            url: None,
            request: None,
            headers: Vec::new(),
            data: None,
            curl: vec![line.to_owned()],
            curl_file: None,
            id: None,
            peer: None,
            listener: None,
            client_certificate: None,
            at: None,
            offline: true,
            json: false,
            place: Where::nowhere(),
        }
    }
}

impl Explain {
    /// Explains: 0 where the request would be let in, 1 where it would be refused, 2 where there is nothing to explain.
    pub(super) fn run(&self) -> ExitCode {
        let told = match &self.id {
            Some(id) => self.recorded(id),
            None => self.explained().map(|(explanation, by)| self.told(&explanation, &by)),
        };
        match told {
            Ok((text, refused)) => {
                print(&text);
                if refused { ExitCode::FAILURE } else { ExitCode::SUCCESS }
            }
            Err(Unclear::Request(what)) => {
                complain(&format!("vidgate: {what}\n"));
                ExitCode::from(2)
            }
            Err(Unclear::Trouble(trouble)) => {
                trouble.tell();
                ExitCode::from(2)
            }
        }
    }

    /// An explanation as it is wanted, and whether the request would be refused.
    fn told(&self, explanation: &Value, by: &str) -> (String, bool) {
        let refused = explanation["decision"] == "refused";
        let text = if self.json {
            format!("{explanation}\n")
        } else {
            drawn::drawn(explanation, by, io::stdout().is_terminal())
        };
        (text, refused)
    }

    /// The same of a request that is on record.
    fn recorded(&self, id: &str) -> Result<(String, bool), Unclear> {
        let gateway = running(&self.place).map_err(Unclear::Trouble)?;
        let mut gateway = gateway.ok_or_else(|| "no gateway runs here that could have refused it".to_owned())?;
        let (record, explanation) = recorded::again(&mut *gateway, id).map_err(Unclear::Trouble)?;
        if self.json {
            let refused = explanation["decision"] == "refused";
            return Ok((format!("{}\n", recorded::both(&record, &explanation)), refused));
        }
        let (text, refused) = self.told(&explanation, LIVE);
        Ok((recorded::drawn(&record) + &text, refused))
    }

    /// The explanation, and who gives it.
    fn explained(&self) -> Result<(Value, String), Unclear> {
        let asked = self.asked(&mut io::stdin().lock())?;
        let path = &self.place.configuration.config;
        let gateway = if self.offline { None } else { running(&self.place).map_err(Unclear::Trouble)? };
        if let Some(mut gateway) = gateway {
            let document = serde_json::to_value(&asked).expect("a request is plain values");
            let explanation = gateway.call(Call::post(&["explanations"]).json(document)).map_err(Unclear::Trouble)?;
            return Ok((explanation, LIVE.to_owned()));
        }
        let explanation = at_rest(path, &asked)?;
        Ok((explanation, format!("{} alone", path.display())))
    }

    /// The request as it is described.
    fn asked(&self, input: &mut dyn Read) -> Result<Asked, String> {
        let sent = match (&self.url, &self.curl_file) {
            (Some(url), _) => self.flags(url)?,
            (None, Some(file)) => self.only_curl().and_then(|()| curl::sent(&curl::words(&call(file, input)?)?))?,
            (None, None) if self.curl.is_empty() => {
                return Err("say which request: its address, or a call of curl behind two hyphens".to_owned());
            }
            (None, None) => self.only_curl().and_then(|()| curl::sent(&curl::unfolded(&self.curl)?))?,
        };
        let certificate = self.client_certificate.as_ref().or(sent.certificate.as_ref());
        let certificate = certificate.map(|file| text(file)).transpose()?;
        Ok(Asked {
            method: sent.method,
            peer: self.peer.or_else(|| loopback(&sent.url)),
            url: sent.url,
            headers: sent.headers,
            body: sent.body.map(|body| STANDARD.encode(body)),
            listener: self.listener.clone(),
            client_certificate: certificate,
            at: self.at,
        })
    }

    /// What stands in flags of our own, as curl would send it.
    fn flags(&self, url: &str) -> Result<Sent, String> {
        let mut words = vec!["curl".to_owned(), "--bare".to_owned()];
        words.extend(self.request.iter().flat_map(|method| ["-X".to_owned(), method.clone()]));
        words.extend(self.headers.iter().flat_map(|field| ["-H".to_owned(), field.clone()]));
        words.extend(self.data.iter().flat_map(|data| ["-d".to_owned(), data.clone()]));
        words.extend(["--url".to_owned(), url.to_owned()]);
        curl::sent(&words)
    }

    fn only_curl(&self) -> Result<(), String> {
        if self.request.is_some() || !self.headers.is_empty() || self.data.is_some() {
            return Err("say method, fields and body in the call of curl".to_owned());
        }
        Ok(())
    }
}

/// The request that a call of curl is.
#[cfg(test)]
pub(super) fn asked_by_curl(line: &str) -> Result<Asked, String> {
    let explain = Explain::of_call(line);
    explain.asked(&mut io::empty())
}

/// An explanation as it is drawn.
#[cfg(test)]
pub(super) fn drawn_for_tests(explanation: &Value) -> String {
    drawn::drawn(explanation, "a test", true)
}

/// A call to this machine comes from this machine.
fn loopback(url: &str) -> Option<IpAddr> {
    let host = url.split_once("://")?.1.split(['/', '?']).next()?;
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    if name.eq_ignore_ascii_case("localhost") {
        return Some(Ipv4Addr::LOCALHOST.into());
    }
    let host = host.parse::<SocketAddr>().map(|socket| socket.ip()).or_else(|_| host.trim_matches(['[', ']']).parse());
    host.ok().filter(IpAddr::is_loopback)
}

fn call(file: &Path, input: &mut dyn Read) -> Result<String, String> {
    if file != Path::new("-") {
        return text(file);
    }
    let mut read = String::new();
    let taken = input.take(LONGEST_CALL).read_to_string(&mut read);
    taken.map(|_| read).map_err(|error| format!("cannot read standard input: {error}"))
}

fn text(file: &Path) -> Result<String, String> {
    fs::read_to_string(file).map_err(|error| format!("cannot read `{}`: {error}", file.display()))
}

/// By the file alone, and the credentials of its store.
fn at_rest(path: &Path, asked: &Asked) -> Result<Value, Unclear> {
    let loaded = config::load(path, Purpose::Look);
    let loaded = loaded.map_err(|report| Unclear::Trouble(Trouble::Configuration(report.render(true))))?;
    let scenery = Scenery::at_rest(Arc::new(loaded.world), &Clock::system());
    let explanation = scenery.explain(asked)?;
    Ok(serde_json::to_value(explanation).expect("an explanation is plain values"))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        explain: Explain,
    }

    const CONFIG: &str = r#"
        trusted_proxies = ["10.0.0.0/8"]
        listener.public = { address = "127.0.0.1:8080" }
        [upstream.api]
        endpoints = ["http://127.0.0.1:1"]
        [scheme.license.lkey]
        [limit.burst]
        rate = "5/1s"
        [[account]]
        id = "acme"
        [[account.license_key]]
        id = "main"
        key = "v3.not-to-be-seen"
        [[route]]
        name = "v2"
        path = "/api/v2/{*rest}"
        methods = ["GET"]
        authenticate = "license"
        forward = "api"
        limits = ["burst"]
        [[route]]
        name = "docs"
        path = "/docs/{*rest}"
        authenticate = "open"
        forward = "api"
    "#;

    fn explained(line: &[&str], input: &str) -> Result<Value, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vidgate.toml");
        fs::write(&path, CONFIG).unwrap();
        let line = Line::try_parse_from([&["explain"], line].concat()).map_err(|error| error.to_string())?;
        let asked = line.explain.asked(&mut input.as_bytes())?;
        at_rest(&path, &asked).map_err(|unclear| match unclear {
            Unclear::Request(what) => what,
            Unclear::Trouble(trouble) => trouble.sentences().join(", "),
        })
    }

    #[test]
    fn a_request_is_told_as_a_tree() {
        let call = "curl -H 'Authorization: LKey v3.not-to-be-seen' 'http://127.0.0.1:8080/api/v2/./x?token=unseen'";
        for line in [&["--", call][..], &["--curl-file", "-"]] {
            let explanation = explained(&[&["--peer", "192.0.2.7"], line].concat(), call).unwrap();
            insta::allow_duplicates! {
                insta::assert_snapshot!(anstream::adapter::strip_str(&drawn::drawn(&explanation, "a test", true)), @r#"
                By a test:

                · counters: no gateway is asked: limits and guards have counted nothing here, and the health of endpoints is not known
                ✓ edge: it can be read in one way only
                   ✓ path: the one canonical path is /api/v2/x
                   ✓ address: the caller is at 192.0.2.7
                      · hop: 192.0.2.7 is no trusted proxy: nothing that it says of a caller is read
                   · tls: in clear
                ✓ route: it is for the route `v2`
                   – others: other paths: `docs`
                ✓ authenticate: the caller is license_key:main of account `acme`
                   ✓ scheme: `license`: proven: license_key:main of account `acme`
                ✓ authorize: the caller may do it
                   ✓ address: no list of the account is against the caller's address
                   ✓ scope: the caller's scopes cover the method, or are not limited
                ✓ limit: there is room
                   ✓ limit: `burst` for account:acme: 4 of 5 left with this one counted, all of them again in 1 s
                ✓ upstream: it goes to the upstream `api` as GET /api/v2/x
                   · endpoints: to: http://127.0.0.1:1
                   · credential: the caller's credential is taken out
                   · removed: fields that do not go on: authorization
                   · added: fields that come to it: forwarded, via, x-forwarded-for, x-forwarded-host, x-forwarded-proto, x-request-id, x-vidgate-account, x-vidgate-scheme, x-vidgate-subject
                   · said: what the upstream reads there: host: 127.0.0.1:8080, via: 1.1 vidgate, x-forwarded-for: 192.0.2.7, x-forwarded-proto: http, x-forwarded-host: 127.0.0.1:8080, x-vidgate-subject: license_key:main, x-vidgate-account: acme, x-vidgate-scheme: lkey

                It would be let in.
                "#);
            }
        }
    }

    #[test]
    fn a_refusal_is_told_with_its_answer() {
        let explanation = explained(&["http://127.0.0.1:8080/api/v2/x", "-X", "POST"], "").unwrap();
        insta::assert_snapshot!(anstream::adapter::strip_str(&drawn::drawn(&explanation, "a test", false)), @r#"
        By a test:

            counters: no gateway is asked: limits and guards have counted nothing here, and the health of endpoints is not known
        yes edge: it can be read in one way only
           yes path: the one canonical path is /api/v2/x
           yes address: the caller is at 127.0.0.1
                  hop: 127.0.0.1 is no trusted proxy: nothing that it says of a caller is read
               tls: in clear
        NO  route: no route is for it
           NO  refusal: method_not_allowed: no route of this path takes the method
           -   other: `v2` (GET /api/v2/{*rest}) does not take the method
           -   others: other paths: `docs`
            envelope: it is refused with 405 in the dialect `problem`

        It would be refused with 405: method_not_allowed.
           content-type: application/problem+json
           cache-control: no-store
           x-request-id: explained
           allow: GET, HEAD
           {"type":"about:blank","title":"Method Not Allowed","status":405,"detail":"This method cannot be used here.","request_id":"explained"}
        "#);
        let wrong = ["http://127.0.0.1:8080/api/v2/x", "-H", "Authorization: LKey not-to-be-seen-either"];
        let explanation = explained(&wrong, "").unwrap();
        assert_eq!(
            (&explanation["decision"], &explanation["cause"]),
            (&"refused".into(), &"credential_unknown".into())
        );
        assert!(!explanation.to_string().contains("not-to-be-seen"), "{explanation}");
    }

    #[test]
    fn who_asks_is_this_machine_or_said_to_be_nobody() {
        for (url, peer) in [
            ("http://localhost:8080/docs/x", "127.0.0.1"),
            ("http://LOCALHOST/docs/x", "127.0.0.1"),
            ("http://[::1]:8080/docs/x", "::1"),
            ("http://api.example.com/docs/x", "0.0.0.0"),
        ] {
            let explanation = explained(&[url], "").unwrap().to_string();
            assert!(explanation.contains(&format!("the caller is at {peer}")), "{url}: {explanation}");
            assert_eq!(explanation.contains("it is not said at which address"), peer == "0.0.0.0", "{url}");
        }
    }

    #[test]
    fn what_is_no_request_is_said_in_words() {
        for (line, what) in [
            (&[][..], "say which request"),
            (&["ftp://api.example.com/x"], "write the whole address"),
            (&["http://a/", "--listener", "other"], "no listener `other`"),
            (&["http://a/", "--client-certificate", "/nowhere"], "/nowhere"),
            (&["-X", "GET", "--", "curl", "http://a/"], "in the call of curl"),
            (&["http://a/", "--at", "noon"], "not an instant"),
            (&["http://a/", "--curl-file", "-"], "cannot be used with"),
        ] {
            match explained(line, "") {
                Err(said) => assert!(said.contains(what), "{line:?}: {said}"),
                Ok(told) => assert!(told.to_string().contains(what), "{line:?}: {told}"),
            }
        }
    }
}
