//! Who the file says exists, found right in itself, and how that comes into an index where others may be already.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use crate::clock::UnixTime;
use crate::config::report::Report;
use crate::invalid::Invalid;
use crate::record::{Account, Attributes, Details, Directory, Key, Kind, Record, Scopes, Standing, Terms};
use crate::secret::Secret;
use crate::store::{Camera, Index, Resource, Unopened};

/// Everyone in the file, in its order.
#[derive(Debug, Default)]
pub(in crate::config) struct Declared {
    pub(super) accounts: Vec<DeclaredAccount>,
    pub(super) cameras: Vec<DeclaredCamera>,
    pub(super) credentials: Vec<Credential>,
}

/// An account, and where its id stands.
#[derive(Debug)]
pub(super) struct DeclaredAccount {
    pub(super) account: Account,
    pub(super) parent: Option<String>,
    pub(super) disabled: bool,
    pub(super) terms: Option<Arc<Terms>>,
    pub(super) upstream_credential: Option<Arc<Secret>>,
    pub(super) place: Range<usize>,
}

/// A camera, and where its id stands first.
#[derive(Debug)]
pub(super) struct DeclaredCamera {
    pub(super) id: Arc<str>,
    /// The place of its account among the accounts.
    pub(super) account: usize,
    pub(super) disabled: bool,
    /// From the first moment of any of its entries.
    pub(super) not_before: Option<UnixTime>,
    /// To the last one.
    pub(super) expires: Option<UnixTime>,
    pub(super) place: Range<usize>,
}

/// A credential with the text that it is found by. What is kept of that depends on the index.
#[derive(Debug)]
pub(super) struct Credential {
    pub(super) kind: Kind,
    pub(super) id: Arc<str>,
    /// Where the id stands.
    pub(super) id_place: Range<usize>,
    /// Its place among the accounts.
    pub(super) account: usize,
    pub(super) subject: String,
    pub(super) disabled: bool,
    pub(super) not_before: Option<UnixTime>,
    pub(super) expires: Option<UnixTime>,
    pub(super) scopes: Option<Scopes>,
    pub(super) attributes: Attributes,
    /// What must be given with the text.
    pub(super) secret: Option<Secret>,
    pub(super) text: Secret,
    /// Where the text stands.
    pub(super) text_place: Range<usize>,
}

impl Declared {
    /// Puts everyone into `index` and takes out of it who was declared `before` and is no more. Or does nothing, where one
    /// of them is there already whom nobody declared: the report says who.
    ///
    /// Who has not changed stays the same object, and whatever hangs on that goes on. Whoever reads the index in between
    /// finds each credential as it was or as it is.
    pub(in crate::config) fn install(
        self,
        index: &Index,
        before: &Installed,
        report: &mut Report,
    ) -> Option<Installed> {
        let errors = report.errors();
        self.clashes(index, before, report);
        if report.errors() > errors {
            return None;
        }
        let mut accounts = Vec::with_capacity(self.accounts.len());
        let mut standings = Vec::with_capacity(self.accounts.len());
        for DeclaredAccount { account, parent, disabled, terms, upstream_credential, .. } in self.accounts {
            // One that is there was declared before, and stands from now on as it is declared now.
            accounts.push(index.insert_account(account).unwrap_or_else(|declared| declared));
            standings.push((parent, disabled, terms, upstream_credential));
        }
        // Only now: a parent may stand below its children in the file.
        for (account, (parent, disabled, terms, upstream_credential)) in accounts.iter().zip(standings) {
            let parent = parent.and_then(|parent| index.account(&parent));
            account.stand(Standing { parent, disabled, terms, upstream_credential });
        }
        let mut cameras = HashSet::new();
        for DeclaredCamera { id, account, disabled, not_before, expires, .. } in self.cameras {
            let account = Arc::clone(&accounts[account]);
            index.cameras().put(&id, Camera { account, disabled, not_before, expires });
            cameras.insert(id);
        }
        let mut records = Vec::with_capacity(self.credentials.len());
        for credential in self.credentials {
            let (account, text) = (Arc::clone(&accounts[credential.account]), credential.text.clone());
            let record = Record::new(credential.details(account, index));
            let record = index.settle(record.expect("its subject was looked at with the clashes"));
            index.moved(&record, text.expose());
            records.push(record);
        }
        let installed = Installed { accounts, cameras, records };
        installed.succeed(before, index);
        index.changed();
        Some(installed)
    }

