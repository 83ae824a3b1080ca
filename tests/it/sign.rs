//! `vidgate sign`: the line that it prints, run as a person would, opens the gateway that knows the credential.

use std::process::Command;

use vidgate::clock::Clock;

use crate::house::TestGateway;
use crate::processes;
use crate::upstream::Upstream;

const KEY: &str = "vxg-lab-secret";
const SECRET: &str = "99176b1d:244c'484 ed65";

fn configuration(upstream: &Upstream, sharing: &str) -> String {
    let route = |name: &str, path: &str, who: &str| {
        format!("[[route]]\nname = \"{name}\"\npath = \"{path}\"\nauthenticate = \"{who}\"\nforward = \"api\"\n")
    };
    let routes = route("v4", "/api/v4/{*rest}", "camera")
        + &route("v5", "/api/v5/{*rest}", "group")
        + &route("user", "/user", "api");
    format!(
        r#"
[listener.public]
address = "127.0.0.1:0"

[upstream.api]
endpoints = ["http://{}"]

[scheme.camera.acc]
query = true
verification_key = "{KEY}"
[scheme.group.si]
verification_key = "{KEY}"
[scheme.api.basic]
tls_only = false

[[account]]
id = "acme"
camera = [{{ id = "248527", tokens = ["{sharing}"] }}]
camera_group = [{{ id = "18", cameras = ["248527"], tokens = ["{sharing}"] }}]
api_client = [{{ id = "clinic", secret = "{SECRET}" }}]

{routes}
"#,
        upstream.address()
    )
}

/// What `vidgate sign` prints for these words, with `input` at its standard input.
fn sign(words: &[&str], input: &str) -> String {
    let output = processes::fed(Command::new(env!("CARGO_BIN_EXE_vidgate")).arg("sign").args(words), input);
    assert!(output.status.success(), "{words:?}");
    String::from_utf8(output.stdout).expect("it is text")
}

/// Runs the last line of what was printed in a shell, and says the first line of the answer.
fn pasted(printed: &str) -> String {
    let line = printed.lines().last().expect("a line for curl");
    assert!(line.starts_with("curl "), "{printed}");
    let output = processes::run(Command::new("sh").args(["-c", line]).env("NO_PROXY", "*"));
    String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().to_owned()
}

#[test]
fn the_printed_lines_open_the_gateway() {
    let upstream = Upstream::start();
    let sharing = sign(&["share", "--key-file", "-", "--si", "235639", "--lifetime", "30d"], KEY);
    let sharing = sharing.trim();
    let toml = configuration(&upstream, sharing);
    let gateway = TestGateway::start_at(Clock::system().unix(), &toml, ".".as_ref(), 1);
    let url = |path: &str| format!("http://{}{path}", gateway.address("public"));
    let (watch, channels, user) = (url("/api/v4/live/watch/?a=b"), url("/api/v5/channels/"), url("/user?a=b&c=d"));
    for (words, input, status) in [
        (&["acc", "--token", sharing, "--camera", "248527", "--url", &watch][..], "", 200),
        (&["acc", "--token", "-", "--url", &watch], sharing, 200),
        (&["acc", "--token", sharing, "--camera", "1", "--url", &watch], "", 403),
        (&["si", "--token", "-", "--url", &channels], sharing, 200),
        (&["basic", "--id", "clinic", "--secret-file", "-", "--url", &user], SECRET, 200),
        (&["basic", "--id", "clinic", "--secret-file", "-", "--url", &user], "another", 401),
    ] {
        let answer = pasted(&sign(words, input));
        assert!(answer.contains(&format!(" {status} ")), "{words:?}: {answer}");
    }
    assert_eq!(upstream.seen().len(), 4);
}
