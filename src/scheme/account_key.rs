//! Voximplant's keys from before service accounts: an account by its id, name or e-mail address, and its
//! `api_key` beside it, in the query or in a form. Who an account is called by is public and often sent along: by itself
//! it is no credential. Passwords, sessions and the credentials of parents are refused: nobody here knows them.
//!
//! An unknown account costs the same work as a known one with a wrong key.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::edge::head::Head;
use crate::edge::pairs;
use crate::edge::preface::{Differing, Preface};
use crate::invalid::Invalid;
use crate::record::{Kind, Verdict};
use crate::refusal::Reason;
use crate::scheme::buffer::{Buffer, Full};
use crate::scheme::{Identifier, Kit, Places, Principal, Rejection, Scene, Scheme, query, usable};

/// The longest identifier that anything on file has, in bytes.
const LONGEST: usize = 128;
/// The longest key, in bytes.
const LONGEST_KEY: usize = 1024;
/// The most identifiers that a client has beside its id.
const MOST_ALIASES: usize = 8;

/// What proves nobody here, and is a secret: it goes no further.
const SECRETS: [&str; 4] = ["account_password", "session_id", "parent_account_password", "parent_account_api_key"];
/// Whom such a secret would be of.
const PARENTS: [&str; 3] = ["parent_account_id", "parent_account_name", "parent_account_email"];

const TWO: Rejection = Rejection { reason: Reason::Ambiguous, detail: "two different accounts or keys" };
const TOO_LONG: Rejection = Rejection { reason: Reason::Malformed, detail: "the account or its key is too long" };

/// `[scheme.<name>.account_key]`
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The parameters that say whose key it is; exactly one of them stands beside it.
    #[serde(default = "identifiers")]
    identifiers: Vec<String>,
    /// The parameter that holds the key.
    #[serde(default = "key")]
    key: String,
    /// Whether it is believed only where the caller spoke TLS, to us or to a trusted proxy. One that came in clear is
    /// refused unseen.
    #[serde(default = "yes")]
    tls_only: bool,
}

fn yes() -> bool {
    true
}

fn identifiers() -> Vec<String> {
    ["account_id", "account_name", "account_email"].map(String::from).to_vec()
}

fn key() -> String {
    "api_key".into()
}

/// The scheme.
#[derive(Debug)]
pub struct AccountKey {
    identifiers: Vec<Box<str>>,
    /// What is refused wherever it stands.
    foreign: Vec<Box<str>>,
    key: Box<str>,
    tls_only: bool,
}

/// An identifier and a key as presented.
#[derive(Debug)]
pub struct Credential {
    identifier: Buffer<LONGEST>,
    key: Buffer<LONGEST_KEY>,
}

/// Finds the aliases of an API client right in themselves; `Err`: at which place, and why not.
pub(crate) fn aliases(aliases: &[String]) -> Result<(), (Option<usize>, String)> {
    if aliases.len() > MOST_ALIASES {
        return Err((None, format!("there are at most {MOST_ALIASES} aliases")));
    }
    let fits = |alias: &str| {
        (1..=LONGEST).contains(&alias.len()) && !alias.contains(|letter: char| letter == ':' || letter.is_control())
    };
    match aliases.iter().enumerate().find(|(place, alias)| !fits(alias) || aliases[..*place].contains(alias)) {
        None => Ok(()),
        Some((place, alias)) if fits(alias) => Err((Some(place), "it is listed twice".to_owned())),
        Some((place, _)) => {
            Err((Some(place), format!("an alias is 1 to {LONGEST} bytes without colons and control characters")))
        }
    }
}

impl Scheme for AccountKey {
    type Settings = Settings;
    type Credential<'a> = Credential;

