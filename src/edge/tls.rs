//! TLS of a listener: certificates by name, and client certificates whose possession the handshake proves. Whether such
//! a certificate is *good* is judged right after the handshake (`client_certificate.rs`), so that a refusal can be worded
//! as HTTP instead of a broken handshake.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::time_provider::TimeProvider;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use crate::clock::Clock;
use crate::edge::client_certificate::{Judge, RevocationList, judge};
use crate::edge::connection::Tls;
use crate::edge::http_versions::HttpVersions;
pub use crate::edge::names::Names;
use crate::edge::own_certificate::OwnCertificate;
pub use crate::edge::pem_file::{Half, certificates, certified_key, roots};
use crate::edge::possession::Possession;
use crate::edge::protocol::Protocol;
use crate::invalid::Invalid;
use crate::kept::Kept;

/// The files of a TLS listener.
#[derive(Clone, Debug, Default)]
pub struct Files {
    /// Certificate chains with their keys; the first answers for every name that no other covers.
    pub certificates: Vec<(PathBuf, PathBuf)>,
    /// The authorities of client certificates; where there is one, clients are asked for a certificate.
    pub client_ca: Option<PathBuf>,
    /// Their revocation lists: where this is given, a certificate of which no list speaks, or only one that has expired,
    /// is not vouched for.
    pub client_crl: Option<PathBuf>,
    /// Whether clients are asked for a certificate even where no authority is named, because a scheme knows each by itself.
    pub ask: bool,
    /// What the listener is called besides the names in its certificates.
    pub names: Vec<String>,
    /// What is spoken.
    pub protocol: Protocol,
    /// The versions of HTTP that are offered.
    pub versions: HttpVersions,
}

impl Files {
    /// All of them.
    fn paths(&self) -> Vec<PathBuf> {
        let pairs = self.certificates.iter().flat_map(|(certificate, key)| [certificate, key]);
        pairs.chain(&self.client_ca).chain(&self.client_crl).cloned().collect()
    }
}

/// Something that is wrong with the files.
#[derive(Debug)]
pub struct Mistake {
    /// With which of them.
    pub part: Part,
    /// What it is.
    pub invalid: Invalid,
}

/// One of the settings that name [`Files`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// One half of the pair at this place among the certificates.
    Own(usize, Half),
    /// All of it together.
    Whole,
    /// `client_ca`.
    Authorities,
    /// `client_crl`.
    RevocationLists,
}

impl Part {
    /// Something is wrong with it.
    pub(super) fn wrong(self, invalid: Invalid) -> Mistake {
        Mistake { part: self, invalid }
    }
}

/// Everything a handshake needs.
#[derive(Debug)]
pub struct Acceptor {
    /// For rustls.
    pub config: Arc<ServerConfig>,
    /// The certificates that it shows.
    pub own: Vec<OwnCertificate>,
    /// Where clients are asked for a certificate.
    asking: Option<Arc<Asking>>,
}

/// An acceptor whose files are read anew when they change. Connections that stand keep what their handshake settled, but
/// for what is said of their client certificates.
pub type Keeper = Kept<Acceptor>;

/// What is known of client certificates and of the name under which they are asked for.
#[derive(Debug)]
pub(super) struct Asking {
    pub(super) judge: Judge,
    names: Arc<Names>,
    /// Authorities whose certificates no list speaks of.
    unlisted: Vec<String>,
}

impl Acceptor {
    /// Reads the files of the listener `name`, now and whenever they change; says everything that is wrong with them.
    pub fn kept(name: &str, files: Files) -> Result<Keeper, Vec<Mistake>> {
        let (first, paths) = (files.clone(), files.paths());
        Kept::open(name, paths, || Self::load(&first), move |clock| Self::again(Self::load(&files), &files, clock))
    }

    /// The same for a listener of the house itself: what its callers show is asked for in the handshake.
    pub fn kept_demanding(name: &str, files: Files, anonymous: bool) -> Result<Keeper, Vec<Mistake>> {
        let (first, paths) = (files.clone(), files.paths());
        let again = move |clock: &Clock| {
            Self::again(Self::demanding(&files, anonymous), &files, clock).map(|acceptor| acceptor.on(clock.clone()))
        };
        Kept::open(name, paths, || Self::demanding(&first, anonymous), again)
    }

