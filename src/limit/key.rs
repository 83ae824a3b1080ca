//! For whom a request counts. A caller is told by what is proven of them, never by what they claim: another spelling,
//! port, connection or stream is the same caller.

use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::table::SHARDS;
use crate::record::{Attributes, Kind};
use crate::scheme::Principal;

/// For whom a limit counts. Where a caller has no such thing, the next more general one that they have is counted: a
/// camera or a user is counted by its credential, a credential by its account, and whoever has proven nothing by their
/// address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Per {
    /// The account that the caller speaks for.
    Account,
    /// The credential that speaks for the caller: each of an account's on its own, and one that was rotated as before.
    Credential,
    /// The camera that the credential is for, whichever of its tokens is used.
    Camera,
    /// The user that the credential is for.
    User,
    /// The address of the caller: of IPv6, the network of 64 bits that it is in.
    Address,
    /// All who use the route, together.
    Route,
}

/// Whom one request may count for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caller<'a> {
    pub(super) principal: &'a Principal,
    pub(super) address: IpAddr,
    pub(super) route: &'a str,
}

/// Whom it counts for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Party<'a> {
    Account(&'a str),
    Credential(Kind, &'a str),
    /// Two accounts may each call a camera of their own by the same name.
    Camera(&'a str, &'a str),
    User(&'a str),
    /// Somebody who is not on file, by the name that a foreign issuer or an authority vouches for.
    Named(&'a str),
    /// Mapped addresses are what they map; the host part of IPv6 is gone.
    Address(IpAddr),
    Route(&'a str),
}

impl<'a> Caller<'a> {
    /// Whom a limit of this kind counts.
    pub(super) fn party(&self, per: Per) -> Party<'a> {
        let own = match per {
            Per::Account => None,
            Per::Credential => self.credential(),
            Per::Camera => self.camera().or_else(|| self.credential()),
            Per::User => self.user().or_else(|| self.credential()),
            Per::Address => Some(self.network()),
            Per::Route => Some(Party::Route(self.route)),
        };
        let account = || self.principal.account().map(|account| Party::Account(&account.id.0));
        own.or_else(account).unwrap_or_else(|| self.network())
    }

    fn credential(&self) -> Option<Party<'a>> {
        let on_file = self.principal.speaker().map(|record| Party::Credential(record.kind(), record.id()));
        on_file.or_else(|| self.principal.identity().map(Party::Named))
    }

    fn camera(&self) -> Option<Party<'a>> {
        self.principal.credentials().iter().find_map(|record| match &record.attributes {
            Attributes::Camera(camera) => Some(Party::Camera(&record.account.id.0, camera)),
            Attributes::None
            | Attributes::Proofs(_)
            | Attributes::Group(_)
            | Attributes::PublicKey(_)
            | Attributes::App(_) => None,
        })
    }

    fn user(&self) -> Option<Party<'a>> {
        self.principal.credentials().iter().find_map(|record| match record.kind() {
            Kind::User | Kind::UserKey => Some(Party::User(record.id())),
            // It is one of many that one user may have, and speaks by that one's name.
            Kind::BearerToken => record.subject().strip_prefix("user:").map(Party::User),
            Kind::LicenseKey
            | Kind::ApiClient
            | Kind::CameraToken
            | Kind::GroupToken
            | Kind::ServiceAccountKey
            | Kind::App
            | Kind::AdminCertificate => None,
        })
    }

    fn network(&self) -> Party<'a> {
        Party::Address(network(self.address))
    }
}

/// What counts as one address: an IPv4 address, also where it is mapped; the first half of an IPv6 address, since whoever
/// has one has all of its second half.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() & (u128::MAX << 64)).into()),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// As the ledger and the log name it.
impl fmt::Display for Party<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account(id) => write!(f, "account:{id}"),
            Self::Credential(kind, id) => write!(f, "credential:{}:{id}", kind.name()),
            // An id holds no space.
            Self::Camera(account, id) => write!(f, "camera:{account} {id}"),
            Self::User(id) => write!(f, "user:{id}"),
            Self::Named(name) => write!(f, "named:{name}"),
            Self::Address(address) => write!(f, "address:{address}"),
            Self::Route(name) => write!(f, "route:{name}"),
        }
    }
}

/// A party in 8 bytes: a keyed hash that no caller can aim. That any two of a million parties have the same is as likely
/// as one in thirty million.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key(u64);

impl Key {
    /// All who find no place of their own.
    pub(super) const CROWD: Self = Self(u64::MAX);

    /// The shard that it lies in: by bits that its place in there does not depend on, which are the lowest and the highest.
    pub(super) fn shard(self) -> usize {
        usize::try_from((self.0 >> 32) % (SHARDS as u64)).expect("a shard is one of a few")
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0);
    }
}

/// Whom limits of one kind count: the same for all of those that a request meets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counted<'a> {
    pub(super) per: Per,
    pub(super) party: Party<'a>,
    pub(super) key: Key,
}

