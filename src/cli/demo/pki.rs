//! The throw-away certificates of the demo: a CA, the gateway's certificate, a client's, and the key pair of a service
//! account. All of it is worth nothing after a few days, and its folder is gone when the demo ends.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, PKCS_RSA_SHA256, RevokedCertParams,
    RsaKeySize, SanType, SerialNumber, date_time_ymd,
};

use super::Trouble;
use super::folder::Folder;
use crate::clock::UnixTime;

/// How long the certificates are good, from a day before the start: less than the 825 days that some clients allow.
const DAYS: i64 = 30;
/// The serial number of the certificate that has been revoked.
const REVOKED: u64 = 7;

/// Where a client finds what it needs, all as PEM. The gateway's own pair lies beside it: `server.pem`, `server.key`.
#[derive(Debug)]
pub(super) struct Pki {
    /// The CA's certificate: what a client must trust, and what signed the client's own certificate.
    pub(super) ca: PathBuf,
    /// A certificate that a client of the super-admin API presents, and its key.
    pub(super) client: Pair,
    /// One of the same authority that has been revoked.
    pub(super) revoked: Pair,
    /// One of another authority.
    pub(super) stranger: Pair,
}

/// A certificate and its key.
#[derive(Debug)]
pub(super) struct Pair {
    /// The certificate.
    pub(super) certificate: PathBuf,
    /// Its private key, readable by its owner alone.
    pub(super) key: PathBuf,
}

impl Pki {
    /// Makes all of it and writes it into `folder`.
    pub(super) fn create(folder: &Folder, now: UnixTime) -> Result<Self, Trouble> {
        let issuer = CertifiedIssuer::self_signed(authority(now)?, KeyPair::generate()?)?;
        let ca = folder.write("ca.pem", &issuer.pem())?;
        let mut server = params("localhost", now, ExtendedKeyUsagePurpose::ServerAuth)?;
        server.subject_alt_names = vec![
            SanType::DnsName("localhost".try_into()?),
            SanType::IpAddress(Ipv4Addr::LOCALHOST.into()),
            SanType::IpAddress(Ipv6Addr::LOCALHOST.into()),
        ];
        let client = params("demo operator", now, ExtendedKeyUsagePurpose::ClientAuth)?;
        issue(folder, "server", &server, &issuer)?;
        let mut gone = params("demo operator", now, ExtendedKeyUsagePurpose::ClientAuth)?;
        gone.serial_number = Some(SerialNumber::from(REVOKED));
        folder.write("ca.crl", &revocations(now)?.signed_by(&issuer)?.pem()?)?;
        let other = CertifiedIssuer::self_signed(authority(now)?, KeyPair::generate()?)?;
        Ok(Self {
            ca,
            client: issue(folder, "client", &client, &issuer)?,
            revoked: issue(folder, "revoked", &gone, &issuer)?,
            stranger: issue(folder, "stranger", &client, &other)?,
        })
    }
}

/// A service account's RSA key pair: the private key and the public key, both as PEM.
pub(super) fn service_account_key() -> Result<(String, String), Trouble> {
    let pair = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048)?;
    Ok((pair.serialize_pem(), pair.public_key_pem()))
}

