//! The public identifier of an API client in the query, as SecureVideo's browser pages send it. It says who is there and
//! proves nothing that a stranger could not copy from such a page: whoever comes with it alone has the scopes of the
//! scheme's table and no others, so that a route must list one of them before anything opens.

use http::HeaderValue;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::edge::head::Head;
use crate::edge::preface::Preface;
use crate::invalid::Invalid;
use crate::record::{Kind, Scopes};
use crate::refusal::Reason;
use crate::scheme::buffer::Buffer;
use crate::scheme::{Kit, Places, Principal, Rejection, Scene, Scheme, query, usable};

/// The longest id that anything on file has.
const LONGEST: usize = 128;

/// `[scheme.<name>.key]`
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The parameters in which it may stand, upper and lower case alike.
    #[serde(default = "parameters")]
    parameters: Vec<String>,
    /// What its bearer may do: a route opens where its `scope` lists one of these.
    #[serde(default = "scopes")]
    scopes: Vec<String>,
    /// Whether requests that hold the secret of an API client in the query are refused, whatever else they present.
    #[serde(default = "yes")]
    leaks: bool,
}

fn parameters() -> Vec<String> {
    vec!["apiKey".into(), "api_key".into()]
}

fn scopes() -> Vec<String> {
    vec!["client".into()]
}

fn yes() -> bool {
    true
}

/// The scheme.
#[derive(Debug)]
pub struct Key {
    /// In lower case.
    parameters: Vec<Box<str>>,
    scopes: Scopes,
    leaks: bool,
}

/// An identifier as presented.
#[derive(Debug)]
pub struct Credential(Buffer<LONGEST>);

impl Scheme for Key {
    type Settings = Settings;
    type Credential<'a> = Credential;

    fn new(settings: Settings, _: &Kit<'_>) -> Result<Self, Invalid> {
        if settings.parameters.is_empty() || settings.parameters.iter().any(String::is_empty) {
            return Err(Invalid::new("`parameters` lists the names under which the identifier may stand")
                .hint("leave it out for `apiKey` and `api_key`"));
        }
        if settings.scopes.is_empty() {
            return Err(Invalid::new("a caller without a scope may do nothing").hint("leave `scopes` out for `client`"));
        }
        let mut parameters: Vec<Box<str>> = Vec::new();
        for name in settings.parameters.iter().map(|name| name.to_ascii_lowercase().into_boxed_str()) {
            if !parameters.contains(&name) {
                parameters.push(name);
            }
        }
        Ok(Self { parameters, scopes: settings.scopes.iter().collect(), leaks: settings.leaks })
    }

    fn places(&self) -> Places {
        Places { query: self.parameters.clone(), ..Places::default() }
    }

    fn read<'a>(&self, head: &Head<'a>, _: &'a Preface) -> Result<Option<Credential>, Rejection> {
        let Some(identifier) = query::find(head.query(), &self.parameters)? else { return Ok(None) };
        if identifier.bytes().is_empty() {
            return Err(Rejection::new(Reason::Malformed, "an empty identifier"));
        }
        Ok(Some(Credential(identifier)))
    }

    fn verify(&self, Credential(identifier): Credential, scene: &Scene<'_>) -> Result<Principal, Rejection> {
        let record = scene.directory.look_up(Kind::ApiClient, identifier.bytes());
        let record = record.ok_or(Rejection::new(Reason::Unknown, "nobody has this identifier"))?;
        usable(&record, scene)?;
        Ok(Principal::of_record("key", record).limited_to(&self.scopes))
    }

    fn challenge(&self) -> Option<HeaderValue> {
        None
    }

    fn watches_for_leaks(&self) -> bool {
        self.leaks
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scheme::stage::{self, Register, Request, kit};

    fn build(table: &str) -> Result<Key, Invalid> {
        Key::new(toml::from_str(table).unwrap(), &kit("public"))
    }

    #[test]
    fn its_bearer_may_do_what_the_table_says_and_nothing_else() {
        let register = Register::new();
        register.account("clinic", None);
        register.enrol(Kind::ApiClient, "free", "clinic", "free", |_| {});
        register.enrol(Kind::ApiClient, "bound", "clinic", "bound", |record| {
            record.scopes = Some(["client", "all"].into_iter().collect());
        });
        for (table, id, expected) in [
            ("", "free", &["client"][..]),
            ("", "bound", &["client"]),
            ("scopes = [\"page\", \"player\"]", "free", &["page", "player"]),
            ("scopes = [\"page\"]", "bound", &[]),
        ] {
            let request = Request::get(&format!("/?apiKey={id}"));
            let principal = stage::examine(&build(table).unwrap(), &request, &register, 1).unwrap().unwrap();
            assert_eq!(principal.scopes(), Some(&expected.iter().collect()), "{table} {id}");
        }
    }

    #[test]
    fn leaks_are_looked_for_where_the_table_says_so() {
        for (table, expected) in [("leaks = true", true), ("leaks = false", false)] {
            assert_eq!(Scheme::watches_for_leaks(&build(table).unwrap()), expected, "{table}");
        }
    }

    #[test]
    fn a_table_that_opens_nothing_is_a_mistake() {
        for wrong in ["parameters = []", "parameters = [\"\"]", "scopes = []"] {
            assert!(build(wrong).unwrap_err().hint.is_some(), "{wrong}");
        }
        assert_eq!(build("parameters = [\"Key\", \"KEY\"]").unwrap().places().query, ["key".into()]);
    }
}