    fn new(settings: Settings, _: &Kit<'_>) -> Result<Self, Invalid> {
        let Settings { identifiers, key, tls_only } = settings;
        if identifiers.is_empty() || identifiers.iter().chain([&key]).any(String::is_empty) {
            return Err(Invalid::new(
                "`identifiers` lists the parameters that say whose key it is, and `key` names its own",
            )
            .hint("leave both out for Voximplant's"));
        }
        if identifiers.iter().any(|name| name.eq_ignore_ascii_case(&key)) {
            return Err(Invalid::new(format!("`{key}` cannot hold both an account and its key")));
        }
        let identifiers = identifiers.iter().map(|name| name.as_str().into()).collect();
        let foreign = SECRETS.into_iter().chain(PARENTS).map(Into::into).collect();
        Ok(Self { identifiers, foreign, key: key.into(), tls_only })
    }

    fn places(&self) -> Places {
        // Not the identifiers: methods take them as arguments.
        let secrets: Vec<Box<str>> = [&*self.key].into_iter().chain(SECRETS).map(Into::into).collect();
        Places { query: secrets.clone(), form: secrets, ..Places::default() }
    }

    fn read<'a>(&self, head: &Head<'a>, preface: &'a Preface) -> Result<Option<Credential>, Rejection> {
        let mut in_form = self.foreign.iter().flat_map(|name| preface.values(name));
        if pairs::holds(head.query(), &self.foreign) || preface.has_fields() && in_form.next().is_some() {
            return Err(Rejection::new(Reason::Unknown, "a password, a session, or the credential of a parent"));
        }
        let key =
            query::find::<LONGEST_KEY>(head.query(), &[&self.key]).and_then(|key| or_in_form(key, &self.key, preface));
        // Whoever reads along must not learn from the answer whether it was right.
        if self.tls_only && !head.secure() && !matches!(key, Ok(None)) {
            return Err(Rejection::new(Reason::Insecure, "it came in clear, and is taken over TLS only"));
        }
        let Some(key) = key? else { return Ok(None) };
        // All in one go: they are looked for under every name that some reader would take for one of theirs.
        let mut found = query::find_each::<LONGEST>(head.query(), &self.identifiers)?;
        let mut identifiers = self.identifiers.iter().enumerate().filter_map(|(place, name)| {
            let at = found.iter().position(|(own, _)| *own == place);
            or_in_form(at.map(|at| found.swap_remove(at).1), name, preface).transpose()
        });
        let identifier = identifiers.next().transpose()?;
        if identifiers.next().transpose()?.is_some() {
            return Err(TWO);
        }
        match identifier {
            Some(identifier) if !identifier.bytes().is_empty() && !key.bytes().is_empty() => {
                Ok(Some(Credential { identifier, key }))
            }
            Some(_) => Err(Rejection::new(Reason::Unknown, "an account or a key that is empty")),
            None => Err(Rejection::new(Reason::Unknown, "a key without its account")),
        }
    }

    fn verify(&self, Credential { identifier, key }: Credential, scene: &Scene<'_>) -> Result<Principal, Rejection> {
        let record = scene.directory.look_up(Kind::ApiClient, identifier.bytes());
        // Nobody has no proofs, which costs the same work.
        let proofs = record.as_ref().map_or(&[][..], |record| record.proofs());
        let (proven, by) = scene.directory.proves_by(key.bytes(), proofs, scene.now);
        match record {
            Some(record) if proven == Verdict::Proven => {
                usable(&record, scene)?;
                scene.directory.proven(&record, key.bytes());
                Ok(Principal::of_record("account_key", record).by(by))
            }
            Some(_) if proven == Verdict::Over => {
                Err(Rejection::new(Reason::Expired, "the key was rotated, and its overlap has ended"))
            }
            Some(_) => Err(Rejection::new(Reason::Mismatch, "the account is known, the key is wrong")),
            None => Err(Rejection::new(Reason::Unknown, "nobody has this account")),
        }
    }

    fn identifier<'c>(&self, credential: &'c Credential) -> Option<Identifier<'c>> {
        Some(Identifier { kind: Kind::ApiClient, text: credential.identifier.bytes() })
    }
}

