//! Tokens of a foreign issuer (those of `OpenID` Connect and their kin): the key from its JWK Set by the exact `kid`, the issuer and the
//! audience by name, claims that must be there, and what is told to the upstream of the others.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::uri::Scheme as UriScheme;
use http::{HeaderName, HeaderValue, Uri};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::invalid::Invalid;
use crate::key_set::{KeySet, Known, Source};
use crate::record::{Account, PublicKey, Scopes};
use crate::refusal::Reason;
use crate::scheme::jose::Claims;
use crate::scheme::json::Json;
use crate::scheme::{Fetching, Kit, Rejection, Scene};
use crate::units::{Span, is_this_machine};

/// The longest subject, in bytes as it goes upstream.
const LONGEST_SUBJECT: usize = 200;
/// The longest value of a claim that goes upstream, in bytes.
const LONGEST_FIELD: usize = 1024;
/// Field names that callers cannot set (see `forward/headers.rs`).
const OWN_FIELDS: &str = "x-vidgate-";
/// Those that say what vidgate itself has found.
const TAKEN: [&str; 4] = ["x-vidgate-subject", "x-vidgate-account", "x-vidgate-scheme", "x-vidgate-scopes"];
/// What is not text of a subject in a header field.
const ODD: &AsciiSet = &CONTROLS.add(b' ').add(b'%').add(b'"').add(b',');

/// A token of somebody else's.
pub(super) const OTHER: Rejection = Rejection { reason: Reason::Foreign, detail: "`iss` is another issuer" };

/// `issuer` of `[scheme.<name>.jwt]`: whose tokens are believed, by which keys, and what they must say.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct Settings {
    /// The issuer (`iss`), to the letter.
    name: String,
    /// The file of its keys, a JWK Set; or `url`.
    #[schemars(example = "issuer.jwks")]
    file: Option<PathBuf>,
    /// Where its keys are fetched, a JWK Set: https, or http on this machine; or `file`.
    url: Option<String>,
    /// The authorities by which the certificate of `url` is judged, PEM. Default: those of this host.
    ca: Option<PathBuf>,
    /// How often the keys of `url` are fetched. Default: 5 min.
    #[serde(default = "refresh")]
    refresh: Span,
    /// How often at most they are fetched for the sake of a key that is not there. Default: 30 s.
    #[serde(default = "cool_down")]
    cool_down: Span,
    /// How old the keys of `url` may become while they cannot be fetched again; from then on tokens are refused (503).
    /// Default: 1 d.
    #[serde(default = "max_age")]
    max_age: Span,
    /// Whom tokens may be for (`aud`): one of these.
    audience: Vec<String>,
    /// Claims that must be there, with these values. A name with dots may lead into objects: `realm_access.roles`.
    #[serde(default)]
    claims: BTreeMap<String, Wanted>,
    /// The claim that names the caller.
    #[serde(default = "subject")]
    subject: String,
    /// The account for which all of them speak; or `account_claim`.
    account: Option<String>,
    /// The claim that names the account that a token speaks for; or `account`.
    account_claim: Option<String>,
    /// The claim that lists what a caller may do, as words in a text or as a list. Default: nobody is limited.
    scopes: Option<String>,
    /// Claims that are told to the upstream: the name of a field, which begins with `X-Vidgate-`, and that of a claim.
    #[serde(default)]
    headers: BTreeMap<String, String>,
}

fn subject() -> String {
    "sub".into()
}

fn refresh() -> Span {
    Span::seconds(300)
}

fn cool_down() -> Span {
    Span::seconds(30)
}

fn max_age() -> Span {
    Span::seconds(86_400)
}

/// What a claim must be.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Wanted {
    /// This text; of a list, one of its texts.
    Text(String),
    /// This number.
    Integer(u64),
}

/// A foreign issuer.
#[derive(Debug)]
pub(super) struct Issuer {
    keys: Arc<KeySet>,
    /// Whose callers they are, in front of their names: two issuers may know somebody by one name.
    callers: String,
    name: String,
    audience: Vec<String>,
    claims: Vec<(String, Wanted)>,
    subject: String,
    account: Option<Whose>,
    scopes: Option<String>,
    headers: Vec<(HeaderName, String)>,
}

