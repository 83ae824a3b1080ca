//! An RS256 JSON Web Token that a service account signs for itself (Voximplant, RFC 7519): the key by its exact `kid`,
//! a short life, and an issuer that is the key's own account or a child of it. How the token is read stands in
//! `jose.rs`; what was verified before, in `verified.rs`.

use std::sync::Arc;

use http::HeaderValue;
use schemars::JsonSchema;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

pub use super::verified::Verified;
use crate::clock::UnixTime;
use crate::edge::head::Head;
use crate::edge::preface::Preface;
use crate::invalid::Invalid;
use crate::key_set::KeySet;
use crate::record::{Account, Attributes, Kind, Record};
use crate::refusal::Reason;
use crate::scheme::issuer::{self, Issuer};
use crate::scheme::jose::{self, Claims, Compact};
use crate::scheme::json::Json;
use crate::scheme::verified::{Holder, Key, Remembered};
use crate::scheme::{Kit, Places, Principal, Rejection, Scene, Scheme, authorization, usable};
use crate::units::Span;

const WORD: &str = "Bearer";
/// A clock that is further off than this is not a matter of leeway, in seconds.
const MOST_LEEWAY: u64 = 300;

/// `[scheme.<name>.jwt]`
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The longest time from `iat` to `exp`. Default: 1 h.
    #[serde(default = "max_lifetime")]
    max_lifetime: Span,
    /// How far the signer's clock may be ahead of ours. A token's end is never put off by it. Default:
    /// 30 s.
    #[serde(default = "leeway")]
    leeway: Span,
    /// A foreign issuer, whose tokens are believed in the place of those of service accounts.
    issuer: Option<issuer::Settings>,
}

fn max_lifetime() -> Span {
    Span::seconds(3600)
}

fn leeway() -> Span {
    Span::seconds(30)
}

/// The scheme.
#[derive(Debug)]
pub struct Jwt {
    max_lifetime: u64,
    leeway: u64,
    /// SHA-256 that has taken in the scheme's name and policy: tokens verified under another policy are not known here.
    policy: Sha256,
    issuer: Option<Issuer>,
}

impl Scheme for Jwt {
    type Settings = Settings;
    type Credential<'a> = Token<'a>;

    fn new(settings: Settings, kit: &Kit<'_>) -> Result<Self, Invalid> {
        let (max_lifetime, leeway) = (settings.max_lifetime.0.as_secs(), settings.leeway.0.as_secs());
        if max_lifetime == 0 {
            return Err(Invalid::new("`max_lifetime` is below one second").hint("times in a token are whole seconds"));
        }
        if leeway > MOST_LEEWAY {
            return Err(
                Invalid::new("`leeway` is longer than five minutes").hint("set the signer's clock right instead")
            );
        }
        let mut policy = Sha256::new();
        for part in [max_lifetime, leeway, kit.name.len() as u64] {
            policy.update(part.to_be_bytes());
        }
        policy.update(kit.name.as_bytes());
        let issuer = settings.issuer.map(|own| Issuer::new(own, kit)).transpose()?;
        Ok(Self { max_lifetime, leeway, policy, issuer })
    }

    fn places(&self) -> Places {
        Places::authorization()
    }

    fn read<'a>(&self, head: &Head<'a>, _: &'a Preface) -> Result<Option<Token<'a>>, Rejection> {
        let Some(token) = authorization::token(head, WORD)? else { return Ok(None) };
        // Two kinds of Bearer tokens are told apart by shape, so that a scheme of opaque ones may stand beside this.
        if !jose::has_shape(token) {
            return Ok(None);
        }
        let compact = Compact::parse(token).ok_or(malformed("the token is not text"))?;
        Ok(Some(Token(compact)))
    }

    fn verify(&self, Token(token): Token<'_>, scene: &Scene<'_>) -> Result<Principal, Rejection> {
        let key: Key = self.policy.clone().chain_update(token.expose()).finalize().into();
        if let Some(known) = scene.verified.recall(&key) {
            if self.still_true(&known, scene) {
                return Ok(known.into_principal());
            }
            // The full check below says what has changed.
            scene.verified.forget(&key);
        }
        let proven = self.prove(&token, scene)?;
        scene.verified.remember(key, proven.clone());
        Ok(proven.into_principal())
    }

