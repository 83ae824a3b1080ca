//! The ways to the store, for the command line: read from the file without opening anything and without judging the
//! rest of it, since whoever manages the store may not be allowed to read all that a gateway reads.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::file::{self, Admin};
use super::report::Report;
use super::source::Source;
use crate::invalid::Invalid;
use crate::secret::Secret;

/// The ways to the store.
#[derive(Debug, Default)]
pub struct Ways {
    /// The admin listener of the gateway, if it has one.
    pub admin: Option<Entrance>,
    /// The monitoring listener, if it has one.
    pub monitoring: Option<SocketAddr>,
    /// The file, if there is one.
    pub store: Option<PathBuf>,
}

/// The admin listener, from the outside.
#[derive(Debug)]
pub struct Entrance {
    /// Where it is bound.
    pub address: SocketAddr,
    /// The file of its own certificate; `None`: it speaks in clear.
    pub certificate: Option<PathBuf>,
    /// The tokens that let someone in, by name, as far as they can be read.
    pub tokens: Vec<(String, Result<Secret, Invalid>)>,
}

/// Reads them from the file at `path`.
pub fn ways(path: &Path) -> Result<Ways, Report> {
    let (name, text) = super::text(path)?;
    let mut report = Report::new(&name, &text);
    let Some(file) = file::read(&text, &mut report).filter(|_| report.errors() == 0) else { return Err(report) };
    let source = Source::new(super::folder(path));
    let admin = file.admin.as_ref().map(|admin| entrance(&admin.value, &source)).transpose();
    let monitoring = file.monitoring.as_ref().map(|monitoring| &monitoring.value.address);
    let bound = monitoring.map(|written| socket_address(&written.value).map_err(|invalid| (invalid, written)));
    let monitoring = match bound.transpose() {
        Ok(monitoring) => monitoring,
        Err((invalid, written)) => {
            report.error(written.place.clone(), invalid);
            return Err(report);
        }
    };
    match admin {
        Ok(admin) => {
            let store = file.store.map(|store| source.path(&store.path.value));
            Ok(Ways { admin, monitoring, store })
        }
        Err(invalid) => {
            report.error(file.admin.map(|admin| admin.value.address.place), invalid);
            Err(report)
        }
    }
}

fn socket_address(written: &str) -> Result<SocketAddr, Invalid> {
    written.parse().map_err(|_| Invalid::new(format!("`{written}` is not an address with a port")))
}

fn entrance(admin: &Admin, source: &Source) -> Result<Entrance, Invalid> {
    let address = socket_address(&admin.address.value)?;
    let token = |(name, written): (&String, &file::Placed<crate::secret::SecretSource>)| {
        (name.clone(), source.secret(&written.value))
    };
    Ok(Entrance {
        address,
        certificate: admin.tls.as_ref().map(|tls| source.path(&tls.value.certificate.value)),
        tokens: admin.tokens.iter().map(token).collect(),
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const REST: &str = "
        [listener.public]
        address = \"127.0.0.1:1\"
        [upstream.api]
        endpoints = [\"http://127.0.0.1:2\"]
        [[route]]
        name = \"all\"
        path = \"/{*rest}\"
        authenticate = \"nobody\"
        forward = \"api\"
    ";

    fn read(admin: &str) -> Result<Ways, Report> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("vidgate.toml");
        fs::write(folder.path().join("bob"), "a-token-of-bob\n").unwrap();
        fs::write(&file, format!("{admin}\n{REST}")).unwrap();
        ways(&file)
    }

    #[test]
    fn only_what_leads_to_the_store_is_read() {
        let none = read("").unwrap();
        assert!(none.admin.is_none() && none.store.is_none() && none.monitoring.is_none());
        let monitoring = read("[monitoring]\naddress = \"127.0.0.1:9180\"").unwrap().monitoring;
        assert_eq!(monitoring.unwrap().port(), 9180);
        let store = read("[store]\npath = \"a.redb\"\nmaster_key = { file = \"none\" }").unwrap().store;
        assert!(store.unwrap().ends_with("a.redb"));
        // The route names a scheme that there is not, and no file of TLS is there: neither is needed from outside.
        let admin = "[admin]\naddress = \"127.0.0.1:9443\"\ntls = { certificate = \"c.pem\", key = \"k.pem\" }\n\
                     [admin.tokens]\nalice = { file = \"none\" }\nbob = { file = \"bob\" }";
        let entrance = read(admin).unwrap().admin.unwrap();
        assert_eq!(entrance.address.port(), 9443);
        assert!(entrance.certificate.unwrap().ends_with("c.pem"));
        let [(_, alice), (bob, token)] = &entrance.tokens[..] else { panic!("two tokens") };
        assert!(alice.is_err() && bob == "bob" && token.as_ref().unwrap().equals(b"a-token-of-bob"));
    }

    #[test]
    fn what_leads_nowhere_is_said_with_its_place() {
        for wrong in [
            "[admin]\naddress = \"nowhere\"",
            "[admin]\nadress = \"127.0.0.1:1\"",
            "[admin",
            "[monitoring]\naddress = \"x\"",
        ] {
            assert!(read(wrong).unwrap_err().errors() > 0, "{wrong}");
        }
    }
}
