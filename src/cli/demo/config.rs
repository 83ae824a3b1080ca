//! The configuration that the demo runs on: a real `vidgate.toml` in the temporary folder, loaded as any other, so that
//! what the demo shows is what an operator gets. Everyone is in the store beside it (`stock.rs`), made as `vidgate store
//! init` makes it.

mod doors;

use std::fmt::Write;
use std::io;
use std::net::TcpListener;
use std::path::PathBuf;

use self::doors::{HOUSE, doors};
use super::Trouble;
use super::credentials::Credentials;
use super::folder::Folder;
use super::upstream::Upstreams;
use super::vendor::Vendor;
use crate::cli::shell::quoted;
use crate::cli::store::init;

/// The files of the demo that a client may need, besides the certificates.
#[derive(Debug)]
pub(super) struct Files {
    /// The configuration.
    pub(super) config: PathBuf,
    /// Half as much again as VXG's v4 routes take.
    pub(super) large_upload: PathBuf,
    /// To what logins at Multicam encrypt their keys, PEM.
    pub(super) public_key: PathBuf,
    /// The private key of Voximplant's service account, PEM.
    pub(super) private_key: PathBuf,
    /// The same with the ids of key and account, as the vendor's client libraries read it.
    pub(super) credentials: PathBuf,
    /// What prints a token of now, as the vendor's `token.sh` does.
    pub(super) token_script: PathBuf,
}

/// Writes the configuration and every file that it names, and makes the store.
pub(super) fn write(folder: &Folder, credentials: &Credentials, upstreams: &Upstreams) -> Result<Files, Trouble> {
    let (multicam, voximplant) = (&credentials.multicam, &credentials.voximplant);
    folder.write(ADMIN_TOKEN, &credentials.admin_token)?;
    folder.write(PAIR, &String::from_utf8_lossy(multicam.pair.expose()))?;
    let text =
        [listeners(), STORE.replace(ADMIN_ADDRESS, &free_address()?), routes(upstreams), SCHEMES.to_owned()].join("\n");
    let config = folder.write("vidgate.toml", &text)?;
    init::make_for(&config)?;
    let private_key = folder.write("service-account.key", &voximplant.key.private)?;
    let script = voximplant.script(&quoted(&private_key.to_string_lossy()));
    Ok(Files {
        config,
        large_upload: folder.write("large-upload.bin", &"\0".repeat(3 << 19))?,
        public_key: folder.write("multicam.pub", &multicam.public)?,
        private_key,
        token_script: folder.write("token.sh", &script)?,
        credentials: folder.write("credentials.json", &voximplant.file())?,
    })
}

const SERVER_PAIR: &str = r#"certificate = "server.pem", key = "server.key""#;
const ADMIN_TOKEN: &str = "admin.token";
const PAIR: &str = "multicam.key";

/// Where everyone is, and how that is managed.
const STORE: &str = r#"
[store]
path = "vidgate.redb"
master_key = { file = "master.key" }

[admin]
address = "ADMIN_ADDRESS"
tokens = { demo = { file = "admin.token" } }

# Every vendor's ways are shown here, the weak ones too.
[lint]
allow = [
    "address-alone", "deprecated-scheme", "hmac-sha1", "open-route", "public-identifier", "query-credential",
    "unbounded-upload", "unguarded-key", "unguarded-secret",
]
"#;

/// What stands in [`STORE`] for the address of the admin API.
const ADMIN_ADDRESS: &str = "ADMIN_ADDRESS";

/// An address that nobody has bound. It is chosen before the file is written, so that commands which read the file find
/// the gateway there.
fn free_address() -> io::Result<String> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}

/// A plain and a TLS listener a vendor, and the super-admin's.
fn listeners() -> String {
    let mut text = String::from(
        "# The demo's gateway. Every port is chosen by the system; that of [admin] beforehand.\n\n[log]\naccess = false\n",
    );
    for vendor in Vendor::ALL {
        let (name, dialect) = (vendor.name(), dialect(vendor));
        let _ = write!(
            text,
            "\n[listener.{name}]\naddress = \"127.0.0.1:0\"\ndialect = \"{dialect}\"\n\
             \n[listener.{name}_tls]\naddress = \"127.0.0.1:0\"\ndialect = \"{dialect}\"\n\
             tls = {{ {SERVER_PAIR} }}\n"
        );
    }
    let _ = write!(
        text,
        "\n[listener.{SUPER_ADMIN}]\naddress = \"127.0.0.1:0\"\ndialect = \"vxg_admin\"\n\
         tls = {{ {SERVER_PAIR}, client_ca = \"ca.pem\", client_crl = \"ca.crl\" }}\n\
         \n[listener.{OWN}]\naddress = \"127.0.0.1:0\"\ndialect = \"vxg\"\n"
    );
    text
}