fn authority(now: UnixTime) -> Result<CertificateParams, Trouble> {
    let mut params = named("vidgate demo CA (throw-away)", now)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

/// The list that names the one certificate that is good no longer.
fn revocations(now: UnixTime) -> Result<CertificateRevocationListParams, Trouble> {
    // The list is good for as long as the certificates are.
    let CertificateParams { not_before, not_after, .. } = named("", now)?;
    let revoked = RevokedCertParams {
        serial_number: SerialNumber::from(REVOKED),
        revocation_time: not_before,
        reason_code: None,
        invalidity_date: None,
    };
    Ok(CertificateRevocationListParams {
        this_update: not_before,
        next_update: not_after,
        crl_number: SerialNumber::from(1),
        issuing_distribution_point: None,
        revoked_certs: vec![revoked],
        key_identifier_method: KeyIdMethod::Sha256,
    })
}

fn params(name: &str, now: UnixTime, purpose: ExtendedKeyUsagePurpose) -> Result<CertificateParams, Trouble> {
    let mut params = named(name, now)?;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![purpose];
    // RFC 5280 §4.2.1.1: strict clients refuse a certificate that does not name its issuer's key.
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

fn issue(
    folder: &Folder,
    name: &str,
    params: &CertificateParams,
    issuer: &CertifiedIssuer<'_, KeyPair>,
) -> Result<Pair, Trouble> {
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, issuer)?;
    Ok(Pair {
        certificate: folder.write(&format!("{name}.pem"), &certificate.pem())?,
        key: folder.write(&format!("{name}.key"), &key.serialize_pem())?,
    })
}

/// Good from yesterday, so that a client whose clock is behind does not stumble, for [`DAYS`].
fn named(name: &str, now: UnixTime) -> Result<CertificateParams, Trouble> {
    let day = |offset: i64| -> Result<_, Trouble> {
        let seconds = i64::try_from(now.0).unwrap_or(i64::MAX).saturating_add(offset * 24 * 3600);
        let date = jiff::Timestamp::from_second(seconds)?.to_zoned(jiff::tz::TimeZone::UTC).date();
        Ok(date_time_ymd(date.year().into(), date.month().unsigned_abs(), date.day().unsigned_abs()))
    };
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = day(-1)?;
    params.not_after = day(DAYS - 1)?;
    Ok(params)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use rustls::client::WebPkiServerVerifier;
    use rustls::client::danger::ServerCertVerifier;
    use rustls::server::WebPkiClientVerifier;
    use rustls_pki_types::pem::PemObject;
    use rustls_pki_types::{CertificateDer, ServerName, UnixTime as Instant};
    use std::path::Path;
    use std::sync::Arc;
    use std::time::Duration;

    fn roots(ca: &Path) -> Arc<rustls::RootCertStore> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(ca).unwrap()).unwrap();
        Arc::new(roots)
    }

    #[test]
    fn the_certificates_are_good_for_their_purpose_only() {
        let folder = Folder::create().unwrap();
        let now = Clock::system().unix();
        let pki = Pki::create(&folder, now).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let server =
            WebPkiServerVerifier::builder_with_provider(roots(&pki.ca), Arc::clone(&provider)).build().unwrap();
        let client = WebPkiClientVerifier::builder_with_provider(roots(&pki.ca), provider).build().unwrap();
        let of_server = CertificateDer::from_pem_file(folder.path().join("server.pem")).unwrap();
        let of_client = CertificateDer::from_pem_file(&pki.client.certificate).unwrap();
        let at = |days: i64| Instant::since_unix_epoch(Duration::from_secs(now.0.saturating_add_signed(days * 86400)));

        for (name, days, good) in [
            ("localhost", 0, true),
            ("127.0.0.1", 0, true),
            ("::1", 0, true),
            ("localhost", 25, true),
            ("localhost", 40, false),
            ("localhost", -3, false),
            ("example.com", 0, false),
        ] {
            let name = ServerName::try_from(name).unwrap();
            assert_eq!(
                server.verify_server_cert(&of_server, &[], &name, &[], at(days)).is_ok(),
                good,
                "{name:?} {days}"
            );
        }
        assert!(client.verify_client_cert(&of_client, &[], at(0)).is_ok());
        assert!(client.verify_client_cert(&of_server, &[], at(0)).is_err());
        let localhost = ServerName::try_from("localhost").unwrap();
        assert!(server.verify_server_cert(&of_client, &[], &localhost, &[], at(0)).is_err());
    }

    #[test]
    fn the_keys_of_a_service_account_belong_together() {
        let (private, public) = service_account_key().unwrap();
        let claims = serde_json::json!({ "iss": 1, "exp": 4_000_000_000_u64 });
        let header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::RS256);
        let key = jsonwebtoken::EncodingKey::from_rsa_pem(private.as_bytes()).unwrap();
        let token = jsonwebtoken::encode(&header, &claims, &key).unwrap();
        let key = jsonwebtoken::DecodingKey::from_rsa_pem(public.as_bytes()).unwrap();
        let validation = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::RS256);
        assert!(jsonwebtoken::decode::<serde_json::Value>(&token, &key, &validation).is_ok());
    }
}
