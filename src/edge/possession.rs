//! The half of a client certificate that a handshake proves: that the client holds its key. Whether the certificate is
//! good is judged afterwards (`client_certificate.rs`).

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, SignatureScheme};
use x509_parser::prelude::{FromDer, X509Certificate, X509Version};

/// Accepts any client certificate whose key the client holds.
#[derive(Debug)]
pub(super) struct Possession {
    pub(super) provider: Arc<CryptoProvider>,
}

impl ClientCertVerifier for Possession {
    // No authority is named: a client that keeps to the list would hold back a certificate that is known by itself.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        match X509Certificate::from_der(certificate) {
            // What `openssl x509 -req` makes unless it is told better. webpki reads version 3 alone, and no authority
            // vouches for any other; but such a certificate may be known by itself, and then its key is all it takes.
            Ok(([], old)) if old.version() == X509Version::V1 => {
                let key = SubjectPublicKeyInfoDer::from(old.public_key().raw);
                rustls::crypto::verify_tls13_signature_with_raw_key(message, &key, signed, algorithms)
            }
            Ok(_) | Err(_) => rustls::crypto::verify_tls13_signature(message, certificate, signed, algorithms),
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
