//! TLS towards an upstream: the authorities that its certificate is judged by.

use std::path::Path;
use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};

use crate::edge::tls::roots;
use crate::forward::upstream::Protocol;
use crate::invalid::Invalid;

/// A configuration that trusts the authorities in `ca`, or those of this host, and offers one protocol.
pub fn client_config(ca: Option<&Path>, protocol: Protocol) -> Result<Arc<ClientConfig>, Invalid> {
    let roots = match ca {
        Some(path) => roots(path)?,
        None => host_roots()?,
    };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Invalid::new(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![match protocol {
        Protocol::Http1 => b"http/1.1".to_vec(),
        Protocol::Http2 => b"h2".to_vec(),
    }];
    Ok(Arc::new(config))
}

fn host_roots() -> Result<RootCertStore, Invalid> {
    let mut roots = RootCertStore::empty();
    // A host's store may hold certificates that rustls cannot use; what counts is that some are left.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err(Invalid::new("this host has no certificate authorities to judge an https upstream by")
            .hint("install the system's ca-certificates, or name the upstream's own with `ca`"));
    }
    Ok(roots)
}
