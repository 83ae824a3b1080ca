//! `[[account]]`, as meant: who exists, and by which keys and tokens they are known.

mod app;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ops::Range;
use std::sync::Arc;

use super::declared::{self, Credential, Declared, DeclaredAccount, DeclaredCamera};
use super::terms::terms;
use super::{credential, plain_id, secret, token};
use crate::config::file::{self, Moments, Placed};
use crate::config::nearest;
use crate::config::report::Report;
use crate::config::source::Source;
use crate::invalid::Invalid;
use crate::public_key;
use crate::record::{Account, Attributes, DEEPEST_ACCOUNT, Digest, Group, Kind, Members, Scopes, Standing};
use crate::scheme::{account_key, basic, lkey, mtls};
use crate::secret::{Secret, SecretSource};
use crate::store::Pepper;
use crate::store::key_text::{self, Shape};

/// Everyone in the file.
pub(super) fn accounts(written: &[file::Entry<file::Account>], source: &Source, report: &mut Report) -> Declared {
    names(written, report);
    families(written, report);
    let mut register = Register {
        declared: Declared::default(),
        cameras: HashMap::new(),
        owners: HashMap::new(),
        texts: HashMap::new(),
        pepper: Pepper::random(),
        source,
        report,
    };
    for written in written.iter().filter_map(|entry| entry.table.as_ref()) {
        // An id that cannot stand in a header was reported by `names`.
        let Ok(account) = Account::new(&written.id.value, Standing::default()) else { continue };
        register.declared.accounts.push(DeclaredAccount {
            account,
            parent: written.parent.as_ref().map(|parent| parent.value.clone()),
            disabled: written.disabled,
            terms: terms(written, register.report),
            upstream_credential: credential::of_account(written, source, register.report),
            place: written.id.place.clone(),
        });
        register.credentials(written);
    }
    register.declared
}

/// Every account has a name of its own.
fn names(written: &[file::Entry<file::Account>], report: &mut Report) {
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
fn families(written: &[file::Entry<file::Account>], report: &mut Report) {
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
            continue;
        }
        let ancestors = std::iter::successors(Some(parent.value.as_str()), |id| parents.get(id).copied());
        if ancestors.take(DEEPEST_ACCOUNT + 1).count() > DEEPEST_ACCOUNT {
            let invalid = Invalid::new(format!("`{}` lies more than {DEEPEST_ACCOUNT} levels deep", account.id.value));
            report.error(parent.place.clone(), invalid);
        }
    }
}

/// Who is known so far, and where in the file they stand.
struct Register<'a> {
    declared: Declared,
    /// By id, the place among the declared ones.
    cameras: HashMap<Arc<str>, usize>,
    /// By id.
    owners: HashMap<(Kind, Arc<str>), Owner>,
    /// Which credential has a key, token or identifier: by a digest that nobody else knows them by.
    texts: HashMap<(Kind, Digest), usize>,
    pepper: Pepper,
    source: &'a Source,
    report: &'a mut Report,
}

/// Whose id it is.
struct Owner {
    /// Its place among the accounts.
    account: usize,
    place: Range<usize>,
    /// How many records it has so far.
    records: usize,
}