    fn challenge(&self) -> Option<HeaderValue> {
        Some(HeaderValue::from_static(WORD))
    }

    fn names_accounts(&self) -> bool {
        self.issuer.as_ref().is_none_or(Issuer::names_accounts)
    }

    fn key_set(&self) -> Option<&Arc<KeySet>> {
        self.issuer.as_ref().map(Issuer::keys)
    }
}

/// A token as presented.
#[derive(Debug)]
pub struct Token<'a>(Compact<'a>);

impl Jwt {
    /// Checks everything. Nothing is said of the claims of a token whose signature does not hold.
    fn prove(&self, token: &Compact<'_>, scene: &Scene<'_>) -> Result<Remembered, Rejection> {
        let key_id = token.key_id().map_err(malformed)?;
        if let Some(issuer) = &self.issuer {
            return self.prove_stranger(issuer, token, &key_id, scene);
        }
        // A `kid` is public and names no person: that an unknown one costs no RSA is nothing worth hiding.
        let record =
            scene.directory.look_up(Kind::ServiceAccountKey, key_id.as_bytes()).ok_or_else(|| nobodys(token, scene))?;
        let Attributes::PublicKey(key) = &record.attributes else {
            return Err(Rejection::new(Reason::Unknown, "the record of this `kid` holds no public key"));
        };
        if !token.holds(&key.0) {
            return Err(Rejection::new(Reason::Mismatch, "the signature does not hold"));
        }
        usable(&record, scene)?;
        let claims = token.claims().map_err(malformed)?;
        self.check_times(&claims, scene.now)?;
        if claims.has_audience {
            // RFC 7519 §4.1.3: we have no name of our own, so that a token for anyone in particular is not for us.
            return Err(Rejection::new(Reason::Contradicted, "the token is meant for an audience (`aud`)"));
        }
        let account = issuer(&claims, &record, scene)?;
        Ok(Remembered { holder: Holder::OnFile { record, account }, expires: UnixTime(claims.expires) })
    }

    fn prove_stranger(
        &self,
        issuer: &Issuer,
        token: &Compact<'_>,
        key_id: &str,
        scene: &Scene<'_>,
    ) -> Result<Remembered, Rejection> {
        // Beside another scheme that believes tokens: its callers have guessed nothing here, and no keys are fetched for them.
        if token.names_issuer(|named| !issuer.is_called(named)) {
            return Err(issuer::OTHER);
        }
        let key = issuer.key(key_id, scene)?;
        if !token.holds(&key.0) {
            return Err(Rejection::new(Reason::Mismatch, "the signature does not hold"));
        }
        let claims = token.claims().map_err(malformed)?;
        self.check_times(&claims, scene.now)?;
        let stranger = issuer.admit(key, &claims, scene)?;
        Ok(Remembered { holder: Holder::Stranger(Arc::new(stranger)), expires: UnixTime(claims.expires) })
    }

    /// Whether nothing that the proof rested on has changed: not the clock past the end, not the key, not the account.
    fn still_true(&self, known: &Remembered, scene: &Scene<'_>) -> bool {
        scene.now < known.expires
            && match &known.holder {
                Holder::OnFile { record, account } => {
                    // An issuer's scheme never asks who is on file.
                    self.issuer.is_none()
                        && scene.directory.is_current(record)
                        && usable(record, scene).is_ok()
                        && (Arc::ptr_eq(account, &record.account) || still_speaks_for(account, record, scene))
                }
                Holder::Stranger(stranger) => {
                    self.issuer.as_ref().is_some_and(|issuer| issuer.still_admits(stranger, scene))
                }
            }
    }

