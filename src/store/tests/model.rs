//! Random sequences of operations against a simple model: what the store says, what the corridor finds, and what is on
//! file after a restart are always what the model expects.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::record::Holding;

const ACCOUNTS: [&str; 3] = ["a", "b", "c"];
const CAMERAS: [&str; 3] = ["1", "2", "3"];
const KEYS: [&str; 4] = ["k0", "k1", "k2", "k3"];

/// What may be asked, by small numbers so that clashes are common.
#[derive(Clone, Debug)]
enum Ask {
    Account {
        id: usize,
        parent: Option<usize>,
    },
    Disable {
        id: usize,
        disabled: bool,
    },
    DropAccount {
        id: usize,
    },
    Limit {
        id: usize,
        limit: Option<u64>,
    },
    Camera {
        id: usize,
        account: usize,
    },
    /// Two cameras or none.
    Both {
        account: usize,
    },
    Off {
        camera: usize,
        disabled: bool,
    },
    DropCamera {
        id: usize,
    },
    Key {
        id: usize,
        account: usize,
        text: usize,
    },
    Rotate {
        id: usize,
        text: usize,
    },
    DropKey {
        id: usize,
    },
    Token {
        camera: usize,
        text: usize,
    },
    DropToken {
        text: usize,
    },
    Wait,
    Restart,
}

fn ask() -> impl Strategy<Value = Ask> {
    let (account, camera, key, text) = (0..3usize, 0..3usize, 0..4usize, 0..5usize);
    prop_oneof![
        3 => (account.clone(), proptest::option::of(account.clone())).prop_map(|(id, parent)| Ask::Account { id, parent }),
        1 => (account.clone(), any::<bool>()).prop_map(|(id, disabled)| Ask::Disable { id, disabled }),
        1 => account.clone().prop_map(|id| Ask::DropAccount { id }),
        1 => (account.clone(), proptest::option::of(0..3u64)).prop_map(|(id, limit)| Ask::Limit { id, limit }),
        2 => (camera.clone(), account.clone()).prop_map(|(id, account)| Ask::Camera { id, account }),
        1 => account.clone().prop_map(|account| Ask::Both { account }),
        2 => (camera.clone(), any::<bool>()).prop_map(|(camera, disabled)| Ask::Off { camera, disabled }),
        1 => camera.clone().prop_map(|id| Ask::DropCamera { id }),
        4 => (key.clone(), account, text.clone()).prop_map(|(id, account, text)| Ask::Key { id, account, text }),
        3 => (key.clone(), text.clone()).prop_map(|(id, text)| Ask::Rotate { id, text }),
        2 => key.prop_map(|id| Ask::DropKey { id }),
        2 => (camera, text.clone()).prop_map(|(camera, text)| Ask::Token { camera, text }),
        1 => text.prop_map(|text| Ask::DropToken { text }),
        1 => Just(Ask::Wait),
        1 => Just(Ask::Restart),
    ]
}

/// Texts with their ends, newest first.
type Texts = Vec<(usize, Option<u64>)>;

/// The same in a few maps.
#[derive(Clone, Debug, Default)]
struct Model {
    now: u64,
    accounts: BTreeMap<usize, (Option<usize>, bool)>,
    /// How many cameras.
    limits: BTreeMap<usize, u64>,
    /// Account, and whether it is switched off.
    cameras: BTreeMap<usize, (usize, bool)>,
    /// Account, and texts with their ends, newest first.
    keys: BTreeMap<usize, (usize, Texts)>,
    /// By text: the camera.
    tokens: BTreeMap<usize, usize>,
}

const HOUR: u64 = 3600;