/// What both the query, where this was found, and the form say under this name, where either says something.
fn or_in_form<const N: usize>(
    in_query: Option<Buffer<N>>,
    name: &str,
    preface: &Preface,
) -> Result<Option<Buffer<N>>, Rejection> {
    let in_form = preface.value(name).map_err(|Differing| TWO)?;
    match (in_query, in_form) {
        (Some(query), Some(form)) if query.bytes() != form => Err(TWO),
        (Some(query), _) => Ok(Some(query)),
        (None, form) => form.map(Buffer::copy).transpose().map_err(|Full| TOO_LONG),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Attributes;
    use crate::scheme::stage::{self, Register, Request, kit};

    fn build(table: &str) -> Result<AccountKey, Invalid> {
        AccountKey::new(toml::from_str(table).unwrap(), &kit("legacy"))
    }

    fn register() -> Register {
        let register = Register::new();
        register.account("acme", None);
        for text in ["1", "acme@example.com"] {
            register.enrol(Kind::ApiClient, "1", "acme", text, |client| {
                client.attributes = Attributes::Proofs(stage::proofs([("eec36d6c", None), ("old", Some(100))]));
            });
        }
        register
    }

    #[test]
    fn an_account_and_its_key_stand_in_the_query_or_in_a_form() {
        let (scheme, register) = (build("tls_only = false").unwrap(), register());
        for (query, form, expected) in [
            ("", "", Ok(false)),
            // Java's client always sends it.
            ("account_id=1", "", Ok(false)),
            ("", "account_id=1&account_name=x", Ok(false)),
            ("account_id=1&api_key=eec36d6c", "", Ok(true)),
            ("", "account_id=1&api_key=eec36d6c", Ok(true)),
            ("account_id=1", "api_key=eec36d6c", Ok(true)),
            ("account_id=1&api_key=eec36d6c", "account_id=1&api_key=eec36d6c", Ok(true)),
            ("", "account_email=acme%40example.com&api_key=eec36d6c", Ok(true)),
            ("", "account_id=acme%40example.com&api_key=eec36d6c", Ok(true)),
            ("account_id=1&account_id=1&api_key=eec36d6c", "", Ok(true)),
            ("account_id=1&account_id=2&api_key=eec36d6c", "", Err(Reason::Ambiguous)),
            ("account_id=2&account_id=1&api_key=eec36d6c", "", Err(Reason::Ambiguous)),
            ("account_id=1&api_key=old", "", Err(Reason::Expired)),
            ("account_id=1&api_key=eec36d6", "", Err(Reason::Mismatch)),
            ("account_id=2&api_key=eec36d6c", "", Err(Reason::Unknown)),
            ("api_key=eec36d6c", "", Err(Reason::Unknown)),
            ("", "api_key=eec36d6c", Err(Reason::Unknown)),
            ("account_id=&api_key=eec36d6c", "", Err(Reason::Unknown)),
            ("account_id=1&api_key=", "", Err(Reason::Unknown)),
            ("account_id=1&account_email=acme%40example.com&api_key=eec36d6c", "", Err(Reason::Ambiguous)),
            ("account_id=1&api_key=eec36d6c", "account_id=2", Err(Reason::Ambiguous)),
            ("account_id=1&api_key=eec36d6c", "api_key=x", Err(Reason::Ambiguous)),
            ("account_id=1&api_key=eec36d6c&API_KEY=x", "", Err(Reason::Ambiguous)),
            ("", "account_id=1&api_key=eec36d6c&api_key=x", Err(Reason::Ambiguous)),
            ("", "account_id=1&api_key=eec36d6c&a=b;api_key=x", Err(Reason::Ambiguous)),
            ("", "account_id=1&ACCOUNT_ID=2&api_key=eec36d6c", Err(Reason::Ambiguous)),
            ("", "account_id=1&api_key[]=eec36d6c", Err(Reason::Ambiguous)),
            ("account_id=1&account_password=eec36d6c", "", Err(Reason::Unknown)),
            ("account_id=1&api_key=eec36d6c&session_id=7", "", Err(Reason::Unknown)),
            ("account_id=1&api_key=eec36d6c", "a=b;session_id=7", Err(Reason::Unknown)),
            ("account_id=1&api_key=eec36d6c", "Session_Id=7", Err(Reason::Unknown)),
            ("", "parent_account_id=1&parent_account_api_key=eec36d6c", Err(Reason::Unknown)),
            ("parent_account_email=acme%40example.com", "", Err(Reason::Unknown)),
            ("account_id=1&api_key=eec36d6c&parent_account_name=x", "", Err(Reason::Unknown)),
        ] {
            let target = if query.is_empty() { "/".into() } else { format!("/?{query}") };
            let answer = stage::examine(&scheme, &Request::get(&target).form(form), &register, 100);
            let answer = answer.map(|found| found.is_some()).map_err(|rejection| rejection.reason);
            assert_eq!(answer, expected, "{query} {form}");
        }
    }

    #[test]
    fn wrong_keys_are_counted_for_the_account() {
        let request = Request::get("/?account_id=1&api_key=wrong").secure();
        let scheme = build("").unwrap();
        let credential = scheme.read(&request.head(), &Preface::EMPTY).unwrap().unwrap();
        let identifier = Scheme::identifier(&scheme, &credential);
        assert_eq!(identifier, Some(Identifier { kind: Kind::ApiClient, text: b"1" }));
    }

    #[test]
    fn a_key_that_came_in_clear_is_refused_unseen() {
        let (scheme, register) = (build("").unwrap(), register());
        let ask = |target: &str, secure: bool| {
            let request = Request::get(target);
            let request = if secure { request.secure() } else { request };
            let answer = stage::examine(&scheme, &request, &register, 100);
            answer.map(|found| found.is_some()).map_err(|rejection| rejection.reason)
        };
        for key in ["eec36d6c", "wrong", "", "x&api_key=y"] {
            assert_eq!(ask(&format!("/?account_id=1&api_key={key}"), false), Err(Reason::Insecure), "{key}");
        }
        assert_eq!(ask("/?account_id=1&api_key=eec36d6c", true), Ok(true));
        assert_eq!(ask("/?account_id=1", false), Ok(false), "who an account is, is no secret");
    }

    #[test]
    fn what_it_keeps_back_is_secret_and_the_account_is_not() {
        let places = build("identifiers = [\"id\"]\nkey = \"k\"").unwrap().places();
        assert_eq!(places.query, places.form);
        assert!(places.query.contains(&"k".into()) && places.query.contains(&"session_id".into()));
        assert!(!places.query.contains(&"id".into()) && !places.query.contains(&"parent_account_id".into()));
        for wrong in ["identifiers = []", "identifiers = [\"\"]", "key = \"\"", "identifiers = [\"a\"]\nkey = \"A\""] {
            assert!(build(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn aliases_are_few_and_can_be_sent() {
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        for (names, expected) in [
            (list(&[]), None),
            (list(&["acme", "acme@example.com", "\u{e9}"]), None),
            (list(&["a", "b", "c", "d", "e", "f", "g", "h"]), None),
            (list(&["a", "b", "c", "d", "e", "f", "g", "h", "i"]), Some(None)),
            (list(&["a", ""]), Some(Some(1))),
            (list(&["a:b"]), Some(Some(0))),
            (list(&["a\n"]), Some(Some(0))),
            (list(&["a", "b", "a"]), Some(Some(2))),
            (list(&[&"a".repeat(128)]), None),
            (list(&[&"a".repeat(129)]), Some(Some(0))),
        ] {
            assert_eq!(aliases(&names).err().map(|(place, _)| place), expected, "{names:?}");
        }
        for (names, expected) in [(list(&["a", "a"]), "twice"), (list(&["a:b"]), "colons")] {
            let (_, why) = aliases(&names).unwrap_err();
            assert!(why.contains(expected), "{names:?}: {why}");
        }
    }
}