    /// Says which cameras and groups are on file already: there, an index knows their tokens alone.
    pub(in crate::config) fn clashes_on_file(
        &self,
        holds: impl Fn(Resource, &str) -> Result<bool, Unopened>,
        report: &mut Report,
    ) {
        let cameras = self.cameras.iter().map(|camera| (Resource::Camera, &*camera.id, &camera.place));
        let groups = self.credentials.iter().filter(|own| own.kind == Kind::GroupToken);
        let groups = groups.map(|own| (own.entry().0, own.entry().1, &own.id_place));
        for (resource, id, place) in cameras.chain(groups) {
            match holds(resource, id) {
                Ok(false) => {}
                Ok(true) => {
                    let invalid = Invalid::new(format!("this {} is in the store as `{id}`", resource.words()));
                    report.error(place.clone(), invalid.hint(ELSEWHERE));
                }
                Err(unopened) => return report.error(place.clone(), Invalid::new(unopened.to_string())),
            }
        }
    }

    /// What of the store this would be, were it there.
    pub(in crate::config) fn entries(&self) -> HashSet<(Resource, String)> {
        let accounts = self.accounts.iter().map(|declared| (Resource::Account, declared.account.id.0.to_string()));
        let credentials = self.credentials.iter().flat_map(|declared| {
            let (resource, id) = declared.entry();
            // A stored token is told from a declared one by its id, whatever it opens.
            let token = matches!(declared.kind, Kind::CameraToken | Kind::GroupToken);
            let token = token.then(|| (Resource::Token, String::from(&*declared.id)));
            [(resource, id.to_owned())].into_iter().chain(token)
        });
        let cameras = self.cameras.iter().map(|camera| (Resource::Camera, camera.id.to_string()));
        accounts.chain(cameras).chain(credentials).collect()
    }

    fn clashes(&self, index: &Index, before: &Installed, report: &mut Report) {
        let accounts_before: HashSet<*const Account> = before.accounts.iter().map(Arc::as_ptr).collect();
        let declared_before: HashSet<*const Record> = before.records.iter().map(Arc::as_ptr).collect();
        let is_stored = |record: &Arc<Record>| !declared_before.contains(&Arc::as_ptr(record));
        for declared in &self.accounts {
            let known = index.account(&declared.account.id.0);
            if let Some(stored) = known.filter(|known| !accounts_before.contains(&Arc::as_ptr(known))) {
                report.error(declared.place.clone(), same_account(&stored));
            }
        }
        let ids: HashMap<(Kind, &str), &Credential> =
            self.credentials.iter().map(|credential| ((credential.kind, &*credential.id), credential)).collect();
        index.for_each(|stored| {
            if let Some(declared) = ids.get(&(stored.kind(), stored.id())).filter(|_| is_stored(stored)) {
                report.error(declared.id_place.clone(), same_id(stored));
            }
        });
        for declared in &self.credentials {
            if let Some(stored) = index.holder(declared.kind, declared.text.expose()).filter(is_stored) {
                report.error(declared.text_place.clone(), same_text(declared.kind, stored.id()));
            }
            if let Err(invalid) = Record::speaks_as(&declared.subject) {
                report.error(declared.text_place.clone(), invalid);
            }
        }
    }
}

/// Everyone of a configuration, as they are in an index.
#[derive(Debug, Default)]
pub struct Installed {
    accounts: Vec<Arc<Account>>,
    cameras: HashSet<Arc<str>>,
    records: Vec<Arc<Record>>,
}

impl Installed {
    /// Takes out of the index who was declared before and is no more: first what they are known by.
    fn succeed(&self, before: &Self, index: &Index) {
        let stays: HashSet<&Key> = self.records.iter().map(|record| record.key()).collect();
        for gone in before.records.iter().filter(|record| !stays.contains(record.key())) {
            index.remove(gone.kind(), &gone.key().digest);
        }
        before.cameras.difference(&self.cameras).for_each(|gone| index.cameras().remove(gone));
        let accounts: HashSet<*const Account> = self.accounts.iter().map(Arc::as_ptr).collect();
        for gone in before.accounts.iter().filter(|gone| !accounts.contains(&Arc::as_ptr(gone))) {
            index.remove_account(&gone.id.0);
            // Whoever holds it still is to see it.
            gone.stand(Standing { disabled: true, ..Standing::default() });
        }
    }
}

