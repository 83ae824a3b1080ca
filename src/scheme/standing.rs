//! Whether a caller who was proven once would be proven still: asked about whoever has a stream open, after something has
//! changed. What is judged is what the proof rested on: the credentials as they are on file now, the very secret that was
//! given, the accounts, the keys of foreign issuers, and the ends that were said.

use std::sync::Arc;

use crate::clock::UnixTime;
use crate::edge::client_certificate::ClientCertificate;
use crate::record::{Attributes, Directory, Record};
use crate::refusal::{Cause, Reason};
use crate::scheme::mtls::behind;
use crate::scheme::principal::{Certified, Principal, Proven};

/// Why somebody would be proven no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lapse {
    /// The credential is gone, or the secret of it that was given.
    Revoked,
    /// It is switched off, or its account, or one above that.
    Disabled,
    /// It has ended.
    Expired,
    /// What it was let do is not allowed any more: from there, that operation, with that camera.
    Withdrawn,
}

impl Lapse {
    /// Its name in logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Revoked => "revoked",
            Self::Disabled => "disabled",
            Self::Expired => "expired",
            Self::Withdrawn => "withdrawn",
        }
    }
}

impl Lapse {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Revoked, Self::Disabled, Self::Expired, Self::Withdrawn];
}

impl From<Lapse> for Cause {
    fn from(lapse: Lapse) -> Self {
        match lapse {
            Lapse::Revoked => Self::Credential(Reason::Unknown),
            Lapse::Disabled => Self::Credential(Reason::Disabled),
            Lapse::Expired => Self::Credential(Reason::Expired),
            Lapse::Withdrawn => Self::PermissionDenied,
        }
    }
}

impl Principal {
    /// Says until when the caller stands, as far as is known now. What was changed on file without an effect on the proof
    /// is followed: a renewed digest, another name, a rotation whose overlap lasts.
    pub fn standing(&mut self, directory: &dyn Directory, now: UnixTime) -> Result<UnixTime, Lapse> {
        let (mut until, mut changed, waived) = (self.until, false, self.is_waived());
        for proven in self.credentials.iter_mut() {
            let before = Arc::as_ptr(&proven.record);
            until = until.min(proven.standing(directory, now, waived)?);
            changed |= before != Arc::as_ptr(&proven.record);
        }
        if changed {
            self.read_scopes();
        }
        for stranger in self.strangers.iter() {
            until = until.min(stranger.keys.stands(&stranger.key).ok_or(Lapse::Revoked)?);
        }
        if let Some(account) = &self.account {
            // One may have gone, and another one have come by its name.
            if !directory.account(&account.id.0).is_some_and(|current| Arc::ptr_eq(&current, account)) {
                return Err(Lapse::Revoked);
            }
            if account.is_disabled() {
                return Err(Lapse::Disabled);
            }
        }
        if now < until { Ok(until) } else { Err(Lapse::Expired) }
    }

    /// The same of the certificate of their connection, where the proof rests on that.
    pub fn standing_of(&self, certificate: Option<&ClientCertificate>, now: UnixTime) -> Result<UnixTime, Lapse> {
        let never = UnixTime(u64::MAX);
        let Some(certified) = self.certified else { return Ok(never) };
        let certificate = certificate.ok_or(Lapse::Revoked)?;
        let standing = match certified {
            Certified::ByItself => certificate.not_revoked(now).map(|()| never),
            Certified::ByAuthority => certificate.vouched_for(now).map(behind),
        };
        standing.map_err(|doubt| if doubt.reason == Reason::Expired { Lapse::Expired } else { Lapse::Revoked })
    }

    /// Whether it rests on the certificate of their connection.
    pub fn rests_on_certificate(&self) -> bool {
        self.certified.is_some()
    }

    /// Whether keys were part of the proof that change without a word from the directory.
    pub fn rests_on_issuers(&self) -> bool {
        self.strangers.iter().next().is_some()
    }
}