impl Model {
    /// Whether it is to be done; does it if so.
    fn take(&mut self, ask: &Ask) -> bool {
        match *ask {
            Ask::Account { id, parent } => {
                let good = !self.accounts.contains_key(&id) && parent.is_none_or(|up| self.accounts.contains_key(&up));
                good.then(|| self.accounts.insert(id, (parent, false))).is_some()
            }
            Ask::Disable { id, disabled } => self.accounts.get_mut(&id).map(|account| account.1 = disabled).is_some(),
            Ask::DropAccount { id } => {
                let needed = self.accounts.values().any(|(parent, _)| *parent == Some(id))
                    || self.cameras.values().any(|(account, _)| *account == id)
                    || self.keys.values().any(|(account, _)| *account == id);
                if !needed {
                    self.limits.remove(&id);
                }
                !needed && self.accounts.remove(&id).is_some()
            }
            Ask::Limit { id, limit } => {
                let good = self.accounts.contains_key(&id);
                match limit.filter(|_| good) {
                    Some(limit) => drop(self.limits.insert(id, limit)),
                    None => drop(self.limits.remove(&id)),
                }
                good
            }
            Ask::Camera { id, account } => self.host(id, account),
            Ask::Both { account } => {
                let before = self.cameras.clone();
                let done = self.host(0, account) && self.host(1, account);
                if !done {
                    self.cameras = before;
                }
                done
            }
            Ask::Off { camera, disabled } => match self.cameras.get(&camera) {
                Some((account, true)) if !disabled && !self.has_room(*account) => false,
                Some((account, _)) => self.cameras.insert(camera, (*account, disabled)).is_some(),
                None => false,
            },
            Ask::DropCamera { id } => {
                !self.tokens.values().any(|camera| *camera == id) && self.cameras.remove(&id).is_some()
            }
            Ask::Key { id, account, text } => {
                let good = self.accounts.contains_key(&account) && !self.keys.contains_key(&id) && !self.holds(text);
                good.then(|| self.keys.insert(id, (account, vec![(text, None)]))).is_some()
            }
            Ask::Rotate { id, text } => !self.holds(text) && self.rotate(id, text),
            Ask::DropKey { id } => self.keys.remove(&id).is_some(),
            Ask::Token { camera, text } => {
                let good = self.cameras.contains_key(&camera) && !self.tokens.contains_key(&text);
                good.then(|| self.tokens.insert(text, camera)).is_some()
            }
            Ask::DropToken { text } => self.tokens.remove(&text).is_some(),
            Ask::Wait => {
                self.now += HOUR / 2;
                true
            }
            Ask::Restart => true,
        }
    }

    fn hosted(&self, account: usize) -> u64 {
        self.cameras.values().filter(|camera| **camera == (account, false)).count() as u64
    }

    fn has_room(&self, account: usize) -> bool {
        self.limits.get(&account).is_none_or(|limit| self.hosted(account) < *limit)
    }

    fn host(&mut self, id: usize, account: usize) -> bool {
        let good = self.accounts.contains_key(&account) && !self.cameras.contains_key(&id) && self.has_room(account);
        good.then(|| self.cameras.insert(id, (account, false))).is_some()
    }

    fn holding(&self, camera: usize, account: usize) -> Holding {
        let above = |of: usize| std::iter::successors(Some(of), |of| self.accounts[of].0).any(|up| up == account);
        match self.cameras.get(&camera) {
            None => Holding::Unknown,
            Some((_, true)) => Holding::Disabled,
            Some((owner, false)) if above(*owner) => Holding::Held,
            Some((_, false)) => Holding::Elsewhere,
        }
    }

    fn holds(&self, text: usize) -> bool {
        self.keys.values().any(|(_, texts)| texts.iter().any(|(own, _)| *own == text))
    }

    fn rotate(&mut self, id: usize, text: usize) -> bool {
        let end = self.now + HOUR;
        let Some((_, texts)) = self.keys.get_mut(&id) else { return false };
        let older: Vec<_> =
            texts.iter().map(|(text, own)| (*text, Some(own.map_or(end, |own| own.min(end))))).collect();
        if older.iter().filter(|(_, own)| *own > Some(self.now)).count() >= 4 {
            return false;
        }
        *texts = std::iter::once((text, None)).chain(older).take(4).collect();
        true
    }

    fn is_off(&self, account: usize) -> bool {
        let (parent, disabled) = self.accounts[&account];
        disabled || parent.is_some_and(|parent| self.is_off(parent))
    }
}

fn operation(ask: &Ask) -> Option<Operation> {
    let drop = |resource, id: String| Some(Operation::Delete { resource, id, revision: None });
    match *ask {
        Ask::Account { id, parent } => {
            let document = json!({"id": ACCOUNTS[id], "parent": parent.map(|parent| ACCOUNTS[parent])});
            Some(create(Resource::Account, document))
        }
        Ask::Disable { id, disabled } => Some(Operation::Change {
            resource: Resource::Account,
            id: ACCOUNTS[id].to_owned(),
            patch: object(json!({"disabled": disabled})),
            revision: None,
        }),
        Ask::Limit { id, limit } => Some(Operation::Change {
            resource: Resource::Account,
            id: ACCOUNTS[id].to_owned(),
            patch: object(json!({"limits": {"hosted_cameras": limit}})),
            revision: None,
        }),
        Ask::Off { camera, disabled } => Some(Operation::Change {
            resource: Resource::Camera,
            id: CAMERAS[camera].to_owned(),
            patch: object(json!({"disabled": disabled})),
            revision: None,
        }),
        Ask::DropAccount { id } => drop(Resource::Account, ACCOUNTS[id].to_owned()),
        Ask::Camera { id, account } => {
            Some(create(Resource::Camera, json!({"id": CAMERAS[id], "account": ACCOUNTS[account]})))
        }
        Ask::DropCamera { id } => drop(Resource::Camera, CAMERAS[id].to_owned()),
        Ask::Key { id, account, text: number } => {
            let document = json!({"id": KEYS[id], "account": ACCOUNTS[account], "key": text(number)});
            Some(create(Resource::LicenseKey, document))
        }
        Ask::Rotate { id, text: number } => Some(Operation::Rotate {
            resource: Resource::LicenseKey,
            id: KEYS[id].to_owned(),
            document: object(json!({"overlap": "1h", "key": text(number)})),
            revision: None,
        }),
        Ask::DropKey { id } => drop(Resource::LicenseKey, KEYS[id].to_owned()),
        Ask::Token { camera, text } => {
            let document = json!({"id": format!("t{text}"), "camera": CAMERAS[camera], "token": token(text)});
            Some(create(Resource::Token, document))
        }
        Ask::DropToken { text } => drop(Resource::Token, format!("t{text}")),
        Ask::Both { .. } | Ask::Wait | Ask::Restart => None,
    }
}

