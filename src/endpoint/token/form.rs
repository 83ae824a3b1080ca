//! What a token is asked for with (RFC 6749 §4.3.2), as Katana reads it: a form, whatever else the request holds.

use bytes::Bytes;
use http::HeaderMap;

use crate::edge::preface::{Announced, Preface};
use crate::refusal::{Cause, Refusal};

/// Every parameter of RFC 6749 that a token endpoint knows: none of them may come twice (§3.2).
const PARAMETERS: [&str; 9] = [
    "grant_type",
    "username",
    "password",
    "scope",
    "client_id",
    "client_secret",
    "refresh_token",
    "code",
    "redirect_uri",
];

/// A login, and what stands for the key.
type Login<'a> = (&'a [u8], &'a [u8]);

/// A form that asks for a token.
pub(super) struct Form(Preface);

impl Form {
    /// Reads it. A body that is no such form is refused.
    pub(super) fn read(headers: &HeaderMap, body: Bytes) -> Result<Self, Refusal> {
        if body.is_empty() {
            return Ok(Self(Preface::EMPTY));
        }
        let kind = Announced::of(headers).ok().filter(|kind| *kind == Announced::UrlEncoded);
        let kind = kind.ok_or(invalid("the body is not announced as one form"))?;
        let form = Preface::read(kind, body).map_err(|_| invalid("the form cannot be read"))?;
        let times = |name: &&str| form.fields().filter(|field| field.name.eq_ignore_ascii_case(name)).count();
        if PARAMETERS.iter().any(|name| times(name) > 1) {
            return Err(invalid("a parameter comes twice"));
        }
        Ok(Self(form))
    }

    /// The login and what stands for the key. `None`: one of them is missing. Refuses to be asked for anything but a
    /// token for a password.
    pub(super) fn credentials(&self) -> Result<Option<Login<'_>>, Refusal> {
        // Letter by letter, as Katana compares it.
        if self.value("grant_type") != Some(b"password") {
            return Err(Refusal::new(Cause::GrantUnsupported, "not asked for with a password"));
        }
        Ok(self.value("username").zip(self.value("password")))
    }

    fn value<'a>(&'a self, name: &'a str) -> Option<&'a [u8]> {
        self.0.values(name).next().filter(|value| !value.is_empty())
    }
}

fn invalid(detail: &'static str) -> Refusal {
    Refusal::new(Cause::InvalidContent, detail)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use http::header::CONTENT_TYPE;

    use super::*;

    fn ask(content_type: &'static str, body: &'static str) -> Result<Option<(String, String)>, Cause> {
        let mut headers = HeaderMap::new();
        if !content_type.is_empty() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let form = Form::read(&headers, Bytes::from_static(body.as_bytes())).map_err(|refusal| refusal.cause)?;
        let pair = form.credentials().map_err(|refusal| refusal.cause)?;
        Ok(pair.map(|(login, password)| (text(login), text(password))))
    }

    #[test]
    fn a_form_is_read_in_one_way_only() {
        const FORM: &str = "application/x-www-form-urlencoded";
        let good = Ok(Some(("john@example.com".to_owned(), "a b".to_owned())));
        for (what, content_type, body, expected) in [
            ("plain", FORM, "grant_type=password&username=john%40example.com&password=a+b", good.clone()),
            (
                "with a charset, and more",
                "application/x-www-form-urlencoded; charset=UTF-8",
                "x=1&password=a%20b&grant_type=password&username=john@example.com&x=2",
                good,
            ),
            ("no password", FORM, "grant_type=password&username=john", Ok(None)),
            ("an empty user", FORM, "grant_type=password&username=&password=x", Ok(None)),
            ("another case", FORM, "grant_type=Password&username=a&password=b", Err(Cause::GrantUnsupported)),
            ("another grant", FORM, "grant_type=client_credentials", Err(Cause::GrantUnsupported)),
            ("no grant", FORM, "username=a&password=b", Err(Cause::GrantUnsupported)),
            ("nothing at all", "", "", Err(Cause::GrantUnsupported)),
            ("JSON", "application/json", "{\"grant_type\":\"password\"}", Err(Cause::InvalidContent)),
            ("no type", "", "grant_type=password", Err(Cause::InvalidContent)),
            ("in parts", "multipart/form-data; boundary=x", "--x--", Err(Cause::InvalidContent)),
            (
                "twice the same",
                FORM,
                "grant_type=password&username=a&password=b&username=a",
                Err(Cause::InvalidContent),
            ),
            ("twice, in another case", FORM, "grant_type=password&Grant_Type=x", Err(Cause::InvalidContent)),
        ] {
            assert_eq!(ask(content_type, body), expected, "{what}");
        }
    }
}
