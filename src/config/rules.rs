//! What is allowed in a configuration and unwise: each rule with its id, how much it matters, why, and what to do. `vidgate
//! lint --rules`, `docs/lint.md` and `[lint] allow` read this table; where each is looked for, `check/` knows.

use std::fmt;
use std::fmt::Write as _;

use crate::record::Kind;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Something to know or to tidy up.
    Low,
    /// It weakens what the configuration is for.
    Medium,
    /// Somebody gets in, or something stops, sooner or later.
    High,
}

impl Severity {
    /// All of them, the least first.
    pub const ALL: [Self; 3] = [Self::Low, Self::Medium, Self::High];

    /// Its word on the command line and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Something that is allowed and unwise.
#[derive(Debug)]
pub struct Rule {
    /// What it is called, for good: scripts and configurations name it.
    pub id: &'static str,
    /// How much it matters.
    pub severity: Severity,
    /// What is found, in a line.
    pub about: &'static str,
    /// Why it matters.
    pub why: &'static str,
    /// What to do about it.
    pub mend: &'static str,
}

impl PartialEq for Rule {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Rule {}

impl Rule {
    /// The rule with this id.
    pub fn of_id(id: &str) -> Option<&'static Self> {
        RULES.iter().copied().find(|rule| rule.id == id)
    }

    /// It was found on this route.
    pub(super) fn on<'a>(&'static self, route: &'a str) -> Found<'a> {
        Found { route: Some(route), ..self.into() }
    }

    /// It is about whoever has credentials of this kind.
    pub(super) fn of<'a>(&'static self, kind: Kind) -> Found<'a> {
        Found { kind: Some(kind), ..self.into() }
    }
}

/// A rule that a configuration does not follow.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found<'a> {
    pub(super) rule: &'static Rule,
    /// On which route, where it is one route's.
    pub(super) route: Option<&'a str>,
    /// Whom it is about, where those can be counted.
    pub(super) kind: Option<Kind>,
}

impl From<&'static Rule> for Found<'_> {
    fn from(rule: &'static Rule) -> Self {
        Self { rule, route: None, kind: None }
    }
}

macro_rules! rules {
    ($($name:ident = $id:literal $severity:ident, $about:literal, $why:literal, $mend:literal;)*) => {
        $(
            #[doc = $about]
            pub(super) static $name: Rule =
                Rule { id: $id, severity: Severity::$severity, about: $about, why: $why, mend: $mend };
        )*

        /// Every rule, those of one kind together.
        pub static RULES: &[&Rule] = &[$(&$name),*];
    };
}

