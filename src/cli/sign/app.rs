//! `vidgate sign publish` and `vidgate sign playback`: what a CameraTag page signs, as the vendor's documents have it.

use std::path::{Path, PathBuf};

use clap::Args;
use data_encoding::HEXLOWER;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use zeroize::Zeroizing;

use super::{curl, lifetime};
use crate::cli::operator::Trouble;
use crate::cli::{Configuration, manage};
use crate::clock::UnixTime;
use crate::config;
use crate::record::{self, Directory, Kind, Signer};
use crate::secret::Secret;
use crate::store::Purpose;

/// For how long a signature is good where nothing is said: an hour.
const LIFETIME: u64 = 3600;

/// An app's signature.
#[derive(Args, Debug)]
pub(in crate::cli) struct App {
    #[command(flatten)]
    signer: Who,
    #[command(flatten)]
    configuration: Configuration,
    /// When it ends: an instant such as 2027-01-01T00:00:00Z, or how long from now, such as 30m [default: 1h]
    #[arg(long, value_name = "TIME", value_parser = end)]
    expires: Option<End>,
    /// Where to
    #[arg(long, value_name = "URL")]
    url: String,
}

/// Who signs: an app that is on file, or a key and a secret.
#[derive(Args, Debug)]
#[group(required = true, multiple = true)]
struct Who {
    /// The app, by its id or its public key: of the configuration, or of the store that it names while no gateway has that open
    #[arg(long, value_name = "ID", conflicts_with_all = ["api_key", "secret_file"])]
    app: Option<String>,
    /// In place of an app: its public key
    #[arg(long, value_name = "KEY", requires = "secret_file")]
    api_key: Option<String>,
    /// And the file that holds its secret; - is standard input
    #[arg(long, value_name = "FILE", requires = "api_key")]
    secret_file: Option<PathBuf>,
}

/// When a signature ends, in seconds.
#[derive(Clone, Copy, Debug)]
enum End {
    At(u64),
    In(u64),
}

/// How what was signed is sent.
#[derive(Clone, Copy, Debug)]
pub(super) enum Way {
    /// In a form.
    Form,
    /// In the query.
    Query,
}

impl App {
    /// The text, its signature, and the line for curl.
    pub(super) fn sign(&self, way: Way, now: UnixTime) -> Result<Zeroizing<String>, Trouble> {
        let (key, signer) = self.signer.find(&self.configuration.config, now)?;
        let end = match self.expires {
            Some(End::At(end)) => end,
            Some(End::In(seconds)) => now.0.saturating_add(seconds),
            None => now.0 + LIFETIME,
        };
        // As Ruby's `to_json` writes it; a signature holds for these very bytes.
        let json = format!("{{\"api_key\":{},\"expiration\":{end}}}", serde_json::Value::String(key));
        let tag = HEXLOWER.encode(&signer.sign(json.as_bytes()));
        let url = &self.url;
        let line = match way {
            Way::Form => {
                let (text, signature) = (format!("signature_json={json}"), format!("signature={tag}"));
                curl(&["--data-urlencode", &text, "--data-urlencode", &signature], url)
            }
            Way::Query => {
                let mark = if url.contains('?') { '&' } else { '?' };
                let text = utf8_percent_encode(&json, NON_ALPHANUMERIC);
                curl(&[], &format!("{url}{mark}signature_json={text}&signature={tag}"))
            }
        };
        Ok(Zeroizing::new(format!("{json}\n{tag}\n{line}\n")))
    }
}

impl Who {
    /// The public key, and what signs.
    fn find(&self, configuration: &Path, now: UnixTime) -> Result<(String, Signer), Trouble> {
        if let (Some(key), Some(file)) = (&self.api_key, &self.secret_file) {
            record::App::check_public_key(key).map_err(|invalid| Trouble::plain(invalid.message))?;
            let secret = Secret::new(manage::secret(file)?.as_bytes().to_vec());
            return Ok((key.clone(), Signer::new(&secret, None)));
        }
        let Some(app) = &self.app else { return Err(Trouble::plain("give it --app, or --api-key and --secret-file")) };
        let loaded =
            config::load(configuration, Purpose::Look).map_err(|report| Trouble::Configuration(report.render(true)))?;
        let record = loaded.world.directory.look_up(Kind::App, app.as_bytes());
        let found = record.as_ref().and_then(|record| record.attributes.app());
        let file = configuration.display();
        let Some(found) = found else {
            let store = "nor of its store, unless a gateway has that open";
            return Err(Trouble::plain(format!("there is no app `{app}` of the configuration `{file}`, {store}")));
        };
        let signer = found.signers.iter().find(|signer| signer.is_good(now)).cloned();
        let signer = signer.ok_or_else(|| Trouble::plain(format!("the app `{app}` has no secret that is good now")))?;
        Ok((found.public_key.to_string(), signer))
    }
}

/// An instant, or a duration.
fn end(written: &str) -> Result<End, String> {
    match written.parse::<jiff::Timestamp>() {
        Ok(instant) => u64::try_from(instant.as_second()).map(End::At).map_err(|_| "an end lies after 1970".to_owned()),
        Err(_) => lifetime(written).map(End::In).map_err(|_| {
            "this is neither an instant such as 2027-01-01T00:00:00Z nor a duration such as 30m".to_owned()
        }),
    }
}