    /// What was read anew. A list that is over would keep everyone out: the one from before is not worse.
    fn again(read: Result<Self, Vec<Mistake>>, files: &Files, clock: &Clock) -> Result<Self, String> {
        let lists = files.client_crl.as_deref().unwrap_or(Path::new("")).display();
        let told = |Mistake { part, invalid }: &Mistake| match part {
            Part::Own(..) | Part::Whole | Part::Authorities => invalid.message.to_string(),
            // The configuration has a place for it, and the log has none.
            Part::RevocationLists => format!("{lists}: {invalid}"),
        };
        let acceptor = read.map_err(|mistakes| mistakes.iter().map(told).collect::<Vec<_>>().join("; "))?;
        let over = |list: &&RevocationList| u64::try_from(list.next_update).unwrap_or(0) <= clock.unix().0;
        match acceptor.revocation_lists().iter().find(over) {
            Some(list) => Err(format!("{lists}: the revocation list of `{}` has expired", list.issuer)),
            None => Ok(acceptor),
        }
    }

    /// Reads the files; says everything that is wrong with them.
    fn load(files: &Files) -> Result<Self, Vec<Mistake>> {
        Self::built(files, false, |_, provider| Arc::new(Possession { provider }))
    }

    /// The same for a listener of the house itself: a bad client certificate fails the handshake, and so does none,
    /// unless `anonymous` callers may come as far as HTTP.
    fn demanding(files: &Files, anonymous: bool) -> Result<Self, Vec<Mistake>> {
        let mut acceptor = Self::built(files, anonymous, |judge, provider| match judge {
            Some(judge) => judge,
            None => Arc::new(Possession { provider }),
        })?;
        Arc::make_mut(&mut acceptor.config).alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(acceptor)
    }

    fn built(
        files: &Files,
        anonymous: bool,
        verifier: impl FnOnce(Option<Arc<dyn ClientCertVerifier>>, Arc<CryptoProvider>) -> Arc<dyn ClientCertVerifier>,
    ) -> Result<Self, Vec<Mistake>> {
        let provider = Arc::new(files.protocol.provider());
        let mut mistakes = Vec::new();
        let (mut by_name, mut names, mut own) = (ByName::default(), Names::default(), Vec::new());
        for (at, (certificate, key)) in files.certificates.iter().enumerate() {
            match certified_key(certificate, key, &provider) {
                Ok(key) => {
                    key.cert.first().into_iter().for_each(|leaf| names.add_certificate(leaf));
                    own.push(OwnCertificate::of(certificate, &key.cert));
                    by_name.add(key);
                }
                Err(wrong) => mistakes.extend(wrong.into_iter().map(|(half, own)| Part::Own(at, half).wrong(own))),
            }
        }
        files.names.iter().for_each(|name| names.add(name));
        let asking = asking(files, anonymous, &provider, names).map_err(|mistake| mistakes.push(mistake));
        let asking = asking.unwrap_or_default().map(Arc::new);
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        let unusable = |error: rustls::Error| vec![Part::Whole.wrong(Invalid::new(error.to_string()))];
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(files.protocol.versions())
            .map_err(unusable)?;
        let builder = match &asking {
            None => builder.with_no_client_auth(),
            Some(asking) => builder.with_client_cert_verifier(verifier(asking.judge.verifier.clone(), provider)),
        };
        let mut config = builder.with_cert_resolver(Arc::new(by_name));
        config.alpn_protocols = files.versions.alpn();
        files.protocol.resumption(&mut config, asking.is_some()).map_err(unusable)?;
        Ok(Self { config: Arc::new(config), own, asking })
    }

    /// The same on this clock, which tests move.
    pub fn on(&self, clock: Clock) -> Self {
        let mut config = ServerConfig::clone(&self.config);
        config.time_provider = Arc::new(Time(clock));
        Self { config: Arc::new(config), own: self.own.clone(), asking: self.asking.clone() }
    }

