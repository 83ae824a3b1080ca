//! Each rule has a file in `tests/fixtures/lint/` that breaks it and nothing else. Behind `#!` stands what mends a line: with
//! that in the place of it, nothing is found.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType, IsCa, KeyIdMethod,
    KeyPair, SerialNumber, date_time_ymd,
};

use crate::clock::{Clock, UnixTime};
use crate::config::rules::RULES;
use crate::config::{Report, load_text};
use crate::store::{MasterKey, Purpose, Settings, Store};

/// A folder with all that the files name.
struct Ground(tempfile::TempDir);

impl Ground {
    fn new() -> Self {
        let ground = Self(tempfile::tempdir().unwrap());
        let (keys, base) = (ground.0.path().join("keys"), ground.base());
        fs::create_dir(&keys).unwrap();
        fs::create_dir(&base).unwrap();
        for entry in fs::read_dir(here("tests/fixtures/keys")).unwrap() {
            let path = entry.unwrap().path();
            fs::copy(&path, keys.join(path.file_name().unwrap())).unwrap();
        }
        authority(&keys);
        soon(&keys);
        fs::write(keys.join("closed.txt"), "a-secret-of-many-letters").unwrap();
        let master = MasterKey::random();
        fs::write(base.join("master.key"), master.to_text().expose()).unwrap();
        Store::create(&Settings { path: base.join("vidgate.redb"), cache: 1 << 20 }, &master).unwrap();
        let files = fs::read_dir(&keys).unwrap().chain(fs::read_dir(&base).unwrap());
        files.for_each(|entry| fs::set_permissions(entry.unwrap().path(), Permissions::from_mode(0o600)).unwrap());
        fs::write(keys.join("open.txt"), "a-secret-of-many-letters").unwrap();
        fs::set_permissions(keys.join("open.txt"), Permissions::from_mode(0o644)).unwrap();
        ground
    }

    fn base(&self) -> PathBuf {
        self.0.path().join("lint")
    }

    fn look(&self, name: &str, text: &str) -> Report {
        load_text(name, text, &self.base(), Purpose::Look).unwrap_or_else(|report| panic!("{report}")).warnings
    }
}

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// An authority of client certificates, with a list on which nobody is.
fn authority(keys: &Path) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "test authority");
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let list = CertificateRevocationListParams {
        this_update: date_time_ymd(2024, 12, 15),
        next_update: date_time_ymd(4000, 1, 1),
        crl_number: SerialNumber::from(1),
        issuing_distribution_point: None,
        revoked_certs: Vec::new(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    fs::write(keys.join("ca.pem"), issuer.pem()).unwrap();
    fs::write(keys.join("ca.crl"), list.signed_by(&issuer).unwrap().pem().unwrap()).unwrap();
}

/// A certificate that is good for some days still.
fn soon(keys: &Path) {
    let end = UnixTime(Clock::system().unix().0 + 6 * 24 * 3600).to_text();
    let date: Vec<u16> = end[..10].split('-').map(|part| part.parse().unwrap()).collect();
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.not_after = date_time_ymd(date[0].into(), date[1].try_into().unwrap(), date[2].try_into().unwrap());
    let key = KeyPair::generate().unwrap();
    fs::write(keys.join("soon.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
    fs::write(keys.join("soon.key"), key.serialize_pem()).unwrap();
}

/// The files by the rule that each breaks; `rule.more.toml` breaks it in another way.
fn fixtures() -> Vec<(String, String, String)> {
    let paths = fs::read_dir(here("tests/fixtures/lint")).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name.split('.').next().unwrap().to_owned(), name, fs::read_to_string(path).unwrap())
        })
        .collect();
    files.sort();
    files
}

/// Every line with `#!` in the way that mends it, or without that.
fn variant(text: &str, mended: bool) -> String {
    let lines = text.lines().map(|line| match line.split_once("#!") {
        Some((_, mend)) if mended => mend.trim_start(),
        Some((written, _)) => written.trim_end(),
        None => line,
    });
    lines.collect::<Vec<_>>().join("\n") + "\n"
}

