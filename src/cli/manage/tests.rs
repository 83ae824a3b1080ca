use clap::Parser;
use serde_json::json;

use super::*;
use crate::cli::operator::recorder::Recorder;

#[derive(Debug, Parser)]
struct Line {
    #[command(subcommand)]
    managed: Managed,
}

fn parsed(line: &[&str]) -> Result<Managed, clap::Error> {
    Line::try_parse_from([&["vidgate"], line].concat()).map(|line| line.managed)
}

fn ran(line: &[&str], recorder: &mut Recorder) -> Result<String, Trouble> {
    let Managed { resource, verb, task, json, .. } = parsed(line).unwrap_or_else(|error| panic!("{line:?}: {error}"));
    let mut out = Vec::new();
    Errand { resource, verb, json, drawn: false }.run(task, recorder, &mut out)?;
    Ok(String::from_utf8(out).unwrap())
}

fn asked(line: &[&str]) -> (String, Vec<String>, Value) {
    let mut recorder = Recorder::default();
    ran(line, &mut recorder).unwrap();
    let asked = recorder.asked.remove(0);
    assert!(recorder.asked.is_empty(), "{line:?}");
    (asked.line, asked.headers, asked.body)
}

#[test]
fn flags_become_a_document() {
    for (line, request, body) in [
        (
            "license create --account alice --expires 2027-01-01T01:00:00+01:00 --meta a=b=c",
            "POST /v1/license-keys",
            json!({ "account": "alice", "expires": "2027-01-01T00:00:00Z", "metadata": { "a": "b=c" } }),
        ),
        (
            "account create --id a --quota-hour 5 --address ::1 --set quota.day=6",
            "POST /v1/accounts",
            json!({ "id": "a", "quota": { "hour": 5, "day": 6 }, "addresses": ["::1"] }),
        ),
        (
            "token create --camera c1 --scopes live,play",
            "POST /v1/tokens",
            json!({ "camera": "c1", "scopes": ["live", "play"] }),
        ),
        (
            "app create --public-key pk --authorized-host a.b --authorized-host c.d --legacy-200 true --wall white_list",
            "POST /v1/apps",
            json!({
                "public_key": "pk", "authorized_hosts": ["a.b", "c.d"], "legacy_200": true, "wall": "white_list",
            }),
        ),
        (
            "user change u1 --name Bob --unset expires --unset metadata.note",
            "PATCH /v1/users/u1",
            json!({ "name": "Bob", "expires": null, "metadata": { "note": null } }),
        ),
        ("client rotate c --overlap 24h", "POST /v1/api-clients/c/rotate", json!({ "overlap": "24h" })),
    ] {
        let line: Vec<&str> = line.split(' ').collect();
        assert_eq!(asked(&line), (request.to_owned(), Vec::new(), body), "{line:?}");
    }
}

#[test]
fn every_resource_goes_by_its_name_and_some_by_a_shorter_one() {
    for resource in Resource::ALL {
        assert_eq!(word(*resource), resource.name().replace('_', "-"));
        for name in [Some(word(*resource)), short(*resource)].into_iter().flatten() {
            let managed = parsed(&[name, "list"]).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(managed.resource, *resource, "{name}");
            assert!(Managed::has_subcommand(name), "{name}");
        }
    }
    for flag in ["--admin-certificate", "--admin-cert"] {
        let managed = parsed(&["account", "list", flag, "a.pem", "--admin-key", "a.key"]).unwrap();
        assert_eq!(managed.place.admin_certificate, Some("a.pem".into()), "{flag}");
    }
    let help = Managed::augment_subcommands(clap::Command::new("vidgate")).render_help().to_string();
    for name in ["license", "client", "group"] {
        assert!(help.contains(&format!("[alias: {name}]")), "{help}");
    }
}

#[test]
fn the_help_of_every_verb_says_what_it_does() {
    let outline = Managed::augment_subcommands(clap::Command::new("vidgate"));
    for resource in Resource::ALL {
        let managed = outline.find_subcommand(word(*resource)).unwrap();
        for verb in Verb::of(*resource) {
            let command = managed.find_subcommand(verb.name()).unwrap();
            let about = command.get_about().map(ToString::to_string);
            assert_eq!(about, Some(verb.about(*resource)), "{resource:?} {}", verb.name());
            assert!(command.get_long_about().is_none());
        }
    }
}

