//! `[[account]]`, as meant: who exists, and by which keys and tokens they are known.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use http::HeaderValue;

use super::{plain_id, secret, token};
use crate::config::file::{self, Entry, Moments, Placed};
use crate::config::nearest;
use crate::config::report::Report;
use crate::config::source::Source;
use crate::invalid::Invalid;
use crate::public_key;
use crate::record::{Account, AccountId, Attributes, Directory, Kind, Record, Scopes};
use crate::scheme::{basic, lkey};
use crate::secret::{Secret, SecretSource};
use crate::store::Index;

/// Everyone in the file.
pub(super) fn accounts(written: &[Entry<file::Account>], source: &Source, report: &mut Report) -> Index {
    names(written, report);
    families(written, report);
    let mut register = Register { index: Index::new(), owners: HashMap::new(), places: HashMap::new(), source, report };
    for written in written.iter().filter_map(|entry| entry.table.as_ref()) {
        // An id that cannot stand in a header was reported by `names`.
        let Ok(header) = HeaderValue::from_str(&written.id.value) else { continue };
        let account = register.index.insert_account(Account {
            id: AccountId(written.id.value.as_str().into()),
            parent: written.parent.as_ref().map(|parent| AccountId(parent.value.as_str().into())),
            disabled: written.disabled,
            header,
        });
        register.credentials(&account, written);
    }
    register.index
}

/// Every account has a name of its own.
fn names(written: &[Entry<file::Account>], report: &mut Report) {
    let mut first: HashMap<&str, Range<usize>> = HashMap::new();
    for account in written.iter().filter_map(|entry| entry.table.as_ref()) {
        plain_id(&account.id, report);
        if let Some(first) = first.get(account.id.value.as_str()) {
            let invalid = Invalid::new(format!("a second account is called `{}`", account.id.value));
            report.conflict(account.id.place.clone(), invalid, first.clone(), "the first");
        }
        first.entry(&account.id.value).or_insert_with(|| account.id.place.clone());
    }
}

/// Every parent exists, and nobody is their own ancestor.
fn families(written: &[Entry<file::Account>], report: &mut Report) {
    let ids: Vec<&str> = written.iter().filter_map(|entry| entry.id.as_deref()).collect();
    let tables = || written.iter().filter_map(|entry| entry.table.as_ref());
    let parents: HashMap<&str, &str> = tables()
        .filter_map(|account| Some((account.id.value.as_str(), account.parent.as_ref()?.value.as_str())))
        .collect();
    for account in tables() {
        let Some(parent) = &account.parent else { continue };
        if !ids.contains(&parent.value.as_str()) {
            let mut invalid = Invalid::new(format!("there is no account called `{}`", parent.value));
            invalid.hint = nearest::hint(&parent.value, ids.iter().copied());
            report.error(parent.place.clone(), invalid);
            continue;
        }
        // As many steps as there are accounts lead to an end, unless they lead around.
        let mut ancestors = std::iter::successors(Some(parent.value.as_str()), |id| parents.get(id).copied());
        if ancestors.by_ref().take(written.len()).any(|ancestor| ancestor == account.id.value) {
            let invalid = Invalid::new(format!("`{}` would be its own ancestor", account.id.value));
            report.error(parent.place.clone(), invalid);
        }
    }
}

/// Who is known so far, and where in the file they stand.
struct Register<'a> {
    index: Index,
    /// By id.
    owners: HashMap<(Kind, Arc<str>), Owner>,
    /// Where the key or token of a record stands, by the record's name.
    places: HashMap<(Kind, Arc<str>), Range<usize>>,
    source: &'a Source,
    report: &'a mut Report,
}

/// Whose id it is.
struct Owner {
    account: AccountId,
    place: Range<usize>,
    /// How many records it has so far.
    records: usize,
}

