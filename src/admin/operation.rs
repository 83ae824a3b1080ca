//! The one table of what the admin API can do. The routes are mounted from it and the OpenAPI document is written from
//! it, so that neither knows more than the other.

use std::pin::Pin;

use axum::response::Response;
use http::Method;
use serde_json::{Map, Value};

pub(super) use super::exchange::{Gives, Takes};
use super::preconditions::Condition;
use super::problem::Problem;
use super::query::{Parameter, Query};
use super::schema::rotates;
use super::{House, audit, bulk, explanations, keep, limits, openapi, refusals, reload, resources, status};
use crate::store::{Actor, Idempotency, Resource};

/// One thing that can be asked for. With `{resource}` in its path, it is one for each resource.
pub(super) struct Operation {
    /// The method.
    pub(super) method: Method,
    /// The path; what stands for a name in braces is percent-encoded by the caller.
    pub(super) path: &'static str,
    /// What it is called; for a resource, the resource's name follows.
    pub(super) name: &'static str,
    /// What it does, in a line.
    pub(super) about: &'static str,
    /// What the query may hold.
    pub(super) query: &'static [Parameter],
    /// Which conditions may be attached.
    pub(super) conditions: &'static [Condition],
    /// The body of the request.
    pub(super) takes: Takes,
    /// The answer when all is well.
    pub(super) gives: Gives,
    /// Who carries it out.
    pub(super) serve: Serve,
}

type Future = Pin<Box<dyn std::future::Future<Output = Result<Response, Problem>> + Send>>;

/// Who carries an operation out.
#[derive(Clone, Copy)]
pub(super) enum Serve {
    /// On a resource.
    Resource(fn(Call, Resource) -> Future),
    /// On the store as a whole.
    House(fn(Call) -> Future),
}

/// A request whose every part was read and found good by itself.
pub(super) struct Call {
    pub(super) house: House,
    pub(super) actor: Actor,
    /// Decoded; empty where the path has none.
    pub(super) id: String,
    pub(super) query: Query,
    /// From `If-Match`.
    pub(super) revision: Option<u64>,
    pub(super) idempotency: Option<Idempotency>,
    pub(super) document: Map<String, Value>,
    /// What the answer may be, where it can be several things.
    pub(super) accept: Option<String>,
}

/// An operation where it is mounted.
pub(super) struct Mounted {
    pub(super) path: String,
    pub(super) resource: Option<Resource>,
    pub(super) operation: &'static Operation,
}

/// Every operation of every resource, and those of the store as a whole; those of one path stand together.
pub(super) fn mounted() -> impl Iterator<Item = Mounted> {
    let of_resources = Resource::ALL.iter().flat_map(|resource| {
        let own = |operation: &&Operation| {
            operation.path.contains(RESOURCE) && (operation.takes != Takes::Rotation || rotates(*resource))
        };
        OPERATIONS.iter().filter(own).map(|operation| Mounted {
            path: operation.path.replace(RESOURCE, resource.path()),
            resource: Some(*resource),
            operation,
        })
    });
    let of_the_house = OPERATIONS.iter().filter(|operation| !operation.path.contains(RESOURCE));
    let of_the_house =
        of_the_house.map(|operation| Mounted { path: operation.path.to_owned(), resource: None, operation });
    of_resources.chain(of_the_house)
}

impl Mounted {
    /// What the query may hold.
    pub(super) fn query(&self) -> &'static [Parameter] {
        match self.resource {
            Some(Resource::BearerToken) | None => self.operation.query,
            // Nothing else is made for a user.
            Some(_) => self.operation.query.strip_suffix(&[Parameter::User]).unwrap_or(self.operation.query),
        }
    }
}

/// What a list may be asked for; the last for some resources alone.
const LISTED: [Parameter; 6] =
    [Parameter::Limit, Parameter::After, Parameter::Account, Parameter::Status, Parameter::Name, Parameter::User];

const RESOURCE: &str = "{resource}";
/// An operation that reads: without conditions, without a body.
const READS: Operation = Operation {
    method: Method::GET,
    path: "",
    name: "",
    about: "",
    query: &[],
    conditions: &[],
    takes: Takes::Nothing,
    gives: Gives::Shown,
    serve: Serve::House(|call| Box::pin(keep::state(call))),
};

