//! The configuration that the demo runs on: a real `vidgate.toml` in the temporary folder, loaded as any other, so that
//! what the demo shows is what an operator gets. Voximplant's accounts are declared in it; everyone else is in the store
//! beside it (`stock.rs`), made as `vidgate store init` makes it.

use std::fmt::Write;
use std::path::PathBuf;

use super::Trouble;
use super::credentials::{Credentials, Voximplant};
use super::folder::Folder;
use super::upstream::Upstreams;
use super::vendor::Vendor;
use crate::cli::store::init;

/// The files of the demo that a client may need, besides the certificates.
#[derive(Debug)]
pub(super) struct Files {
    /// The configuration.
    pub(super) config: PathBuf,
    /// Half as much again as VXG's v4 routes take.
    pub(super) large_upload: PathBuf,
    /// The private key of Voximplant's service account, PEM.
    pub(super) private_key: PathBuf,
    /// The same with the ids of key and account, as the vendor's client libraries read it.
    pub(super) credentials: PathBuf,
}

/// Writes the configuration and every file that it names, and makes the store.
pub(super) fn write(folder: &Folder, credentials: &Credentials, upstreams: &Upstreams) -> Result<Files, Trouble> {
    let voximplant = &credentials.voximplant;
    folder.write(PUBLIC_KEY, &voximplant.public_key)?;
    folder.write(ADMIN_TOKEN, &credentials.admin_token)?;
    let text = [listeners(), STORE.to_owned(), routes(upstreams), SCHEMES.to_owned(), accounts(voximplant)].join("\n");
    let config = folder.write("vidgate.toml", &text)?;
    init::make_for(&config)?;
    Ok(Files {
        config,
        private_key: folder.write("service-account.key", &voximplant.private_key)?,
        large_upload: folder.write("large-upload.bin", &"\0".repeat(3 << 19))?,
        credentials: folder.write("credentials.json", &voximplant.file())?,
    })
}

const SERVER_PAIR: &str = r#"certificate = "server.pem", key = "server.key""#;
const ADMIN_TOKEN: &str = "admin.token";
const PUBLIC_KEY: &str = "service-account.pem";

/// Where everyone is but Voximplant's, and how that is managed.
const STORE: &str = r#"
[store]
path = "vidgate.redb"
master_key = { file = "master.key" }

[admin]
address = "127.0.0.1:0"
tokens = { demo = { file = "admin.token" } }
"#;

/// A plain and a TLS listener a vendor, and the super-admin's.
fn listeners() -> String {
    let mut text = String::from("# The demo's gateway. Every port is chosen by the system.\n\n[log]\naccess = false\n");
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
        Vendor::CameraTag | Vendor::Multicam | Vendor::Voximplant => "problem",
    }
}

/// Upstreams, and the routes to them.
fn routes(upstreams: &Upstreams) -> String {
    let mut text = String::new();
    for vendor in Vendor::ALL.into_iter().filter(|vendor| vendor.alive()) {
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

/// What the house answers itself, or keeps for operators.
const HOUSE: &str = r#"
[[route]]
name = "super-admin"
listeners = ["super_admin"]
path = "/api/v2/admin/{*rest}"
authenticate = "ops"
forward = "vxg"
dialect = "vxg_admin"

[[route]]
name = "users"
listeners = ["super_admin"]
path = "/api/v2/admin/users/{*rest}"
authenticate = "ops"
endpoint = "vxg_users"
dialect = "vxg_admin"

[[route]]
name = "channels"
listeners = ["vxg_own"]
path = "/api/v3/{*rest}"
authenticate = "license"
endpoint = "vxg_tokens"
dialect = "vxg"

[[route]]
name = "own-usage"
listeners = ["securevideo", "securevideo_tls"]
path = "/account/usage"
methods = ["GET"]
authenticate = "api"
endpoint = "usage"
dialect = "message"
limits = ["hourly"]

[[route]]
name = "later"
listeners = ["securevideo", "securevideo_tls"]
path = "/recordings/{*rest}"
authenticate = "api"
not_implemented = true
dialect = "message"
"#;

/// A vendor's routes: name, path, who may use it, and what else the route says.
fn doors(vendor: Vendor) -> &'static [(&'static str, &'static str, &'static str, &'static str)] {
    match vendor {
        Vendor::Vxg => &[
            // One by one: below `/api/v2/` there is also the super-admin's `admin/`, which no licence key opens.
            ("v2-cameras", "/api/v2/cameras/", "license", ""),
            ("v2-camera", "/api/v2/cameras/{id}/{*rest}", "license or camera", "camera = { path = \"id\" }\n"),
            ("v2-storage", "/api/v2/storage/{*rest}", "license", ""),
            ("v2-account", "/api/v2/account/{*rest}", "license", ""),
            ("v2-echo", "/api/v2/echo/{*rest}", "license", ""),
            ("v3", "/api/v3/{*rest}", "license", ""),
            ("v4", "/api/v4/{*rest}", "camera", "max_body = \"1 MiB\"\n"),
            ("v4-source", "/api/v4/live/source/{*rest}", "camera", STREAMING),
            ("v4-filter", "/api/v4/meta/filter/", "camera", "scope = { write = [\"all\", \"watch\"] }\n"),
            ("v5", "/api/v5/{*rest}", "group", ""),
            ("v5-channel", "/api/v5/channels/{id}/{*rest}", "group", "camera = { path = \"id\" }\n"),
            ("docs", "/docs/{*rest}", "open", "methods = [\"GET\", \"HEAD\"]\n"),
        ],
        Vendor::SecureVideo => &[
            ("api", "/{*rest}", "api and here", SECUREVIDEO),
            // What browsers call.
            ("client", "/client/{*rest}", "page or api", "scope = { read = [\"client\"] }\ncase_sensitive = false\n"),
            // Nobody comes from there: what a customer sees whose address is not on the list.
            ("usage", "/usage", "api and elsewhere", "methods = [\"GET\", \"HEAD\"]\n"),
        ],
        Vendor::Voximplant => &[("api", "/platform_api/{*rest}", "service", "")],
        Vendor::CameraTag | Vendor::Multicam => &[],
    }
}

/// What a token with the access `streaming` is for.
const STREAMING: &str = "scope = { read = [\"all\", \"streaming\"], write = [\"all\"] }\n";

/// What holds for SecureVideo's API as a whole.
const SECUREVIDEO: &str = "content = \"json\"\nmask_errors = true\nlimits = [\"hourly\"]\n";

const SCHEMES: &str = r#"
[limit.hourly]
quota = "100000/hour"

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

[scheme.service.jwt]
"#;

/// Who is declared.
fn accounts(voximplant: &Voximplant) -> String {
    let Voximplant { account, child, key_id, .. } = voximplant;
    format!(
        "\n[[account]]\nid = \"{account}\"\n\
         service_account = [{{ id = \"{key_id}\", public_key = \"{PUBLIC_KEY}\" }}]\n\
         \n[[account]]\nid = \"{child}\"\nparent = \"{account}\"\n"
    )
}

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
        let warnings: Vec<String> = loaded.warnings.sentences().collect();
        assert!(warnings.is_empty(), "{warnings:?}");
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
