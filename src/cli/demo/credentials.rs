//! Throw-away credentials in the form that each vendor's clients send, new at each start. None of these types has a
//! `Debug`: what is printed is printed on purpose.

mod cameratag;
mod multicam;
mod voximplant;

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

pub(super) use self::cameratag::{App, BOOTH, CameraTag, KIOSK, Signed};
pub(super) use self::multicam::Multicam;
pub(super) use self::voximplant::{Key, Voximplant};
use super::Trouble;
use crate::clock::UnixTime;
use crate::store::key_text::{self, Prefix};

/// What VXG's real tokens of today say: 36,530 days.
const SHARE_LIFETIME: u64 = 0xbc1f_ab00;

/// Everything a client needs.
pub(super) struct Credentials {
    /// For VXG.
    pub(super) vxg: Vxg,
    /// For SecureVideo.
    pub(super) securevideo: SecureVideo,
    /// For CameraTag.
    pub(super) cameratag: CameraTag,
    /// For Multicam.
    pub(super) multicam: Multicam,
    /// For Voximplant.
    pub(super) voximplant: Voximplant,
    /// For the admin API.
    pub(super) admin_token: String,
}

/// License keys and camera tokens.
pub(super) struct Vxg {
    /// A license key that is good.
    pub(super) license_key: String,
    /// One that was good until yesterday.
    pub(super) license_key_expired: String,
    /// One that an operator has switched off.
    pub(super) license_key_disabled: String,
    /// Two that nobody has yet: a guest's first one, and the one that takes its place.
    pub(super) guests: [String; 2],
    /// Two for an account that is yet to come.
    pub(super) newcomers: [String; 2],
    /// Everything on one camera.
    pub(super) all: CameraToken,
    /// Only looking at another camera.
    pub(super) watch: CameraToken,
    /// One whose own lifetime is over.
    pub(super) expired: CameraToken,
    /// Only what is being streamed, of the camera that `all` is for.
    pub(super) streaming: CameraToken,
    /// For a camera that is not there yet.
    pub(super) later: CameraToken,
    /// For a group: its share token, and what goes behind `Authorization: SI`.
    pub(super) group: (String, String),
}

/// An access token for one camera.
pub(super) struct CameraToken {
    /// The camera.
    pub(super) camera: u32,
    /// The number of the sharing that it stands for.
    pub(super) sharing: u32,
    /// What goes into `?token=`.
    pub(super) share: String,
    /// What goes behind `Authorization: Acc`: base64 over JSON that holds the share token.
    pub(super) access: String,
    /// `all` or `watch`.
    pub(super) scope: &'static str,
}

/// An API identifier and its secret.
pub(super) struct SecureVideo {
    /// Of a customer who may ask once an hour: the identifier, and the secret.
    pub(super) modest: (String, String),
    /// Of a customer whose servers are elsewhere.
    pub(super) elsewhere: (String, String),
    /// The identifier: the user name of Basic.
    pub(super) identifier: String,
    /// The secret: its password.
    pub(super) secret: String,
}

impl Credentials {
    /// Makes them.
    pub(super) fn create(now: UnixTime) -> Result<Self, Trouble> {
        Ok(Self {
            vxg: Vxg::create(now)?,
            securevideo: SecureVideo::create()?,
            cameratag: CameraTag::create(now)?,
            multicam: Multicam::create()?,
            voximplant: Voximplant::create(now)?,
            admin_token: hex(&random::<16>()?),
        })
    }
}

impl Vxg {
    fn create(now: UnixTime) -> Result<Self, Trouble> {
        let license_key = || word(14).map(|word| format!("v3.{word}"));
        let share = share_token(18, now, SHARE_LIFETIME, &random::<20>()?);
        let access = STANDARD.encode(format!("{{\"token\": \"{share}\", \"api\": \"web.example.test\"}}"));
        let long_ago = UnixTime(now.0.saturating_sub(7200));
        Ok(Self {
            license_key: license_key()?,
            license_key_expired: license_key()?,
            license_key_disabled: license_key()?,
            guests: [guest(), guest()],
            newcomers: [license_key()?, license_key()?],
            all: CameraToken::create(248_527, "all", now, SHARE_LIFETIME)?,
            watch: CameraToken::create(248_528, "watch", now, SHARE_LIFETIME)?,
            expired: CameraToken::create(248_529, "all", long_ago, 3600)?,
            streaming: CameraToken::create(248_527, "streaming", now, SHARE_LIFETIME)?,
            later: CameraToken::create(248_530, "all", now, SHARE_LIFETIME)?,
            group: (share, access),
        })
    }
}

