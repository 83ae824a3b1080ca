//! `[admin]`, as written.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use super::placed::Placed;
use crate::secret::SecretSource;

/// Where the admin API comes in. It needs `[store]`: without one there is no admin API, and nobody asks the gateway that
/// runs anything (`vidgate status`, `why`, `failures`, `usage`); SIGHUP reloads it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(in crate::config) struct Admin {
    /// The address and port to bind; port 0 is any free port. Without TLS it is one of this machine alone.
    #[schemars(example = "127.0.0.1:9443")]
    pub(in crate::config) address: Placed<String>,
    /// TLS. With `client_ca`, every caller must have a certificate, or a token where there are tokens.
    pub(in crate::config) tls: Option<Placed<AdminTls>>,
    /// Secrets of at least 16 bytes, by the name that the audit trail has for who holds them. They are taken from this
    /// machine alone.
    #[serde(default)]
    pub(in crate::config) tokens: BTreeMap<String, Placed<SecretSource>>,
}

/// Certificates and keys, PEM.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(in crate::config) struct AdminTls {
    /// The certificate chain, the server's own first.
    pub(in crate::config) certificate: Placed<PathBuf>,
    /// Its private key.
    pub(in crate::config) key: Placed<PathBuf>,
    /// Authorities of client certificates: whoever has one of theirs may do everything.
    pub(in crate::config) client_ca: Option<Placed<PathBuf>>,
    /// Revoked client certificates.
    pub(in crate::config) client_crl: Option<Placed<PathBuf>>,
}