#[derive(Debug)]
enum Whose {
    Fixed(String),
    Claim(String),
}

/// What a token of the issuer has proven.
#[derive(Debug)]
pub(super) struct Stranger {
    /// By this key,
    pub(super) key: Arc<PublicKey>,
    /// which is one of these.
    pub(super) keys: Arc<KeySet>,
    /// Who: `jwt:`, the name of the scheme, and the subject.
    pub(super) subject: HeaderValue,
    /// For whom.
    pub(super) account: Option<Arc<Account>>,
    /// What they may do.
    pub(super) scopes: Option<Scopes>,
    /// What is told of them.
    pub(super) fields: Arc<[(HeaderName, HeaderValue)]>,
}

impl Issuer {
    /// From its settings.
    pub(super) fn new(settings: Settings, kit: &Kit<'_>) -> Result<Self, Invalid> {
        let keys = Arc::new(key_set(&settings, kit)?);
        let Settings { name, audience, claims, subject, account, account_claim, scopes, headers, .. } = settings;
        if name.is_empty() {
            return Err(Invalid::new("an issuer without a name").hint("name = \"https://id.example.com\", as in `iss`"));
        }
        if audience.is_empty() {
            return Err(Invalid::new("tokens for anybody else would be taken as well")
                .hint("audience = [\"…\"]: what the issuer writes into `aud` of tokens for this API"));
        }
        let account = match (account, account_claim) {
            (Some(_), Some(_)) => {
                return Err(Invalid::new("`account` and `account_claim` both say for whom a token speaks")
                    .hint("leave one of them out"));
            }
            (Some(id), None) => Some(Whose::Fixed(id)),
            (None, Some(claim)) => Some(Whose::Claim(claim)),
            (None, None) => None,
        };
        let headers = headers.into_iter().map(|(name, claim)| Ok((field_name(&name)?, claim)));
        Ok(Self {
            keys,
            callers: format!("jwt:{}:", kit.name),
            name,
            audience,
            claims: claims.into_iter().collect(),
            subject,
            account,
            scopes,
            headers: headers.collect::<Result<_, Invalid>>()?,
        })
    }

    /// Its keys.
    pub(super) fn keys(&self) -> &Arc<KeySet> {
        &self.keys
    }

    /// Whether its tokens speak for accounts.
    pub(super) fn names_accounts(&self) -> bool {
        self.account.is_some()
    }

    /// Whether a token that names this issuer names it. Only a text does: a number that reads alike is somebody else's.
    pub(super) fn is_called(&self, named: &Json<'_>) -> bool {
        named.text() == Some(&self.name)
    }

    /// The key of this id; asks for a refresh where it is not there.
    pub(super) fn key(&self, id: &str, scene: &Scene<'_>) -> Result<Arc<PublicKey>, Rejection> {
        if let Known::Key(key) = self.keys.find(id, scene.now) {
            return Ok(key);
        }
        let wanted = match scene.fetching {
            Fetching::Asked | Fetching::Waited => {
                self.keys.want(scene.now);
                self.keys.attempt().is_some()
            }
            Fetching::Rehearsed => self.keys.would_be_wanted(scene.now),
            Fetching::InVain => false,
        };
        if wanted {
            // Nobody has guessed anything yet: the key may be among those that come.
            return Err(Rejection::new(Reason::Unsettled, "the issuer's keys are being fetched"));
        }
        // Looked for once more: they may have come just now.
        let (reason, detail) = match self.keys.find(id, scene.now) {
            Known::Key(key) => return Ok(key),
            Known::Unknown => (Reason::Unknown, "the issuer has no key with this `kid`"),
            Known::Nothing => (Reason::Unsettled, "the issuer's keys have not been fetched yet"),
            Known::TooOld => {
                (Reason::Unsettled, "the issuer's keys are older than `max_age`, and could not be fetched again")
            }
        };
        Err(Rejection::new(reason, detail))
    }

