//! TLS towards an upstream: the authorities that its certificate is judged by, the name that it must be for, and what is
//! presented to it. There is no way to believe an upstream without judging it.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::digest;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, RootCertStore};

use crate::edge::tls::{Half, certified_key, roots};
use crate::forward::upstream::Protocol;
use crate::invalid::Invalid;
use crate::kept::Kept;

/// What an upstream is believed by, read anew when its files change. Connections that stand are left alone.
pub type Trust = Kept<Terms>;

/// What a handshake with an upstream needs.
#[derive(Debug)]
pub struct Terms {
    config: Arc<ClientConfig>,
    server_name: Option<ServerName<'static>>,
    mark: [u8; 32],
}

/// The files of an upstream, and the name that it must have.
#[derive(Clone, Debug, Default)]
pub struct Files {
    /// Its authorities; those of this host where there is none.
    pub ca: Option<PathBuf>,
    /// The certificate chain that is presented to it, with its key.
    pub own: Option<(PathBuf, PathBuf)>,
    /// The name that its certificate must be for, in the place of the endpoint's host.
    pub server_name: Option<ServerName<'static>>,
}

/// Something that is wrong with the files.
#[derive(Debug)]
pub enum Mistake {
    /// With the authorities.
    Authorities(Invalid),
    /// With what is presented: with one half or both.
    Own(Vec<(Half, Invalid)>),
}

impl Terms {
    /// Reads the files of the upstream `name`, now and whenever they change.
    pub fn kept(name: &str, files: Files, protocol: Protocol) -> Result<Trust, Mistake> {
        let own = files.own.iter().flat_map(|(certificate, key)| [certificate, key]);
        let (first, paths) = (files.clone(), own.chain(&files.ca).cloned().collect());
        let again = move |_: &_| {
            Self::load(&files, protocol).map_err(|mistake| match mistake {
                Mistake::Authorities(invalid) => invalid.message.into_owned(),
                Mistake::Own(halves) => {
                    halves.into_iter().map(|(_, invalid)| invalid.message).collect::<Vec<_>>().join("; ")
                }
            })
        };
        Kept::open(name, paths, || Self::load(&first, protocol), again)
    }

    fn load(files: &Files, protocol: Protocol) -> Result<Self, Mistake> {
        let roots = authorities(files.ca.as_deref()).map_err(Mistake::Authorities)?;
        let mut mark = Mark::new();
        for anchor in &roots.roots {
            mark.part(&anchor.subject).part(&anchor.subject_public_key_info);
            mark.part(anchor.name_constraints.as_ref().map_or(&[], |constraints| constraints));
        }
        mark.part(b"").part(files.server_name.as_ref().map_or_else(Cow::default, ServerName::to_str).as_bytes());
        let mut config = trusting(roots, protocol).map_err(Mistake::Authorities)?;
        if let Some((certificate, key)) = &files.own {
            let own = certified_key(certificate, key, config.crypto_provider()).map_err(Mistake::Own)?;
            for der in &own.cert {
                mark.part(der);
            }
            config.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(own));
        }
        Ok(Self { config: Arc::new(config), server_name: files.server_name.clone(), mark: mark.done() })
    }

    /// What tells it apart from others: the same only where the same authorities are trusted for the same name, and the
    /// same certificate is presented (whose key cannot be another).
    pub(super) fn mark(&self) -> &[u8; 32] {
        &self.mark
    }

    /// What a handshake with an endpoint at `host` goes by.
    pub(super) fn towards(
        &self,
        host: &str,
    ) -> Result<(Arc<ClientConfig>, ServerName<'static>), rustls::pki_types::InvalidDnsNameError> {
        let name = match &self.server_name {
            Some(name) => name.clone(),
            None => ServerName::try_from(host.to_owned())?,
        };
        Ok((Arc::clone(&self.config), name))
    }
}

/// A configuration that trusts the authorities in `ca`, or those of this host, and offers one protocol.
pub fn client_config(ca: Option<&Path>, protocol: Protocol) -> Result<Arc<ClientConfig>, Invalid> {
    authorities(ca).and_then(|roots| trusting(roots, protocol)).map(Arc::new)
}

/// The same with the authorities in a text of PEM.
pub(super) fn client_config_of(pem: &[u8], protocol: Protocol) -> Result<Arc<ClientConfig>, Invalid> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let read = certificate.map_err(|error| Invalid::new(error.to_string()))?;
        roots.add(read).map_err(|error| Invalid::new(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(Invalid::new("the file of its authorities holds no certificate"));
    }
    trusting(roots, protocol).map(Arc::new)
}

fn authorities(ca: Option<&Path>) -> Result<RootCertStore, Invalid> {
    ca.map_or_else(host_roots, roots)
}

fn trusting(roots: RootCertStore, protocol: Protocol) -> Result<ClientConfig, Invalid> {
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
    Ok(config)
}

/// A digest of many parts, which no other parts have.
struct Mark(digest::Context);

impl Mark {
    fn new() -> Self {
        Self(digest::Context::new(&digest::SHA256))
    }

    fn part(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.update(&(bytes.len() as u64).to_be_bytes());
        self.0.update(bytes);
        self
    }

    fn done(self) -> [u8; 32] {
        let mut mark = [0; 32];
        mark.copy_from_slice(self.0.finish().as_ref());
        mark
    }
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