    fn check_times(&self, claims: &Claims, now: UnixTime) -> Result<(), Rejection> {
        let lifetime = claims.expires.checked_sub(claims.issued).filter(|lifetime| *lifetime > 0);
        let lifetime = lifetime.ok_or(malformed("`exp` is not after `iat`"))?;
        if lifetime > self.max_lifetime {
            return Err(Rejection::new(Reason::LivesTooLong, "the token lives longer than `max_lifetime`"));
        }
        let latest = now.0.saturating_add(self.leeway);
        if claims.issued > latest || claims.not_before.is_some_and(|from| from > latest) {
            return Err(Rejection::new(Reason::NotYetValid, "`iat` or `nbf` lies in the future"));
        }
        if now.0 >= claims.expires {
            return Err(Rejection::new(Reason::Expired, "`exp` has passed"));
        }
        Ok(())
    }
}

const fn malformed(detail: &'static str) -> Rejection {
    Rejection { reason: Reason::Malformed, detail }
}

/// Why a key is not there: a token of a foreign issuer names no account, and is no guess at a key of one.
fn nobodys(token: &Compact<'_>, scene: &Scene<'_>) -> Rejection {
    let is_no_account = |named: &Json<'_>| jose::issuer(named).is_some_and(|id| scene.directory.account(&id).is_none());
    if token.names_issuer(is_no_account) {
        return Rejection::new(Reason::Foreign, "nobody has a key with this `kid`, and `iss` is no account");
    }
    Rejection::new(Reason::Unknown, "nobody has a key with this `kid`")
}

/// The account that the token speaks for: the key's own, or a direct child of it; never a parent or a sibling.
fn issuer(claims: &Claims, record: &Record, scene: &Scene<'_>) -> Result<Arc<Account>, Rejection> {
    let own = &record.account;
    if claims.issuer == *own.id.0 {
        return Ok(Arc::clone(own));
    }
    match scene.directory.account(&claims.issuer) {
        Some(child) if child.is_child_of(own) => {
            if child.is_disabled() {
                return Err(Rejection::new(Reason::Disabled, "the account, or one above it, is disabled"));
            }
            Ok(child)
        }
        Some(_) | None => {
            Err(Rejection::new(Reason::Contradicted, "`iss` is neither the key's account nor a child of it"))
        }
    }
}

impl Remembered {
    fn into_principal(self) -> Principal {
        let principal = match self.holder {
            Holder::OnFile { record, account } => Principal::of_record("jwt", record).speaking_for(account),
            Holder::Stranger(stranger) => Principal::of_stranger("jwt", &stranger),
        };
        principal.until(self.expires)
    }
}