impl Credential {
    /// The same credential, to be found by another text as well. Only for those without attributes.
    pub(super) fn again(&self) -> Self {
        Self {
            kind: self.kind,
            id: Arc::clone(&self.id),
            id_place: self.id_place.clone(),
            account: self.account,
            subject: self.subject.clone(),
            disabled: self.disabled,
            not_before: self.not_before,
            expires: self.expires,
            scopes: self.scopes.clone(),
            attributes: Attributes::None,
            secret: self.secret.clone(),
            text: self.text.clone(),
            text_place: self.text_place.clone(),
        }
    }

    /// The resource that it would be in the store, and its id there: all tokens of a camera are one camera's.
    fn entry(&self) -> (Resource, &str) {
        let of_many = || self.id.rsplit_once('#').map_or(&*self.id, |(id, _)| id);
        match self.kind {
            Kind::LicenseKey => (Resource::LicenseKey, &self.id),
            Kind::ApiClient => (Resource::ApiClient, &self.id),
            Kind::CameraToken => (Resource::Camera, of_many()),
            Kind::GroupToken => (Resource::CameraGroup, of_many()),
            Kind::ServiceAccountKey => (Resource::ServiceAccount, &self.id),
            Kind::User | Kind::UserKey => (Resource::User, &self.id),
            Kind::BearerToken => (Resource::BearerToken, &self.id),
            Kind::App => (Resource::App, &self.id),
            Kind::AdminCertificate => (Resource::AdminCertificate, &self.id),
        }
    }

    /// The same credential, found by another text, with what only its kind has.
    pub(super) fn twin(&self, attributes: Attributes) -> Self {
        Self {
            id: Arc::clone(&self.id),
            id_place: self.id_place.clone(),
            subject: self.subject.clone(),
            scopes: self.scopes.clone(),
            attributes,
            secret: self.secret.clone(),
            text: self.text.clone(),
            text_place: self.text_place.clone(),
            ..*self
        }
    }

    fn details(self, account: Arc<Account>, index: &Index) -> Details {
        let proof = self.secret.map(|secret| index.proof(secret.expose(), None));
        Details {
            key: Key { kind: self.kind, digest: index.digest(self.text.expose()) },
            id: String::from(&*self.id),
            account,
            subject: self.subject,
            disabled: self.disabled,
            not_before: self.not_before,
            expires: self.expires,
            used: None,
            scopes: self.scopes,
            attributes: proof.map_or(self.attributes, |proof| Attributes::Proofs([proof].into())),
        }
    }
}

/// What no two credentials of this kind share.
pub(super) fn known_by(kind: Kind) -> &'static str {
    match kind {
        Kind::AdminCertificate => "certificate",
        Kind::App => "id or public key",
        Kind::LicenseKey
        | Kind::ApiClient
        | Kind::CameraToken
        | Kind::GroupToken
        | Kind::ServiceAccountKey
        | Kind::User
        | Kind::UserKey
        | Kind::BearerToken => "secret",
    }
}

fn same_account(stored: &Account) -> Invalid {
    Invalid::new(format!("this account is in the store as `{}`", stored.id.0))
        .hint("take it out of this file, or give one of the two another id")
}

fn same_id(stored: &Record) -> Invalid {
    let invalid = format!("this id is in the store as `{}`, of the account `{}`", stored.id(), stored.account.id.0);
    Invalid::new(invalid).hint(format!("no two credentials of the kind {} share an id", stored.kind().name()))
}

fn same_text(kind: Kind, stored: &str) -> Invalid {
    Invalid::new(format!("the same {} is in the store as `{stored}`", kind.speaker())).hint(ELSEWHERE)
}

const ELSEWHERE: &str = "take it out of this file, or out of the store";

#[cfg(test)]
mod tests;
