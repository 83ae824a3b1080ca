//! The routes of the demo: each vendor's to its made-up API, and those that the house keeps.

use crate::cli::demo::vendor::Vendor;

/// A vendor's routes: name, path, who may use it, and what else the route says.
pub(super) fn doors(vendor: Vendor) -> &'static [(&'static str, &'static str, &'static str, &'static str)] {
    match vendor {
        Vendor::Vxg => &[
            // One by one: below `/api/v2/` there is also the super-admin's `admin/`, which no license key opens.
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
        Vendor::CameraTag => &[
            ("publish", "/api/v16/cameras/{app}/assets/{asset}/publish.json", "publish", PUBLISH),
            ("asset", "/api/v16/assets/{asset}", "playback", PLAYBACK),
            ("media", "/assets/{*rest}", "playback", PLAYBACK),
            ("wall", "/api/v16/cameras/{app}/assets/wall.json", "open", WALL),
            ("rest", "/api/v16/{*rest}", "rest", ""),
        ],
        Vendor::Multicam => &[
            // As an installation is set up: a token, a key from version 10 on, an address, or an address and a token.
            ("application", "/api/application/{*rest}", "bearer", ""),
            ("v2", "/api/v2/{*rest}", "machine", ""),
            ("v1", "/api/v1/{*rest}", "here", ""),
            ("v3", "/api/v3/{*rest}", "elsewhere", ""),
            ("studio", "/api/studio/{*rest}", "elsewhere and bearer", ""),
        ],
        Vendor::Voximplant => &[
            ("method", "/platform_api/{method}", "service or legacy", METHOD),
            ("slash", "/platform_api/{method}/", "service or legacy", METHOD),
            ("command", "/platform_api", "service or legacy", "operation = { roles = \"vox\" }\n"),
        ],
    }
}

/// What a token with the access `streaming` is for.
const STREAMING: &str = "scope = { read = [\"all\", \"streaming\"], write = [\"all\"] }\n";

/// What holds for SecureVideo's API as a whole.
const SECUREVIDEO: &str = "content = \"json\"\nmask_errors = true\nlimits = [\"hourly\"]\n";

/// What a page publishes: signed by the app of the path, from a page of its hosts.
const PUBLISH: &str =
    "methods = [\"POST\"]\napp = { path = \"app\" }\nscope = { write = [\"publish\"] }\norigin = {}\n";

/// What a page plays.
const PLAYBACK: &str = "methods = [\"GET\", \"HEAD\"]\nscope = { read = [\"playback\"] }\n";

/// What everybody may see of an app's assets.
const WALL: &str = "methods = [\"GET\"]\napp = { path = \"app\" }\nwall = {}\n";

/// The operation decides.
const METHOD: &str = "operation = { path = \"method\", roles = \"vox\" }\nendpoint = \"voximplant_keys\"\n";

/// What the house answers itself, keeps for operators, or words otherwise than the rest of the vendor's API.
pub(super) const HOUSE: &str = r#"
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

[[route]]
name = "login"
listeners = ["multicam", "multicam_tls"]
path = "/Token"
case_sensitive = false
authenticate = "open"
limits = ["guessing"]
endpoint = "token"
dialect = "oauth"

[[route]]
name = "recordings"
listeners = ["voximplant", "voximplant_tls"]
path = "/recordings/{*rest}"
methods = ["GET", "HEAD"]
authenticate = "service"
roles = "basic"
forward = "voximplant"
dialect = "voximplant_http"

[[route]]
name = "logs"
listeners = ["voximplant", "voximplant_tls"]
path = "/logs/{*rest}"
methods = ["GET", "HEAD"]
authenticate = "service"
roles = ["Owner", "Developer", "Admin", "Supervisor", "Support"]
forward = "voximplant"
dialect = "voximplant_http"
"#;
