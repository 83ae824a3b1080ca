//! `vidgate sign`: a credential as its clients send it, as the header field and as a line for curl. It asks nobody: what
//! it prints is only good if the gateway knows the credential.

mod app;
mod jwt;
mod token;

use std::path::PathBuf;
use std::process::ExitCode;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, Subcommand};
use zeroize::Zeroizing;

use super::manage;
use super::operator::Trouble;
use super::shell::quoted;
use crate::clock::{Clock, UnixTime};
use crate::scheme::{access_token, basic, share_token};
use crate::secret::Secret;

/// What VXG's real tokens of today say: 36,530 days.
const SHARE_LIFETIME: u64 = 0xbc1f_ab00;

/// What to sign.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// A camera access token of VXG: `Authorization: Acc`, or ?token= where no camera is named.
    #[command(
        override_usage = "vidgate sign acc [OPTIONS] --token <TOKEN> --url <URL>\n       vidgate sign acc [OPTIONS] --key-file <FILE> --si <N> --url <URL>",
        after_help = "Example: vidgate sign acc --token share.eyJzaSI6IDF9.61a964c3tbc1fab00.… --camera 248527 --url https://vms.example/api/v4/live/watch/"
    )]
    Acc(Acc),
    /// A group access token of VXG: `Authorization: SI`.
    #[command(
        override_usage = "vidgate sign si [OPTIONS] --token <TOKEN> --url <URL>\n       vidgate sign si [OPTIONS] --key-file <FILE> --si <N> --url <URL>",
        after_help = "Example: vidgate sign si --token - --url https://vms.example/api/v5/channels/ < group.token"
    )]
    Si(Si),
    /// An API identifier and its secret: `Authorization: Basic`.
    #[command(
        after_help = "Example: vidgate sign basic --id 8ded5a89 --secret-file secret.txt --url https://api.example/user"
    )]
    Basic(Basic),
    /// What an app of CameraTag publishes: the signed text, its signature, and the form.
    #[command(
        override_usage = "vidgate sign publish [OPTIONS] --app <ID> --url <URL>\n       vidgate sign publish [OPTIONS] --api-key <KEY> --secret-file <FILE> --url <URL>",
        after_help = "Example: vidgate sign publish --app demo --config vidgate.toml --url https://tag.example/api/v16/cameras/demo/assets/v-1/publish.json"
    )]
    Publish(app::App),
    /// What an app of CameraTag plays: the signed text, its signature, and the link.
    #[command(
        override_usage = "vidgate sign playback [OPTIONS] --app <ID> --url <URL>\n       vidgate sign playback [OPTIONS] --api-key <KEY> --secret-file <FILE> --url <URL>",
        after_help = "Example: vidgate sign playback --api-key 123-456-789 --secret-file secret.txt --expires 30m --url https://tag.example/assets/v-1/720p.mp4"
    )]
    Playback(app::App),
    /// The login of a Multicam user: the line that gets a token for the name and the key.
    #[command(
        after_help = "Example: vidgate sign token --user john@example.com --key-file john.key --public-key multicam.pub --url https://multicam.example/Token"
    )]
    Token(token::Login),
    /// A token of a Voximplant service account, as its token.sh prints it: `Authorization: Bearer`.
    #[command(after_help = "Example: vidgate sign jwt --credentials credentials.json --account 77")]
    Jwt(jwt::Jwt),
    /// A share token of VXG under a verification key: what `--token` takes.
    #[command(after_help = "Example: vidgate sign share --key-file share.key --si 235639 --lifetime 30d")]
    Share(Share),
}

/// A camera's token.
#[derive(Args, Debug)]
pub(super) struct Acc {
    #[command(flatten)]
    token: Token,
    /// The camera that the token is for; without it, the share token goes into ?token=
    #[arg(long, value_name = "ID")]
    camera: Option<String>,
    /// What the token says it may do; it must not be more than what is on record. If it is left out: what the token that
    /// was given says, if it says anything
    #[arg(long, value_name = "WORD", requires = "camera")]
    access: Option<String>,
    /// Where to
    #[arg(long, value_name = "URL")]
    url: String,
}