#[test]
fn what_needs_no_document_sends_none() {
    for (line, request, header) in [
        ("group show my/group", "GET /v1/camera-groups/my%2Fgroup", None),
        ("camera disable c --revision 9", "POST /v1/cameras/c/disable", Some("if-match: \"9\"")),
        ("camera enable c", "POST /v1/cameras/c/enable", None),
        ("bearer-token delete b --yes --revision 1", "DELETE /v1/bearer-tokens/b", Some("if-match: \"1\"")),
        (
            "service-account list --account a&b --status expired --limit 5",
            "GET /v1/service-accounts?limit=5&account=a%26b&status=expired",
            None,
        ),
        ("license list", "GET /v1/license-keys?limit=1000", None),
    ] {
        let line: Vec<&str> = line.split(' ').collect();
        let headers = header.map(str::to_owned).into_iter().collect();
        assert_eq!(asked(&line), (request.to_owned(), headers, Value::Null), "{line:?}");
    }
    let (_, headers, _) = asked(&["camera", "create", "--account", "a", "--idempotency-key", "k1"]);
    assert_eq!(headers, ["idempotency-key: k1"]);
}

#[test]
fn keys_and_secrets_come_from_files() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (secret, key) = (file("secret", "s3cret\n"), file("key.pem", "-----BEGIN PUBLIC KEY-----\n"));
    let (_, _, body) = asked(&["license", "create", "--account", "a", "--secret-file", &secret]);
    assert_eq!(body, json!({ "account": "a", "key": "s3cret" }));
    let (_, _, body) = asked(&["client", "rotate", "a", "--secret-file", &secret]);
    assert_eq!(body, json!({ "secret": "s3cret" }));
    let pem = "-----BEGIN PUBLIC KEY-----\n";
    let (_, _, body) = asked(&["service-account", "create", "--account", "a", "--public-key", &key, "--role", "r"]);
    assert_eq!(body, json!({ "account": "a", "public_key": pem, "roles": ["r"] }));
    let (line, _, body) = asked(&["service-account", "rotate", "k1", "--id", "k2", "--public-key", &key]);
    assert_eq!(
        (line.as_str(), body),
        ("POST /v1/service-accounts/k1/rotate", json!({ "id": "k2", "public_key": pem }))
    );
    let Err(Trouble::Plain(said)) =
        ran(&["license", "create", "--account", "a", "--secret-file", "/no/such"], &mut Recorder::default())
    else {
        panic!("there is no such file")
    };
    assert!(said[0].starts_with("cannot read `/no/such`: "), "{said:?}");
}

#[test]
fn what_makes_no_sense_is_a_mistake_of_usage() {
    for line in [
        &["license", "create", "--expires", "tomorrow"][..],
        &["license", "create", "--secret", "in-clear"],
        &["license", "create", "--meta", "x"],
        &["license", "change", "l1"],
        &["license", "change", "l1", "--account", "b"],
        &["license", "show"],
        &["license", "list", "--status", "good"],
        &["token", "change", "t", "--camera", "c2"],
        &["camera", "rotate", "c"],
        &["account", "create", "--account", "a"],
        &["account", "create", "--quota-hour", "many"],
        &["service-account", "rotate", "k1"],
        &["license", "list", "--admin-cert", "a.pem"],
        &["license"],
    ] {
        assert_eq!(parsed(line).expect_err("wrong usage").exit_code(), 2, "{line:?}");
    }
}

