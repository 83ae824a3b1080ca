//! An authority of this test alone, and clients that trust it.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, ExtendedKeyUsagePurpose,
    IsCa, KeyIdMethod, KeyPair, RevokedCertParams, SanType, SerialNumber, date_time_ymd,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, StreamOwned, SupportedProtocolVersion};
use tempfile::TempDir;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::patience::PATIENCE;

/// An authority, with a folder for what it issues.
pub struct Pki {
    folder: TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A TLS connection, its handshake done.
pub type Secure = StreamOwned<ClientConnection, TcpStream>;

impl Pki {
    /// A new authority; its certificate lies in `ca.pem`.
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, "test authority");
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority");
        let folder = TempDir::new().expect("a folder can be made");
        fs::write(folder.path().join("ca.pem"), issuer.pem()).expect("it can be written");
        Self { folder, issuer }
    }

    /// Where its files lie.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Issues `<file>.pem` with `<file>.key` for these names or addresses.
    pub fn issue(&self, file: &str, names: &[&str]) {
        self.issue_as(file, names, |_| {});
    }

    /// The same, with something else about it.
    pub fn issue_as(&self, file: &str, names: &[&str], adjust: impl FnOnce(&mut CertificateParams)) {
        let mut params = params(file, names);
        adjust(&mut params);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("it can be signed");
        self.keep(file, &certificate, &key);
    }

    /// Makes `<file>.pem` with `<file>.key` that nobody vouches for.
    pub fn self_signed(&self, file: &str, adjust: impl FnOnce(&mut CertificateParams)) {
        let mut params = params(file, &[]);
        adjust(&mut params);
        let key = KeyPair::generate().expect("a key");
        self.keep(file, &params.self_signed(&key).expect("it can be signed"), &key);
    }

    /// Writes the list `ca.crl` of the certificates with these serial numbers, good until the year `until`.
    pub fn revoke(&self, serials: &[u64], until: i32) {
        self.revoke_serials(serials.iter().map(|serial| SerialNumber::from(*serial)).collect(), until);
    }

    /// The same of serial numbers of any length.
    pub fn revoke_serials(&self, serials: Vec<SerialNumber>, until: i32) {
        self.revoke_in("ca.crl", serials, until);
    }

    /// The same in another file.
    pub fn revoke_in(&self, file: &str, serials: Vec<SerialNumber>, until: i32) {
        self.list((file, serials), |list| list.next_update = date_time_ymd(until, 1, 1));
    }

    /// A list in `ca.crl` that names nobody, and is over so long after the beginning of 2025.
    pub fn revoke_nobody_for(&self, life: Duration) {
        self.list(("ca.crl", Vec::new()), |list| list.next_update = date_time_ymd(2025, 1, 1) + life);
    }

    fn list(
        &self,
        (file, serials): (&str, Vec<SerialNumber>),
        adjust: impl FnOnce(&mut CertificateRevocationListParams),
    ) {
        let revoked = serials.into_iter().map(|serial_number| RevokedCertParams {
            serial_number,
            revocation_time: date_time_ymd(2024, 12, 2),
            reason_code: None,
            invalidity_date: None,
        });
        let mut list = CertificateRevocationListParams {
            this_update: date_time_ymd(2024, 12, 15),
            next_update: date_time_ymd(4000, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        adjust(&mut list);
        let list = list.signed_by(&self.issuer).expect("it can be signed").pem().expect("it is PEM");
        fs::write(self.path().join(file), list).expect("it can be written");
    }

    fn keep(&self, file: &str, certificate: &rcgen::Certificate, key: &KeyPair) {
        fs::write(self.path().join(format!("{file}.pem")), certificate.pem()).expect("it can be written");
        fs::write(self.path().join(format!("{file}.key")), key.serialize_pem()).expect("it can be written");
    }

    /// What was issued under this name.
    pub fn pair(&self, file: &str) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let certificate = CertificateDer::from_pem_file(self.path().join(format!("{file}.pem"))).expect("it is PEM");
        let key = PrivateKeyDer::from_pem_file(self.path().join(format!("{file}.key"))).expect("it is PEM");
        (vec![certificate], key)
    }

    /// SHA-256 of a certificate, as `sha256sum` prints it.
    pub fn digest(&self, file: &str) -> String {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &self.pair(file).0[0]);
        digest.as_ref().iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
    }

    /// A client that trusts this authority and speaks these protocols.
    pub fn client(&self, protocols: &[&str]) -> ClientConfig {
        self.client_of(rustls::ALL_VERSIONS, protocols)
    }

    /// The same in certain versions of TLS.
    pub fn client_of(&self, versions: &[&'static SupportedProtocolVersion], protocols: &[&str]) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).expect("it is an authority");
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(versions)
            .expect("the versions are known")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|own| own.as_bytes().to_vec()).collect();
        config
    }

    /// A client that presents what `issuer` made under this name.
    pub fn presenting(&self, issuer: &Self, file: &str, protocols: &[&str]) -> ClientConfig {
        let (chain, key) = issuer.pair(file);
        let key = provider().key_provider.load_private_key(key).expect("a key");
        let mut config = self.client(protocols);
        config.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(CertifiedKey::new(chain, key)));
        config
    }

    /// What an upstream with the certificate `file` needs.
    pub fn server(&self, file: &str) -> Arc<ServerConfig> {
        let (chain, key) = self.pair(file);
        let builder = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
        let config = builder.expect("the versions are known").with_no_client_auth().with_single_cert(chain, key);
        Arc::new(config.expect("certificate and key belong together"))
    }
}

fn params(file: &str, names: &[&str]) -> CertificateParams {
    let mut params = CertificateParams::default();
    let name = |name: &&str| {
        let dns = || SanType::DnsName((*name).try_into().expect("a name"));
        name.parse().map_or_else(|_| dns(), SanType::IpAddress)
    };
    params.subject_alt_names = names.iter().map(name).collect();
    params.distinguished_name.push(rcgen::DnType::CommonName, file);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params
}

/// The serial number of a certificate.
pub fn serial_of(der: &CertificateDer<'_>) -> SerialNumber {
    let (_, certificate) = X509Certificate::from_der(der).expect("it is DER");
    SerialNumber::from_slice(certificate.raw_serial())
}

/// The one provider of cryptography.
pub fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// Connects and shakes hands.
pub fn dial(address: SocketAddr, name: &str, config: &Arc<ClientConfig>) -> io::Result<Secure> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    let mut session = ClientConnection::new(Arc::clone(config), name).expect("a session can begin");
    while session.is_handshaking() {
        session.complete_io(&mut stream)?;
    }
    Ok(StreamOwned::new(session, stream))
}

/// Asks for `/` under this host, as the connection's last request, and reads all there is.
pub fn ask(secure: &mut Secure, host: &str) -> io::Result<String> {
    write!(secure, "GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")?;
    let mut text = String::new();
    secure.read_to_string(&mut text)?;
    Ok(text)
}