/// What is to be sent in one request.
fn operations(ask: &Ask) -> Vec<Operation> {
    if let Ask::Both { account } = *ask {
        return (0..2).filter_map(|id| operation(&Ask::Camera { id, account })).collect();
    }
    operation(ask).into_iter().collect()
}

fn text(number: usize) -> String {
    format!("license-{number}")
}

fn token(number: usize) -> String {
    format!("share.eyJzaSI6IDIzNTYzOX0.61a964c{number}tbc1fab00.xBWXdksAURv6ws5MOZX-AQIh-KM")
}

fn compare(house: &House, model: &Model) -> Result<(), TestCaseError> {
    for number in 0..5 {
        let expected = model.keys.iter().find_map(|(id, (account, texts))| {
            let (_, end) = texts.iter().find(|(text, _)| *text == number)?;
            Some((KEYS[*id].to_owned(), ACCOUNTS[*account], *end, model.is_off(*account)))
        });
        let found = house.found(Kind::LicenseKey, &text(number));
        let found = found.as_ref().map(|record| {
            (
                record.id().to_owned(),
                &*record.account.id.0,
                record.expires().map(|end| end.0),
                record.account.is_disabled(),
            )
        });
        prop_assert_eq!(found, expected.as_ref().map(|(id, account, end, off)| (id.clone(), *account, *end, *off)));
        let found = house.found(Kind::CameraToken, &token(number)).map(|record| record.subject().to_owned());
        prop_assert_eq!(found, model.tokens.get(&number).map(|camera| format!("camera:{}", CAMERAS[*camera])));
        let off = house.found(Kind::CameraToken, &token(number)).map(|record| record.is_disabled());
        prop_assert_eq!(off, model.tokens.get(&number).map(|camera| model.cameras[camera].1));
    }
    let index = house.store.index();
    for account in model.accounts.keys() {
        let shared = index.account(ACCOUNTS[*account]).expect("it is known");
        prop_assert_eq!(index.cameras().hosted(ACCOUNTS[*account]), model.hosted(*account));
        for (camera, id) in CAMERAS.iter().enumerate() {
            let holding = index.camera(id, &shared, house.clock.unix());
            prop_assert_eq!(holding, model.holding(camera, *account));
        }
    }
    for (resource, expected) in [
        (Resource::Account, model.accounts.keys().map(|id| ACCOUNTS[*id].to_owned()).collect::<Vec<_>>()),
        (Resource::Camera, model.cameras.keys().map(|id| CAMERAS[*id].to_owned()).collect()),
        (Resource::LicenseKey, model.keys.keys().map(|id| KEYS[*id].to_owned()).collect()),
        (Resource::Token, model.tokens.keys().map(|text| format!("t{text}")).collect()),
    ] {
        let page = house.store.list(resource, &Filter::default(), None, 100).expect("it can be read");
        prop_assert_eq!(page.items.into_iter().map(|item| item.id).collect::<Vec<_>>(), expected);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn the_store_does_what_the_model_does(asks in proptest::collection::vec(ask(), 1..60)) {
        let mut house = House::new();
        let mut model = Model { now: house.clock.unix().0, ..Model::default() };
        let mut deeds = 0;
        for ask in &asks {
            let before = model.clone();
            let done = model.take(ask);
            let operations = operations(ask);
            match operations.len() {
                0 if matches!(ask, Ask::Wait) => house.wait(HOUR / 2),
                0 => house = house.reopened(),
                _ => {
                    let outcome = house.try_all(operations);
                    prop_assert_eq!(outcome.is_ok(), done, "{:?}: {:?}", ask, outcome);
                    // What is so already is no deed.
                    let changed = format!("{before:?}") != format!("{model:?}");
                    deeds += usize::from(done && changed);
                }
            }
            compare(&house, &model)?;
        }
        prop_assert_eq!(house.deeds().len(), deeds);
        let trail = house.store.verify_audit().expect("it can be read");
        prop_assert_eq!((trail.deeds, trail.broken_at), (deeds as u64, None));
    }
}