/// A group's token.
#[derive(Args, Debug)]
pub(super) struct Si {
    #[command(flatten)]
    token: Token,
    /// What the token says it may do; it must not be more than what is on record
    #[arg(long, value_name = "WORD")]
    access: Option<String>,
    /// Where to
    #[arg(long, value_name = "URL")]
    url: String,
}

/// A client's secret.
#[derive(Args, Debug)]
pub(super) struct Basic {
    /// The API identifier
    #[arg(long, value_name = "ID")]
    id: String,
    /// The file that holds the secret; - is standard input
    #[arg(long, value_name = "FILE")]
    secret_file: PathBuf,
    /// Where to
    #[arg(long, value_name = "URL")]
    url: String,
}

/// The share token inside: one that is there, or one that is made.
#[derive(Args, Debug)]
#[group(required = true, multiple = true)]
pub(super) struct Token {
    /// The share token, or the base64 that VXG hands out; - reads it from standard input
    #[arg(long = "token", value_name = "TOKEN", conflicts_with_all = ["key_file", "si", "lifetime"])]
    given: Option<String>,
    /// In its place: the file that holds the verification key; - is standard input
    #[arg(long, value_name = "FILE", requires = "si")]
    key_file: Option<PathBuf>,
    /// The number of the sharing that the token is for
    #[arg(long, value_name = "N", requires = "key_file")]
    si: Option<u64>,
    /// For how long it is good, from now on [default: 36530d, as VXG's own]
    #[arg(long, value_name = "DURATION", value_parser = lifetime, requires = "key_file", visible_alias = "ttl")]
    lifetime: Option<u64>,
}

/// A share token to be made.
#[derive(Args, Debug)]
pub(super) struct Share {
    /// The file that holds the verification key; - is standard input
    #[arg(long, value_name = "FILE")]
    key_file: PathBuf,
    /// The number of the sharing that the token is for
    #[arg(long, value_name = "N")]
    si: u64,
    /// For how long it is good, from now on [default: 36530d, as VXG's own]
    #[arg(long, value_name = "DURATION", value_parser = lifetime, visible_alias = "ttl")]
    lifetime: Option<u64>,
}

impl Command {
    /// Prints it.
    pub(super) fn run(&self) -> ExitCode {
        let now = Clock::system().unix();
        let signed = match self {
            Self::Acc(acc) => acc.sign(now),
            Self::Si(si) => si.sign(now),
            Self::Basic(basic) => basic.sign(),
            Self::Publish(app) => app.sign(app::Way::Form, now),
            Self::Playback(app) => app.sign(app::Way::Query, now),
            Self::Token(login) => login.sign(),
            Self::Jwt(jwt) => jwt.sign(now),
            Self::Share(share) => share.sign(now),
        };
        match signed {
            Ok(text) => super::print(&text),
            Err(trouble) => trouble.tell(),
        }
    }
}

impl Acc {
    fn sign(&self, now: UnixTime) -> Result<Zeroizing<String>, Trouble> {
        let token = self.token.resolve(now)?;
        let Some(camera) = &self.camera else {
            let (url, mark) = (&self.url, if self.url.contains('?') { '&' } else { '?' });
            let token = text(&token);
            return Ok(Zeroizing::new(format!(
                "token={}\n{}\n",
                *token,
                curl(&[], &format!("{url}{mark}token={}", *token))
            )));
        };
        let access = self.access.clone().or_else(|| self.token.access());
        let outer = access_token::wrap(Some(camera), access.as_deref(), &text(&token));
        Ok(shown(&format!("Acc {}", *outer), &self.url))
    }
}

impl Si {
    fn sign(&self, now: UnixTime) -> Result<Zeroizing<String>, Trouble> {
        let token = self.token.resolve(now)?;
        let outer = access_token::wrap(None, self.access.as_deref(), &text(&token));
        Ok(shown(&format!("SI {}", *outer), &self.url))
    }
}

