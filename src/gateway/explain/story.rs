//! The listener of `vidgate explain`: what the rooms say while a request is decided becomes a tree of steps. Credentials are
//! named by the place where they stand, and never shown.

use std::net::IpAddr;
use std::rc::Rc;

use http::{HeaderName, Method};
use serde_json::{Map, Value, json};

use super::account::{Outcome, Telling};
use crate::authenticate::witness::{self, Answer, Step};
use crate::authorize::{self, Question};
use crate::edge::client_ip;
use crate::edge::connection::ListenerId;
use crate::edge::head::Head;
use crate::edge::pairs;
use crate::forward::Journey;
use crate::gateway::trace::Trace;
use crate::limit::failures::{Failures, Glance};
use crate::limit::{self, Look};
use crate::record::{Record, Scopes};
use crate::refusal::{Cause, Refusal};
use crate::scheme::{Places, Principal, Rejection};
use crate::telemetry::shown_path;
use crate::world::{Route, RouteId};

/// The story so far.
#[derive(Default)]
pub(super) struct Story<'a> {
    pub(super) rooms: Vec<Telling>,
    /// Lists of conditions that have begun and not ended.
    lists: Vec<Telling>,
    /// How the address of the caller was derived.
    hops: Vec<Telling>,
    pub(super) seen: Option<Seen>,
    pub(super) route: Option<&'a Route>,
    proven: bool,
}

/// What is kept of a head.
pub(super) struct Seen {
    pub(super) host: String,
    pub(super) path: String,
    pub(super) method: Method,
    pub(super) address: IpAddr,
    pub(super) listener: ListenerId,
    /// The names of the fields that are there.
    fields: Vec<HeaderName>,
    query: Option<String>,
}

impl Story<'_> {
    /// The room of this name, which comes behind those that were named before it.
    pub(super) fn room(&mut self, name: &'static str) -> &mut Telling {
        let place = self.rooms.iter().position(|room| room.step == name).unwrap_or_else(|| {
            self.rooms.push(Telling::new(name, Outcome::Passed, ""));
            self.rooms.len() - 1
        });
        &mut self.rooms[place]
    }

    /// Ends the story where the request was refused.
    pub(super) fn refused(&mut self, refusal: &Refusal) {
        let last = self.rooms.last().map(|room| room.step).filter(|last| *last != "route");
        let name = match (last, &self.route, &self.seen) {
            (Some("edge") | None, _, None) => "edge",
            (_, None, _) => "route",
            (Some(last), Some(_), _) if self.proven => last,
            // The words of a preflight, and of WebSocket where there is none.
            (None, Some(_), _) if is_about_the_route(refusal.cause) => "reply",
            (_, Some(_), _) => "authenticate",
        };
        let room = self.room(name);
        if !room.has_failed() || name == "authenticate" {
            let cause = refusal.cause.name();
            let why = Telling::new("refusal", Outcome::Failed, format!("{cause}: {}", refusal.detail));
            room.steps.push(why.with("cause", cause).with("detail", refusal.detail));
        }
        room.outcome = Outcome::Failed;
    }

    /// Gives every room that has none its heading.
    pub(super) fn entitle(&mut self) {
        for room in &mut self.rooms {
            if room.has_failed() {
                room.outcome = Outcome::Failed;
            }
            let (passed, failed) = match room.step {
                "edge" => ("it can be read in one way only", "it cannot be taken as it is"),
                "route" => ("", "no route is for it"),
                "authenticate" => ("the caller is proven", "the caller is not proven"),
                "authorize" => ("the caller may do it", "the caller may not do it"),
                "limit" => ("there is room", "there is no room"),
                _ => ("", "something is found in it that must not go on"),
            };
            if room.outcome == Outcome::Failed {
                failed.clone_into(&mut room.says);
            } else if room.says.is_empty() {
                passed.clone_into(&mut room.says);
            }
        }
    }

    fn put(&mut self, room: &'static str, told: Telling) {
        match self.lists.last_mut() {
            Some(list) => list.steps.push(told),
            None => self.room(room).steps.push(told),
        }
    }

    /// The places of a scheme that hold something in this request, as they may be shown.
    fn held(&self, places: &Places) -> Vec<String> {
        let Some(seen) = &self.seen else { return Vec::new() };
        let fields = places.headers.iter().filter(|name| seen.fields.contains(name)).map(|name| format!("{name}: …"));
        let queried = |at: usize| pairs::holds(seen.query.as_deref(), &places.query[at..=at]);
        let query = (0..places.query.len()).filter(|at| queried(*at)).map(|at| format!("?{}=…", places.query[at]));
        fields.chain(query).collect()
    }
}