#[test]
fn every_rule_is_broken_by_its_file_and_by_nothing_else_and_followed_once_that_is_mended() {
    let ground = Ground::new();
    let (mut told, mut wrong) = (String::new(), Vec::new());
    for (rule, name, text) in fixtures() {
        let report = ground.look(&name, &variant(&text, false));
        let found: Vec<_> = report.findings().map(|finding| finding.rule.map_or("", |rule| rule.id)).collect();
        if found.is_empty() || found.iter().any(|found| *found != rule) {
            wrong.push(format!("{name}: {found:?}"));
        }
        for finding in report.findings() {
            let (line, column) = finding.place.unwrap_or_default();
            let hint = finding.hint.unwrap_or_default();
            writeln!(told, "{name}:{line}:{column}: {}; {hint}", finding.message).unwrap();
        }
        let mended = ground.look(&name, &variant(&text, true));
        if !mended.is_empty() {
            wrong.push(format!("{name}, mended\n{mended}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let told = without_dates(&told);
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(here("tests/fixtures/lint"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!("findings", told));
}

/// The same tomorrow: an end that moves with today is left out.
fn without_dates(told: &str) -> String {
    let lines = told.lines().map(|line| match line.split_once(" in 5 days, on ") {
        Some((before, rest)) => format!("{before} soon{}", &rest[20..]),
        None => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn every_rule_has_a_file() {
    let mut broken: BTreeSet<String> = fixtures().into_iter().map(|(rule, ..)| rule).collect();
    // No file brings this one about, but another vidgate (`config/check/store/tests.rs`).
    broken.insert("store-in-use".to_owned());
    let rules: BTreeSet<String> = RULES.iter().map(|rule| rule.id.to_owned()).collect();
    assert_eq!(broken, rules);
    assert_eq!(rules.len(), RULES.len(), "an id is one rule's");
}

#[test]
fn what_is_meant_to_be_so_is_not_found_there_and_only_there() {
    let ground = Ground::new();
    let text = "[listener.public]\naddress = \"127.0.0.1:0\"\n[upstream.vms]\nendpoints = [\"http://127.0.0.1:1\"]\n\
                [[route]]\nname = \"a\"\npath = \"/a\"\nmethods = [\"GET\"]\nauthenticate = \"open\"\nforward = \"vms\"\n\
                [[route]]\nname = \"b\"\npath = \"/b\"\nmethods = [\"GET\"]\nauthenticate = \"open\"\nforward = \"vms\"\n";
    let found = |allow: &str| {
        let report = ground.look("vidgate.toml", &format!("{text}[lint]\nallow = {allow}\n"));
        let told = |finding: crate::config::Finding<'_>| {
            format!("{} {}", finding.rule.map_or("", |rule| rule.id), finding.route.unwrap_or_default())
        };
        report.findings().map(told).collect::<Vec<_>>()
    };
    assert_eq!(found("[]"), ["open-route a", "open-route b"]);
    assert_eq!(found("[{ rule = \"open-route\", route = \"a\" }]"), ["open-route b"]);
    assert!(found("[\"open-route\"]").is_empty());
    assert_eq!(found("[\"open-route\", \"open-write\"]"), ["unneeded-allow "]);
    let wrong = format!("{text}[lint]\nallow = [\"open-rute\", {{ rule = \"open-route\", route = \"c\" }}, 7]\n");
    let report = load_text("vidgate.toml", &wrong.replace(", 7", ""), &ground.base(), Purpose::Look).unwrap_err();
    let drawn = report.to_string();
    assert!(drawn.contains("there is no rule `open-rute`") && drawn.contains("did you mean `open-route`?"), "{drawn}");
    assert!(drawn.contains("there is no route called `c`"), "{drawn}");
}

#[test]
fn what_comes_with_vidgate_is_clean() {
    let ground = Ground::new();
    let files = [
        ("tls/cert.pem", "../keys/server.pem"),
        ("tls/key.pem", "../keys/server.key"),
        ("tls/ops.pem", "../keys/ca.pem"),
        ("tls/ops.crl", "../keys/ca.crl"),
        ("\"admin.token\"", "\"../keys/closed.txt\""),
        ("\"cameratag.key\"", "\"../keys/closed.txt\""),
        ("\"multicam.key\"", "\"../keys/pair.key\""),
        ("{ env = \"ACME_LICENSE_KEY\" }", "{ file = \"../keys/closed.txt\" }"),
    ];
    let pair = ground.0.path().join("keys/pair.key");
    fs::copy(here("tests/vectors/token/pair.key"), &pair).unwrap();
    fs::set_permissions(&pair, Permissions::from_mode(0o600)).unwrap();
    let recipes = fs::read_dir(here("config/recipes")).unwrap().map(|entry| entry.unwrap().path());
    let recipes = recipes.filter(|path| path.extension().is_some_and(|extension| extension == "toml"));
    for path in recipes.chain([here("config/recipes/decide/vidgate.toml"), here("config/minimal.toml")]) {
        let text = fs::read_to_string(&path).unwrap();
        let text = files.iter().fold(text, |text, (from, to)| text.replace(from, to));
        let report = ground.look(&path.display().to_string(), &text);
        assert!(report.is_empty(), "{report}");
    }
}
