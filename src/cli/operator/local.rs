//! The file itself, while no gateway has it open: the admin API in this process, without a listener.

use std::fs::{self, File, TryLockError};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use axum::Router;
use tokio::runtime::Runtime;
use tower::Service;

use super::{Call, Operator, Trouble, runtime, take};
use crate::admin::{self, Counters};
use crate::clock::Clock;
use crate::config::{self, Ways};
use crate::limit::Policy;
use crate::store::{Actor, Purpose, Store};

/// The admin API in this process.
pub(in crate::cli) struct Local {
    // Goes before the runtime: the store is let go when its last request is done.
    router: Router,
    actor: Actor,
    runtime: Runtime,
}

impl Local {
    /// Opens the store that the configuration at `path` names; what is declared there cannot be made in it.
    pub(super) fn open(path: &Path, ways: &Ways) -> Result<Self, Trouble> {
        let Some(file) = &ways.store else {
            return Err(Trouble::plain(match &ways.admin {
                None => "the configuration has no [store], so that there is nothing to manage, and no [admin], which needs one, so \
                         that no gateway can be asked"
                    .to_owned(),
                Some(admin) => format!("nobody listens at {}, and the configuration has no [store]", admin.address),
            }));
        };
        let loaded = config::load(path, Purpose::Serve).map_err(|report| {
            if is_taken(file) { busy(file, ways) } else { Trouble::Configuration(report.render(true)) }
        })?;
        let sound = loaded.store.ok_or_else(|| busy(file, ways))?;
        let clock = Clock::system();
        let store = sound.start(clock.clone());
        let store = store.map_err(|error| Trouble::plain(format!("`{}`: {error}", file.display())))?;
        Self::over(store, clock, &loaded.world.limits)
    }

    /// Manages a store that is open.
    fn over(store: Store, clock: Clock, policies: &[Policy]) -> Result<Self, Trouble> {
        let counters =
            Counters::at_rest(&store, &clock, policies).map_err(|unreadable| Trouble::plain(unreadable.to_string()))?;
        Ok(Self { router: admin::router(store, counters, clock), actor: actor(), runtime: runtime()? })
    }
}

/// Whether another process has the file open. Only asked when it could not be opened here, so that nobody who is just
/// about to open it is kept out.
fn is_taken(file: &Path) -> bool {
    File::open(file).is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

fn busy(file: &Path, ways: &Ways) -> Trouble {
    let file = file.display();
    Trouble::plain(match &ways.admin {
        None => {
            format!(
                "a gateway has the store `{file}` open: set [admin] in the configuration to manage it while it runs"
            )
        }
        Some(admin) => {
            let address = admin.address;
            format!("another process has the store `{file}` open, and nobody listens at {address} to manage it there")
        }
    })
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

    const REST: &str = "
        [listener.public]
        address = \"127.0.0.1:1\"
        [upstream.api]
        endpoints = [\"http://127.0.0.1:2\"]
        [scheme.license.lkey]
        [[route]]
        name = \"all\"
        path = \"/{*rest}\"
        authenticate = \"license\"
        forward = \"api\"
    ";

    /// A folder with a configuration and the store that it names.
    fn folder() -> (tempfile::TempDir, MasterKey) {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings { path: folder.path().join("store.redb"), cache: 1 << 20 };
        let key = MasterKey::random();
        Store::create(&settings, &key).unwrap();
        fs::write(folder.path().join("master.key"), key.to_text().expose()).unwrap();
        let store = "[store]\npath = \"store.redb\"\nmaster_key = { file = \"master.key\" }";
        fs::write(folder.path().join("vidgate.toml"), format!("{store}\n{REST}")).unwrap();
        (folder, key)
    }

    fn opened(folder: &tempfile::TempDir) -> Result<Local, String> {
        let path = folder.path().join("vidgate.toml");
        let ways = config::ways(&path).unwrap();
        Local::open(&path, &ways).map_err(|trouble| match trouble {
            Trouble::Configuration(drawn) => drawn,
            Trouble::Plain(_) | Trouble::Refused(_) | Trouble::LeftAlone => trouble.sentences().join("\n"),
        })
    }

    /// An open store in a folder of its own.
    pub(in crate::cli) fn store() -> (tempfile::TempDir, Store) {
        let (folder, key) = folder();
        let settings = Settings { path: folder.path().join("store.redb"), cache: 1 << 20 };
        let store = Store::open(&settings, Master { key, file: None }, Clock::system(), Purpose::Serve).unwrap();
        (folder, store)
    }

    /// The operator of such a store.
    pub(in crate::cli) fn local() -> (tempfile::TempDir, Local) {
        let (folder, store) = store();
        (folder, Local::over(store, Clock::system(), &[]).unwrap())
    }

    #[test]
    fn who_runs_the_command_stands_in_the_trail() {
        let (folder, _) = folder();
        let mut local = opened(&folder).unwrap();
        local.call(Call::post(&["accounts"]).json(json!({ "id": "a" }))).unwrap();
        let trail = local.call(Call::get(&["audit"])).unwrap();
        let owner = fs::metadata(folder.path()).unwrap().uid();
        assert_eq!(trail["items"][0]["actor"], format!("local:{owner}"));
    }

    #[test]
    fn what_is_declared_cannot_be_made_in_the_file_either() {
        let (folder, _) = folder();
        let path = folder.path().join("vidgate.toml");
        let declared = format!("{}\n[[account]]\nid = \"a\"\n", fs::read_to_string(&path).unwrap());
        fs::write(&path, declared).unwrap();
        let mut local = opened(&folder).unwrap();
        let refused = local.call(Call::post(&["accounts"]).json(json!({ "id": "a" }))).unwrap_err();
        assert!(refused.sentences()[0].contains("declared in the configuration"));
    }

    #[test]
    fn a_store_that_cannot_be_opened_is_said_plainly() {
        let (folder, _) = folder();
        let held = opened(&folder).unwrap();
        let said = opened(&folder).err().unwrap();
        assert!(said.ends_with("set [admin] in the configuration to manage it while it runs"), "{said}");
        drop(held);
        // A program that another test starts holds, for the moment between fork and exec, what this process has locked.
        let settled = || {
            let attempts = std::iter::repeat_with(|| opened(&folder).map(drop));
            let mut told =
                attempts.take(10_000).skip_while(|told| told.as_ref().is_err_and(|said| said.contains("open:")));
            told.next().expect("nobody has it any more")
        };
        settled().unwrap();
        fs::write(folder.path().join("master.key"), MasterKey::random().to_text().expose()).unwrap();
        let said = settled().unwrap_err();
        assert!(said.contains("the master key does not open this store"), "{said}");
        fs::remove_file(folder.path().join("store.redb")).unwrap();
        let said = settled().unwrap_err();
        assert!(said.contains("vidgate store init"), "{said}");
        fs::write(folder.path().join("vidgate.toml"), REST).unwrap();
        let said = opened(&folder).err().unwrap();
        assert!(
            said.starts_with("the configuration has no [store], so that there is nothing to manage, and no [admin]")
        );
    }
}