/// Whether the child that the token speaks for is still one, and on.
fn still_speaks_for(child: &Arc<Account>, record: &Record, scene: &Scene<'_>) -> bool {
    // An account may have gone, and another one have come by its name.
    scene.directory.account(&child.id.0).is_some_and(|current| Arc::ptr_eq(&current, child))
        && child.is_child_of(&record.account)
        && !child.is_disabled()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use jsonwebtoken::DecodingKey;

    use super::*;
    use crate::record::PublicKey;
    use crate::scheme::Fetching;
    use crate::scheme::stage::{self, Register, Request, kit};

    const NOW: u64 = 1_700_000_000;

    fn file(name: &str) -> String {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/jwt").join(name);
        std::fs::read_to_string(path).unwrap().trim().to_owned()
    }

    fn request(token: &str) -> Request {
        Request::get("/").header("authorization", &format!("Bearer {}", file(token)))
    }

    fn enrol(register: &Register, pem: &str, disabled: bool) {
        register.enrol(Kind::ServiceAccountKey, "kid-parent", "1", "kid-parent", |record| {
            record.disabled = disabled;
            let key = PublicKey(DecodingKey::from_rsa_pem(file(pem).as_bytes()).unwrap());
            record.attributes = Attributes::PublicKey(Box::new(key));
        });
    }

    fn register() -> Register {
        let register = Register::new();
        register.account("1", None);
        register.account("77", Some("1"));
        enrol(&register, "parent.pub.pem", false);
        register
    }

    fn ask(scheme: &Jwt, token: &str, register: &Register, verified: &Verified, now: u64) -> Result<String, Reason> {
        let scene = Scene {
            directory: register,
            verified,
            guard: None,
            fetching: Fetching::Asked,
            app: None,
            now: UnixTime(now),
        };
        let request = request(token);
        let preface = Preface::EMPTY;
        let credential = scheme.read(&request.head(), &preface).unwrap().unwrap();
        match scheme.verify(credential, &scene) {
            Ok(principal) => Ok(principal.account().unwrap().id.0.to_string()),
            Err(rejection) => Err(rejection.reason),
        }
    }

    fn scheme(name: &str, table: &str) -> Jwt {
        Jwt::new(toml::from_str(table).unwrap(), &kit(name)).unwrap()
    }

    /// What happens to the register after a token was verified.
    type Change = fn(&Register);
    /// What, token, when it is asked for again, after which change, and the answer then.
    type Turn = (&'static str, &'static str, u64, Change, Result<&'static str, Reason>);

    fn check(turns: &[Turn]) {
        for (what, token, now, change, expected) in turns.iter().copied() {
            let (register, verified, scheme) = (register(), Verified::new(8), scheme("service", ""));
            assert!(ask(&scheme, token, &register, &verified, NOW).is_ok(), "{what}");
            assert_eq!(verified.len(), 1, "{what}");
            change(&register);
            let answer = ask(&scheme, token, &register, &verified, now);
            assert_eq!(answer.as_deref().map_err(|reason| *reason), expected, "{what}");
            assert_eq!(verified.len(), usize::from(expected.is_ok()), "{what}");
        }
    }

    #[test]
    fn a_remembered_token_is_refused_as_soon_as_its_ground_is_gone() {
        check(&[
            ("nothing", "exact-hour.jwt", NOW, |_| {}, Ok("1")),
            ("nothing, for a child", "child-account.jwt", NOW, |_| {}, Ok("77")),
            ("the last second", "exact-hour.jwt", NOW + 3599, |_| {}, Ok("1")),
            ("the end", "exact-hour.jwt", NOW + 3600, |_| {}, Err(Reason::Expired)),
            (
                "the key is gone",
                "exact-hour.jwt",
                NOW,
                |register| register.revoke(Kind::ServiceAccountKey, "kid-parent"),
                Err(Reason::Unknown),
            ),
            ("another key", "exact-hour.jwt", NOW, |on| enrol(on, "child.pub.pem", false), Err(Reason::Mismatch)),
            ("the key is off", "exact-hour.jwt", NOW, |on| enrol(on, "parent.pub.pem", true), Err(Reason::Disabled)),
        ]);
    }

    #[test]
    fn a_remembered_token_is_refused_as_soon_as_an_account_is_gone_or_off() {
        check(&[
            (
                "the child is off",
                "child-account.jwt",
                NOW,
                |on| drop(on.account_with("77", Some("1"), true)),
                Err(Reason::Disabled),
            ),
            (
                "the account is off",
                "exact-hour.jwt",
                NOW,
                |on| drop(on.account_with("1", None, true)),
                Err(Reason::Disabled),
            ),
            (
                "an account far above is off",
                "exact-hour.jwt",
                NOW,
                |on| {
                    on.account("1", Some("0"));
                    on.account_with("0", None, true);
                },
                Err(Reason::Disabled),
            ),
            (
                "the child is gone, and another has its name",
                "child-account.jwt",
                NOW,
                |on| {
                    on.close("77");
                    on.account("77", None);
                },
                Err(Reason::Contradicted),
            ),
            (
                "the child is another's",
                "child-account.jwt",
                NOW,
                |on| drop(on.account("77", Some("2"))),
                Err(Reason::Contradicted),
            ),
        ]);
    }

    #[test]
    fn a_remembered_token_is_not_verified_again() {
        let (register, verified, scheme) = (register(), Verified::new(8), scheme("service", ""));
        // Another token's proof under this token's key shows that the memory is asked.
        ask(&scheme, "child-account.jwt", &register, &verified, NOW).unwrap();
        let key = |token: &str| -> Key { scheme.policy.clone().chain_update(file(token)).finalize().into() };
        let proof = verified.recall(&key("child-account.jwt")).unwrap();
        verified.remember(key("exact-hour.jwt"), proof);
        assert_eq!(ask(&scheme, "exact-hour.jwt", &register, &verified, NOW).as_deref(), Ok("77"));
    }

    fn fetch(keys: &KeySet, set: &str) {
        keys.end(Some(set.as_bytes()), UnixTime(NOW)).unwrap();
    }

    /// What an issuer has vouched for stands under the key of a token that it never signed: only the memory believes that.
    #[test]
    fn what_an_issuer_has_vouched_for_is_believed_until_its_ground_is_gone() {
        type Change = fn(&Register, &KeySet);
        let table = "issuer = { name = \"https://id.example.com\", url = \"http://127.0.0.1:1/\", audience = [\"vidgate\"], \
                     account_claim = \"tenant\", refresh = \"1m\", max_age = \"5m\" }";
        for (what, now, change, expected) in [
            ("nothing", NOW, (|_, _| {}) as Change, true),
            ("the last second of the keys", NOW + 299, |_, _| {}, true),
            ("the keys are too old", NOW + 300, |_, _| {}, false),
            ("the same keys", NOW, |_, keys| fetch(keys, &file("issuer.jwks")), true),
            ("other keys", NOW, |_, keys| fetch(keys, &file("issuer.jwks").replace("issuer-1", "issuer-9")), false),
            ("the account is off", NOW, |on, _| drop(on.account_with("acme", None, true)), false),
            ("the account is gone", NOW, |on, _| on.close("acme"), false),
            (
                "the account is gone, and another has its name",
                NOW,
                |on, _| {
                    on.close("acme");
                    on.account("acme", None);
                },
                false,
            ),
        ] {
            let (register, verified, scheme) = (Register::new(), Verified::new(8), scheme("staff", table));
            register.account("acme", None);
            let keys = scheme.key_set().unwrap();
            fetch(keys, &file("issuer.jwks"));
            assert!(ask(&scheme, "issuer-forged.jwt", &register, &verified, NOW).is_err(), "{what}");
            ask(&scheme, "issuer-good.jwt", &register, &verified, NOW).unwrap();
            let key = |token: &str| -> Key { scheme.policy.clone().chain_update(file(token)).finalize().into() };
            verified.remember(key("issuer-forged.jwt"), verified.recall(&key("issuer-good.jwt")).unwrap());
            change(&register, keys);
            let answer = ask(&scheme, "issuer-forged.jwt", &register, &verified, now);
            assert_eq!(answer.as_deref().ok(), expected.then_some("acme"), "{what}");
        }
    }

    #[test]
    fn clocks_may_differ_by_the_leeway_and_no_more() {
        let scheme = scheme("service", "leeway = \"5s\"\nmax_lifetime = \"10s\"");
        for (issued, not_before, expires, expected) in [
            (0, None, 1, Err(Reason::Expired)),
            (100, None, 101, Ok(())),
            (91, None, 101, Ok(())),
            (90, None, 101, Err(Reason::LivesTooLong)),
            (90, None, 100, Err(Reason::Expired)),
            (105, None, 110, Ok(())),
            (106, None, 110, Err(Reason::NotYetValid)),
            (100, Some(105), 110, Ok(())),
            (100, Some(106), 110, Err(Reason::NotYetValid)),
            (101, None, 101, Err(Reason::Malformed)),
            (102, None, 101, Err(Reason::Malformed)),
        ] {
            let (issuer, all) = (String::new(), Json::Other);
            let claims = Claims { issuer, all, issued, expires, not_before, has_audience: false };
            let answer = scheme.check_times(&claims, UnixTime(100)).map_err(|rejection| rejection.reason);
            assert_eq!(answer, expected, "{issued} {not_before:?} {expires}");
        }
    }

    #[test]
    fn a_refusal_is_not_remembered() {
        let (register, verified, scheme) = (register(), Verified::new(8), scheme("service", ""));
        for token in ["other-key.jwt", "over.jwt", "later.jwt", "unknown-kid.jwt"] {
            assert!(ask(&scheme, token, &register, &verified, NOW).is_err(), "{token}");
        }
        assert!(verified.is_empty());
    }

    #[test]
    fn what_one_policy_believed_another_does_not() {
        let (register, verified) = (register(), Verified::new(8));
        assert!(ask(&scheme("a", ""), "exact-hour.jwt", &register, &verified, NOW).is_ok());
        let strict = scheme("a", "max_lifetime = \"1m\"");
        assert_eq!(ask(&strict, "exact-hour.jwt", &register, &verified, NOW), Err(Reason::LivesTooLong));
        assert!(ask(&scheme("b", ""), "exact-hour.jwt", &register, &verified, NOW).is_ok());
        assert_eq!(verified.len(), 2);
    }

    /// The same name and times: only whose tokens are believed has changed.
    #[test]
    fn what_a_service_account_has_proven_is_nothing_to_an_issuer() {
        let (register, verified) = (register(), Verified::new(8));
        assert!(ask(&scheme("a", ""), "exact-hour.jwt", &register, &verified, NOW).is_ok());
        let issuer =
            "issuer = { name = \"https://id.example.com\", file = \"jwt/issuer.jwks\", audience = [\"vidgate\"] }";
        let foreign = scheme("a", issuer);
        assert_eq!(ask(&foreign, "exact-hour.jwt", &register, &verified, NOW), Err(Reason::Foreign));
        assert!(verified.is_empty());
    }

    #[test]
    fn a_token_is_told_apart_by_its_issuer_before_anything_of_it_is_believed() {
        let (register, verified, own) = (register(), Verified::new(8), scheme("service", ""));
        for (token, reason) in [
            ("issuer-good.jwt", Reason::Foreign),
            ("issuer-expired.jwt", Reason::Foreign),
            ("issuer-forged.jwt", Reason::Foreign),
            ("unknown-kid.jwt", Reason::Unknown),
        ] {
            assert_eq!(ask(&own, token, &register, &verified, NOW), Err(reason), "{token}");
        }
        let issuer =
            "issuer = { name = \"https://id.example.com\", url = \"http://127.0.0.1:1/\", audience = [\"vidgate\"] }";
        let foreign = scheme("staff", issuer);
        for token in ["exact-hour.jwt", "unknown-kid.jwt", "issuer-other-issuer.jwt"] {
            assert_eq!(ask(&foreign, token, &register, &verified, NOW), Err(Reason::Foreign), "{token}");
            assert_eq!(foreign.key_set().unwrap().attempt(), None, "no keys are fetched for {token}");
        }
        assert_eq!(ask(&foreign, "issuer-good.jwt", &register, &verified, NOW), Err(Reason::Unsettled));
    }

    #[test]
    fn the_memory_is_bounded() {
        let (register, verified, scheme) = (register(), Verified::new(16), scheme("service", ""));
        ask(&scheme, "exact-hour.jwt", &register, &verified, NOW).unwrap();
        let key: Key = scheme.policy.clone().chain_update(file("exact-hour.jwt")).finalize().into();
        let proof = verified.recall(&key).unwrap();
        for n in 0..1000_u32 {
            verified.remember(Sha256::digest(n.to_be_bytes()).into(), proof.clone());
        }
        assert!(verified.len() <= 16, "{}", verified.len());
        assert!(!format!("{verified:?} {proof:?}").contains(&file("exact-hour.jwt")));
    }

    #[test]
    fn a_policy_that_proves_nothing_is_a_mistake() {
        for table in ["max_lifetime = \"100ms\"", "leeway = \"6m\""] {
            assert!(Jwt::new(toml::from_str(table).unwrap(), &kit("service")).is_err(), "{table}");
        }
        assert!(stage::build("jwt", "leeway = \"5m\"\nmax_lifetime = \"1s\"").challenge().is_some());
    }
}
