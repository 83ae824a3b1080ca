//! Who may use the admin API: whoever holds a client certificate that the listener's authority signed, and, on this
//! machine alone, whoever holds a token. Nothing else about a caller counts.

use std::net::IpAddr;

use http::header::{AUTHORIZATION, ORIGIN, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::problem::Problem;
use crate::clock::UnixTime;
use crate::edge::connection::Connection;
use crate::secret::Secret;
use crate::store::Actor;

/// A token with the name that the audit trail has for whoever holds it.
#[derive(Clone, Debug)]
pub struct Token {
    /// Its name.
    pub name: String,
    /// Itself.
    pub secret: Secret,
}

/// Who makes a request.
pub(super) fn identify(
    connection: &Connection,
    headers: &HeaderMap,
    tokens: &[Token],
    now: UnixTime,
) -> Result<Actor, Problem> {
    if of_a_page(headers) {
        return Err(Problem::new(StatusCode::FORBIDDEN, "no page may ask this on behalf of whoever looks at it"));
    }
    if let Some(certificate) = connection.client_certificate() {
        // The handshake is over, but the connection may outlive the certificate.
        return match certificate.vouched_for(now) {
            Ok(_) => Ok(Actor(format!("operator:{}", named(&certificate.subject)))),
            Err(_) => Err(refused()),
        };
    }
    let found = presented(headers).and_then(|text| find(text, tokens));
    match found {
        Some(name) if is_here(connection.peer.ip()) => Ok(Actor(format!("token:{name}"))),
        Some(_) | None => Err(refused()),
    }
}

/// Whether the page of some site asks. A browser would add the certificate of whoever looks at it, and such a request
/// may change things though its answer stays hidden.
fn of_a_page(headers: &HeaderMap) -> bool {
    let elsewhere = |value: &HeaderValue| !matches!(value.as_bytes(), b"none" | b"same-origin");
    headers.contains_key(ORIGIN) || headers.get_all("sec-fetch-site").iter().any(elsewhere)
}

/// The same words for every reason: who is not let in learns nothing.
fn refused() -> Problem {
    let detail = "this takes a client certificate, or an admin token from this machine";
    Problem::new(StatusCode::UNAUTHORIZED, detail).with(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
}

/// What stands in the only `Authorization` header (RFC 6750 §2.1).
fn presented(headers: &HeaderMap) -> Option<&[u8]> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let (scheme, token) = value.as_bytes().split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

/// The name of this token. Every one is looked at, so that the time tells nothing.
fn find<'a>(presented: &[u8], tokens: &'a [Token]) -> Option<&'a str> {
    let mut found = None;
    for token in tokens {
        if token.secret.equals(presented) {
            found = Some(token.name.as_str());
        }
    }
    found
}

