//! The configuration as written: what each table may hold, with the place of everything that a later mistake could
//! point at. What it means, and whether it makes sense together, is settled in `check/`.

mod account;
mod admin;
mod limit;
mod lint;
mod listener;
mod log;
mod monitoring;
mod overload;
mod networks;
mod placed;
mod read;
mod roles;
mod route;
mod scheme;
mod shape;
mod store;
mod traces;
mod upstream;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use schemars::{JsonSchema, SchemaGenerator};
use serde::Deserialize;

pub(super) use self::account::{
    Account, AdminCertificate, ApiClient, App as OwnApp, Camera as OwnCamera, LicenseKey, Moments, Quota,
    ServiceAccount, Signatures,
};
pub(super) use self::admin::{Admin, AdminTls};
pub(super) use self::limit::Limit;
pub(super) use self::lint::Lint;
pub(super) use self::listener::{Convention, Decide, Http2, KeyPair, Listener, Protocol, Tls, Version as TlsVersion};
pub(super) use self::log::{Access, Lines, Log};
pub(super) use self::monitoring::Monitoring;
pub(super) use self::networks::NetworkOrName;
pub(super) use self::overload::Overload;
pub(super) use self::placed::{Answered, Placed};
pub(super) use self::read::{Entry, Named, read};
pub(super) use self::roles::{Allowed, Known, Roles, Word as RoleWord};
pub(super) use self::route::{Bound, Camera, Cors, Pages, Route, Scope, Tunnels, Websocket};
pub(super) use self::scheme::Scheme;
pub(super) use self::store::{Elsewhere, Store};
pub(super) use self::traces::{Traces, TracesProtocol};
pub(super) use self::upstream::{
    Ejection, Endpoint, Health, Host, HostWord, OwnBasic, OwnClaim, OwnCredential, OwnToken,
    Protocol as UpstreamProtocol, Retry, Signing, Upstream,
};
use crate::endpoint;
use crate::units::{Network, Span};

/// Everything that was written and could be read.
#[derive(Debug)]
pub(super) struct File {
    pub(super) workers: Option<Placed<NonZeroUsize>>,
    pub(super) networks: Vec<Named<Vec<Placed<Network>>>>,
    pub(super) trusted_proxies: Vec<Placed<NetworkOrName>>,
    pub(super) drain: Option<Span>,
    pub(super) lame_duck: Option<Span>,
    pub(super) overload: Overload,
    pub(super) reload: Reload,
    pub(super) log: Log,
    pub(super) lint: Lint,
    pub(super) tls: TlsFiles,
    pub(super) store: Option<Store>,
    pub(super) endpoint: Option<Placed<endpoint::Settings>>,
    pub(super) admin: Option<Placed<Admin>>,
    pub(super) monitoring: Option<Placed<Monitoring>>,
    pub(super) traces: Option<Placed<Traces>>,
    pub(super) listeners: Vec<Named<Listener>>,
    pub(super) upstreams: Vec<Named<Upstream>>,
    pub(super) schemes: Vec<Named<Scheme>>,
    pub(super) limits: Vec<Named<Limit>>,
    pub(super) roles: Vec<Named<Roles>>,
    pub(super) accounts: Vec<Entry<Account>>,
    pub(super) routes: Vec<Entry<Route>>,
}

/// `[reload]`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct Reload {
    /// Whether this file is read anew when it changes; else only when that is asked for. Default: false.
    #[serde(default)]
    pub(super) watch: bool,
}

/// `[tls]`: what holds for all files of TLS.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct TlsFiles {
    /// How often certificates, keys, authorities and revocation lists are looked at; what has changed is read anew without
    /// a restart. Default: 10 s.
    pub(super) reload: Option<Placed<Span>>,
}

/// The whole file, for its JSON schema: the tables themselves are read one by one.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "vidgate", description = "The configuration of vidgate.")]
#[expect(dead_code, reason = "only its schema is used, so that one broken table does not hide the next")]
struct Document {
    /// Threads that serve requests. Default: one a core.
    workers: Option<NonZeroUsize>,
    /// Networks by names of the operator's, which may stand wherever a list of networks is asked for: in
    /// `trusted_proxies`, `proxy_protocol` and the scheme `ip`.
    #[serde(default)]
    networks: BTreeMap<String, Vec<Network>>,
    /// Networks of proxies, or their names, whose word on the caller's address is taken. Default: nobody.
    trusted_proxies: Option<Vec<NetworkOrName>>,
    /// How long requests may go on after a stop was asked for. Default: 30 s.
    drain: Option<Span>,
    /// How long requests are still taken in after a stop was asked for, while readiness says already that others should be
    /// asked. Default: they are not.
    lame_duck: Option<Span>,
    /// What is borne before requests are refused.
    overload: Option<Overload>,
    /// When this file is read anew.
    reload: Option<Reload>,
    /// What is logged, and how.
    log: Option<Log>,
    /// What `vidgate check` and `vidgate lint` find, and is meant to be so.
    lint: Option<Lint>,
    /// What holds for all files of TLS.
    tls: Option<TlsFiles>,
    /// Where accounts and credentials are kept that are managed while vidgate runs. Default: there are only those of
    /// this file.
    store: Option<Store>,
    /// Where the admin API comes in.
    admin: Option<Admin>,
    /// Where machines ask whether vidgate lives and is ready. Default: at the admin listener alone.
    monitoring: Option<Monitoring>,
    /// Where spans of requests are sent. Default: nowhere, and headers of traces pass as any other.
    traces: Option<Traces>,
    /// What endpoints of the house need to be told, by their names.
    endpoint: Option<endpoint::Settings>,
    /// Where requests come in, by name.
    #[schemars(extend("x-missing" = "add a [listener.<name>] with an address"))]
    listener: BTreeMap<String, Listener>,
    /// Where they go, by name.
    #[serde(default)]
    upstream: BTreeMap<String, Upstream>,
    /// How callers prove who they are, by name.
    #[serde(default)]
    scheme: BTreeMap<String, Scheme>,
    /// How much may be done, by name.
    #[serde(default)]
    limit: BTreeMap<String, Limit>,
    /// Who may do which operation, by name.
    #[serde(default)]
    roles: BTreeMap<String, Roles>,
    /// Who exists, and with which credentials.
    #[serde(default)]
    account: Vec<Account>,
    /// What leads where, and for whom.
    #[schemars(extend("x-missing" = "add a [[route]] with name, path, authenticate and forward"))]
    route: Vec<Route>,
}

/// The JSON schema of the file, for editors.
pub(super) fn schema() -> serde_json::Value {
    SchemaGenerator::default().into_root_schema_for::<Document>().to_value()
}