impl Register<'_> {
    fn credentials(&mut self, account: &Arc<Account>, written: &file::Account) {
        written.license_key.iter().for_each(|key| self.license_key(account, key));
        written.api_client.iter().for_each(|client| self.api_client(account, client));
        for camera in &written.camera {
            let id: Arc<str> = camera.id.value.as_str().into();
            let tokens = Tokens { id: &camera.id, list: &camera.tokens, scopes: camera.scopes.as_ref() };
            self.tokens(account, Kind::CameraToken, &tokens, &camera.moments(), || Attributes::Camera(Arc::clone(&id)));
        }
        for group in &written.camera_group {
            let invalid = Invalid::new("no scheme reads group tokens yet").hint("until then they open nothing");
            self.report.warn(group.id.place.clone(), invalid);
            let id: Arc<str> = group.id.value.as_str().into();
            let cameras: Vec<Arc<str>> = group.cameras.iter().map(|camera| camera.value.as_str().into()).collect();
            for camera in &group.cameras {
                plain_id(camera, self.report);
            }
            let tokens = Tokens { id: &group.id, list: &group.tokens, scopes: group.scopes.as_ref() };
            self.tokens(account, Kind::GroupToken, &tokens, &group.moments(), || Attributes::Group {
                id: Arc::clone(&id),
                cameras: cameras.clone(),
            });
        }
        written.service_account.iter().for_each(|service| self.service_account(account, service));
    }

    fn license_key(&mut self, account: &Arc<Account>, written: &file::LicenseKey) {
        let secret = secret(&written.key, self.source, self.report);
        let Some(record) = self.record(account, Kind::LicenseKey, &written.id, &written.moments()) else { return };
        let Some(secret) = secret else { return };
        if let Err(invalid) = lkey::presentable(secret.expose()) {
            return self.report.error(written.key.place.clone(), invalid);
        }
        self.insert(record, secret.expose(), &written.key.place);
    }

    fn api_client(&mut self, account: &Arc<Account>, written: &file::ApiClient) {
        if written.id.value.contains(':') {
            let invalid = Invalid::new("an API identifier has no colon: in `Basic`, the first one ends it");
            self.report.error(written.id.place.clone(), invalid);
        }
        let secret = secret(&written.secret, self.source, self.report);
        let Some(mut record) = self.record(account, Kind::ApiClient, &written.id, &written.moments()) else { return };
        let Some(secret) = secret else { return };
        if let Err(invalid) = basic::presentable(written.id.value.as_bytes(), secret.expose()) {
            return self.report.error(written.secret.place.clone(), invalid);
        }
        record.attributes = Attributes::Secret(self.index.digest(secret.expose()));
        self.insert(record, written.id.value.as_bytes(), &written.id.place);
    }

    fn service_account(&mut self, account: &Arc<Account>, written: &file::ServiceAccount) {
        let key = self.source.file(&written.public_key.value).and_then(|pem| public_key::read(&pem));
        let record = self.record(account, Kind::ServiceAccountKey, &written.id, &written.moments());
        match key {
            Err(invalid) => self.report.error(written.public_key.place.clone(), invalid),
            Ok(key) => {
                let Some(mut record) = record else { return };
                record.attributes = Attributes::PublicKey(key);
                self.insert(record, written.id.value.as_bytes(), &written.id.place);
            }
        }
    }

    fn tokens(
        &mut self,
        account: &Arc<Account>,
        kind: Kind,
        tokens: &Tokens<'_>,
        moments: &Moments,
        attributes: impl Fn() -> Attributes,
    ) {
        if tokens.list.value.is_empty() {
            self.report.error(tokens.list.place.clone(), Invalid::new("a list of tokens has at least one"));
        }
        if let Some(none) = tokens.scopes.filter(|scopes| scopes.value.is_empty()) {
            self.report.error(none.place.clone(), Invalid::new("a token without a scope opens nothing"));
        }
        let scopes: Scopes = match tokens.scopes {
            Some(scopes) => scopes.value.iter().collect(),
            None => ["all"].iter().collect(),
        };
        for written in &tokens.list.value {
            let Some(secret) = secret(written, self.source, self.report) else { continue };
            let Some(inner) = self.inner_token(kind, tokens.id, written, &secret) else { continue };
            let Some(mut record) = self.record(account, kind, tokens.id, moments) else { return };
            record.scopes = Some(scopes.clone());
            record.attributes = attributes();
            self.insert(record, inner.expose(), &written.place);
        }
    }

    fn inner_token(
        &mut self,
        kind: Kind,
        id: &Placed<String>,
        written: &Placed<SecretSource>,
        secret: &Secret,
    ) -> Option<Secret> {
        let camera = (kind == Kind::CameraToken).then_some(id.value.as_str());
        match token::inner(secret, camera) {
            Ok(inner) => Some(inner),
            Err(invalid) => {
                self.report.error(written.place.clone(), invalid);
                None
            }
        }
    }

    /// A credential without what only its kind has. Says so if its name is not its own.
    fn record(&mut self, account: &Arc<Account>, kind: Kind, id: &Placed<String>, moments: &Moments) -> Option<Record> {
        if let (Some(from), Some(end)) = (&moments.not_before, &moments.expires)
            && from.value >= end.value
        {
            self.report.error(end.place.clone(), Invalid::new("this is never good: it expires before it begins"));
        }
        if !plain_id(id, self.report) {
            return None;
        }
        Some(Record {
            kind,
            id: self.name(account, kind, id)?,
            account: Arc::clone(account),
            subject: HeaderValue::try_from(format!("{}:{}", word(kind), id.value)).expect("ids are visible ASCII"),
            disabled: moments.disabled,
            not_before: moments.not_before.as_ref().map(|moment| moment.value.0),
            expires: moments.expires.as_ref().map(|moment| moment.value.0),
            scopes: None,
            attributes: Attributes::None,
        })
    }

    /// The name of the record: its id; where one camera or group has many tokens, with a number.
    fn name(&mut self, account: &Arc<Account>, kind: Kind, id: &Placed<String>) -> Option<Arc<str>> {
        let own: Arc<str> = id.value.as_str().into();
        let many = matches!(kind, Kind::CameraToken | Kind::GroupToken);
        let Some(owner) = self.owners.get_mut(&(kind, Arc::clone(&own))) else {
            let owner = Owner { account: account.id.clone(), place: id.place.clone(), records: 1 };
            self.owners.insert((kind, Arc::clone(&own)), owner);
            return Some(if many { format!("{own}#1").into() } else { own });
        };
        // The tokens of one camera may differ in scope, and then stand in several entries.
        if many && owner.account == account.id {
            owner.records += 1;
            return Some(format!("{own}#{}", owner.records).into());
        }
        let invalid = if many {
            Invalid::new(format!("the {} `{own}` belongs to another account", word(kind)))
        } else {
            Invalid::new(format!("a second {} is called `{own}`", word(kind)))
                .hint(format!("name it after its account, such as `{}-{own}`", account.id.0))
        };
        self.report.conflict(id.place.clone(), invalid, owner.place.clone(), "the first");
        None
    }

    fn insert(&mut self, record: Record, digest_text: &[u8], place: &Range<usize>) {
        let (kind, name) = (record.kind, Arc::clone(&record.id));
        match self.index.insert(record, digest_text) {
            Ok(()) => {
                self.places.insert((kind, name), place.clone());
            }
            Err(clash) => {
                let invalid = Invalid::new(format!("the {} `{}` has the same secret", word(kind), clash.first));
                let first = self.places.get(&(kind, clash.first)).unwrap_or(place);
                self.report.conflict(place.clone(), invalid, first.clone(), "the first");
            }
        }
    }
}

/// The tokens of a camera or a group.
struct Tokens<'a> {
    id: &'a Placed<String>,
    list: &'a Placed<Vec<Placed<SecretSource>>>,
    scopes: Option<&'a Placed<Vec<String>>>,
}

/// Who speaks with a credential of this kind, towards the upstream.
fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::LicenseKey => "license_key",
        Kind::ApiClient => "api_client",
        Kind::CameraToken => "camera",
        Kind::GroupToken => "camera_group",
        Kind::ServiceAccountKey => "service_account",
    }
}