/// What can be asked for. Operations of one path stand together.
pub(super) static OPERATIONS: &[Operation] = &[
    Operation {
        path: "/v1/{resource}",
        name: "list",
        about: "Lists, in the order of ids, page by page",
        query: &LISTED,
        gives: Gives::Listing,
        serve: Serve::Resource(|call, resource| Box::pin(resources::list(call, resource))),
        ..READS
    },
    Operation {
        method: Method::POST,
        path: "/v1/{resource}",
        name: "create",
        about: "Makes one; a secret that is made for it is shown in this answer only",
        conditions: &[Condition::Repetition],
        takes: Takes::New,
        gives: Gives::Made,
        serve: Serve::Resource(|call, resource| Box::pin(resources::create(call, resource))),
        ..READS
    },
    Operation {
        path: "/v1/{resource}/{id}",
        name: "show",
        about: "Shows one, by its id or by a name that only one has",
        serve: Serve::Resource(|call, resource| Box::pin(resources::show(call, resource))),
        ..READS
    },
    Operation {
        method: Method::PATCH,
        path: "/v1/{resource}/{id}",
        name: "change",
        about: "Changes one by a merge patch (RFC 7396)",
        conditions: &[Condition::Revision],
        takes: Takes::Patch,
        serve: Serve::Resource(|call, resource| Box::pin(resources::change(call, resource))),
        ..READS
    },
    Operation {
        method: Method::DELETE,
        path: "/v1/{resource}/{id}",
        name: "delete",
        about: "Deletes one, unless others still need it",
        conditions: &[Condition::Revision],
        gives: Gives::Nothing,
        serve: Serve::Resource(|call, resource| Box::pin(resources::delete(call, resource))),
        ..READS
    },
    Operation {
        method: Method::POST,
        path: "/v1/{resource}/{id}/rotate",
        name: "rotate",
        about: "Gives one a new secret; the old one is good until the overlap ends",
        conditions: &[Condition::Revision, Condition::Repetition],
        takes: Takes::Rotation,
        gives: Gives::Rotated,
        serve: Serve::Resource(|call, resource| Box::pin(resources::rotate(call, resource))),
        ..READS
    },
    Operation {
        method: Method::POST,
        path: "/v1/{resource}/{id}/disable",
        name: "disable",
        about: "Switches one off",
        conditions: &[Condition::Revision, Condition::Repetition],
        takes: Takes::Empty,
        serve: Serve::Resource(|call, resource| Box::pin(resources::switch(call, resource, true))),
        ..READS
    },
    Operation {
        method: Method::POST,
        path: "/v1/{resource}/{id}/enable",
        name: "enable",
        about: "Switches one on again",
        conditions: &[Condition::Revision, Condition::Repetition],
        takes: Takes::Empty,
        serve: Serve::Resource(|call, resource| Box::pin(resources::switch(call, resource, false))),
        ..READS
    },
    Operation {
        method: Method::POST,
        path: "/v1/bulk",
        name: "bulk",
        about: "Makes up to 5000 changes, all of them or none",
        conditions: &[Condition::Repetition],
        takes: Takes::Bulk,
        gives: Gives::Results,
        serve: Serve::House(|call| Box::pin(bulk::bulk(call))),
        ..READS
    },
    Operation {
        path: "/v1/audit",
        name: "audit",
        about: "Lists what was done by whom, oldest first, page by page",
        query: &[Parameter::Limit, Parameter::AfterDeed],
        gives: Gives::Deeds,
        serve: Serve::House(|call| Box::pin(audit::list(call))),
        ..READS
    },
    Operation {
        path: "/v1/audit/verify",
        name: "verify_audit",
        about: "Walks the whole audit trail and says whether it is whole",
        gives: Gives::Trail,
        serve: Serve::House(|call| Box::pin(audit::verify(call))),
        ..READS
    },
    Operation {
        path: "/v1/usage",
        name: "usage",
        about: "Says where the quotas of an account stand",
        query: &[Parameter::Whose],
        gives: Gives::Usage,
        serve: Serve::House(|call| Box::pin(std::future::ready(limits::usage(&call)))),
        ..READS
    },
    Operation {
        path: "/v1/failures",
        name: "failures",
        about: "Lists from where wrong credentials came, the most first, and what is refused for it",
        query: &[Parameter::Limit, Parameter::Address, Parameter::Identifier],
        gives: Gives::Failures,
        serve: Serve::House(|call| Box::pin(limits::failures(call))),
        ..READS
    },
    Operation {
        method: Method::DELETE,
        path: "/v1/failures",
        name: "clear_failures",
        about: "Forgets wrong credentials, so that nothing is refused for them any more",
        query: &[Parameter::Address, Parameter::Identifier],
        gives: Gives::Cleared,
        serve: Serve::House(|call| Box::pin(limits::clear(call))),
        ..READS
    },
    Operation {
        path: "/v1/refusals",
        name: "refusals",
        about: "Lists the last requests that were refused, the latest first, each with the reason",
        query: &[Parameter::Limit],
        gives: Gives::Refusals,
        serve: Serve::House(|call| Box::pin(refusals::list(call))),
        ..READS
    },
    Operation {
        path: "/v1/refusals/{id}",
        name: "refusal",
        about: "Says why the request with this id was refused",
        gives: Gives::Refusal,
        serve: Serve::House(|call| Box::pin(refusals::show(call))),
        ..READS
    },
    Operation {
        method: Method::POST,
        path: "/v1/reload",
        name: "reload",
        about: "Reads the configuration anew; where something is wrong with it, everything stays as it is",
        takes: Takes::Empty,
        gives: Gives::Reloaded,
        serve: Serve::House(|call| Box::pin(reload::reload(call))),
        ..READS
    },
    Operation {
        method: Method::POST,
        path: "/v1/explanations",
        name: "explain",
        about: "Says step by step what would become of a request, and why; nothing is sent, counted or kept",
        takes: Takes::Asked,
        gives: Gives::Explained,
        serve: Serve::House(|call| Box::pin(explanations::explain(call))),
        ..READS
    },
    Operation {
        path: "/v1/status",
        name: "status",
        about: "Says how the gateway is doing: its configuration, listeners, workers, upstreams, limits and store",
        gives: Gives::Status,
        serve: Serve::House(|call| Box::pin(status::status(call))),
        ..READS
    },
    Operation {
        path: "/live",
        name: "live",
        about: "Says whether the process lives; it is told without a credential",
        gives: Gives::Health,
        serve: Serve::House(|call| Box::pin(std::future::ready(status::live(&call)))),
        ..READS
    },
    Operation {
        path: "/ready",
        name: "ready",
        about: "Says whether requests should be sent here; it is told without a credential",
        gives: Gives::Health,
        serve: Serve::House(|call| Box::pin(std::future::ready(status::ready(&call)))),
        ..READS
    },
    Operation {
        path: "/metrics",
        name: "metrics",
        about: "Says what is measured, for Prometheus: in OpenMetrics where that is accepted, else in its text format",
        gives: Gives::Metrics,
        serve: Serve::House(|call| Box::pin(status::metrics(call))),
        ..READS
    },
    Operation {
        path: "/v1/store",
        name: "store",
        about: "Says how the store stands",
        gives: Gives::State,
        serve: Serve::House(|call| Box::pin(keep::state(call))),
        ..READS
    },
    Operation {
        path: "/v1/store/backup",
        name: "backup",
        about: "Copies the store while it lives",
        gives: Gives::Backup,
        serve: Serve::House(|call| Box::pin(keep::backup(call))),
        ..READS
    },
    Operation {
        method: Method::POST,
        path: "/v1/store/rekey",
        name: "rekey",
        about: "Makes a new master key and seals everything under new keys",
        takes: Takes::KeyFile,
        gives: Gives::State,
        serve: Serve::House(|call| Box::pin(keep::rekey(call))),
        ..READS
    },
    Operation {
        method: Method::POST,
        path: "/v1/store/peppers",
        name: "add_pepper",
        about: "Adds a pepper, under which new keys are digested from now on",
        takes: Takes::Empty,
        gives: Gives::Pepper,
        serve: Serve::House(|call| Box::pin(keep::add_pepper(call))),
        ..READS
    },
    Operation {
        method: Method::DELETE,
        path: "/v1/store/peppers/{number}",
        name: "retire_pepper",
        about: "Drops a pepper that nothing uses any more",
        gives: Gives::Nothing,
        serve: Serve::House(|call| Box::pin(keep::retire_pepper(call))),
        ..READS
    },
    Operation {
        method: Method::POST,
        path: "/v1/export",
        name: "export",
        about: "Writes every entry as a line of JSON; secrets only under a passphrase, sealed",
        takes: Takes::Passphrase,
        gives: Gives::Lines,
        serve: Serve::House(|call| Box::pin(keep::export(call))),
        ..READS
    },
    Operation {
        path: "/openapi.json",
        name: "openapi",
        about: "This document",
        gives: Gives::Document,
        serve: Serve::House(|_| Box::pin(openapi::serve())),
        ..READS
    },
];