/// A license key as vidgate makes them itself.
fn guest() -> String {
    String::from_utf8_lossy(key_text::make(Prefix::LICENSE_KEY).expose()).into_owned()
}

impl CameraToken {
    fn create(camera: u32, scope: &'static str, issued: UnixTime, lifetime: u64) -> Result<Self, Trouble> {
        let sharing = camera - 12_888;
        let share = share_token(sharing, issued, lifetime, &random::<20>()?);
        let access = access_token(camera, scope, &share);
        Ok(Self { camera, sharing, share, access, scope })
    }

    /// An access token around a share token that nobody was given.
    pub(super) fn forged(&self) -> String {
        access_token(self.camera, self.scope, &self.share.replacen("share.", "share.x", 1))
    }

    /// The access token with other words around the good share token: they are not signed, so anyone can write them.
    pub(super) fn claiming(&self, scope: &str) -> String {
        access_token(self.camera, scope, &self.share)
    }
}

/// VXG's inner token: the sharing's id, when it was issued and for how long, and twenty bytes that nobody can guess.
fn share_token(sharing: u32, issued: UnixTime, lifetime: u64, mac: &[u8; 20]) -> String {
    let payload = URL_SAFE_NO_PAD.encode(format!("{{\"si\": {sharing}}}"));
    format!("share.{payload}.{:x}t{lifetime:x}.{}", issued.0, URL_SAFE_NO_PAD.encode(mac))
}

/// VXG's outer token, its JSON written as VXG writes it.
fn access_token(camera: u32, scope: &str, share: &str) -> String {
    STANDARD.encode(format!(
        "{{\"camid\": {camera}, \"cmngrid\": {}, \"access\": \"{scope}\", \"token\": \"{share}\", \
         \"api\": \"web.example.test\", \"cam\": \"cam.example.test\"}}",
        camera + 437
    ))
}

impl SecureVideo {
    fn create() -> Result<Self, Trouble> {
        let text = || random::<15>().map(|bytes| hex(&bytes));
        let pair = || Ok::<_, Trouble>((text()?, text()?));
        Ok(Self { modest: pair()?, elsewhere: pair()?, identifier: text()?, secret: text()? })
    }
}

fn random<const N: usize>() -> Result<[u8; N], Trouble> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}

/// `length` letters and digits.
fn word(length: usize) -> Result<String, Trouble> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789xy";
    (0..length).map(|_| Ok(char::from(ALPHABET[usize::from(random::<1>()?[0] % 64)]))).collect()
}

/// Two digits a byte.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A random UUID (RFC 9562 §5.4: version 4 and variant stand in fixed bits).
fn uuid(mut bytes: [u8; 16]) -> String {
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let text = hex(&bytes);
    [&text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..]].join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_token_has_the_form_of_the_real_ones() {
        // Payload, time and lifetime of a token in VXG's own samples.
        let token = share_token(235_639, UnixTime(0x61a9_64c3), SHARE_LIFETIME, &[0xff; 20]);
        assert_eq!(token, "share.eyJzaSI6IDIzNTYzOX0.61a964c3tbc1fab00.__________________________8");
    }

    #[test]
    fn an_access_token_wraps_the_share_token_in_json() {
        let text = STANDARD.decode(access_token(248_527, "watch", "share.a.b.c")).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(json["camid"], 248_527);
        assert_eq!(json["access"], "watch");
        assert_eq!(json["token"], "share.a.b.c");
    }

    #[test]
    fn every_start_makes_others() {
        let now = UnixTime(1_800_000_000);
        let (one, two) = (Credentials::create(now).unwrap(), Credentials::create(now).unwrap());
        for (a, b) in [
            (&one.vxg.license_key, &two.vxg.license_key),
            (&one.vxg.license_key, &one.vxg.license_key_expired),
            (&one.vxg.all.share, &two.vxg.all.share),
            (&one.securevideo.secret, &two.securevideo.secret),
            (&one.cameratag.booth.secret, &two.cameratag.booth.secret),
            (&one.cameratag.booth.secret, &one.cameratag.kiosk.secret),
            (&one.multicam.key, &two.multicam.key),
            (&one.multicam.token, &two.multicam.token),
            (&one.voximplant.key.id, &two.voximplant.key.id),
            (&one.voximplant.key.private, &two.voximplant.key.private),
        ] {
            assert_ne!(a, b);
        }
    }

    #[test]
    fn a_uuid_says_its_version_and_variant() {
        assert_eq!(uuid([0xff; 16]), "ffffffff-ffff-4fff-bfff-ffffffffffff");
    }
}
