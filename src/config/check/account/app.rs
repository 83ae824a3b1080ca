//! `[[account.app]]`, as meant.

use super::{Register, named};
use crate::config::check::secret;
use crate::config::file::{self, OwnApp};
use crate::record::{App, Attributes, Hosts, Kind, Signer};

impl Register<'_> {
    /// An app is found by its public key, and by its id.
    pub(super) fn app(&mut self, written: &OwnApp) {
        let secret = secret(&written.secret, self.source, self.report);
        let hosts = written.authorized_hosts.as_ref().map(|hosts| (&hosts.place, Hosts::new(&hosts.value)));
        let hosts = match hosts {
            // None at all is any, as the vendor has it.
            None => Some(Hosts::default()),
            Some((_, Ok(hosts))) => Some(hosts),
            Some((place, Err(invalid))) => {
                self.report.error(place.clone(), invalid);
                None
            }
        };
        let record = self.record(Kind::App, &written.id, &written.moments());
        let (Some(record), Some(secret), Some(hosts)) = (record, secret, hosts) else { return };
        for key in [Some(&written.public_key), written.api_key.as_ref()].into_iter().flatten() {
            if let Err(invalid) = App::check_public_key(&key.value) {
                return self.report.error(key.place.clone(), invalid);
            }
        }
        if let Err(invalid) = App::check_secret(&secret) {
            return self.report.error(written.secret.place.clone(), invalid);
        }
        let file::Signatures { publish, playback, expiration_only } = written.signatures;
        let app = App {
            public_key: written.api_key.as_ref().unwrap_or(&written.public_key).value.as_str().into(),
            signers: [Signer::new(&secret, None)].into(),
            hosts,
            publish,
            playback,
            expiration_only,
            wall: written.wall,
            legacy_200: written.legacy_200,
            cross_origin: written.cross_origin,
        };
        if written.id.value != written.public_key.value {
            let by_id = record.twin(Attributes::App(Box::new(app.clone())));
            self.insert(by_id, named(&written.id), &written.id.place);
        }
        let by_key = record.twin(Attributes::App(Box::new(app)));
        self.insert(by_key, named(&written.public_key), &written.public_key.place);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::clock::UnixTime;
    use crate::config::Installed;
    use crate::config::check::account;
    use crate::config::file;
    use crate::config::report::Report;
    use crate::config::source::Source;
    use crate::record::{App, Attributes, Directory, Kind, Wall};
    use crate::store::Index;

    const REST: &str = r#"
[listener.public]
address = "127.0.0.1:0"
[upstream.api]
endpoints = ["http://10.0.0.5"]
[[route]]
name = "all"
path = "/{*rest}"
authenticate = "open"
forward = "api"
[[account]]
id = "studio"
"#;

    /// Declares these apps; gives the errors, each behind its place, and who is found.
    fn declared(apps: &[&str]) -> (Vec<String>, Index) {
        let text = apps.iter().fold(REST.to_owned(), |text, app| text + "[[account.app]]\n" + app + "\n");
        let mut report = Report::new("vidgate.toml", &text);
        let file = file::read(&text, &mut report).unwrap();
        let declared = account::accounts(&file.accounts, &Source::new(Path::new("")), &mut report);
        let index = Index::new();
        declared.install(&index, &Installed::default(), &mut report);
        let errors = report.sentences().filter(|sentence| !sentence.contains("in clear"));
        (errors.map(|error| error.splitn(4, ':').nth(3).unwrap().trim().to_owned()).collect(), index)
    }

    fn with(index: &Index, text: &str, look: impl Fn(&App)) {
        let record = index.look_up(Kind::App, text.as_bytes()).unwrap();
        assert_eq!((record.id(), record.subject(), &*record.account.id.0), ("a", "app:a", "studio"));
        let Attributes::App(app) = &record.attributes else { panic!("an app") };
        look(app);
    }

    #[test]
    fn an_app_is_found_by_its_id_and_by_its_public_key() {
        let app = r#"
            id = "a"
            public_key = "123-456-789"
            secret = "ct-secret-0001"
            authorized_hosts = ["mysite.com"]
            signatures = { playback = true, expiration_only = true }
            wall = "black_list"
            cross_origin = true
        "#;
        let (errors, index) = declared(&[app]);
        assert_eq!((errors, index.len()), (Vec::new(), 2));
        for text in ["a", "123-456-789"] {
            with(&index, text, |app| {
                assert_eq!((&*app.public_key, app.wall), ("123-456-789", Wall::BlackList));
                assert_eq!(app.hosts.iter().collect::<Vec<_>>(), ["mysite.com"]);
                let App { publish, playback, expiration_only, legacy_200, cross_origin, .. } = *app;
                assert_eq!(
                    [publish, playback, expiration_only, legacy_200, cross_origin],
                    [false, true, true, false, true]
                );
                // By `openssl dgst -sha1 -hmac ct-secret-0001`.
                let tag = app.signers[0].sign(br#"{"api_key":"123-456-789","expiration":4102444800}"#);
                assert_eq!(tag[..4], [0xa6, 0x27, 0x8a, 0x41]);
                assert!(app.signers[0].is_good(UnixTime(u64::MAX)));
            });
        }
        let shared = ["a", "b"]
            .map(|id| format!("id = \"{id}\"\npublic_key = \"{id}\"\napi_key = \"123\"\nsecret = \"ct-secret-0001\""));
        let (errors, index) = declared(&[&shared[0], &shared[1]]);
        assert!(errors.is_empty(), "{errors:?}");
        for id in ["a", "b"] {
            let record = index.look_up(Kind::App, id.as_bytes()).unwrap();
            assert_eq!(&*record.attributes.app().unwrap().public_key, "123");
        }
        assert!(index.look_up(Kind::App, b"123").is_none());
        let (errors, index) = declared(&["id = \"a\"\npublic_key = \"a\"\nsecret = \"ct-secret-0001\""]);
        assert_eq!((errors, index.len()), (Vec::new(), 1));
        with(&index, "a", |app| assert!(app.hosts.is_empty() && !app.publish && app.wall == Wall::None));
    }

    #[test]
    fn what_is_wrong_with_an_app_is_said_and_it_is_not_there() {
        let app = |id: &str, key: &str, secret: &str, hosts: &str| {
            format!("id = \"{id}\"\npublic_key = \"{key}\"\nsecret = \"{secret}\"\nauthorized_hosts = [{hosts}]")
        };
        let good = app("a", "key-of-a", "ct-secret-0001", "");
        for (what, second, expected) in [
            ("key", app("b", "", "ct-secret-0001", ""), "a public key is 1 to 128 visible ASCII characters"),
            ("blank", app("b", "a b", "ct-secret-0001", ""), "a public key is 1 to 128 visible ASCII characters"),
            ("secret", app("b", "b", "short", ""), "a secret that signs has 8 to 1024 bytes"),
            ("host", app("b", "b", "ct-secret-0001", "\"http://c.d\""), "`http://c.d` is not the name of a host"),
            ("its key", app("b", "key-of-a", "ct-secret-0002", ""), "the app `a` has the same id or public key"),
            ("its id as a key", app("b", "a", "ct-secret-0002", ""), "the app `a` has the same id or public key"),
            (
                "its key as an id",
                app("key-of-a", "b", "ct-secret-0002", ""),
                "the app `a` has the same id or public key",
            ),
            ("its id", app("a", "b", "ct-secret-0002", ""), "a second app is called `a`"),
        ] {
            let (errors, _) = declared(&[&good, &second]);
            assert!(errors.iter().any(|error| error.starts_with(expected)), "{what}: {errors:?}");
        }
    }
}