rules! {
    // Who gets in.
    OPEN_WRITE = "open-write" Medium, "Anyone may change something on this route",
        "an open route takes methods that change things from whoever sends them; a route without `methods` takes all of them",
        "name a scheme in `authenticate`, or list what anyone may do: methods = [\"GET\"]";
    OPEN_ROUTE = "open-route" Low, "Anyone may read what this route leads to",
        "what is open should be open on purpose: this list of open routes is there to be read through",
        "name a scheme in `authenticate`, or allow it for this route where it is meant";
    ADDRESS_ALONE = "address-alone" Medium, "An address is all that is asked for",
        "everything on that network gets in, and whatever is made to call from there; nobody can be told apart or switched off",
        "join it with a scheme that proves somebody: \"office and license\"";
    PUBLIC_IDENTIFIER = "public-identifier" Low, "An identifier that anybody can copy is all that is asked for",
        "an identifier stands in pages, so that whoever has seen one may call; only `scope` keeps them to what pages may do",
        "keep what changes things, and what is private, on routes that ask for a secret";
    POINTLESS_SCHEME = "pointless-scheme" Medium, "A scheme is named that nobody has to prove",
        "where one branch of an `or` is part of another one, whoever proves the smaller one is in, and the rest of the larger one \
         protects nothing",
        "take the smaller branch out, or the larger one";
    SHADOWED_ROUTE = "shadowed-route" Medium, "Requests that a route is for never reach it",
        "the more exact host wins before any path is looked at, and a listener refuses what it is not called; so another route \
         decides who gets in, or none does",
        "give both routes the same host, or none; or put the host into the names of the listener";
    // How they prove themselves.
    BASIC_IN_CLEAR = "basic-in-clear" High, "Secrets are taken from callers who speak in clear",
        "`tls_only = false` on a listener without TLS lets a secret that never changes cross the network, where it can be read",
        "leave `tls_only` out, or give the listeners of its routes `tls`";
    CLEAR_CREDENTIALS = "clear-credentials" High, "Credentials cross the network in clear on a listener",
        "whoever can listen on the way has them, for as long as they are good",
        "add `tls`, or list the proxy that ends TLS in `trusted_proxies`";
    QUERY_CREDENTIAL = "query-credential" Medium, "A secret is taken from the query",
        "queries stand in logs of proxies, in histories of browsers and in `Referer`; what was found there is good until it ends",
        "have clients send it in a header field, and then leave the query out of the scheme";
    HMAC_SHA1 = "hmac-sha1" Low, "Signatures are HMAC-SHA1",
        "it is not broken as a MAC, and nobody would choose it today; the secret lies with the pages' servers and in the store in \
         a form that can be used",
        "keep `max_lifetime` short, and rotate the secrets of apps";
    EXPIRATION_ONLY = "expiration-only" Medium, "An app takes signatures that anybody can make",
        "the old generation of signatures is made with the public key, which stands in pages",
        "set signatures.expiration_only to false once no old page is left";
    DEPRECATED_SCHEME = "deprecated-scheme" Low, "A scheme is used that its vendor has given up",
        "a key of an account may do everything, does not end and is sent whole with each request",
        "give callers service accounts (`jwt`), and take the scheme out when nobody uses it any more";
    UNGUARDED_SECRET = "unguarded-secret" Medium, "Nothing slows down who guesses secrets that people choose",
        "an identifier is public, so that its secret can be tried as often as the network allows",
        "list a guard in `limits`: [limit.guard] with failures = 10";
    UNGUARDED_KEY = "unguarded-key" Low, "Nothing slows down who tries keys",
        "keys that vidgate makes cannot be guessed; those that were imported may be short, and a flood of wrong ones is work",
        "list a guard in `limits`: [limit.guard] with failures = 20";
    LOG_ONLY = "log-only" Low, "A limit refuses nothing",
        "`log_only` is for trying a limit out",
        "take `log_only` out when the log says what you expect";
    UNBOUNDED_UPLOAD = "unbounded-upload" Low, "An upload has no bound",
        "one caller fills the disk behind the gateway, and the time that a connection is kept",
        "set `max_body` to the largest thing that is ever sent there";
    TRANSLATED_TOKEN = "translated-token" Medium, "A token for one camera acts with the upstream's own credential",
        "the upstream sees its own credential and cannot tell which camera the token was for",
        "keep it to its camera where the path has the id: camera = { path = \"id\" }; or let `path` and `methods` hold only what \
         any camera's token may do";
    UNDECIDABLE_ROUTE = "undecidable-route" Medium, "A route is refused wherever it is only decided",
        "a decision sees the head of a request alone: what looks into bodies, filters answers or is answered by vidgate itself is \
         refused (501) where another proxy asks about it",
        "have the proxy send such requests to a listener without `decide`, and list that in the `listeners` of the route";
    DECIDED_CONCURRENCY = "decided-concurrency" Low, "A limit holds nobody back where requests are only decided",
        "a place of a `concurrency` limit is taken while a request is under way; of one that is only decided that is not known, so \
         that its place is given back at once",
        "bound it in the proxy, or have such requests come to a listener without `decide`";
    // Whose word is taken.
    WIDE_PROXIES = "wide-proxies" High, "More addresses than anyone's proxies have may say who is calling",
        "whoever calls from such a network says what address they have, and with it who they are to limits, access lists and logs",
        "list the addresses of the proxies themselves";
    PROXY_TWICE = "proxy-twice" Medium, "A network speaks for callers in two ways",
        "where its PROXY header names nobody, its own address counts, and then what such callers say of themselves is believed",
        "list it in `proxy_protocol` alone";
    // Secrets, certificates and what goes upstream.
    SECRET_IN_FILE = "secret-in-file" Medium, "A secret stands in the configuration in clear",
        "configurations are copied, shown and kept in repositories",
        "use { file = \"path\" } or { env = \"NAME\" }";
    READABLE_SECRET = "readable-secret" High, "Anyone on the machine may read a file with a secret",
        "every process on the machine has the secret",
        "chmod o-rwx FILE";
    STORE_IN_USE = "store-in-use" Low, "What is in the store was not looked at",
        "a gateway that runs has the store for itself; the configuration was looked at, and the declared credentials",
        "look again while no gateway runs, or beside a restored backup, where what is stored matters";
    CLEAR_UPSTREAM = "clear-upstream" Medium, "Credentials go to an upstream in clear",
        "with \"keep\" the caller's credential, with \"translate\" the upstream's own crosses that network where it can be read",
        "let the upstream speak https, or allow it where that network is yours alone";
    DROPPED_FIELD = "dropped-field" Low, "A credential goes upstream in a field that many servers drop",
        "nginx and others take no header names with `_` unless they are told to",
        "check that this one reads it";
    CERTIFICATE_EXPIRED = "certificate-expired" High, "A certificate is over",
        "callers refuse the listener",
        "renew it: a new one is read without a restart";
    CERTIFICATE_EXPIRES = "certificate-expires" Medium, "A certificate will be over within 14 days",
        "callers will refuse the listener",
        "renew it: a new one is read without a restart";
    CERTIFICATE_FLAW = "certificate-flaw" Medium, "Callers find something wrong with a certificate",
        "some clients refuse it",
        "let it be issued for the names that callers use, valid from now on, with its issuers behind it in order";
    UNCOVERED_HOST = "uncovered-host" Medium, "No certificate is for the host of a route",
        "callers are shown a certificate that is for others, and refuse it",
        "add one to the `tls` of a listener: more = [{ certificate = \"…\", key = \"…\" }]";
    NO_TLS13 = "no-tls13" Medium, "TLS 1.3 is not spoken",
        "TLS 1.2 has weaker ways that 1.3 took out, and takes longer",
        "add `TLS_AES_256_GCM_SHA384` and `TLS_AES_128_GCM_SHA256`";
    UNLISTED_AUTHORITY = "unlisted-authority" Medium, "No revocation list is of an authority",
        "every certificate of it is refused",
        "put the lists of all authorities, those in between included, into this one file";
    NO_REVOCATION = "no-revocation" Low, "Client certificates cannot be revoked",
        "without `client_crl`, a stolen key is good until its certificate ends",
        "set `client_crl`, or have certificates issued for days";
    NO_AUTHORITY = "no-authority" Medium, "A scheme trusts authorities, and none is named",
        "it lets nobody in",
        "add `client_ca` to the `tls` of a listener of the route";
    // What goes wrong later.
    QUOTA_WITHOUT_STORE = "quota-without-store" Medium, "A quota begins anew with every start",
        "without a store it is kept in memory alone",
        "add [store] to keep it over restarts";
    EXPIRES_WITHOUT_STORE = "expires-without-store" Low, "A credential ends, and there is no store",
        "what is declared here has no overlap: at its end its owner is refused until this file is changed and read anew",
        "add [store] and keep it there, where it is rotated with `vidgate … rotate`";
    STORE_WITHOUT_ADMIN = "store-without-admin" Low, "The store cannot be managed while the gateway runs",
        "a running gateway has the file for itself: without [admin], a key cannot be switched off before it is stopped",
        "add [admin] with an address of this machine and a token";
    RETRY_AFTER_TIMEOUT = "retry-after-timeout" Low, "A request is sent once more while the first may still be at work",
        "an upstream that is slow gets its slowest requests twice",
        "leave \"timeout\" out of `on`";
    UNREACHABLE_ADMIN = "unreachable-admin" Low, "The admin API lets in nobody from where it is bound",
        "tokens are taken from this machine alone",
        "add `client_ca` to `tls`, or bind 127.0.0.1";
    // What nobody uses.
    UNUSED_UPSTREAM = "unused-upstream" Low, "No route forwards to an upstream",
        "it may be left over, or a route is missing", "take it out, or name it in `forward`";
    UNUSED_SCHEME = "unused-scheme" Low, "No route asks for a scheme",
        "it may be left over, or a route asks for less than was meant", "take it out, or name it in `authenticate`";
    UNUSED_LIMIT = "unused-limit" Low, "No route has a limit",
        "it may be left over, or it holds nowhere though it was meant to", "take it out, or name it in `limits`";
    UNUSED_NETWORKS = "unused-networks" Low, "Nothing uses a name of networks",
        "it may be left over, or a list has fewer networks than was meant", "take it out, or use it";
    UNUSED_ROLES = "unused-roles" Low, "No route asks for a table of roles",
        "it may be left over, or an operation is not looked at", "take it out, or name it in `operation`";
    UNUSED_CERTIFICATES = "unused-certificates" Low, "Callers are asked for a certificate that nobody looks at",
        "browsers ask their people for one, and TLS sessions are not resumed",
        "name a scheme of the kind `mtls` in the `authenticate` of its routes";
    IN_VAIN = "in-vain" Low, "A setting does nothing where it stands",
        "somebody believes that it holds", "leave it out, or set what it needs";
    UNKNOWN_WORD = "unknown-word" Medium, "A role or an operation is nearly one of the vendor's",
        "a slip of the keyboard gives a right to nobody, or keeps nobody from anything",
        "write it as the vendor does";
    UNKNOWN_ROLE = "unknown-role" Medium, "Somebody has a role that opens nothing",
        "a slip of the keyboard, and its holder is refused whatever needs the role that was meant",
        "write it as the routes do: `roles` of the service account or the user, in the file or in the store";
    UNNEEDED_ALLOW = "unneeded-allow" Low, "`[lint] allow` lists what is not found",
        "it would hide the finding if that came back", "take it out of the list";
}

/// The rules for people, as `docs/lint.md` has them.
pub fn document() -> String {
    let mut page = String::from(INTRODUCTION);
    for severity in Severity::ALL.into_iter().rev() {
        let _ = writeln!(page, "\n## Of {severity} severity\n");
        for rule in RULES.iter().filter(|rule| rule.severity == severity) {
            let Rule { id, about, why, mend, .. } = rule;
            let _ = writeln!(page, "* **`{id}`**: {about}. Why: {why}. Remedy: {mend}.");
        }
    }
    page
}

const INTRODUCTION: &str = "# What `vidgate lint` looks for

This page is written from the code by `vidgate lint --rules --markdown`; a test compares them.

`vidgate check` names every finding as a warning with its place; `vidgate lint` adds why it matters, who still uses weak
schemes, and an exit code: 1 where a finding is as severe as `--deny` says (`high` where nothing is said), or where the
configuration cannot be used at all. `--json` is for scripts. A gateway logs findings of medium and high severity at its
start and with every reload.

What is meant to be so is allowed in the configuration, for a rule or for a rule on one route:

```toml
[lint]
allow = [\"unused-upstream\", { rule = \"open-route\", route = \"docs\" }]
```
";
