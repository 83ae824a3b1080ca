//! TLS towards an upstream: the authorities that its certificate is judged by, the name that it must be for, and what is
//! presented to it. There is no way to believe an upstream without judging it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, RootCertStore};

use crate::edge::tls::{certified_key, roots};
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
    /// With what is presented.
    Own(Invalid),
}

impl Terms {
    /// Reads the files of the upstream `name`, now and whenever they change.
    pub fn kept(name: &str, files: Files, protocol: Protocol) -> Result<Trust, Mistake> {
        let own = files.own.iter().flat_map(|(certificate, key)| [certificate, key]);
        let (first, paths) = (files.clone(), own.chain(&files.ca).cloned().collect());
        let again = move |_: &_| {
            Self::load(&files, protocol).map_err(|mistake| match mistake {
                Mistake::Authorities(invalid) | Mistake::Own(invalid) => invalid.message.into_owned(),
            })
        };
        Kept::open(name, paths, || Self::load(&first, protocol), again)
    }

    fn load(files: &Files, protocol: Protocol) -> Result<Self, Mistake> {
        let config = client_config(files.ca.as_deref(), protocol).map_err(Mistake::Authorities)?;
        let mut config = ClientConfig::clone(&config);
        if let Some((certificate, key)) = &files.own {
            config = presenting(config, certificate, key).map_err(Mistake::Own)?;
        }
        Ok(Self { config: Arc::new(config), server_name: files.server_name.clone() })
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

/// The same, with a certificate to be presented where the upstream asks for one.
fn presenting(mut config: ClientConfig, certificate: &Path, key: &Path) -> Result<ClientConfig, Invalid> {
    let own = certified_key(certificate, key, config.crypto_provider())?;
    config.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(own));
    Ok(config)
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