    /// The revocation lists that client certificates are judged by.
    pub fn revocation_lists(&self) -> &[RevocationList] {
        self.asking.as_ref().map_or(&[], |asking| &asking.judge.lists)
    }

    /// The authorities that no revocation list speaks for though there are lists: none of their certificates is good.
    pub fn unlisted(&self) -> &[String] {
        self.asking.as_ref().map_or(&[], |asking| &asking.unlisted)
    }

    /// Whom it asks for a certificate, and who judges that.
    pub(super) fn asking(&self) -> Option<&Arc<Asking>> {
        self.asking.as_ref()
    }

    /// Whether a request for `host` could come in here: where certificates are asked for, a listener answers to its own
    /// names alone. An address may be its own, whatever it is.
    pub fn answers_to(&self, host: &str) -> bool {
        let local = IpAddr::from([0, 0, 0, 0]);
        let is_address = host.starts_with('[') || host.parse::<IpAddr>().is_ok();
        self.asking.as_ref().is_none_or(|asking| is_address || asking.names.hold(host, local))
    }

    /// Notes what a finished handshake settled, which is asked anew what `keeper` says by then.
    pub fn settle(&self, session: &rustls::ServerConnection, keeper: &Arc<Keeper>, now: crate::clock::UnixTime) -> Tls {
        let server_name = session.server_name().map(|name| name.to_ascii_lowercase().into_boxed_str());
        self.settled(server_name, session.peer_certificates().unwrap_or_default(), keeper, now)
    }

    /// What would be settled with a client that asks for this name, in lower case, and presents the certificates in `pem`,
    /// if there are any.
    ///
    /// # Errors
    ///
    /// The text holds something that is no certificate.
    pub fn presume(
        &self,
        server_name: Option<Box<str>>,
        pem: &[u8],
        (keeper, now): (&Arc<Keeper>, crate::clock::UnixTime),
    ) -> Result<Tls, Invalid> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
        let chain = chain.map_err(|error| Invalid::new(format!("the client's certificate is none: {error}")))?;
        if chain.is_empty() && !pem.is_empty() {
            return Err(Invalid::new("the client's certificate is not PEM"));
        }
        Ok(self.settled(server_name, &chain, keeper, now))
    }

    fn settled(
        &self,
        server_name: Option<Box<str>>,
        chain: &[CertificateDer<'_>],
        keeper: &Arc<Keeper>,
        now: crate::clock::UnixTime,
    ) -> Tls {
        let Some(asking) = &self.asking else { return Tls { server_name, ..Tls::default() } };
        let client_certificate = chain
            .split_first()
            .map(|(leaf, intermediates)| asking.judge.examine(leaf, intermediates, now).again(keeper, asking, chain))
            .map(Rc::new);
        Tls { server_name, client_certificate, names: Some(Arc::clone(&asking.names)) }
    }
}

/// What rustls asks for the time where it judges a certificate by itself.
#[derive(Debug)]
struct Time(Clock);

impl TimeProvider for Time {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(std::time::Duration::from_secs(self.0.unix().0)))
    }
}

fn asking(
    files: &Files,
    anonymous: bool,
    provider: &Arc<CryptoProvider>,
    names: Names,
) -> Result<Option<Asking>, Mistake> {
    let names = Arc::new(names);
    let Some(ca) = &files.client_ca else {
        if files.client_crl.is_some() {
            let invalid = Invalid::new("`client_crl` without `client_ca` judges nobody").hint("name the authority too");
            return Err(Part::RevocationLists.wrong(invalid));
        }
        return Ok(files.ask.then(|| Asking { judge: Judge::default(), names, unlisted: Vec::new() }));
    };
    let (judge, unlisted) = judge(ca, files.client_crl.as_deref(), anonymous, provider)?;
    Ok(Some(Asking { judge, names, unlisted }))
}

/// Certificates by the names that they cover.
#[derive(Debug, Default)]
struct ByName {
    default: Option<Arc<CertifiedKey>>,
    names: HashMap<String, Arc<CertifiedKey>>,
}