/// Makes keys; all that share counters share it.
#[derive(Clone, Default)]
pub(super) struct Keys(RandomState);

impl Keys {
    /// The key of a party.
    pub(super) fn key(&self, party: &Party<'_>) -> Key {
        Key(self.0.hash_one(party))
    }

    /// The key that a text of the ledger names, with its shard; `None`: nobody is counted by such a name.
    pub(super) fn named(&self, text: &str) -> Option<(Key, usize)> {
        let (word, name) = text.split_once(':')?;
        let party = match word {
            "others" => {
                let shard: usize = name.parse().ok().filter(|shard| *shard < SHARDS)?;
                return Some((Key::CROWD, shard));
            }
            "account" => Party::Account(name),
            "credential" => {
                let (kind, id) = name.split_once(':')?;
                Party::Credential(Kind::ALL.into_iter().find(|known| known.name() == kind)?, id)
            }
            "camera" => {
                let (account, id) = name.split_once(' ')?;
                Party::Camera(account, id)
            }
            "user" => Party::User(name),
            "named" => Party::Named(name),
            "address" => Party::Address(name.parse().ok()?),
            "route" => Party::Route(name),
            _ => return None,
        };
        let key = self.key(&party);
        Some((key, key.shard()))
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys")
    }
}

/// How the ledger names all who found no place of their own in this shard.
pub(super) fn others(shard: usize) -> Box<str> {
    format!("others:{shard}").into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scheme::stage::Register;

    #[test]
    fn whoever_the_ledger_names_is_found_again() {
        let keys = Keys::default();
        let everybody = [
            Party::Account("acme"),
            Party::Credential(Kind::LicenseKey, "main:7"),
            Party::Camera("acme", "main"),
            Party::Camera("main", "acme"),
            Party::User("main"),
            Party::Named("jwt:staff:main"),
            Party::Address("192.0.2.7".parse().unwrap()),
            Party::Address("2001:db8::".parse().unwrap()),
            Party::Route("main"),
        ];
        for party in &everybody {
            let (key, shard) = keys.named(&party.to_string()).expect("a name of somebody");
            assert_eq!((key, shard), (keys.key(party), key.shard()), "{party}");
            assert_eq!(everybody.iter().filter(|other| keys.key(other) == key).count(), 1, "{party}");
        }
        for shard in [0, SHARDS - 1] {
            assert_eq!(keys.named(&others(shard)), Some((Key::CROWD, shard)));
        }
        for nobody in
            [&*others(SHARDS), "others:", "others:x", "camera:acme", "credential:main", "address:x", "user", "x:y"]
        {
            assert_eq!(keys.named(nobody), None, "{nobody}");
        }
    }

    #[test]
    fn whoever_is_counted_is_the_same_whichever_of_their_credentials_speaks() {
        let register = Register::new();
        register.account("acme", None);
        for (kind, text, camera, subject) in [
            (Kind::CameraToken, "one", Some("7"), None),
            (Kind::CameraToken, "two", Some("7"), None),
            (Kind::CameraToken, "else", Some("8"), None),
            (Kind::BearerToken, "morning", None, Some("user:alice")),
            (Kind::BearerToken, "evening", None, Some("user:alice")),
            (Kind::UserKey, "alice", None, None),
            (Kind::LicenseKey, "main", None, None),
        ] {
            register.enrol(kind, text, "acme", text, |it| {
                it.attributes = camera.map_or(Attributes::None, |camera| Attributes::Camera(camera.into()));
                it.subject = subject.map_or(text.into(), Into::into);
            });
        }
        for (kind, text, per, expected) in [
            (Kind::CameraToken, "one", Per::Camera, Party::Camera("acme", "7")),
            (Kind::CameraToken, "two", Per::Camera, Party::Camera("acme", "7")),
            (Kind::CameraToken, "else", Per::Camera, Party::Camera("acme", "8")),
            (Kind::LicenseKey, "main", Per::Camera, Party::Credential(Kind::LicenseKey, "main")),
            (Kind::BearerToken, "morning", Per::User, Party::User("alice")),
            (Kind::BearerToken, "evening", Per::User, Party::User("alice")),
            (Kind::UserKey, "alice", Per::User, Party::User("alice")),
            (Kind::LicenseKey, "main", Per::User, Party::Credential(Kind::LicenseKey, "main")),
            (Kind::CameraToken, "two", Per::Credential, Party::Credential(Kind::CameraToken, "two")),
            (Kind::CameraToken, "two", Per::Account, Party::Account("acme")),
            (Kind::CameraToken, "two", Per::Route, Party::Route("live")),
            (Kind::CameraToken, "two", Per::Address, Party::Address("192.0.2.7".parse().unwrap())),
        ] {
            let principal = register.caller(kind, text);
            let caller = Caller { principal: &principal, address: "192.0.2.7".parse().unwrap(), route: "live" };
            assert_eq!(caller.party(per), expected, "{text}, per {per:?}");
        }
    }
}