/// The listener of VXG's super-admin API.
pub(super) const SUPER_ADMIN: &str = "super_admin";

/// The listener where vidgate owns VXG's cameras and tokens.
pub(super) const OWN: &str = "vxg_own";

/// In which words the clients of this vendor expect a refusal.
fn dialect(vendor: Vendor) -> &'static str {
    match vendor {
        Vendor::Vxg => "vxg",
        Vendor::SecureVideo => "message",
        Vendor::CameraTag => "cameratag",
        Vendor::Multicam => "multicam",
        Vendor::Voximplant => "voximplant",
    }
}

/// Upstreams, and the routes to them.
fn routes(upstreams: &Upstreams) -> String {
    let mut text = String::new();
    for vendor in Vendor::ALL {
        let (name, dialect) = (vendor.name(), dialect(vendor));
        let _ = write!(text, "\n[upstream.{name}]\nendpoints = [\"http://{}\"]\n", upstreams.address(vendor));
        for (route, path, authenticate, more) in doors(vendor) {
            let _ = write!(
                text,
                "\n[[route]]\nname = \"{name}-{route}\"\nlisteners = [\"{name}\", \"{name}_tls\"]\npath = \"{path}\"\n\
                 authenticate = \"{authenticate}\"\nforward = \"{name}\"\ndialect = \"{dialect}\"\n{more}"
            );
        }
    }
    text + HOUSE
}

const SCHEMES: &str = r#"
[limit.hourly]
quota = "100000/hour"

[limit.guessing]
failures = 50

[roles.vox]
preset = "voximplant"

[roles.vox.operations]
echo = "basic"

[endpoint.token]
keys = [{ key = { file = "multicam.key" } }]

[scheme.camera.acc]
query = true

[scheme.group.si]

[scheme.license.lkey]

[scheme.ops.mtls]

[scheme.page.key]
parameters = ["apiKey"]
scopes = ["client"]

[scheme.api.basic]
realm = "SecureVideo"

[scheme.here.ip]
networks = ["127.0.0.0/8", "::1/128"]

[scheme.elsewhere.ip]
networks = ["192.0.2.0/24"]

[scheme.publish.signature]
right = "publish"

[scheme.playback.signature]
right = "playback"

[scheme.rest.apikey]
headers = ["api_key"]
query = ["api_key"]

[scheme.bearer.opaque]

[scheme.machine.apikey]

[scheme.service.jwt]

[scheme.legacy.account_key]
"#;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::demo::pki::Pki;
    use crate::clock::Clock;
    use crate::store::Purpose;

    fn written() -> (Folder, Files, String) {
        let folder = Folder::create().unwrap();
        let now = Clock::system().unix();
        Pki::create(&folder, now).unwrap();
        let credentials = Credentials::create(now).unwrap();
        let upstreams = Upstreams::start().unwrap();
        let files = write(&folder, &credentials, &upstreams).unwrap();
        let text = std::fs::read_to_string(&files.config).unwrap();
        (folder, files, text)
    }

    #[test]
    fn what_is_written_loads_without_a_warning() {
        let (_folder, files, _) = written();
        let loaded = crate::config::load(&files.config, Purpose::Look)
            .unwrap_or_else(|report| panic!("{}", report.render(false)));
        assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
    }

    #[test]
    fn commands_that_read_the_file_find_the_admin_api_by_it() {
        let (_folder, _, text) = written();
        let table: toml::Table = text.parse().unwrap();
        let address: std::net::SocketAddr = table["admin"]["address"].as_str().unwrap().parse().unwrap();
        assert!(address.ip().is_loopback() && address.port() != 0, "{address}");
    }

    #[test]
    fn every_vendor_has_two_listeners() {
        let (_folder, _, text) = written();
        let table: toml::Table = text.parse().unwrap();
        let listeners = table["listener"].as_table().unwrap();
        for vendor in Vendor::ALL {
            assert!(!listeners[vendor.name()].as_table().unwrap().contains_key("tls"));
            assert!(listeners[&vendor.tls_listener()].as_table().unwrap().contains_key("tls"));
        }
    }
}