/// Whether a request is refused before anybody asks who sends it.
fn is_about_the_route(cause: Cause) -> bool {
    matches!(
        cause,
        Cause::OriginRefused
            | Cause::MethodNotImplemented
            | Cause::NotImplemented
            | Cause::MethodNotAllowed
            | Cause::MalformedRequest
    )
}

/// Every place where a scheme looks, in words.
fn looks(places: &Places) -> String {
    let fields = places.headers.iter().map(ToString::to_string);
    let query = places.query.iter().map(|name| format!("?{name}"));
    let form = places.form.iter().map(|name| format!("`{name}` in a form"));
    fields.chain(query).chain(form).collect::<Vec<_>>().join(", ")
}

/// Who a caller is, in words and for scripts. None of it is secret: it goes upstream and to the log.
pub(super) fn who(principal: &Principal) -> (String, Map<String, Value>) {
    let mut says = principal.subject().to_owned();
    let mut facts = Map::new();
    facts.insert("subject".to_owned(), principal.subject().into());
    facts.insert("scheme".to_owned(), principal.scheme().into());
    if let Some(account) = principal.account() {
        says = format!("{says} of account `{}`", account.id.0);
        facts.insert("account".to_owned(), (*account.id.0).into());
    }
    if let Some(Scopes(scopes)) = principal.scopes() {
        says = format!("{says}, who may {}", if scopes.is_empty() { "nothing".to_owned() } else { scopes.join(", ") });
        facts.insert("scopes".to_owned(), json!(**scopes));
    }
    (says, facts)
}

impl client_ip::Witness for Story<'_> {
    fn step(&mut self, step: client_ip::Step<'_>) {
        use client_ip::Step;
        let says = match step {
            Step::Peer(address, Some(network)) => {
                format!("{address} is a trusted proxy ({network}): what it says of the caller is read")
            }
            Step::Peer(address, None) => {
                format!("{address} is no trusted proxy: nothing that it says of a caller is read")
            }
            Step::List(name) => format!("{name}, from the right"),
            Step::Hop(address, Some(network)) => format!("{address}: a trusted proxy ({network})"),
            Step::Hop(address, None) => format!("{address}: no trusted proxy, so that it is the caller"),
            // What stands there may be anything.
            Step::Nothing(_, hop) => format!("an entry that is no address: whoever wrote it is the caller: {hop}"),
            Step::Contradiction(one, other) => {
                format!("two fields lead to {one} and {other}: one is the caller's own, so that neither counts")
            }
        };
        self.hops.push(Telling::new("hop", Outcome::Note, says));
    }
}

impl witness::Witness for Story<'_> {
    const HEARS: bool = true;

    fn step(&mut self, step: Step<'_>) {
        match step {
            Step::Begin { all } => {
                let says = if all { "all of these" } else { "one of these" };
                self.lists.push(Telling::new(if all { "all" } else { "any" }, Outcome::Passed, says));
            }
            Step::End { proven, disagree } => {
                let Some(mut list) = self.lists.pop() else { return };
                if !proven {
                    list.outcome = Outcome::Failed;
                }
                if disagree {
                    list.says.push_str(", but they speak for accounts that have nothing to do with each other");
                }
                self.put("authenticate", list);
            }
            Step::Unasked { name } => {
                let says = format!("`{name}`: not asked, the caller is proven");
                self.put("authenticate", Telling::new("scheme", Outcome::Skipped, says).with("name", name));
            }
            Step::Asked { name, scheme, answer } => {
                let places = scheme.places();
                let told = match answer {
                    Answer::Proven(principal) => {
                        let (says, facts) = who(principal);
                        let told = Telling::new("scheme", Outcome::Passed, format!("`{name}`: proven: {says}"));
                        Telling { facts, ..told }
                    }
                    Answer::Missing if scheme.ambient() => {
                        let says = format!("`{name}`: the caller is at none of its addresses");
                        Telling::new("scheme", Outcome::Failed, says).with("cause", "address_refused")
                    }
                    Answer::Missing if scheme.by_certificate() => {
                        let says = format!("`{name}`: the client presents no certificate");
                        Telling::new("scheme", Outcome::Failed, says).with("cause", "credential_missing")
                    }
                    Answer::Missing => {
                        let says = format!("`{name}`: no credential of its kind in {}", looks(&places));
                        Telling::new("scheme", Outcome::Failed, says).with("cause", "credential_missing")
                    }
                    Answer::Wrong(Rejection { reason, detail }) => {
                        let says = format!("`{name}`: {}: {detail}", reason.name());
                        let told = Telling::new("scheme", Outcome::Failed, says);
                        told.with("cause", reason.name()).with("detail", detail)
                    }
                };
                let held = self.held(&places);
                let told = told.with("name", name);
                self.put("authenticate", if held.is_empty() { told } else { told.with("places", held) });
            }
        }
    }

    // Nobody has sent it anywhere.
    fn leaked(&mut self, holder: &Record) {
        let says = format!("the query holds the secret of the API client `{}`: it should be rotated", holder.id());
        self.put("authenticate", Telling::new("leak", Outcome::Failed, says).with("api_client", holder.id()));
    }
}