impl Proven {
    /// `waived`: its app asked for no proof.
    fn standing(&mut self, directory: &dyn Directory, now: UnixTime, waived: bool) -> Result<UnixTime, Lapse> {
        let current = directory.successor(&self.record).ok_or(Lapse::Revoked)?;
        if !Arc::ptr_eq(&current, &self.record) {
            if is_narrower(&self.record.attributes, &current.attributes, waived) {
                return Err(Lapse::Withdrawn);
            }
            self.by = still_by(&self.record, &current, self.by).ok_or(Lapse::Revoked)?;
            self.record = current;
        }
        let record = &self.record;
        if record.is_disabled()
            || record.account.is_disabled()
            || record.not_before().is_some_and(|from| now < from)
            || self.account.as_ref().is_some_and(|account| account.is_disabled())
        {
            return Err(Lapse::Disabled);
        }
        if self.account.as_ref().is_some_and(|account| !account.is_child_of(&record.account)) {
            return Err(Lapse::Revoked);
        }
        let secret = match (&record.attributes, self.by) {
            (Attributes::Proofs(proofs), Some(place)) => proofs[usize::from(place)].expires,
            (Attributes::App(app), Some(place)) => app.signers[usize::from(place)].expires(),
            (_, _) => None,
        };
        let never = UnixTime(u64::MAX);
        Ok(record.expires().unwrap_or(never).min(secret.unwrap_or(never)))
    }
}

/// The place that the secret at `by` of the record before has in the one on file now. `None`: it is not there any more,
/// or what the proof rested on is another.
#[expect(clippy::option_option, reason = "`Some(None)`: there is no secret among several")]
fn still_by(before: &Record, now: &Record, by: Option<u8>) -> Option<Option<u8>> {
    let place = |at: Option<usize>| at.and_then(|at| u8::try_from(at).ok()).map(Some);
    match (&before.attributes, &now.attributes, by.map(usize::from)) {
        (Attributes::Proofs(old), Attributes::Proofs(new), Some(by)) => {
            place(new.iter().position(|proof| proof.number == old[by].number))
        }
        (Attributes::App(old), Attributes::App(new), Some(by)) => {
            place(new.signers.iter().position(|signer| signer.is_same(&old.signers[by])))
        }
        (Attributes::PublicKey(old), Attributes::PublicKey(new), None) => old.is_same(new).then_some(None),
        (_, _, None) => Some(None),
        (_, _, Some(_)) => None,
    }
}