impl Register<'_> {
    fn credentials(&mut self, written: &file::Account) {
        written.license_key.iter().for_each(|key| self.license_key(key));
        written.api_client.iter().for_each(|client| self.api_client(client));
        for camera in &written.camera {
            let Some(id) = self.camera(camera) else { continue };
            let Some(list) = &camera.tokens else { continue };
            let tokens = Tokens { id: &camera.id, list, scopes: camera.scopes.as_ref() };
            self.tokens(Kind::CameraToken, &tokens, &camera.moments(), || Attributes::Camera(Arc::clone(&id)));
        }
        for group in &written.camera_group {
            let id: Arc<str> = group.id.value.as_str().into();
            let cameras: Members = group.cameras.iter().map(|camera| camera.value.as_str()).collect();
            for camera in &group.cameras {
                plain_id(camera, self.report);
            }
            let tokens = Tokens { id: &group.id, list: &group.tokens, scopes: group.scopes.as_ref() };
            let meant = Group { id, cameras };
            self.tokens(Kind::GroupToken, &tokens, &group.moments(), || Attributes::Group(Box::new(meant.clone())));
        }
        written.service_account.iter().for_each(|service| self.service_account(service));
        written.app.iter().for_each(|app| self.app(app));
        written.admin_certificate.iter().for_each(|certificate| self.admin_certificate(certificate));
    }

    /// Whose a camera is. `None`: the report says why it is not this account's.
    fn camera(&mut self, written: &file::OwnCamera) -> Option<Arc<str>> {
        if written.tokens.is_none() && !plain_id(&written.id, self.report) {
            return None;
        }
        let account = self.account();
        let Moments { disabled, not_before, expires } = written.moments();
        let (not_before, expires) = (not_before.map(|moment| moment.value.0), expires.map(|moment| moment.value.0));
        if let Some(first) = self.cameras.get(written.id.value.as_str()) {
            let first = &mut self.declared.cameras[*first];
            if first.account != account {
                let invalid = Invalid::new(format!("the camera `{}` belongs to another account", first.id));
                self.report.conflict(written.id.place.clone(), invalid, first.place.clone(), "the first");
                return None;
            }
            // Its entries differ in what their tokens may do: it is off where all of them are.
            first.disabled &= disabled;
            // `None` is the earliest beginning, and the latest end.
            first.not_before = first.not_before.min(not_before);
            first.expires = first.expires.zip(expires).map(|(own, its)| own.max(its));
            return Some(Arc::clone(&first.id));
        }
        let id: Arc<str> = written.id.value.as_str().into();
        let place = written.id.place.clone();
        self.cameras.insert(Arc::clone(&id), self.declared.cameras.len());
        self.declared.cameras.push(DeclaredCamera {
            id: Arc::clone(&id),
            account,
            disabled,
            not_before,
            expires,
            place,
        });
        Some(id)
    }

    fn license_key(&mut self, written: &file::LicenseKey) {
        let secret = secret(&written.key, self.source, self.report);
        let Some(record) = self.record(Kind::LicenseKey, &written.id, &written.moments()) else { return };
        let Some(secret) = secret else { return };
        if let Err(invalid) = lkey::presentable(secret.expose()) {
            return self.report.error(written.key.place.clone(), invalid);
        }
        if key_text::shape(secret.expose()) == Shape::Mistyped {
            // It would be refused unseen.
            let invalid = Invalid::new("this looks like a key made by vidgate, but its checksum is wrong");
            return self.report.error(written.key.place.clone(), invalid);
        }
        self.insert(record, secret, &written.key.place);
    }

    fn api_client(&mut self, written: &file::ApiClient) {
        if written.id.value.contains(':') {
            let invalid = Invalid::new("an API identifier has no colon: in `Basic`, the first one ends it");
            self.report.error(written.id.place.clone(), invalid);
        }
        let secret = secret(&written.secret, self.source, self.report);
        let Some(mut record) = self.record(Kind::ApiClient, &written.id, &written.moments()) else { return };
        let Some(secret) = secret else { return };
        if let Err(invalid) = basic::presentable(written.id.value.as_bytes(), secret.expose()) {
            return self.report.error(written.secret.place.clone(), invalid);
        }
        record.secret = Some(secret);
        for (alias, record) in self.aliases(written.aliases.as_ref(), &record) {
            self.insert(record, named(alias), &alias.place);
        }
        self.insert(record, named(&written.id), &written.id.place);
    }

    /// The same client once more for each of its aliases.
    fn aliases<'a>(
        &mut self,
        written: Option<&'a Placed<Vec<Placed<String>>>>,
        client: &Credential,
    ) -> Vec<(&'a Placed<String>, Credential)> {
        let Some(written) = written else { return Vec::new() };
        let texts: Vec<String> = written.value.iter().map(|alias| alias.value.clone()).collect();
        if let Err((at, message)) = account_key::aliases(&texts) {
            let place = at.map_or(&written.place, |at| &written.value[at].place);
            self.report.error(place.clone(), Invalid::new(message));
            return Vec::new();
        }
        written.value.iter().map(|alias| (alias, client.again())).collect()
    }

    fn service_account(&mut self, written: &file::ServiceAccount) {
        let key = self.source.file(&written.public_key.value).and_then(|pem| public_key::read(&pem));
        let record = self.record(Kind::ServiceAccountKey, &written.id, &written.moments());
        match key {
            Err(invalid) => self.report.error(written.public_key.place.clone(), invalid),
            Ok(key) => {
                let Some(mut record) = record else { return };
                record.attributes = Attributes::PublicKey(Box::new(key));
                record.scopes = self.roles(written.roles.as_ref());
                self.insert(record, named(&written.id), &written.id.place);
            }
        }
    }

    /// `None`: none. What that means is for the route to say.
    fn roles(&mut self, written: Option<&Placed<Vec<String>>>) -> Option<Scopes> {
        let written = written?;
        let plain = |role: &String| {
            (1..=128).contains(&role.len()) && role.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',')
        };
        if written.value.is_empty() || !written.value.iter().all(plain) {
            let invalid = Invalid::new("roles are words of visible ASCII without blanks and commas, and at least one")
                .hint("write CallListManager for `Call list manager`; blanks, hyphens and case make no difference");
            self.report.error(written.place.clone(), invalid);
        }
        Some(written.value.iter().collect())
    }

    fn admin_certificate(&mut self, written: &file::AdminCertificate) {
        let record = self.record(Kind::AdminCertificate, &written.id, &written.moments());
        let known = match (&written.sha256, &written.subject) {
            (Some(own), None) => mtls::digest(&own.value).map(|text| (own, text)).map_err(|wrong| (own, wrong)),
            (None, Some(own)) => mtls::presentable(&own.value).map(|text| (own, text)).map_err(|wrong| (own, wrong)),
            (Some(_), Some(_)) | (None, None) => {
                Err((&written.id, Invalid::new("a certificate is known by either its `sha256` or its `subject`")))
            }
        };
        match (known, record) {
            (Err((place, invalid)), _) => self.report.error(place.place.clone(), invalid),
            (Ok((own, text)), Some(record)) => self.insert(record, Secret::new(text.into_bytes()), &own.place),
            (Ok(_), None) => {}
        }
    }

    fn tokens(&mut self, kind: Kind, tokens: &Tokens<'_>, moments: &Moments, attributes: impl Fn() -> Attributes) {
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
            let Some(mut record) = self.record(kind, tokens.id, moments) else { return };
            record.scopes = Some(scopes.clone());
            record.attributes = attributes();
            self.insert(record, inner, &written.place);
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
    fn record(&mut self, kind: Kind, id: &Placed<String>, moments: &Moments) -> Option<Credential> {
        if let (Some(from), Some(end)) = (&moments.not_before, &moments.expires)
            && from.value >= end.value
        {
            self.report.error(end.place.clone(), Invalid::new("this is never good: it expires before it begins"));
        }
        if !plain_id(id, self.report) {
            return None;
        }
        Some(Credential {
            kind,
            id: self.name(kind, id)?,
            id_place: id.place.clone(),
            account: self.account(),
            subject: format!("{}:{}", kind.speaker(), id.value),
            disabled: moments.disabled,
            not_before: moments.not_before.as_ref().map(|moment| moment.value.0),
            expires: moments.expires.as_ref().map(|moment| moment.value.0),
            scopes: None,
            attributes: Attributes::None,
            secret: None,
            text: Secret::new(Vec::new()),
            text_place: id.place.clone(),
        })
    }

    /// The place of the account whose credentials are read: the last one so far.
    fn account(&self) -> usize {
        self.declared.accounts.len() - 1
    }

    /// The name of the record: its id; where one camera or group has many tokens, with a number.
    fn name(&mut self, kind: Kind, id: &Placed<String>) -> Option<Arc<str>> {
        let own: Arc<str> = id.value.as_str().into();
        let account = self.account();
        let many = matches!(kind, Kind::CameraToken | Kind::GroupToken);
        let Some(owner) = self.owners.get_mut(&(kind, Arc::clone(&own))) else {
            let owner = Owner { account, place: id.place.clone(), records: 1 };
            self.owners.insert((kind, Arc::clone(&own)), owner);
            return Some(if many { format!("{own}#1").into() } else { own });
        };
        // The tokens of one camera may differ in scope, and then stand in several entries.
        if many && owner.account == account {
            owner.records += 1;
            return Some(format!("{own}#{}", owner.records).into());
        }
        let invalid = if many {
            Invalid::new(format!("the {} `{own}` belongs to another account", kind.speaker()))
        } else {
            Invalid::new(format!("a second {} is called `{own}`", kind.speaker())).hint(format!(
                "name it after its account, such as `{}-{own}`",
                self.declared.accounts[account].account.id.0
            ))
        };
        self.report.conflict(id.place.clone(), invalid, owner.place.clone(), "the first");
        None
    }

    fn insert(&mut self, mut record: Credential, text: Secret, place: &Range<usize>) {
        let kind = record.kind;
        match self.texts.entry((kind, self.pepper.digest(text.expose()))) {
            Entry::Vacant(vacant) => {
                vacant.insert(self.declared.credentials.len());
                (record.text, record.text_place) = (text, place.clone());
                self.declared.credentials.push(record);
            }
            Entry::Occupied(first) => {
                let first = &self.declared.credentials[*first.get()];
                let (who, what) = (kind.speaker(), declared::known_by(kind));
                let invalid = Invalid::new(format!("the {who} `{}` has the same {what}", first.id));
                self.report.conflict(place.clone(), invalid, first.text_place.clone(), "the first");
            }
        }
    }
}

/// An id that is also what the credential is found by.
fn named(id: &Placed<String>) -> Secret {
    Secret::new(id.value.clone().into_bytes())
}

/// The tokens of a camera or a group.
struct Tokens<'a> {
    id: &'a Placed<String>,
    list: &'a Placed<Vec<Placed<SecretSource>>>,
    scopes: Option<&'a Placed<Vec<String>>>,
}