#[test]
fn a_secret_is_shown_once_with_a_note() {
    let answer = json!({ "id": "l1", "revision": 1, "key": "vgl_x_y", "versions": [{ "number": 1 }] });
    let line = ["license", "create", "--account", "a"];
    let text = ran(&line, &mut Recorder::answering([(201, answer.clone())])).unwrap();
    assert_eq!(text, "created license key `l1` (revision 1)\nkey: vgl_x_y\nIt is shown this once: keep it now.\n");
    let text = ran(&[&line[..], &["--json"]].concat(), &mut Recorder::answering([(201, answer.clone())])).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), answer);
    let rotated = json!({
        "id": "l1", "revision": 2, "key": "vgl_z_y",
        "versions": [{ "number": 2 }, { "number": 1, "expires": "2026-01-02T00:00:00Z" }],
    });
    let text = ran(&["license", "rotate", "l1"], &mut Recorder::answering([(200, rotated.clone())])).unwrap();
    assert!(text.contains("The one before is good until 2026-01-02T00:00:00Z.\nkey: vgl_z_y\n"), "{text}");
    // What lets nobody in is not called good.
    for (status, remedy) in [
        (
            "expired",
            "It has expired (2020-01-01T00:00:00Z) and lets nobody in until it has another end: vidgate license-key change l1",
        ),
        ("disabled", "It is disabled and lets nobody in: vidgate license-key enable l1"),
    ] {
        let mut rotated = rotated.clone();
        (rotated["status"], rotated["expires"]) = (status.into(), "2020-01-01T00:00:00Z".into());
        let text = ran(&["license", "rotate", "l1"], &mut Recorder::answering([(200, rotated)])).unwrap();
        assert!(text.contains(remedy) && !text.contains("good until"), "{text}");
    }
}

#[test]
fn a_table_has_the_columns_that_say_something() {
    let item =
        |id: &str, name: &str| json!({ "id": id, "name": name, "account": "a", "status": "active", "scopes": ["all"] });
    let page = json!({ "items": [item("t1", "one\u{1b}[2J"), item("t2", "two")] });
    let text = ran(&["token", "list"], &mut Recorder::answering([(200, page)])).unwrap();
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["ID", "NAME", "ACCOUNT", "SCOPES", "STATUS"]);
    assert_eq!(lines[1], ["t1", "one\\u{1b}[2J", "a", "all", "active"]);
    assert_eq!(lines.len(), 3);
    let text = ran(&["token", "list"], &mut Recorder::answering([(200, json!({ "items": [] }))])).unwrap();
    assert_eq!(text, "There is no token here.\n");
}

#[test]
fn a_list_goes_on_to_its_last_page() {
    let pages = [
        (200, json!({ "items": [{ "id": "a" }, { "id": "b" }], "next": "b2" })),
        (200, json!({ "items": [{ "id": "c" }] })),
    ];
    let mut recorder = Recorder::answering(pages);
    let text = ran(&["camera", "list", "--json"], &mut recorder).unwrap();
    assert_eq!(text, "{\"id\":\"a\"}\n{\"id\":\"b\"}\n{\"id\":\"c\"}\n");
    assert_eq!(recorder.asked[1].line, "GET /v1/cameras?limit=1000&after=b2");
}

#[test]
fn a_card_says_everything() {
    let entry = json!({
        "revision": 3, "id": "a", "quota": { "hour": 5 }, "metadata": { "note": "x" }, "addresses": [],
        "versions": [{ "number": 1, "created": "2026-01-01T00:00:00Z" }],
    });
    let text = ran(&["account", "show", "a"], &mut Recorder::answering([(200, entry)])).unwrap();
    let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["id", "a"]);
    assert!(rows.contains(&vec!["quota.hour", "5"]) && rows.contains(&vec!["metadata.note", "x"]), "{text}");
    assert_eq!(rows.last().unwrap(), &["revision", "3"]);
}

#[test]
fn a_refusal_says_each_fault() {
    let problem = json!({ "title": "x", "errors": [{ "field": "quota.hour", "detail": "wrong" }, { "field": "name", "detail": "taken" }] });
    let refused = ran(&["account", "create"], &mut Recorder::answering([(422, problem)]));
    let Err(Trouble::Refused(problem)) = refused else { panic!("{refused:?}") };
    assert_eq!(problem.sentences(), ["`quota.hour`: wrong", "`name`: taken"]);
}

#[test]
fn what_was_deleted_is_named() {
    let text = ran(&["camera", "delete", "c"], &mut Recorder::answering([(204, Value::Null)])).unwrap();
    assert_eq!(text, "deleted camera `c`\n");
}

