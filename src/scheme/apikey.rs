//! A user's key as it is, in a header field, the query or a form: Multicam's `x-apikey` from version 10 on, the `api_key`
//! of CameraTag's REST API. Whoever has it is the user; it is found by its digest, and so by nothing of it.

use http::HeaderName;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::edge::head::Head;
use crate::edge::preface::{Differing, Preface};
use crate::invalid::Invalid;
use crate::record::Kind;
use crate::refusal::Reason;
use crate::scheme::buffer::{Buffer, Full};
use crate::scheme::{Kit, Places, Principal, Rejection, Scene, Scheme, query, usable};

/// The longest key that anybody on file has.
const LONGEST: usize = 1024;

const TWO: Rejection = Rejection { reason: Reason::Ambiguous, detail: "two different keys" };
const TOO_LONG: Rejection = Rejection { reason: Reason::Malformed, detail: "the key is too long" };

/// `[scheme.<name>.apikey]`
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The header fields in which it may stand. A name may have a `_`, which goes on nowhere else.
    #[serde(default = "headers")]
    headers: Vec<String>,
    /// The parameters of the query in which it may stand, upper and lower case alike.
    #[serde(default)]
    query: Vec<String>,
    /// The fields of a form in which it may stand.
    #[serde(default)]
    form: Vec<String>,
}

fn headers() -> Vec<String> {
    vec!["x-apikey".into()]
}

/// The scheme.
#[derive(Debug)]
pub struct ApiKey {
    places: Places,
}

/// A key as presented.
#[derive(Debug)]
pub struct Credential(Buffer<LONGEST>);

impl Scheme for ApiKey {
    type Settings = Settings;
    type Credential<'a> = Credential;

    fn new(settings: Settings, _: &Kit<'_>) -> Result<Self, Invalid> {
        let Settings { headers, query, form } = settings;
        if headers.is_empty() && query.is_empty() && form.is_empty() {
            return Err(Invalid::new("a key stands in one place at least")
                .hint("name a header field, a parameter or a field of forms: headers = [\"x-apikey\"]"));
        }
        let mut places = Places::default();
        for name in &headers {
            let own = HeaderName::try_from(name.as_str()).ok().filter(|own| *own != http::header::AUTHORIZATION);
            let own = own.ok_or_else(|| {
                Invalid::new(format!("`{name}` is not the name of a header field in which a key stands by itself"))
            })?;
            // Whatever speaks CGI takes one for the other.
            let other = own.as_str().replace('_', "-").parse().expect("a name stays one with other signs in it");
            places.join(Places { headers: vec![own, other], ..Places::default() });
        }
        for names in [&query, &form] {
            if names.iter().any(String::is_empty) {
                return Err(Invalid::new("a parameter has a name"));
            }
        }
        let boxed = |names: &[String]| names.iter().map(|name| name.as_str().into()).collect();
        places.join(Places { query: boxed(&query), form: boxed(&form), ..Places::default() });
        Ok(Self { places })
    }

    fn places(&self) -> Places {
        self.places.clone()
    }

    fn read<'a>(&self, head: &Head<'a>, preface: &'a Preface) -> Result<Option<Credential>, Rejection> {
        let mut found = None;
        for value in self.places.headers.iter().flat_map(|name| head.headers().get_all(name)) {
            same(&mut found, value.as_bytes())?;
        }
        if !self.places.query.is_empty()
            && let Some(value) = query::find::<LONGEST>(head.query(), &self.places.query)?
        {
            same(&mut found, value.bytes())?;
        }
        for name in &self.places.form {
            if let Some(value) = preface.value(name).map_err(|Differing| TWO)? {
                same(&mut found, value)?;
            }
        }
        match found {
            Some(key) if key.bytes().is_empty() => Err(Rejection::new(Reason::Malformed, "an empty key")),
            found => Ok(found.map(Credential)),
        }
    }

    fn verify(&self, Credential(key): Credential, scene: &Scene<'_>) -> Result<Principal, Rejection> {
        let record = scene.directory.look_up(Kind::UserKey, key.bytes());
        let record = record.ok_or(Rejection::new(Reason::Unknown, "nobody has this key"))?;
        usable(&record, scene)?;
        Ok(Principal::of_record("apikey", record))
    }
}