/// Whether a credential is for less than it was, in a way that nothing else would find: it is for another camera; an app
/// keeps out pages that it did not, or asks for a proof where it asked for none.
fn is_narrower(before: &Attributes, now: &Attributes, waived: bool) -> bool {
    match (before, now) {
        (Attributes::Camera(old), Attributes::Camera(new)) => old != new,
        (Attributes::App(old), Attributes::App(new)) => {
            let signs = (new.publish && !old.publish) || (new.playback && !old.playback);
            let keeps_out = |name| !new.hosts.iter().any(|own| own == name);
            let hosts = !new.hosts.is_empty() && (old.hosts.is_empty() || old.hosts.iter().any(keeps_out));
            hosts || (waived && signs)
        }
        (_, _) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{App, Hosts, Kind, Wall};
    use crate::scheme::stage::{Register, proofs};

    /// `acme` below `top`, with a client that has an old secret until 100 and a new one.
    fn register() -> Register {
        let register = Register::new();
        register.account("top", None);
        register.account("acme", Some("top"));
        register.enrol(Kind::LicenseKey, "main", "acme", "main", |_| {});
        enrol(&register, &[(1, Some(100)), (2, None)]);
        register
    }

    fn enrol(register: &Register, versions: &[(u32, Option<u64>)]) {
        register.enrol(Kind::ApiClient, "client", "acme", "client", |client| {
            let mut all = proofs(versions.iter().map(|(number, end)| (number.to_string(), *end)));
            all.iter_mut().zip(versions).for_each(|(proof, (number, _))| proof.number = *number);
            client.attributes = Attributes::Proofs(all);
        });
    }

    #[test]
    fn a_change_that_touches_the_proof_ends_it_and_no_other() {
        type Change = fn(&Register);
        let same: Change = |register| register.enrol(Kind::LicenseKey, "main", "acme", "main", |_| {});
        for (what, change, now, expected) in [
            ("nothing", (|_| {}) as Change, 0, Ok(UnixTime(u64::MAX))),
            ("put on file anew", same, 0, Ok(UnixTime(u64::MAX))),
            ("deleted", |on| on.revoke(Kind::LicenseKey, "main"), 0, Err(Lapse::Revoked)),
            ("somebody else's", |on| on.enrol(Kind::LicenseKey, "b", "acme", "main", |_| {}), 0, Err(Lapse::Revoked)),
            (
                "switched off",
                |on| on.enrol(Kind::LicenseKey, "main", "acme", "main", |it| it.disabled = true),
                0,
                Err(Lapse::Disabled),
            ),
            ("its account is off", |on| drop(on.account_with("acme", Some("top"), true)), 0, Err(Lapse::Disabled)),
            ("the one above is off", |on| drop(on.account_with("top", None, true)), 0, Err(Lapse::Disabled)),
            ("its account is gone", |on| on.close("acme"), 0, Err(Lapse::Revoked)),
            (
                "a beginning, to come",
                |on| on.enrol(Kind::LicenseKey, "main", "acme", "main", |it| it.not_before = Some(UnixTime(9))),
                8,
                Err(Lapse::Disabled),
            ),
            (
                "a beginning, over",
                |on| on.enrol(Kind::LicenseKey, "main", "acme", "main", |it| it.not_before = Some(UnixTime(9))),
                9,
                Ok(UnixTime(u64::MAX)),
            ),
            (
                "an end, to come",
                |on| on.enrol(Kind::LicenseKey, "main", "acme", "main", |it| it.expires = Some(UnixTime(9))),
                8,
                Ok(UnixTime(9)),
            ),
            (
                "an end, over",
                |on| on.enrol(Kind::LicenseKey, "main", "acme", "main", |it| it.expires = Some(UnixTime(9))),
                9,
                Err(Lapse::Expired),
            ),
        ] {
            let register = register();
            let mut caller = register.caller(Kind::LicenseKey, "main");
            change(&register);
            assert_eq!(caller.standing(&register, UnixTime(now)), expected, "{what}");
        }
    }

    #[test]
    fn a_secret_that_was_rotated_ends_with_its_overlap_and_the_other_one_does_not() {
        let register = register();
        let by = |place| register.caller(Kind::ApiClient, "client").by(place);
        let (mut old, mut new) = (by(0), by(1));
        assert_eq!(old.standing(&register, UnixTime(99)), Ok(UnixTime(100)));
        assert_eq!(old.standing(&register, UnixTime(100)), Err(Lapse::Expired));
        assert_eq!(new.standing(&register, UnixTime(100)), Ok(UnixTime(u64::MAX)));
        // One more rotation: the places are others.
        enrol(&register, &[(3, None), (2, Some(200)), (1, Some(100))]);
        assert_eq!(old.standing(&register, UnixTime(99)), Ok(UnixTime(100)));
        assert_eq!(new.standing(&register, UnixTime(199)), Ok(UnixTime(200)));
        enrol(&register, &[(3, None)]);
        assert_eq!(new.standing(&register, UnixTime(99)), Err(Lapse::Revoked));
    }

    #[test]
    fn what_the_credential_says_of_its_own_end_counts_too() {
        let register = register();
        let mut caller = register.caller(Kind::LicenseKey, "main").until(UnixTime(7));
        assert_eq!(caller.standing(&register, UnixTime(6)), Ok(UnixTime(7)));
        assert_eq!(caller.standing(&register, UnixTime(7)), Err(Lapse::Expired));
    }

    #[test]
    fn of_two_credentials_both_must_stand() {
        let register = register();
        let both = register.caller(Kind::LicenseKey, "main").agree(register.caller(Kind::ApiClient, "client").by(1));
        let mut both = both.unwrap();
        assert_eq!(both.standing(&register, UnixTime(0)), Ok(UnixTime(u64::MAX)));
        enrol(&register, &[(3, None)]);
        assert_eq!(both.standing(&register, UnixTime(0)), Err(Lapse::Revoked));
    }

    #[test]
    fn what_is_for_less_than_it_was_ends_what_it_has_opened() {
        let app = |hosts: &[&str], publish: bool, playback: bool| {
            Attributes::App(Box::new(App {
                public_key: "public".into(),
                signers: Box::default(),
                hosts: Hosts::new(hosts).unwrap(),
                publish,
                playback,
                expiration_only: false,
                wall: Wall::None,
                legacy_200: false,
                cross_origin: false,
            }))
        };
        let camera = |id: &str| Attributes::Camera(id.into());
        for (what, before, now, expected) in [
            ("the same camera", camera("7"), camera("7"), (false, false)),
            ("another camera", camera("7"), camera("8"), (true, true)),
            ("neither", Attributes::None, Attributes::None, (false, false)),
            ("the same app", app(&["a.example"], true, true), app(&["a.example"], true, true), (false, false)),
            ("as open as before", app(&[], false, false), app(&[], false, false), (false, false)),
            ("publishing is to be signed", app(&[], false, false), app(&[], true, false), (false, true)),
            ("playing is to be signed", app(&[], false, false), app(&[], false, true), (false, true)),
            ("one more is to be signed", app(&[], true, false), app(&[], true, true), (false, true)),
            ("less is to be signed", app(&[], true, true), app(&[], false, false), (false, false)),
            ("the first host", app(&[], true, true), app(&["a.example"], true, true), (true, true)),
            ("another host", app(&["a.example"], true, true), app(&["b.example"], true, true), (true, true)),
            (
                "one host less",
                app(&["a.example", "b.example"], true, true),
                app(&["b.example"], true, true),
                (true, true),
            ),
            (
                "one host more",
                app(&["a.example"], true, true),
                app(&["b.example", "a.example"], true, true),
                (false, false),
            ),
            ("any host", app(&["a.example"], true, true), app(&[], true, true), (false, false)),
        ] {
            let narrower = |waived| is_narrower(&before, &now, waived);
            assert_eq!((narrower(false), narrower(true)), expected, "{what}");
        }
        let register = register();
        let token = |camera: &str| {
            register.enrol(Kind::CameraToken, "token", "acme", "token", |it| {
                it.attributes = Attributes::Camera(camera.into());
            });
        };
        token("7");
        let mut caller = register.caller(Kind::CameraToken, "token");
        token("7");
        assert_eq!(caller.standing(&register, UnixTime(0)), Ok(UnixTime(u64::MAX)));
        token("8");
        assert_eq!(caller.standing(&register, UnixTime(0)), Err(Lapse::Withdrawn));
    }

    #[test]
    fn what_a_credential_may_do_is_followed_on_file() {
        let register = register();
        let scopes = |all: &[&str]| Some(all.iter().copied().collect());
        let enrol = |all: &[&str]| {
            register.enrol(Kind::CameraToken, "token", "acme", "token", |it| {
                (it.attributes, it.scopes) = (Attributes::Camera("7".into()), scopes(all));
            });
        };
        enrol(&["all", "watch"]);
        let mut caller = register.caller(Kind::CameraToken, "token");
        enrol(&["watch"]);
        assert_eq!(caller.standing(&register, UnixTime(0)), Ok(UnixTime(u64::MAX)));
        assert_eq!(caller.scopes().cloned(), scopes(&["watch"]));
        // What the caller was limited to by more than the file stays where nothing on file has changed.
        let mut limited = caller.limited_to(&["streaming"].into_iter().collect());
        let narrow = limited.scopes().cloned();
        limited.standing(&register, UnixTime(0)).unwrap();
        assert_eq!(limited.scopes().cloned(), narrow);
        assert!(!limited.rests_on_certificate() && limited.certified(Certified::ByItself).rests_on_certificate());
    }

    #[test]
    fn a_child_that_a_token_speaks_for_must_still_be_one() {
        let register = register();
        register.account("shop", Some("acme"));
        let shop = crate::record::Directory::account(&register, "shop").unwrap();
        let mut caller = register.caller(Kind::LicenseKey, "main").speaking_for(shop);
        assert!(caller.standing(&register, UnixTime(0)).is_ok());
        register.account("shop", Some("top"));
        assert_eq!(caller.standing(&register, UnixTime(0)), Err(Lapse::Revoked));
        register.account_with("shop", Some("acme"), true);
        assert_eq!(caller.standing(&register, UnixTime(0)), Err(Lapse::Disabled));
    }
}