/// What a line of arguments, split at spaces, says to the operator.
fn done(line: &str, operator: &mut dyn Operator) -> Result<String, Vec<String>> {
    let line: Vec<&str> = line.split(' ').collect();
    let Managed { resource, verb, task, json, .. } = parsed(&line).unwrap_or_else(|error| panic!("{line:?}: {error}"));
    let mut out = Vec::new();
    let errand = Errand { resource, verb, json, drawn: false };
    errand.run(task, operator, &mut out).map_err(Trouble::sentences)?;
    Ok(String::from_utf8(out).unwrap())
}

#[test]
fn a_license_key_goes_through_its_life_in_a_store() {
    let (folder, mut local) = crate::cli::operator::local_tests::local();
    let mut document = |line: &str| -> Value { serde_json::from_str(&done(line, &mut local).unwrap()).unwrap() };
    document("account create --id alice --quota-hour 5 --meta note=x --json");
    let made = document("license create --account alice --id l1 --name first --json");
    let key = made["key"].as_str().unwrap().to_owned();
    assert!(key.starts_with("vgl_"));
    assert_eq!(document("license show first --json")["id"], "l1");
    let secret = folder.path().join("upstream.txt");
    std::fs::write(&secret, "Bearer of-alice\n").unwrap();
    let given = format!("account change alice --upstream-credential-file {} --json", secret.display());
    let changed = document(&given);
    assert!(changed["versions"][0]["number"] == 1 && !changed.to_string().contains("of-alice"), "{changed}");
    assert_eq!(document("account change alice --unset upstream_credential --json")["versions"], Value::Null);

    let changed = document("license change l1 --expires 2999-01-01T00:00:00Z --revision 1 --json");
    assert_eq!((&changed["revision"], &changed["expires"]), (&json!(2), &json!("2999-01-01T00:00:00Z")));
    let rotated = document("license rotate l1 --overlap 24h --json");
    assert_ne!(rotated["key"], key.as_str());
    assert!(rotated["versions"][1]["expires"].is_string(), "{rotated}");
    assert_eq!(document("license disable l1 --json")["status"], "disabled");
    assert_eq!(document("license enable l1 --json")["status"], "active");

    let table = done("license list", &mut local).unwrap();
    assert!(table.contains("l1") && table.contains("first") && !table.contains("vgl_"), "{table}");
    let stale = done("license delete l1 --revision 1", &mut local).unwrap_err();
    assert!(stale[0].contains("it has been changed since"), "{stale:?}");
    let needed = done("account delete alice", &mut local).unwrap_err();
    assert!(needed[0].contains("is still needed by the license key `l1`"), "{needed:?}");
    assert_eq!(done("license delete l1", &mut local).unwrap(), "deleted license key `l1`\n");
    assert_eq!(done("license show l1", &mut local).unwrap_err().len(), 1);
}

#[test]
fn every_resource_can_be_made_as_its_example_says() {
    let (folder, mut local) = crate::cli::operator::local_tests::local();
    let key = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/keys/rsa2048.pem");
    let secret = folder.path().join("secret.txt");
    std::fs::write(&secret, "a-secret-of-alice\n").unwrap();
    // Those that others refer to by an id that their examples leave to the house.
    let first = ["account create --id alice", "camera create --id cam1 --account alice"];
    let more = ["camera create --id cam2 --account alice", "user create --id bob --account alice --login bobby"];
    for line in first.into_iter().chain(more) {
        done(line, &mut local).unwrap();
    }
    for resource in Resource::ALL {
        let options = sample(*resource).replace("'Alice Ltd'", "Alice").replace("'Front door'", "Front");
        let options = options.replace("key.pem", key).replace("secret.txt", secret.to_str().unwrap());
        let options = options.replace("--id alice ", "--id alice2 ").replace("--id cam1", "--id cam3");
        let line = format!("{} create {options}", word(*resource));
        let said = done(&line, &mut local).unwrap_or_else(|faults| panic!("{line}: {faults:?}"));
        assert!(said.starts_with("created "), "{said}");
    }
}