impl ByName {
    fn add(&mut self, key: CertifiedKey) {
        let key = Arc::new(key);
        for name in covered_names(&key) {
            self.names.entry(name).or_insert_with(|| Arc::clone(&key));
        }
        self.default.get_or_insert(key);
    }
}

fn covered_names(key: &CertifiedKey) -> Vec<String> {
    let Some(leaf) = key.cert.first() else { return Vec::new() };
    let Ok((_, certificate)) = X509Certificate::from_der(leaf) else { return Vec::new() };
    let Ok(Some(alternatives)) = certificate.subject_alternative_name() else { return Vec::new() };
    let names = alternatives.value.general_names.iter();
    names
        .filter_map(|name| if let GeneralName::DNSName(dns) = name { Some(dns.to_ascii_lowercase()) } else { None })
        .collect()
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let Some(name) = hello.server_name().map(str::to_ascii_lowercase) else { return self.default.clone() };
        let wildcard = || {
            let (_, parent) = name.split_once('.')?;
            self.names.get(&format!("*.{parent}"))
        };
        self.names.get(&name).or_else(wildcard).or(self.default.as_ref()).cloned()
    }
}

/// What is noted of the certificate in a file, as of `now`, by a listener with these authorities and lists.
#[cfg(test)]
pub(crate) fn noted_of(
    file: &Path,
    ca: Option<&Path>,
    crl: Option<&Path>,
    now: crate::clock::UnixTime,
) -> crate::edge::client_certificate::ClientCertificate {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let judge = ca.map(|ca| judge(ca, crl, false, &provider).unwrap().0).unwrap_or_default();
    judge.examine(&certificates(file).unwrap()[0], &[], now)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use aws_lc_rs::digest;
    use rcgen::{
        BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
        ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber,
        date_time_ymd,
    };
    use rustls::pki_types::PrivateKeyDer;
    use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConnection};
    use tempfile::TempDir;

    use super::*;
    use crate::clock::UnixTime;
    use crate::kept::Renew as _;

    type Issuer = CertifiedIssuer<'static, KeyPair>;

    /// 2025-01-01.
    const NOW: u64 = 1_735_689_600;
    const DAY: u64 = 24 * 3600;

    fn authority(name: &str) -> Issuer {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    }

    /// A certificate that is good for the year 2025, unless `change` says otherwise.
    fn leaf(issuer: &Issuer, change: impl FnOnce(&mut CertificateParams)) -> (rcgen::Certificate, KeyPair) {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, "operator");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.serial_number = Some(SerialNumber::from(1));
        (params.not_before, params.not_after) = (date_time_ymd(2024, 12, 1), date_time_ymd(2026, 1, 1));
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, issuer).unwrap(), key)
    }

    /// A list of `issuer` that revokes the serial number 2 and is good for a month.
    fn revoked(issuer: &Issuer) -> String {
        listed(issuer, 2, 2025)
    }

    /// The same of another serial number, until the middle of January of some year.
    fn listed(issuer: &Issuer, serial: u64, until: i32) -> String {
        let second = RevokedCertParams {
            serial_number: SerialNumber::from(serial),
            revocation_time: date_time_ymd(2024, 12, 2),
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(until - 1, 12, 15),
            next_update: date_time_ymd(until, 1, 15),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: vec![second],
            key_identifier_method: KeyIdMethod::Sha256,
        };
        list.signed_by(issuer).unwrap().pem().unwrap()
    }

    /// An acceptor that asks for certificates of `issuer`, and what its clients must trust.
    fn acceptor(issuer: &Issuer, list: Option<String>) -> (Arc<Keeper>, RootCertStore) {
        acceptor_of(&[issuer], list)
    }

    fn acceptor_of(issuers: &[&Issuer], list: Option<String>) -> (Arc<Keeper>, RootCertStore) {
        let folder = TempDir::new().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::write(&path, text).unwrap();
            path
        };
        let own = authority("server authority");
        let (server, key) = leaf(&own, |params| {
            params.not_after = date_time_ymd(4000, 1, 1);
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        });
        let mut roots = RootCertStore::empty();
        roots.add(own.der().clone()).unwrap();
        let files = Files {
            certificates: vec![(file("server.pem", &server.pem()), file("server.key", &key.serialize_pem()))],
            client_ca: Some(file("ca.pem", &issuers.iter().map(|issuer| issuer.pem()).collect::<String>())),
            client_crl: list.map(|list| file("clients.crl", &list)),
            ..Files::default()
        };
        (Arc::new(Acceptor::kept("admin", files).unwrap()), roots)
    }

    type Presented = (CertificateDer<'static>, PrivateKeyDer<'static>);

    fn presented((certificate, key): &(rcgen::Certificate, KeyPair)) -> Presented {
        (certificate.der().clone(), PrivateKeyDer::try_from(key.serialize_der()).unwrap())
    }

    /// What a real handshake, in which the client presents this, is taken for at `now`.
    fn settled((keeper, roots): &(Arc<Keeper>, RootCertStore), presented: Option<Presented>, now: u64) -> Tls {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let builder = builder.with_root_certificates(roots.clone());
        let config = match presented {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => builder.with_client_auth_cert(vec![certificate], key).unwrap(),
        };
        let mut client = ClientConnection::new(Arc::new(config), "LocalHost".try_into().unwrap()).unwrap();
        let mut server = ServerConnection::new(Arc::clone(&keeper.present().config)).unwrap();
        while client.is_handshaking() || server.is_handshaking() {
            let (mut up, mut down) = (Vec::new(), Vec::new());
            while client.wants_write() {
                client.write_tls(&mut up).unwrap();
            }
            for mut bytes in up.chunks(4096) {
                server.read_tls(&mut bytes).unwrap();
                server.process_new_packets().unwrap();
            }
            while server.wants_write() {
                server.write_tls(&mut down).unwrap();
            }
            for mut bytes in down.chunks(4096) {
                client.read_tls(&mut bytes).unwrap();
                client.process_new_packets().unwrap();
            }
        }
        keeper.present().settle(&server, keeper, UnixTime(now))
    }

    /// The verdict on a certificate: `ok`, or what it is refused for.
    fn verdict(acceptor: &(Arc<Keeper>, RootCertStore), pair: &(rcgen::Certificate, KeyPair), now: u64) -> String {
        let certificate = settled(acceptor, Some(presented(pair)), now).client_certificate.unwrap();
        certificate
            .standing
            .word(UnixTime(now))
            .verdict
            .map_or_else(|doubt| doubt.detail.to_owned(), |_| "ok".to_owned())
    }

    #[test]
    fn a_certificate_is_noted_as_it_was_presented() {
        let issuer = authority("clients");
        let acceptor = acceptor(&issuer, None);
        let tls = settled(&acceptor, None, NOW);
        assert_eq!(tls.server_name.as_deref(), Some("localhost"));
        assert!(tls.client_certificate.is_none());

        let pair = leaf(&issuer, |_| {});
        let noted = settled(&acceptor, Some(presented(&pair)), NOW).client_certificate.unwrap();
        assert_eq!(noted.sha256, digest::digest(&digest::SHA256, pair.0.der()).as_ref());
        assert_eq!((noted.subject.as_str(), noted.common_name.as_deref()), ("CN=operator", Some("operator")));
        // 2024-12-01 to 2026-01-01.
        assert_eq!((noted.not_before, noted.not_after), (1_733_011_200, 1_767_225_600));
        assert_eq!(noted.standing.word(UnixTime(NOW)).verdict, Ok(noted.not_after));
    }

    #[test]
    fn a_certificate_is_judged_by_its_chain_its_validity_and_its_purpose() {
        let issuer = authority("clients");
        let acceptor = acceptor(&issuer, None);
        let good = leaf(&issuer, |_| {});
        let of_a_server = leaf(&issuer, |params| {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        });
        let namesake = leaf(&authority("clients"), |_| {});
        let own = {
            let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
            let key = KeyPair::generate().unwrap();
            (params.self_signed(&key).unwrap(), key)
        };
        for (what, pair, now, expected) in [
            ("good", &good, NOW, "ok"),
            ("on its last day", &good, NOW + 364 * DAY, "ok"),
            ("expired", &good, NOW + 366 * DAY, "expired"),
            ("not yet valid", &good, NOW - 60 * DAY, "not valid yet"),
            ("a server's", &of_a_server, NOW, "not one for clients"),
            ("of an authority of the same name", &namesake, NOW, "signed by somebody else"),
            ("its own authority", &own, NOW, "no authority here"),
        ] {
            let verdict = verdict(&acceptor, pair, now);
            assert!(verdict.contains(expected), "{what}: {verdict}");
        }
    }

    #[test]
    fn a_revoked_certificate_is_told_apart_while_the_list_is_good() {
        let issuer = authority("clients");
        let with_list = acceptor(&issuer, Some(revoked(&issuer)));
        let without = acceptor(&issuer, None);
        let good = leaf(&issuer, |_| {});
        let second = leaf(&issuer, |params| params.serial_number = Some(SerialNumber::from(2)));
        for (what, acceptor, pair, now, expected) in [
            ("not on the list", &with_list, &good, NOW, "ok"),
            ("on the list", &with_list, &second, NOW, "revoked"),
            ("no list", &without, &second, NOW, "ok"),
            // Who was revoked since nobody knows.
            ("the list has expired", &with_list, &good, NOW + 20 * DAY, "revocation list has expired"),
        ] {
            let verdict = verdict(acceptor, pair, now);
            assert!(verdict.contains(expected), "{what}: {verdict}");
        }
        // The second before 2025-01-15: from then on, somebody may have been revoked that it does not name.
        let noted = settled(&with_list, Some(presented(&good)), NOW).client_certificate.unwrap();
        assert_eq!(noted.standing.word(UnixTime(NOW)).verdict, Ok(1_736_899_199));
    }

    #[test]
    fn a_certificate_that_stands_is_judged_by_the_lists_of_today() {
        let (issuer, folder, clock) = (authority("clients"), TempDir::new().unwrap(), Clock::manual(UnixTime(NOW)));
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::write(&path, text).unwrap();
            path
        };
        let own = leaf(&issuer, |params| {
            params.not_after = date_time_ymd(4000, 1, 1);
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        });
        let mut roots = RootCertStore::empty();
        roots.add(issuer.der().clone()).unwrap();
        let files = Files {
            certificates: vec![(file("a.pem", &own.0.pem()), file("a.key", &own.1.serialize_pem()))],
            client_ca: Some(file("ca.pem", &issuer.pem())),
            client_crl: Some(file("clients.crl", &listed(&issuer, 3, 2025))),
            ..Files::default()
        };
        let keeper = Arc::new(Acceptor::kept("admin", files.clone()).unwrap());
        let house = (Arc::clone(&keeper), roots);
        let pair = leaf(&issuer, |params| params.serial_number = Some(SerialNumber::from(2)));
        let noted = settled(&house, Some(presented(&pair)), NOW).client_certificate.unwrap();
        let said = || (noted.not_revoked(UnixTime(NOW)).is_ok(), noted.vouched_for(UnixTime(NOW)).is_ok());
        assert_eq!(said(), (true, true));
        // A list that is over changes nothing, nor does one that cannot be read.
        for (text, reason) in [
            (listed(&issuer, 2, 2024), "the revocation list of `CN=clients` has expired"),
            ("no list".to_owned(), "holds no revocation list"),
        ] {
            file("clients.crl", &text);
            let outcome = keeper.renew(&clock, true).unwrap();
            assert!(outcome.result.is_err_and(|own| own.contains(reason)), "{reason}");
            assert_eq!(said(), (true, true));
        }
        file("clients.crl", &listed(&issuer, 2, 2025));
        assert_eq!(keeper.renew(&clock, true).unwrap().result, Ok(()));
        assert_eq!(said(), (false, false));
        file("clients.crl", &listed(&issuer, 3, 2025));
        keeper.renew(&clock, true);
        assert_eq!(said(), (true, true), "it is no longer on the list");
        // Another authority does not vouch for it, and does not take it back either.
        let other = authority("others");
        file("ca.pem", &other.pem());
        file("clients.crl", &listed(&other, 2, 2025));
        keeper.renew(&clock, true);
        assert_eq!(said(), (true, false));
        // Nor does a listener that names none any more.
        let next = Files { client_ca: None, client_crl: None, ..files };
        keeper.succeed(&Arc::new(Acceptor::kept("admin", next).unwrap()));
        assert_eq!(
            noted.vouched_for(UnixTime(NOW)).unwrap_err().detail,
            "the listener names no authority of client certificates"
        );
    }

    #[test]
    fn an_authority_without_a_list_vouches_for_nobody_where_there_are_lists() {
        let (issuer, other, strange) = (authority("clients"), authority("others"), authority("strangers"));
        let both = |lists: &[&Issuer]| {
            let lists: String = lists.iter().map(|issuer| revoked(issuer)).collect();
            let pair = acceptor_of(&[&issuer, &other], Some(lists));
            let unlisted = pair.0.present().unlisted().to_vec();
            pair.0.adjust(|acceptor| acceptor.on(Clock::manual(UnixTime(NOW))));
            (pair, unlisted)
        };
        let (first, second) = (leaf(&issuer, |_| {}), leaf(&other, |_| {}));
        for (what, lists, expected, unlisted) in [
            ("both", &[&issuer, &other][..], ["ok", "ok"], &[][..]),
            ("of one", &[&issuer], ["ok", "no revocation list speaks"], &["CN=others"]),
            ("of a stranger", &[&strange], ["no revocation list speaks"; 2], &["CN=clients", "CN=others"]),
            // Signed by a namesake: it speaks for nobody.
            ("forged", &[&issuer, &authority("others")], ["ok", "not its authority's"], &[]),
        ] {
            let (acceptor, missing) = both(lists);
            assert_eq!(missing, unlisted, "{what}");
            for (pair, expected) in [&first, &second].into_iter().zip(expected) {
                let verdict = verdict(&acceptor, pair, NOW);
                assert!(verdict.contains(expected), "{what}: {verdict}");
            }
        }
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said_of_its_setting() {
        let issuer = authority("clients");
        let folder = TempDir::new().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::write(&path, text).unwrap();
            path
        };
        let (ca, list) = (file("ca.pem", &issuer.pem()), file("ca.crl", &revoked(&issuer)));
        let broken = "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n";
        let wrong = |client_ca: Option<&PathBuf>, client_crl: Option<&PathBuf>| {
            let files = Files { client_ca: client_ca.cloned(), client_crl: client_crl.cloned(), ..Files::default() };
            Acceptor::load(&files).map_err(|mistakes| mistakes.iter().map(|own| own.part).collect::<Vec<_>>()).err()
        };
        let text = file("text", "no PEM");
        assert_eq!(wrong(Some(&ca), Some(&list)), None);
        assert_eq!(wrong(Some(&text), None), Some(vec![Part::Authorities]));
        assert_eq!(wrong(Some(&list), None), Some(vec![Part::Authorities]));
        for crl in [&text, &ca, &file("broken.crl", broken), &folder.path().join("none.crl")] {
            assert_eq!(wrong(Some(&ca), Some(crl)), Some(vec![Part::RevocationLists]), "{}", crl.display());
        }
        assert_eq!(wrong(None, Some(&list)), Some(vec![Part::RevocationLists]));
    }

    #[test]
    fn a_subject_with_nul_is_not_read_at_all() {
        let issuer = authority("clients");
        let pair = leaf(&issuer, |params| params.distinguished_name.push(DnType::CommonName, "root\0.example"));
        let noted = settled(&acceptor(&issuer, None), Some(presented(&pair)), NOW).client_certificate.unwrap();
        assert_eq!((noted.subject.as_str(), noted.common_name.as_deref()), ("", None));
        let now = UnixTime(NOW);
        for doubt in [noted.in_time(now), noted.standing.word(now).verdict.map(drop)] {
            assert_eq!(doubt.unwrap_err().detail, "the certificate cannot be read in one way only");
        }
    }
}
