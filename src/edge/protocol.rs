//! What a listener speaks of TLS: from which version on, with which suites, and whether a caller may resume a session.
//! Neither early data nor renegotiation: rustls offers the one only where it is told to, and knows nothing of the other.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::server::NoServerSessionStorage;
use rustls::{ServerConfig, SupportedCipherSuite, SupportedProtocolVersion, version};

/// What a listener speaks.
#[derive(Clone, Debug)]
pub struct Protocol {
    /// The oldest version.
    pub least: Version,
    /// Its suites; none is all that there are.
    pub suites: Vec<Suite>,
    /// Whether a caller may resume a session. Never where callers are asked for a certificate, whatever this says.
    pub resume: bool,
}

impl Default for Protocol {
    fn default() -> Self {
        Self { least: Version::Tls12, suites: Vec::new(), resume: true }
    }
}

/// A version of TLS that is spoken at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// RFC 5246.
    Tls12,
    /// RFC 8446.
    Tls13,
}

/// A suite that is spoken at all.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Suite(SupportedCipherSuite);

impl Suite {
    /// All of them, best first.
    pub fn all() -> impl Iterator<Item = Self> {
        rustls::crypto::aws_lc_rs::ALL_CIPHER_SUITES.iter().copied().map(Self)
    }

    /// The one with this name, as the registry of IANA has it.
    pub fn named(name: &str) -> Option<Self> {
        Self::all().find(|suite| suite.name() == name)
    }

    /// Its name in the registry of IANA.
    pub fn name(self) -> String {
        // rustls tells the suites of TLS 1.3 apart by a prefix of its own.
        let name = self.0.suite().as_str().unwrap_or_default();
        name.strip_prefix("TLS13_").map_or_else(|| name.to_owned(), |rest| format!("TLS_{rest}"))
    }

    /// The one version that it belongs to.
    pub fn version(self) -> Version {
        if self.0.tls13().is_some() { Version::Tls13 } else { Version::Tls12 }
    }
}

impl Protocol {
    /// The cryptography behind it.
    pub(super) fn provider(&self) -> CryptoProvider {
        let mut provider = rustls::crypto::aws_lc_rs::default_provider();
        if !self.suites.is_empty() {
            provider.cipher_suites.retain(|suite| self.suites.contains(&Suite(*suite)));
        }
        provider
    }

    /// Its versions.
    pub(super) fn versions(&self) -> &'static [&'static SupportedProtocolVersion] {
        static BOTH: [&SupportedProtocolVersion; 2] = [&version::TLS13, &version::TLS12];
        match self.least {
            Version::Tls12 => &BOTH,
            Version::Tls13 => &BOTH[..1],
        }
    }

    /// Says in `config` whether sessions are resumed.
    pub(super) fn resumption(&self, config: &mut ServerConfig, is_asking: bool) -> Result<(), rustls::Error> {
        // Nothing is kept for a caller: what it takes to resume lies with them, sealed, so that a flood of handshakes
        // pushes nobody out.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        // A resumed session skips the verifier and carries the old certificate along: where certificates decide who gets
        // in, every connection makes a full handshake.
        if self.resume && !is_asking {
            // One for all workers. Its keys change every six hours and stay in memory.
            config.ticketer = rustls::crypto::aws_lc_rs::Ticketer::new()?;
        } else {
            config.send_tls13_tickets = 0;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suite_is_called_as_the_registry_has_it() {
        let names: Vec<String> = Suite::all().map(Suite::name).collect();
        assert_eq!(
            names,
            [
                "TLS_AES_256_GCM_SHA384",
                "TLS_AES_128_GCM_SHA256",
                "TLS_CHACHA20_POLY1305_SHA256",
                "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
                "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
                "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
                "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
                "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
                "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
            ]
        );
        for name in names {
            let expected = if name.contains("_WITH_") { Version::Tls12 } else { Version::Tls13 };
            assert_eq!(Suite::named(&name).map(Suite::version), Some(expected), "{name}");
        }
        assert_eq!(Suite::named("TLS_RSA_WITH_AES_128_CBC_SHA"), None);
    }
}