impl authorize::Witness for Story<'_> {
    fn question(&mut self, question: Question, refusal: Option<&Refusal>) {
        let (name, passed) = match question {
            Question::Address => ("address", "no list of the account is against the caller's address"),
            Question::Origin => ("origin", "the page that asks may, or no hosts are listed"),
            Question::Operation => ("operation", "the caller may do the operation"),
            Question::Holders => ("roles", "the caller has a role that may use the route"),
            Question::Scope => ("scope", "the caller's scopes cover the method, or are not limited"),
            Question::Camera => ("camera", "the camera is the caller's, or none is named"),
        };
        let told = match refusal {
            None => Telling::new(name, Outcome::Passed, passed),
            Some(refusal) => {
                let cause = refusal.cause.name();
                let told = Telling::new(name, Outcome::Failed, format!("{cause}: {}", refusal.detail));
                told.with("cause", cause).with("detail", refusal.detail)
            }
        };
        self.room("authorize").steps.push(told);
    }
}

impl limit::Witness for Story<'_> {
    const REHEARSES: bool = true;

    fn limit(&mut self, look: Look<'_>) {
        let Look { policy, party, full, quota, remaining, reset } = look;
        let again = reset.map(|seconds| format!(", all of them again in {seconds} s")).unwrap_or_default();
        let stands = match (full, policy.log_only) {
            (false, _) => format!("{remaining} of {quota} left with this one counted{again}"),
            (true, false) => format!("no room, {remaining} of {quota} left{again}"),
            (true, true) => format!("no room, {remaining} of {quota} left{again}; the log would say so, and no more"),
        };
        let says = format!("`{}` for {party}: {stands}", policy.name);
        let outcome = if full && !policy.log_only { Outcome::Failed } else { Outcome::Passed };
        let told = Telling::new("limit", outcome, says).with("name", &*policy.name).with("caller", party.to_string());
        let told = told.with("quota", quota).with("remaining", remaining).with("full", full);
        self.room("limit").steps.push(match reset {
            Some(seconds) => told.with("reset_seconds", seconds),
            None => told,
        });
    }
}

impl<'a> Trace<'a> for Story<'a> {
    type Watch<'f> = Glance<'f>;

    fn watch(failures: &Failures, address: IpAddr) -> Glance<'_> {
        failures.glance(address)
    }

    fn head(&mut self, head: &Head<'_>) {
        let connection = head.connection();
        let says = format!("the caller is at {}", head.client_ip());
        let mut address =
            Telling::new("address", Outcome::Passed, says).with("client_ip", head.client_ip().to_string());
        address.steps = std::mem::take(&mut self.hops);
        let shown = shown_path(head.path());
        let says = format!("the one canonical path is {shown}");
        let path = Telling::new("path", Outcome::Passed, says).with("path", shown);
        let secure = match (&connection.tls, head.secure()) {
            (Some(_), true) => "over TLS",
            (Some(_), false) => "over TLS from a proxy, to which it came in clear",
            (None, true) => "in clear from a proxy, to which it came over TLS",
            (None, false) => "in clear",
        };
        let tls = Telling::new("tls", Outcome::Note, secure).with("secure", head.secure());
        let certificate = connection.client_certificate().map(|certificate| {
            let says = format!("with the client certificate of `{}`", certificate.subject);
            Telling::new("certificate", Outcome::Note, says).with("subject", &*certificate.subject)
        });
        let edge = self.room("edge");
        edge.steps.extend([path, address, tls].into_iter().chain(certificate));
        self.seen = Some(Seen {
            host: head.host().to_owned(),
            path: head.path().to_owned(),
            method: head.method().clone(),
            address: head.client_ip(),
            listener: connection.listener,
            fields: head.headers().keys().cloned().collect(),
            query: head.query().map(str::to_owned),
        });
    }

    fn route(&mut self, _: RouteId, route: &'a Route) {
        self.route = Some(route);
        let says = format!("it is for the route `{}`", route.name);
        let room = self.room("route");
        room.says = says;
        room.facts.insert("name".to_owned(), (*route.name).into());
    }

    fn proven(&mut self, principal: &Principal) {
        self.proven = true;
        let (says, facts) = who(principal);
        let room = self.room("authenticate");
        (room.says, room.facts) = (format!("the caller is {says}"), facts);
    }

    fn let_in(&mut self) -> Option<Rc<Journey>> {
        // Also where no room had anything to say.
        self.room("authorize");
        None
    }
}