impl Basic {
    fn sign(&self) -> Result<Zeroizing<String>, Trouble> {
        let secret = manage::secret(&self.secret_file)?;
        if self.id.is_empty() || self.id.contains(':') || self.id.contains(char::is_control) {
            return Err(Trouble::plain("an API identifier has no colon: in `Basic`, the first one ends it"));
        }
        basic::presentable(self.id.as_bytes(), secret.as_bytes()).map_err(|invalid| Trouble::plain(invalid.message))?;
        let pair = Zeroizing::new(format!("{}:{}", self.id, *secret));
        Ok(shown(&format!("Basic {}", *Zeroizing::new(STANDARD.encode(pair.as_bytes()))), &self.url))
    }
}

impl Share {
    fn sign(&self, now: UnixTime) -> Result<Zeroizing<String>, Trouble> {
        let token = make(&self.key_file, self.si, self.lifetime, now)?;
        Ok(Zeroizing::new(format!("{}\n", *text(&token))))
    }
}

impl Token {
    /// What the token that is given says it may do, where it does.
    fn access(&self) -> Option<String> {
        let outer = Zeroizing::new(STANDARD.decode(self.given.as_ref()?.trim()).ok()?);
        let outer: serde_json::Value = serde_json::from_slice(&outer).ok()?;
        Some(outer.get("access")?.as_str()?.to_owned())
    }

    fn resolve(&self, now: UnixTime) -> Result<Secret, Trouble> {
        let given = match (&self.given, &self.key_file, self.si) {
            (None, Some(key), Some(sharing)) => return make(key, sharing, self.lifetime, now),
            (Some(dash), ..) if dash == "-" => manage::secret("-".as_ref())?,
            (Some(token), ..) => Zeroizing::new(token.clone()),
            (None, ..) => return Err(Trouble::plain("give it --token, or --key-file and --si")),
        };
        access_token::inner_token(given.trim().as_bytes()).map_err(|invalid| Trouble::plain(invalid.message))
    }
}

fn make(key: &std::path::Path, sharing: u64, lifetime: Option<u64>, now: UnixTime) -> Result<Secret, Trouble> {
    let key = Secret::new(manage::secret(key)?.as_bytes().to_vec());
    Ok(share_token::make(&key, sharing, now, lifetime.unwrap_or(SHARE_LIFETIME)))
}

fn text(token: &Secret) -> Zeroizing<String> {
    Zeroizing::new(String::from_utf8_lossy(token.expose()).into_owned())
}

/// The field, and the line.
fn shown(authorization: &str, url: &str) -> Zeroizing<String> {
    let field = Zeroizing::new(format!("Authorization: {authorization}"));
    Zeroizing::new(format!("{}\n{}\n", *field, curl(&["-H", &field], url)))
}

/// The line to paste.
fn curl(options: &[&str], url: &str) -> String {
    let words = ["curl", "-sS", "-i"].iter().chain(options).map(|word| quoted(word));
    // Behind `--url`, no text is taken for an option.
    words.chain(["--url".to_owned(), quoted(url)]).collect::<Vec<_>>().join(" ")
}