    /// What a token proves whose signature and times are good.
    pub(super) fn admit(&self, key: Arc<PublicKey>, claims: &Claims, scene: &Scene<'_>) -> Result<Stranger, Rejection> {
        let contradicted = |detail| Rejection::new(Reason::Contradicted, detail);
        let all = &claims.all;
        if !all.member("iss").is_some_and(|named| self.is_called(named)) {
            return Err(OTHER);
        }
        let audience = all.member("aud").ok_or(contradicted("the token is for nobody (`aud`)"))?;
        if !self.audience.iter().any(|own| has(audience, own)) {
            return Err(contradicted("the token is for somebody else (`aud`)"));
        }
        let is_as_wanted = |(name, wanted): &(String, Wanted)| match (claim(all, name), wanted) {
            (Some(value), Wanted::Text(text)) => has(value, text),
            (Some(value), Wanted::Integer(number)) => value.integer() == Some(*number),
            (None, _) => false,
        };
        if !self.claims.iter().all(is_as_wanted) {
            return Err(contradicted("a claim that must be there is not, or is another"));
        }
        Ok(Stranger {
            key,
            keys: Arc::clone(&self.keys),
            subject: self.subject(all)?,
            account: self.account(all, scene)?,
            scopes: self.scopes.as_ref().map(|name| claim(all, name).map(words).unwrap_or_default()),
            fields: self.fields(all),
        })
    }

    /// Whether nothing that the proof rested on has changed.
    pub(super) fn still_admits(&self, known: &Stranger, scene: &Scene<'_>) -> bool {
        let is_there = |account: &Arc<Account>| {
            let current = scene.directory.account(&account.id.0);
            current.is_some_and(|current| Arc::ptr_eq(&current, account)) && !account.is_disabled()
        };
        self.keys.stands(&known.key).is_some_and(|until| scene.now < until)
            && known.account.as_ref().is_none_or(is_there)
    }

    fn subject(&self, all: &Json<'_>) -> Result<HeaderValue, Rejection> {
        let missing = Rejection::new(Reason::Malformed, "the token does not say who is calling");
        let text = match claim(all, &self.subject) {
            Some(Json::Text(text)) if !text.is_empty() => utf8_percent_encode(text, ODD).to_string(),
            Some(Json::Integer(number)) => number.to_string(),
            Some(_) | None => return Err(missing),
        };
        if text.len() > LONGEST_SUBJECT {
            return Err(Rejection::new(Reason::Malformed, "the subject of the token is too long"));
        }
        HeaderValue::try_from(self.callers.clone() + &text).map_err(|_| missing)
    }

    fn account(&self, all: &Json<'_>, scene: &Scene<'_>) -> Result<Option<Arc<Account>>, Rejection> {
        let id = match &self.account {
            None => return Ok(None),
            Some(Whose::Fixed(id)) => Some(id.clone()),
            Some(Whose::Claim(name)) => match claim(all, name) {
                Some(Json::Text(text)) => Some(text.to_string()),
                Some(Json::Integer(number)) => Some(number.to_string()),
                Some(_) | None => None,
            },
        };
        let account = id.and_then(|id| scene.directory.account(&id));
        let account = account.ok_or(Rejection::new(Reason::Contradicted, "the token's account is not on file"))?;
        if account.is_disabled() {
            return Err(Rejection::new(Reason::Disabled, "the account, or one above it, is disabled"));
        }
        Ok(Some(account))
    }

    fn fields(&self, all: &Json<'_>) -> Arc<[(HeaderName, HeaderValue)]> {
        let field = |(name, own): &(HeaderName, String)| {
            let text = match claim(all, own)? {
                Json::Text(text) => utf8_percent_encode(text, CONTROLS).to_string(),
                Json::Integer(number) => number.to_string(),
                list @ Json::List(_) => words(list).0.join(" "),
                Json::Object(_) | Json::Other => return None,
            };
            let value = HeaderValue::try_from(text).ok().filter(|value| value.len() <= LONGEST_FIELD)?;
            Some((name.clone(), value))
        };
        self.headers.iter().filter_map(field).collect()
    }
}

