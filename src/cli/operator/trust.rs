//! TLS towards the admin listener. It is this machine's own gateway, and its certificate lies in the configuration: that
//! very certificate is trusted, whatever name it bears and whoever issued it.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme};

use super::Trouble;
use crate::edge::tls;

/// Trusts the first certificate in `server`, and shows the one in `certificate`.
pub(super) fn client_config(server: &Path, certificate: &Path, key: &Path) -> Result<ClientConfig, Trouble> {
    let read = |path: &Path| tls::certificates(path).map_err(|invalid| Trouble::plain(invalid.to_string()));
    let known = read(server)?.swap_remove(0);
    let chain = read(certificate)?;
    let private = PrivateKeyDer::from_pem_file(key)
        .map_err(|error| Trouble::plain(format!("no private key can be read from {}: {error}", key.display())))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| Trouble::plain(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Known { certificate: known, provider }))
        .with_client_auth_cert(chain, private)
        .map_err(|error| {
            let (certificate, key) = (certificate.display(), key.display());
            Trouble::plain(format!("{certificate} and {key} do not belong together: {error}"))
        })
}

/// Believes one certificate, if whoever shows it holds its key.
#[derive(Debug)]
struct Known {
    certificate: CertificateDer<'static>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Known {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if *end_entity == self.certificate {
            return Ok(ServerCertVerified::assertion());
        }
        Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