/// A lifetime in whole seconds.
fn lifetime(written: &str) -> Result<u64, String> {
    let wrong = || "this is not a duration; write it as 3600s, 12h or 30d".to_owned();
    let span: jiff::Span = written.parse().map_err(|_| wrong())?;
    let length = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).map_err(|_| wrong())?;
    match u64::try_from(length.as_secs()) {
        Ok(seconds) if seconds > 0 => Ok(seconds),
        Ok(_) | Err(_) => Err("a lifetime is a second at least".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(subcommand)]
        command: Command,
    }

    /// What is printed for these words, where `KEY` stands for a file with `content`.
    fn signed(words: &str, content: &str) -> Result<String, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        std::fs::write(&file, content).unwrap();
        let words = words.split(' ').map(|word| word.replace("KEY", &file.to_string_lossy()));
        let line =
            Line::try_parse_from(["sign".to_owned()].into_iter().chain(words)).map_err(|error| error.to_string())?;
        let now = UnixTime(0x61a9_64c3);
        let signed = match line.command {
            Command::Acc(acc) => acc.sign(now),
            Command::Si(si) => si.sign(now),
            Command::Basic(basic) => basic.sign(),
            Command::Publish(app) => app.sign(app::Way::Form, now),
            Command::Playback(app) => app.sign(app::Way::Query, now),
            Command::Token(login) => login.sign(),
            Command::Jwt(jwt) => jwt.sign(now),
            Command::Share(share) => share.sign(now),
        };
        signed.map(|text| text.to_string()).map_err(|_| "refused".to_owned())
    }

    const SHARE: &str = "share.eyJzaSI6IDIzNTYzOX0.61a964c3tbc1fab00.4NuL1qp8jcInCqp0RGnQGJOQtm4";

    #[test]
    fn a_share_token_is_the_one_that_vxg_would_make() {
        // The MAC is openssl's, see tests/vectors.
        assert_eq!(signed("share --key-file KEY --si 235639", "vxg-lab-secret\n").unwrap(), format!("{SHARE}\n"));
        let short = signed("share --key-file KEY --si 7 --lifetime 1h", "vxg-lab-secret").unwrap();
        assert_eq!(short, "share.eyJzaSI6IDd9.61a964c3te10.OA4E4yprqa1DKc6RW7twtANotcY\n");
        assert_eq!(signed("share --key-file KEY --si 7 --ttl 1h", "vxg-lab-secret").unwrap(), short);
        assert!(signed("share --key-file KEY --si 7 --ttl 0s", "k").is_err());
    }

    #[test]
    fn a_camera_token_is_json_in_base64_or_the_share_token_in_the_query() {
        // printf '{"camid": 248527, "access": "watch", "token": "share…"}' | base64 -w0
        let outer = "eyJjYW1pZCI6IDI0ODUyNywgImFjY2VzcyI6ICJ3YXRjaCIsICJ0b2tlbiI6ICJzaGFyZS5leUp6YVNJNklESXpOVFl6T1gwLjYxYTk2NGMzdGJjMWZhYjAwLjROdUwxcXA4amNJbkNxcDBSR25RR0pPUXRtNCJ9";
        let expected =
            format!("Authorization: Acc {outer}\ncurl -sS -i -H 'Authorization: Acc {outer}' --url 'http://a/?b'\n");
        let asked = format!("acc --token {SHARE} --camera 248527 --access watch --url http://a/?b");
        assert_eq!(signed(&asked, "").unwrap(), expected);
        assert_eq!(
            signed(&format!("acc --token {outer} --camera 248527 --access watch --url http://a/?b"), "").unwrap(),
            expected
        );
        // What it says itself goes on; where it says nothing, nothing is said of it.
        assert_eq!(signed(&format!("acc --token {outer} --camera 248527 --url http://a/?b"), "").unwrap(), expected);
        let silent = signed(&format!("acc --token {SHARE} --camera 248527 --url http://a/"), "").unwrap();
        // printf '{"camid": 248527, "token": "share…"}' | base64 -w0
        assert!(silent.contains("Acc eyJjYW1pZCI6IDI0ODUyNywgInRva2VuIjogInNoYXJlLmV5SnphU0k2SURJek5UWXpPWDAuNjFhOTY0YzN0YmMxZmFiMDAuNE51TDFxcDhqY0luQ3FwMFJHblFHSk9RdG00In0="));
        let made = "acc --key-file KEY --si 235639 --camera 248527 --access watch --url http://a/?b";
        assert_eq!(signed(made, "vxg-lab-secret").unwrap(), expected);
        for (url, there) in [("http://a/x", "http://a/x?token="), ("http://a/x?y=1", "http://a/x?y=1&token=")] {
            let bare = signed(&format!("acc --token {SHARE} --url {url}"), "").unwrap();
            assert_eq!(bare, format!("token={SHARE}\ncurl -sS -i --url '{there}{SHARE}'\n"));
        }
    }

    #[test]
    fn a_group_token_names_no_camera() {
        // printf '{"token": "share…"}' | base64 -w0
        let outer = "eyJ0b2tlbiI6ICJzaGFyZS5leUp6YVNJNklESXpOVFl6T1gwLjYxYTk2NGMzdGJjMWZhYjAwLjROdUwxcXA4amNJbkNxcDBSR25RR0pPUXRtNCJ9";
        let printed = signed(&format!("si --token {SHARE} --url http://a/"), "").unwrap();
        assert_eq!(
            printed,
            format!("Authorization: SI {outer}\ncurl -sS -i -H 'Authorization: SI {outer}' --url http://a/\n")
        );
    }

    #[test]
    fn an_app_signs_as_the_vendor_says() {
        // By `openssl dgst -sha1 -hmac ct-secret-0001`; 2100-01-01T00:00:00Z is 4102444800.
        let (json, tag) =
            (r#"{"api_key":"123-456-789","expiration":4102444800}"#, "a6278a4184545200a08454ae33b31533b5ccfadf");
        let with = "--api-key 123-456-789 --secret-file KEY --expires 2100-01-01T00:00:00Z --url http://a/x";
        let printed = signed(&format!("publish {with}"), "ct-secret-0001\n").unwrap();
        let form = format!("--data-urlencode 'signature_json={json}' --data-urlencode signature={tag}");
        assert_eq!(printed, format!("{json}\n{tag}\ncurl -sS -i {form} --url http://a/x\n"));
        let printed = signed(&format!("playback {with}?y=1"), "ct-secret-0001").unwrap();
        let text = "%7B%22api%5Fkey%22%3A%22123%2D456%2D789%22%2C%22expiration%22%3A4102444800%7D";
        let line = format!("curl -sS -i --url 'http://a/x?y=1&signature_json={text}&signature={tag}'");
        assert_eq!(printed, format!("{json}\n{tag}\n{line}\n"));
        let soon = signed("publish --api-key k --secret-file KEY --expires 90s --url x", "ct-secret-0001").unwrap();
        assert!(soon.starts_with(&format!("{{\"api_key\":\"k\",\"expiration\":{}}}", 0x61a9_64c3 + 90)), "{soon}");
    }

    #[test]
    fn an_app_of_the_configuration_signs_with_its_own_secret() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("vidgate.toml");
        let text = "[listener.public]\naddress = \"127.0.0.1:1\"\n\
            [upstream.api]\nendpoints = [\"http://127.0.0.1:2\"]\n\
            [[route]]\nname = \"all\"\npath = \"/\"\nauthenticate = \"open\"\nforward = \"api\"\n\
            [[account]]\nid = \"studio\"\napp = [{ id = \"demo\", public_key = \"123-456-789\", secret = \"ct-secret-0001\" }]\n";
        std::fs::write(&file, text).unwrap();
        let with = format!("--config {} --expires 2100-01-01T00:00:00Z --url x", file.display());
        for id in ["demo", "123-456-789"] {
            let printed = signed(&format!("playback --app {id} {with}"), "").unwrap();
            assert_eq!(printed.lines().nth(1), Some("a6278a4184545200a08454ae33b31533b5ccfadf"));
        }
        assert!(signed(&format!("playback --app other {with}"), "").is_err());
    }

    #[test]
    fn a_secret_comes_from_a_file_and_never_from_the_command_line() {
        let encoded = "OGRlZDVhODkwNTFhOWEwMWEzODliY2RmMWUxNzQ6OTkxNzZiMWQyNDRjNDg0ZWQ2NWRkNzkyYWJjMQ==";
        let asked = "basic --id 8ded5a89051a9a01a389bcdf1e174 --secret-file KEY --url https://a/user";
        let printed = signed(asked, "99176b1d244c484ed65dd792abc1\n").unwrap();
        assert!(printed.starts_with(&format!("Authorization: Basic {encoded}\ncurl ")), "{printed}");
        for wrong in [
            "basic --id a:b --secret-file KEY --url x",
            "basic --id a --secret s --url x",
            "acc --token nothing --url x",
            "acc --url x",
            "acc --key-file KEY --url x",
            "publish --url x",
            "publish --api-key k --url x",
            "publish --api-key k --secret-file KEY --app a --url x",
            "publish --api-key k --secret-file KEY --expires soon --url x",
            "si --token share.a --key-file KEY --si 1 --url x",
        ] {
            assert!(signed(wrong, "secret").is_err(), "{wrong}");
        }
    }
}