/// The claim of this name: a member, or one of a member's (`realm_access.roles`) where there is none.
fn claim<'a>(all: &'a Json<'a>, name: &str) -> Option<&'a Json<'a>> {
    let within = || {
        let (outer, inner) = name.split_once('.')?;
        claim(all.member(outer)?, inner)
    };
    all.member(name).or_else(within)
}

/// Whether a claim is this text, or a list that holds it.
fn has(claim: &Json<'_>, text: &str) -> bool {
    match claim {
        Json::Text(own) => own == text,
        Json::List(list) => list.iter().any(|one| one.text() == Some(text)),
        Json::Integer(_) | Json::Object(_) | Json::Other => false,
    }
}

/// The words of a claim: those of a text (RFC 8693 §4.2), or the texts of a list.
fn words(claim: &Json<'_>) -> Scopes {
    let plain = |word: &&str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_graphic());
    match claim {
        Json::Text(text) => text.split(' ').filter(plain).collect(),
        Json::List(list) => list.iter().filter_map(Json::text).filter(plain).collect(),
        Json::Integer(_) | Json::Object(_) | Json::Other => Scopes::default(),
    }
}

fn field_name(name: &str) -> Result<HeaderName, Invalid> {
    let lower = name.to_ascii_lowercase();
    let own = lower.starts_with(OWN_FIELDS) && lower.len() > OWN_FIELDS.len() && !TAKEN.contains(&lower.as_str());
    HeaderName::try_from(lower).ok().filter(|_| own).ok_or_else(|| {
        Invalid::new(format!("`{}` cannot say what a token claims", name.escape_debug()))
            .hint("its name begins with X-Vidgate-, which no caller can set: headers = { X-Vidgate-Email = \"email\" }")
    })
}

fn key_set(keys: &Settings, kit: &Kit<'_>) -> Result<KeySet, Invalid> {
    match (&keys.file, &keys.url) {
        (Some(path), None) => KeySet::read(&(kit.file)(path)?),
        (None, Some(url)) => {
            let authorities = keys.ca.as_ref().map(|path| (kit.file)(path)).transpose()?;
            Ok(KeySet::at(source(url, authorities, keys)?))
        }
        (Some(_), Some(_)) | (None, None) => Err(Invalid::new("the keys of an issuer are in one place")
            .hint("file = \"keys.json\", or url = \"https://id.example.com/keys\"")),
    }
}

