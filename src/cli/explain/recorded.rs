//! A request that was refused, by its id: what the gateway has on record of it, and what would become of it now. Its
//! credential is on nobody's record, so that it walks without one.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

use serde_json::{Value, json};

use crate::cli::operator::{Call, Operator, Trouble, visible};
use crate::gateway::explain::Asked;

/// The record, and the explanation of the same request without its credential.
pub(super) fn again(gateway: &mut dyn Operator, id: &str) -> Result<(Value, Value), Trouble> {
    let record = gateway.call(Call::get(&["refusals", id]))?;
    let asked = serde_json::to_value(asked(&record)?).expect("a request is plain values");
    let explanation = gateway.call(Call::post(&["explanations"]).json(asked))?;
    Ok((record, explanation))
}

/// The request of a record.
fn asked(record: &Value) -> Result<Asked, Trouble> {
    let text = |name: &str| record[name].as_str().unwrap_or_default();
    let (host, path) = (text("host"), text("path"));
    if path.is_empty() {
        return Err(Trouble::plain("it could not be read, so that it cannot be walked again: see `vidgate why`"));
    }
    let peer = text("peer").parse::<SocketAddr>().ok().map(|peer| peer.ip());
    let client = text("client_ip").parse::<IpAddr>().ok();
    let spoken = if record["secure"] == true { "https" } else { "http" };
    let host = if host.is_empty() { "localhost" } else { host };
    let forwarded = client.filter(|client| Some(*client) != peer);
    Ok(Asked {
        method: text("method").to_owned(),
        url: format!("{spoken}://{host}{path}{}", text("query")),
        headers: forwarded.map(|client| said_by_proxy(client, spoken)).unwrap_or_default(),
        body: None,
        peer,
        listener: Some(text("listener").to_owned()).filter(|name| !name.is_empty()),
        client_certificate: None,
        at: None,
    })
}

/// What a trusted proxy has said of the caller. Both fields name the address: a check on a listener that decides is put
/// together without `Forwarded` and has what the caller spoke from the address, any other listener reads it there.
fn said_by_proxy(client: IpAddr, spoken: &str) -> Vec<(String, String)> {
    let node = if client.is_ipv6() { format!("\"[{client}]\"") } else { client.to_string() };
    [("X-Forwarded-For", client.to_string()), ("Forwarded", format!("for={node};proto={spoken}"))]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
}

/// What is on record, a line each.
pub(super) fn drawn(record: &Value) -> String {
    let text = |name: &str| visible(record[name].as_str().unwrap_or_default());
    let mut drawn = String::new();
    // Writing to a text cannot fail.
    let _ = writeln!(
        drawn,
        "{} at {}: {} {} was {} with {}: {}: {}",
        text("request_id"),
        text("at"),
        text("method"),
        text("path"),
        text("decision"),
        record["status"],
        text("cause"),
        text("detail"),
    );
    for name in ["meaning", "hint"].map(text).iter().filter(|text| !text.is_empty()) {
        let _ = writeln!(drawn, "   {name}");
    }
    drawn.push_str("\nThe same without its credential, which is not on record. ");
    drawn
}

/// Both for scripts.
pub(super) fn both(record: &Value, explanation: &Value) -> Value {
    json!({ "recorded": record, "explanation": explanation })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::operator::recorder::Recorder;

    #[test]
    fn a_request_on_record_walks_again_without_its_credential() {
        let record = json!({
            "request_id": "ab-1", "at": "2027-01-01T00:00:00Z", "decision": "refused", "cause": "credential_unknown",
            "detail": "nobody was given this license key", "meaning": "It is unknown.", "hint": "Import it.",
            "status": 401, "listener": "public", "client_ip": "203.0.113.9", "peer": "10.0.0.1:4711", "secure": true, "method": "GET",
            "host": "api.example.com", "path": "/api/v2/x", "query": "?token=***&a=1",
        });
        let told = json!({ "decision": "refused", "steps": [] });
        let mut gateway = Recorder::answering([(200, record.clone()), (200, told.clone())]);
        let (recorded, explanation) = again(&mut gateway, "ab/1").unwrap();
        assert_eq!((&recorded, &explanation), (&record, &told));
        assert_eq!(gateway.asked[0].line, "GET /v1/refusals/ab%2F1");
        assert_eq!(gateway.asked[1].line, "POST /v1/explanations");
        let asked = asked(&record).unwrap();
        assert_eq!(asked.url, "https://api.example.com/api/v2/x?token=***&a=1");
        let said = [("X-Forwarded-For", "203.0.113.9"), ("Forwarded", "for=203.0.113.9;proto=https")];
        assert_eq!(asked.headers, said.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!((asked.peer, asked.listener.as_deref()), (Some([10, 0, 0, 1].into()), Some("public")));
        assert!(drawn(&recorded).starts_with("ab-1 at 2027-01-01T00:00:00Z: GET /api/v2/x was refused with 401: "));
        assert!(again(&mut Recorder::answering([(200, json!({ "method": "GET" }))]), "x").is_err());
    }
}