/// One key wherever it stands: the same in two places is one.
fn same(found: &mut Option<Buffer<LONGEST>>, value: &[u8]) -> Result<(), Rejection> {
    match found {
        Some(first) if first.bytes() != value => return Err(TWO),
        Some(_) => {}
        None => *found = Some(Buffer::copy(value).map_err(|Full| TOO_LONG)?),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scheme::stage::{self, Register, Request, kit};

    fn build(table: &str) -> Result<ApiKey, Invalid> {
        ApiKey::new(toml::from_str(table).unwrap(), &kit("machine"))
    }

    #[test]
    fn one_key_may_stand_in_several_places_and_two_keys_in_none() {
        let register = Register::new();
        register.account("studio", None);
        for key in ["key-one", "key-two"] {
            register.enrol(Kind::UserKey, key, "studio", key, |_| {});
        }
        let scheme = build("headers = [\"api_key\"]\nquery = [\"api_key\"]\nform = [\"api_key\"]").unwrap();
        // Header fields, query, form.
        for (headers, query, form, expected) in [
            (&[][..], "", "", Ok(false)),
            (&[], "x=key-one", "x=key-one", Ok(false)),
            (&[("api_key", "key-one")], "", "", Ok(true)),
            (&[("API-Key", "key-one")], "", "", Ok(true)),
            (&[], "API%5Fkey=key-one", "", Ok(true)),
            (&[], "", "a=b&api_key=key%2Done", Ok(true)),
            (&[("api_key", "key-one")], "api_key=key-one", "api_key=key-one", Ok(true)),
            (&[("api_key", "key-one"), ("api_key", "key-one")], "", "", Ok(true)),
            (&[("api_key", "key-one"), ("api_key", "key-two")], "", "", Err(Reason::Ambiguous)),
            (&[("api_key", "key-one"), ("api-key", "key-two")], "", "", Err(Reason::Ambiguous)),
            (&[("api_key", "key-one")], "api_key=key-two", "", Err(Reason::Ambiguous)),
            (&[("api_key", "key-one")], "", "api_key=key-two", Err(Reason::Ambiguous)),
            (&[("api_key", "key-one")], "", "api_key", Err(Reason::Ambiguous)),
            (&[], "api_key=key-one&api_key=key-two", "", Err(Reason::Ambiguous)),
            (&[], "", "api_key=key-one&Api_Key=key-two", Err(Reason::Ambiguous)),
            (&[], "", "api_key=key-one&a=b;api_key=key-two", Err(Reason::Ambiguous)),
            (&[], "", "api_key[]=key-one", Err(Reason::Ambiguous)),
            (&[("api_key", "")], "", "", Err(Reason::Malformed)),
            (&[], "", "api_key=", Err(Reason::Malformed)),
            (&[], "", "api_key=key-three", Err(Reason::Unknown)),
            (&[], "api_key=key-one%20", "", Err(Reason::Unknown)),
        ] {
            let target = if query.is_empty() { "/".into() } else { format!("/?{query}") };
            let request = headers.iter().fold(Request::get(&target), |all, (name, value)| all.header(name, value));
            let answer = stage::examine(&scheme, &request.form(form), &register, 1);
            let answer = answer.map(|found| found.is_some()).map_err(|rejection| rejection.reason);
            assert_eq!(answer, expected, "{headers:?} {query} {form}");
        }
        let long = "k".repeat(LONGEST + 1);
        let answer = stage::examine(&scheme, &Request::get("/").header("api_key", &long), &register, 1);
        assert_eq!(answer.unwrap_err().reason, Reason::Malformed);
    }

    #[test]
    fn a_place_is_one_where_a_key_can_stand() {
        for wrong in ["headers = []", "headers = [\"\"]", "headers = [\"a b\"]", "headers = [\"Authorization\"]"] {
            assert!(build(wrong).is_err(), "{wrong}");
        }
        for wrong in ["query = [\"\"]", "form = [\"a\", \"\"]"] {
            assert!(build(wrong).is_err(), "{wrong}");
        }
        let places = build("headers = [\"Api_Key\", \"x-apikey\"]\nquery = [\"q\"]\nform = [\"f\"]").unwrap().places();
        let headers: Vec<_> = places.headers.iter().map(HeaderName::as_str).collect();
        assert_eq!(headers, ["api_key", "api-key", "x-apikey"]);
        assert_eq!((places.query, places.form), (vec!["q".into()], vec!["f".into()]));
        assert!(build("headers = []\nform = [\"f\"]").is_ok());
    }
}
