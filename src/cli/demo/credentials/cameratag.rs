//! CameraTag's: two apps, what they sign, and a key for the REST API.

use data_encoding::HEXLOWER;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::{hex, random};
use crate::cli::demo::Trouble;
use crate::clock::UnixTime;
use crate::record::Signer;
use crate::secret::Secret;

/// The id of the app that asks for signatures.
pub(in crate::cli::demo) const BOOTH: &str = "a-0b1c";
/// The id of the app that does not, and that hears refusals as old recorders want them.
pub(in crate::cli::demo) const KIOSK: &str = "a-2d3e";

/// For how long a signature is good, in seconds.
const LIFETIME: u64 = 3600;

/// Apps, signatures, and a key.
pub(in crate::cli::demo) struct CameraTag {
    /// An app that asks for signatures.
    pub(in crate::cli::demo) booth: App,
    /// One that does not.
    pub(in crate::cli::demo) kiosk: App,
    /// The booth's signature, good for an hour.
    pub(in crate::cli::demo) good: Signed,
    /// One of the booth's that ended a minute ago.
    pub(in crate::cli::demo) expired: Signed,
    /// The kiosk's public key, signed with the booth's secret.
    pub(in crate::cli::demo) misnamed: Signed,
    /// The booth's public key, signed with the kiosk's secret.
    pub(in crate::cli::demo) foreign: Signed,
    /// What opens the REST API.
    pub(in crate::cli::demo) rest_key: String,
}

/// An app.
pub(in crate::cli::demo) struct App {
    /// What the API calls it in paths.
    pub(in crate::cli::demo) id: &'static str,
    /// The public key, which pages name.
    pub(in crate::cli::demo) public: String,
    /// What it signs with, the API's private key.
    pub(in crate::cli::demo) secret: String,
}

/// What was signed, and its signature.
pub(in crate::cli::demo) struct Signed {
    /// The text, exactly as it is signed.
    pub(in crate::cli::demo) json: String,
    /// HMAC-SHA1 over it, in hex.
    pub(in crate::cli::demo) tag: String,
}

impl CameraTag {
    pub(super) fn create(now: UnixTime) -> Result<Self, Trouble> {
        let (booth, kiosk) = (App::create(BOOTH)?, App::create(KIOSK)?);
        let end = now.0 + LIFETIME;
        Ok(Self {
            good: sign(&booth.public, end, &booth.secret),
            expired: sign(&booth.public, now.0.saturating_sub(60), &booth.secret),
            misnamed: sign(&kiosk.public, end, &booth.secret),
            foreign: sign(&booth.public, end, &kiosk.secret),
            rest_key: hex(&random::<16>()?),
            booth,
            kiosk,
        })
    }
}

impl App {
    fn create(id: &'static str) -> Result<Self, Trouble> {
        Ok(Self { id, public: hex(&random::<8>()?), secret: hex(&random::<20>()?) })
    }
}

impl Signed {
    /// As it stands in a query.
    pub(in crate::cli::demo) fn query(&self) -> String {
        format!("signature_json={}&signature={}", utf8_percent_encode(&self.json, NON_ALPHANUMERIC), self.tag)
    }
}

/// As the vendor's Ruby has it: `{api_key, expiration}.to_json`, signed with the private key.
fn sign(public: &str, expiration: u64, secret: &str) -> Signed {
    let json = format!("{{\"api_key\":\"{public}\",\"expiration\":{expiration}}}");
    let signer = Signer::new(&Secret::new(secret.as_bytes().to_vec()), None);
    let tag = HEXLOWER.encode(&signer.sign(json.as_bytes()));
    Signed { json, tag }
}