fn source(url: &str, authorities: Option<Vec<u8>>, keys: &Settings) -> Result<Source, Invalid> {
    let invalid = |message: &str| Invalid::new(message.to_owned()).hint("url = \"https://id.example.com/keys\"");
    let url: Uri = url.parse().map_err(|_| invalid("`url` is none"))?;
    let host = url.host().unwrap_or_default();
    match url.scheme() {
        _ if host.is_empty() || url.authority().is_some_and(|authority| authority.as_str().contains('@')) => {
            return Err(invalid("`url` names no host"));
        }
        Some(scheme) if *scheme == UriScheme::HTTPS => {}
        Some(scheme) if *scheme == UriScheme::HTTP && is_this_machine(host) => {}
        _ => return Err(invalid("keys that come in clear could be anybody's")),
    }
    let (refresh, cool_down) = (keys.refresh.0, keys.cool_down.0);
    if refresh < Duration::from_secs(10) || cool_down < Duration::from_secs(1) || refresh < cool_down {
        return Err(Invalid::new(
            "`refresh` is at least 10 seconds and `cool_down`, and `cool_down` at least one second",
        ));
    }
    let max_age = keys.max_age.0;
    if max_age <= refresh {
        return Err(Invalid::new("keys would be too old before they are fetched again").hint(
            "`max_age` is longer than `refresh`: how long tokens are believed while the issuer cannot be asked",
        ));
    }
    Ok(Source { url, authorities, refresh, cool_down, max_age })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scheme::stage::kit;

    fn build(more: &str) -> Result<Issuer, Invalid> {
        let table = format!("name = \"https://id.example.com\"\naudience = [\"vidgate\"]\n{more}");
        Issuer::new(toml::from_str(&table).unwrap(), &kit("staff"))
    }

    fn json(text: &str) -> Json<'_> {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_claim_is_a_text_or_a_list_that_holds_it() {
        for (claim, expected) in [
            (r#""a""#, true),
            (r#""b""#, false),
            (r#"["a"]"#, true),
            (r#"["b","a"]"#, true),
            (r#"["b","c"]"#, false),
            (r#"[["a"],{"a":"a"},1]"#, false),
            ("[]", false),
            (r#"{"a":"a"}"#, false),
            ("1", false),
        ] {
            assert_eq!(has(&json(claim), "a"), expected, "{claim}");
        }
    }

    #[test]
    fn words_are_those_of_a_text_or_of_a_list_as_far_as_they_are_plain() {
        for (claim, expected) in [
            (r#""watch live""#, &["watch", "live"][..]),
            (r#"" watch  caf\u00e9 ""#, &["watch"]),
            (r#"["watch","","a b","live",["x"],"caf\u00e9"]"#, &["watch", "live"]),
            (r#"{"watch":"live"}"#, &[]),
            ("7", &[]),
        ] {
            assert_eq!(words(&json(claim)), expected.iter().collect(), "{claim}");
        }
    }

    #[test]
    fn a_claim_goes_on_in_a_field_of_the_houses_that_says_nothing_else() {
        for (name, expected) in [
            ("X-Vidgate-Email", true),
            ("x-vidgate-e", true),
            ("X-Vidgate-", false),
            ("X-Vidgate-Subject", false),
            ("x-vidgate-account", false),
            ("X-Vidgate-Scheme", false),
            ("X-Vidgate-Scopes", false),
            ("X-Vidgate-caf\u{e9}", false),
            ("X-Vidgate-a b", false),
            ("Email", false),
            ("Authorization", false),
        ] {
            assert_eq!(field_name(name).is_ok(), expected, "{name}");
        }
    }

    #[test]
    fn keys_come_over_tls_or_from_this_machine() {
        for (url, expected) in [
            ("https://id.example.com/keys", true),
            ("https://192.0.2.7/keys", true),
            ("http://localhost:1/keys", true),
            ("http://127.0.0.1/keys", true),
            ("http://[::1]:1/keys", true),
            ("http://id.example.com/keys", false),
            ("http://localhost.example.com/keys", false),
            ("http://192.0.2.7/keys", false),
            ("ftp://id.example.com/keys", false),
            ("ftp://127.0.0.1/keys", false),
            ("https://staff@id.example.com/keys", false),
            ("https://:443/keys", false),
            ("/keys", false),
            ("localhost", false),
        ] {
            assert_eq!(build(&format!("url = \"{url}\"")).is_ok(), expected, "{url}");
        }
    }

    #[test]
    fn keys_are_fetched_neither_all_the_time_nor_too_late() {
        for (refresh, cool_down, max_age, expected) in [
            ("10s", "1s", "11s", true),
            ("10s", "10s", "11s", true),
            ("9s", "1s", "1m", false),
            ("1m", "900ms", "2m", false),
            ("10s", "11s", "1m", false),
            ("10s", "1s", "10s", false),
            ("10s", "1s", "9s", false),
        ] {
            let times = format!("refresh = \"{refresh}\"\ncool_down = \"{cool_down}\"\nmax_age = \"{max_age}\"");
            assert_eq!(build(&format!("url = \"https://id.example.com/\"\n{times}")).is_ok(), expected, "{times}");
        }
    }

    #[test]
    fn what_is_said_of_a_caller_has_a_greatest_length() {
        let issuer = build("file = \"jwt/issuer.jwks\"\nheaders = { X-Vidgate-Email = \"email\" }").unwrap();
        for (more, subject, field) in [(0, true, true), (1, false, false), (2, false, false)] {
            let all = format!(
                r#"{{"sub":"{}","email":"{}"}}"#,
                "a".repeat(LONGEST_SUBJECT + more),
                "a".repeat(LONGEST_FIELD + more)
            );
            assert_eq!(issuer.subject(&json(&all)).is_ok(), subject, "{more}");
            assert_eq!(issuer.fields(&json(&all)).len(), usize::from(field), "{more}");
        }
    }
}
