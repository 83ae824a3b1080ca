//! The file itself, while no gateway has it open: the admin API in this process, without a listener.

use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;

use axum::Router;
use tokio::runtime::Runtime;
use tower::Service;

use super::access::{Access, Kept};
use super::{Call, Operator, Trouble, runtime, take};
use crate::admin;
use crate::clock::Clock;
use crate::store::{Actor, Purpose, Store};

/// The admin API in this process.
pub(in crate::cli) struct Local {
    // Goes before the runtime: the store is let go when its last request is done.
    router: Router,
    actor: Actor,
    runtime: Runtime,
}

impl Local {
    /// Opens the store.
    pub(in crate::cli) fn open(access: Access) -> Result<Self, Trouble> {
        let Access { admin, store } = access;
        let Some(Kept { settings, master }) = store else {
            return Err(Trouble::plain(match admin {
                None => "the configuration has no [store]: there is nothing to manage".to_owned(),
                Some(admin) => format!("nobody listens at {}, and the configuration has no [store]", admin.address),
            }));
        };
        let clock = Clock::system();
        let path = settings.path.display();
        let store = Store::open(&settings, master, clock.clone(), Purpose::Serve).map_err(|unopened| {
            Trouble::plain(match (unopened.is_busy(), &admin) {
                (true, None) => format!(
                    "a gateway has the store `{path}` open: set [admin] in the configuration to manage it while it runs"
                ),
                (true, Some(admin)) => format!(
                    "another process has the store `{path}` open, and nobody listens at {}: if it is a gateway, it was started without this [admin]",
                    admin.address
                ),
                (false, _) if unopened.is_missing() => {
                    format!("there is no store at `{path}`: `vidgate store init` makes one")
                }
                (false, _) => format!("`{path}`: {unopened}"),
            })
        })?;
        Ok(Self { router: admin::router(store, clock), actor: actor(), runtime: runtime()? })
    }
}

/// Who runs this command.
fn actor() -> Actor {
    let user = fs::metadata("/proc/self").map_or_else(|_| "unknown".to_owned(), |process| process.uid().to_string());
    Actor(format!("local:{user}"))
}

impl Operator for Local {
    fn stream(&mut self, call: Call, sink: &mut dyn Write) -> Result<(), Trouble> {
        let mut request = call.into_request();
        request.extensions_mut().insert(self.actor.clone());
        let Self { router, runtime, .. } = self;
        runtime.block_on(async {
            let answer = match router.call(request).await {
                Ok(answer) => answer,
                Err(never) => match never {},
            };
            take(answer, sink).await
        })
    }
}

#[cfg(test)]
pub(in crate::cli) mod tests {
    use serde_json::json;

    use super::*;
    use crate::store::{Master, MasterKey, Settings};

    /// A folder with a store, and the ways to it.
    pub(in crate::cli) fn store() -> (tempfile::TempDir, impl Fn() -> Access) {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings { path: folder.path().join("store.redb"), cache: 1 << 20 };
        let key = MasterKey::random().to_text();
        let master = move || MasterKey::parse(key.expose()).unwrap();
        Store::create(&settings, &master()).unwrap();
        let access = move || Access {
            admin: None,
            store: Some(Kept { settings: settings.clone(), master: Master { key: master(), file: None } }),
        };
        (folder, access)
    }

    fn said(access: Access) -> String {
        match Local::open(access) {
            Ok(_) => panic!("it was opened"),
            Err(trouble) => trouble.sentences().join("\n"),
        }
    }

    #[test]
    fn who_runs_the_command_stands_in_the_trail() {
        let (folder, access) = store();
        let mut local = Local::open(access()).unwrap();
        local.call(Call::post(&["accounts"]).json(json!({ "id": "a" }))).unwrap();
        let trail = local.call(Call::get(&["audit"])).unwrap();
        let owner = fs::metadata(folder.path()).unwrap().uid();
        assert_eq!(trail["items"][0]["actor"], format!("local:{owner}"));
    }

    #[test]
    fn a_store_that_cannot_be_opened_is_one_plain_sentence() {
        assert_eq!(said(Access::default()), "the configuration has no [store]: there is nothing to manage");
        let (folder, access) = store();
        let path = folder.path().join("store.redb");
        let held = Local::open(access()).unwrap();
        assert!(said(access()).contains("set [admin] in the configuration to manage it while it runs"));
        drop(held);
        drop(Local::open(access()).unwrap());
        let mut other = access();
        other.store.as_mut().unwrap().master.key = MasterKey::random();
        assert!(said(other).contains("the master key does not open this store"));
        fs::remove_file(&path).unwrap();
        let missing = format!("there is no store at `{}`: `vidgate store init` makes one", path.display());
        assert_eq!(said(access()), missing);
    }
}
