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

/// Trusts the first certificate in `server`, and shows the one in the first file of `own`, whose key is in the second.
pub(super) fn client_config(server: &Path, own: Option<(&Path, &Path)>) -> Result<ClientConfig, Trouble> {
    let read = |path: &Path| tls::certificates(path).map_err(|invalid| Trouble::plain(invalid.to_string()));
    let known = read(server)?.swap_remove(0);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| Trouble::plain(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Known { certificate: known, provider }));
    let Some((certificate, key)) = own else { return Ok(config.with_no_client_auth()) };
    let private = PrivateKeyDer::from_pem_file(key)
        .map_err(|error| Trouble::plain(format!("no private key can be read from {}: {error}", key.display())))?;
    config.with_client_auth_cert(read(certificate)?, private).map_err(|error| {
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::{Read, Write};
    use std::net::{SocketAddr, TcpListener};
    use std::path::PathBuf;
    use std::sync::Arc;
    use std::thread::{self, JoinHandle};

    use rcgen::{CertificateParams, KeyPair};
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    use rustls::server::WebPkiClientVerifier;
    use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
    use serde_json::json;

    use crate::cli::operator::remote::Remote;
    use crate::cli::operator::{Call, Operator, Trouble, Where};
    use crate::config::Entrance;

    /// A certificate of its own in `<name>.pem` and `<name>.key`.
    fn issue(folder: &std::path::Path, name: &str) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new([format!("{name}.invalid")]).unwrap().self_signed(&key).unwrap();
        fs::write(folder.join(format!("{name}.pem")), certificate.pem()).unwrap();
        fs::write(folder.join(format!("{name}.key")), key.serialize_pem()).unwrap();
        (certificate.der().clone(), PrivateKeyDer::try_from(key.serialize_der()).unwrap())
    }

    /// Answers one request with the certificate that the client showed.
    fn serve(config: ServerConfig) -> (SocketAddr, JoinHandle<Option<Vec<u8>>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = thread::spawn(move || {
            let (socket, _) = listener.accept().unwrap();
            let mut stream = StreamOwned::new(ServerConnection::new(Arc::new(config)).unwrap(), socket);
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).ok()?;
                head.push(byte[0]);
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").unwrap();
            Some(stream.conn.peer_certificates()?[0].to_vec())
        });
        (address, server)
    }

    #[test]
    fn one_certificate_is_trusted_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| -> PathBuf { folder.path().join(name) };
        let (server, key) = issue(folder.path(), "server");
        let (client, _) = issue(folder.path(), "client");
        issue(folder.path(), "other");
        let mut clients = RootCertStore::empty();
        clients.add(client.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let judge =
            WebPkiClientVerifier::builder_with_provider(Arc::new(clients), Arc::clone(&provider)).build().unwrap();
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(judge)
            .with_single_cert(vec![server], key)
            .unwrap();
        let place = |shown: bool| Where {
            admin_certificate: shown.then(|| file("client.pem")),
            admin_key: shown.then(|| file("client.key")),
            ..Where::nowhere()
        };
        let admin = |address, known| Entrance { address, certificate: Some(file(known)), tokens: Vec::new() };

        let (address, thread) = serve(config.clone());
        let mut remote = Remote::reach(&admin(address, "server.pem"), &place(true)).unwrap().expect("it listens");
        assert_eq!(remote.call(Call::get(&["store"])).unwrap(), json!({}));
        assert_eq!(thread.join().unwrap().unwrap(), client.to_vec());

        let (address, thread) = serve(config.clone());
        let Err(Trouble::Plain(said)) = Remote::reach(&admin(address, "other.pem"), &place(true)) else {
            panic!("another server was believed")
        };
        assert!(said[0].starts_with(&format!("no TLS with the admin listener at {address}: ")), "{said:?}");
        assert!(thread.join().unwrap().is_none());

        let (address, _) = serve(config);
        let Err(Trouble::Plain(said)) = Remote::reach(&admin(address, "server.pem"), &place(false)) else {
            panic!("no certificate was asked for")
        };
        assert!(said[0].ends_with("name it with --admin-certificate and --admin-key"), "{said:?}");
    }
}