/// Whether the other end is this machine. A socket for both versions sees IPv4 in IPv6.
pub(super) fn is_here(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// `ops` for `CN=ops`; where the subject says more, all of it.
fn named(subject: &str) -> String {
    let only = subject.strip_prefix("CN=").filter(|name| !name.is_empty() && !name.contains(['=', ',', '+']));
    only.unwrap_or(subject).chars().filter(|c| !c.is_control()).take(256).collect()
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;
    use crate::edge::client_certificate::{ClientCertificate, Doubt, Standing, Word};
    use crate::edge::connection::{ListenerId, Tls};
    use crate::refusal::Reason;

    const NOW: UnixTime = UnixTime(1_735_689_600);
    const TOKEN: &str = "0123456789abcdef";

    fn tokens() -> Vec<Token> {
        let token = |name: &str, text: &str| Token { name: name.into(), secret: Secret::new(text.as_bytes().to_vec()) };
        vec![token("alice", TOKEN), token("bob", "fedcba9876543210")]
    }

    fn who(peer: &str, tls: Option<Tls>, authorization: &[&str]) -> Option<String> {
        let connection = Connection::new(peer.parse().unwrap(), "127.0.0.1:1".parse().unwrap(), ListenerId(0), tls);
        let mut headers = HeaderMap::new();
        for value in authorization {
            headers.append(AUTHORIZATION, HeaderValue::try_from(*value).unwrap());
        }
        identify(&connection, &headers, &tokens(), NOW).ok().map(|actor| actor.0)
    }

    const REVOKED: Doubt = Doubt { reason: Reason::Disabled, detail: "revoked" };

    fn certificate(subject: &str, not_after: i64, verdict: Result<i64, Doubt>) -> Tls {
        let (common_name, not_before) = (None, 0);
        let subject = subject.into();
        let standing = Standing::new(Word { verdict, revoked: false });
        let certificate = ClientCertificate { sha256: [0; 32], subject, common_name, not_before, not_after, standing };
        Tls { client_certificate: Some(Rc::new(certificate)), ..Tls::default() }
    }

    #[test]
    fn a_token_is_taken_from_this_machine_alone() {
        let bearer = format!("Bearer {TOKEN}");
        for (peer, expected) in [
            ("127.0.0.1:5", true),
            ("127.8.8.8:5", true),
            ("[::1]:5", true),
            ("[::ffff:127.0.0.1]:5", true),
            ("10.0.0.1:5", false),
            ("[::ffff:10.0.0.1]:5", false),
            ("0.0.0.0:5", false),
        ] {
            assert_eq!(who(peer, None, &[&bearer]).is_some(), expected, "{peer}");
        }
    }

    #[test]
    fn only_the_right_token_in_the_only_header_opens() {
        let here = "127.0.0.1:5";
        assert_eq!(who(here, None, &["Bearer fedcba9876543210"]), Some("token:bob".into()));
        assert_eq!(who(here, None, &["bearer fedcba9876543210"]), Some("token:bob".into()));
        for wrong in [
            &[][..],
            &["Bearer "],
            &["Bearer"],
            &[TOKEN],
            &["Basic 0123456789abcdef"],
            &["Bearer 0123456789abcde"],
            &["Bearer 0123456789abcdef0"],
            &["Bearer 0123456789abcdeF"],
            &["Bearer 0123456789abcdef", "Bearer 0123456789abcdef"],
        ] {
            assert_eq!(who(here, None, wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_certificate_opens_while_it_is_good_and_names_who_holds_it() {
        let far = "10.0.0.1:5";
        let later = i64::try_from(NOW.0).unwrap() + 60;
        let ops = |subject, end, verdict| who(far, Some(certificate(subject, end, verdict)), &[]);
        assert_eq!(ops("CN=ops", later, Ok(later)), Some("operator:ops".into()));
        assert_eq!(ops("CN=ops,O=acme", later, Ok(later)), Some("operator:CN=ops,O=acme".into()));
        assert_eq!(ops("CN=ops", later - 61, Ok(later)), None, "it has lapsed");
        assert_eq!(ops("CN=ops", later, Ok(later - 61)), None, "its revocation list has");
        assert_eq!(ops("CN=ops", later, Err(REVOKED)), None);
        let bearer = format!("Bearer {TOKEN}");
        let bad = certificate("CN=ops", later, Err(REVOKED));
        assert_eq!(who("127.0.0.1:5", Some(bad), &[&bearer]), None, "a token does not make up for a bad certificate");
    }

    #[test]
    fn a_page_of_another_site_does_nothing_with_the_certificate_of_who_looks_at_it() {
        for (name, value, refused) in [
            ("origin", "https://evil.example", true),
            ("origin", "null", true),
            ("sec-fetch-site", "cross-site", true),
            ("sec-fetch-site", "same-site", true),
            ("sec-fetch-site", "none", false),
            ("sec-fetch-site", "same-origin", false),
        ] {
            let headers = HeaderMap::from_iter([(name.parse().unwrap(), HeaderValue::from_static(value))]);
            let tls = certificate("CN=ops", i64::MAX, Ok(i64::MAX));
            let here = "127.0.0.1:1".parse().unwrap();
            let connection = Connection::new(here, here, ListenerId(0), Some(tls));
            let outcome = identify(&connection, &headers, &tokens(), NOW);
            assert_eq!(outcome.is_err(), refused, "{name}: {value}");
        }
    }

    #[test]
    fn a_refusal_is_worded_and_debug_shows_no_token() {
        let problem = format!("{:?}", refused());
        assert!(problem.contains("status: 401") && problem.contains("www-authenticate"), "{problem}");
        assert!(!format!("{:?}", tokens()).contains(TOKEN));
    }
}
