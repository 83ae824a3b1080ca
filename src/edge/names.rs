//! What a listener is called. Where client certificates decide who gets in, a request must name the connection that it
//! came by: otherwise a page, a proxy or a connection shared by HTTP/2 could bring it to a door that its sender never
//! knocked at (RFC 9110 §7.4).

use std::collections::HashSet;
use std::net::{IpAddr, Ipv6Addr};

use rustls::pki_types::CertificateDer;
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

use super::distinguished_name;
use super::guard;

/// The names and addresses of a listener.
#[derive(Debug, Default)]
pub struct Names {
    /// In lower case, without a trailing dot; `*.` stands for one label.
    names: HashSet<String>,
    addresses: HashSet<IpAddr>,
}

impl Names {
    /// Adds a name or an address.
    pub fn add(&mut self, name: &str) {
        match address(name) {
            Some(address) => _ = self.addresses.insert(address),
            None => _ = self.names.insert(plain(name)),
        }
    }

    /// Adds what a certificate is for; where it says so in the old way only, its common name.
    pub(super) fn add_certificate(&mut self, der: &CertificateDer<'_>) {
        let Ok((_, certificate)) = X509Certificate::from_der(der) else { return };
        let Ok(Some(alternatives)) = certificate.subject_alternative_name() else {
            if let Some(name) =
                distinguished_name::common_name(certificate.subject()).filter(|name| guard::is_host(name))
            {
                self.add(name);
            }
            return;
        };
        for general in &alternatives.value.general_names {
            if let GeneralName::DNSName(name) = general {
                self.add(name);
            } else if let GeneralName::IPAddress(octets) = general {
                self.addresses.extend(octets_of(octets));
            }
        }
    }

    /// Whether a listener that is reached at `local` is called `host`: a name, an address, or an address in brackets.
    pub fn hold(&self, host: &str, local: IpAddr) -> bool {
        if let Some(address) = address(host) {
            return address == local.to_canonical() || self.addresses.contains(&address);
        }
        let name = plain(host);
        let wildcard = || name.split_once('.').is_some_and(|(_, parent)| self.names.contains(&format!("*.{parent}")));
        self.names.contains(&name) || wildcard()
    }
}

fn plain(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

fn address(host: &str) -> Option<IpAddr> {
    let literal = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let address = match literal {
        Some(literal) => literal.parse::<Ipv6Addr>().map(IpAddr::from),
        None => host.parse(),
    };
    address.ok().map(|address| address.to_canonical())
}

fn octets_of(octets: &[u8]) -> Option<IpAddr> {
    let four = <[u8; 4]>::try_from(octets).map(IpAddr::from);
    four.or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from)).ok().map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair};

    use super::*;

    fn certificate(alternatives: &[&str], common_name: &str) -> CertificateDer<'static> {
        let alternatives: Vec<String> = alternatives.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(alternatives).unwrap();
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()
    }

    #[test]
    fn a_listener_is_called_as_its_certificates_its_configuration_and_its_socket_say() {
        let mut names = Names::default();
        names
            .add_certificate(&certificate(&["Admin.Example", "*.w.example", "192.0.2.7", "2001:db8::7"], "cn.example"));
        names.add_certificate(&certificate(&[], "old.example"));
        names.add_certificate(&certificate(&[], "Somebody Else"));
        names.add("203.0.113.9");
        names.add("more.example.");
        for (host, expected) in [
            ("admin.example", true),
            ("ADMIN.example.", true),
            ("a.w.example", true),
            ("a.b.w.example", false),
            ("w.example", false),
            ("cn.example", false),
            ("old.example", true),
            ("more.example", true),
            ("192.0.2.7", true),
            ("[2001:db8::7]", true),
            ("[2001:DB8:0::7]", true),
            ("[::ffff:192.0.2.7]", true),
            ("203.0.113.9", true),
            ("198.51.100.1", true),
            ("[::ffff:198.51.100.1]", true),
            ("198.51.100.2", false),
            ("somebody else", false),
            ("", false),
        ] {
            for local in ["198.51.100.1", "::ffff:198.51.100.1"] {
                assert_eq!(names.hold(host, local.parse().unwrap()), expected, "{host} at {local}");
            }
        }
        assert!(!Names::default().hold("", "198.51.100.1".parse().unwrap()));
    }
}
