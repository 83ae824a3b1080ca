//! Who still has credentials of a kind that a finding is about.

use std::collections::{BTreeMap, HashSet};

use serde_json::{Value, json};

use crate::cli::operator::{Call, Operator, Trouble, Where, reach};
use crate::clock::UnixTime;
use crate::record::Kind;
use crate::store::{Index, Resource};

/// The most accounts that are named.
const NAMED: usize = 5;
/// The most pages of a thousand entries that a gateway is asked for.
const PAGES: usize = 50;

/// Who has credentials of one kind.
#[derive(Debug, Default)]
pub(super) struct Users {
    /// How many credentials there are, by account.
    accounts: BTreeMap<String, usize>,
    /// When one of them was used last.
    used: Option<String>,
    /// Of apps: how many let their pages sign the expiration alone.
    expiration_only: usize,
    /// Whether there are more than were looked through.
    more: bool,
}

impl Users {
    /// Those who are in this index: declared, and on file where the store was opened.
    pub(super) fn declared(kind: Kind, index: &Index) -> Self {
        let mut users = Self::default();
        let mut used: Option<UnixTime> = None;
        // An app is found by its id and by its public key, and is one app.
        let mut apps = HashSet::new();
        index.for_each(|record| {
            if record.kind() == kind && (kind != Kind::App || apps.insert(record.id().to_owned())) {
                *users.accounts.entry(record.account.id.0.to_string()).or_default() += 1;
                users.expiration_only += usize::from(record.attributes.app().is_some_and(|app| app.expiration_only));
                used = used.max(record.used());
            }
        });
        users.used = used.map(UnixTime::to_text);
        users
    }

    /// Takes in an entry of the store, as the admin API shows it.
    fn add(&mut self, entry: &Value) {
        let account = entry["account"].as_str().unwrap_or("?");
        *self.accounts.entry(account.to_owned()).or_default() += 1;
        self.expiration_only += usize::from(entry["signatures"]["expiration_only"] == json!(true));
        let used = entry["last_used"].as_str().map(str::to_owned);
        // Instants in one form: the later one is the greater text.
        self.used = self.used.take().max(used);
    }

    fn count(&self) -> usize {
        self.accounts.values().sum()
    }

    /// Those with the most first.
    fn foremost(&self) -> Vec<(&str, usize)> {
        let mut accounts: Vec<_> = self.accounts.iter().map(|(id, count)| (id.as_str(), *count)).collect();
        accounts.sort_by_key(|(id, count)| (std::cmp::Reverse(*count), *id));
        accounts.truncate(NAMED);
        accounts
    }

    /// `3 user_key of 2 accounts (acme 2, zeta 1), last used 2026-11-20T10:00:00Z`.
    pub(super) fn sentence(&self, kind: Kind) -> String {
        let (count, accounts) = (self.count(), self.accounts.len());
        let kind = kind.name();
        if count == 0 {
            return format!("{kind}: none");
        }
        let names: Vec<String> = self.foremost().iter().map(|(id, count)| format!("{id} {count}")).collect();
        let others = if accounts > NAMED { ", …" } else { "" };
        let more = if self.more { " or more" } else { "" };
        let plural = if accounts == 1 { "account" } else { "accounts" };
        let old = match self.expiration_only {
            0 => String::new(),
            some => format!("; {some} with expiration_only"),
        };
        let used = self.used.as_ref().map_or_else(|| ", never used".to_owned(), |used| format!(", last used {used}"));
        format!("{kind}: {count}{more}, of {accounts} {plural} ({}{others}){used}{old}", names.join(", "))
    }

    /// The same for scripts.
    pub(super) fn document(&self, kind: Kind) -> Value {
        let accounts: Vec<Value> =
            self.foremost().iter().map(|(id, count)| json!({ "account": id, "count": count })).collect();
        json!({
            "kind": kind.name(),
            "count": self.count(),
            "accounts": self.accounts.len(),
            "most": accounts,
            "last_used": self.used,
            "more": self.more,
        })
    }
}

/// Asks the gateway that has the store open for what is in it. Where none answers, what is declared is all that is known.
pub(super) fn ask(place: &Where, users: &mut [(Kind, Users)]) -> Result<(), Trouble> {
    let Some(mut gateway) = reach(place)?.gateway() else { return Ok(()) };
    for (kind, users) in users {
        if let Some((resource, field)) = resource(*kind) {
            take(&mut *gateway, resource, field, users)?;
        }
    }
    Ok(())
}

fn take(gateway: &mut dyn Operator, resource: Resource, field: &str, users: &mut Users) -> Result<(), Trouble> {
    let mut after: Option<String> = None;
    for _ in 0..PAGES {
        let query = [("limit", Some("1000")), ("after", after.as_deref())];
        let page = gateway.call(Call::get(&[resource.path()]).query(&query))?;
        let entries = page["items"].as_array().into_iter().flatten();
        entries.filter(|entry| field.is_empty() || !entry[field].is_null()).for_each(|entry| users.add(entry));
        after = page["next"].as_str().map(str::to_owned);
        if after.is_none() {
            return Ok(());
        }
    }
    users.more = true;
    Ok(())
}

/// What it is in the store, and which field only those have that are meant.
fn resource(kind: Kind) -> Option<(Resource, &'static str)> {
    match kind {
        Kind::CameraToken => Some((Resource::Token, "camera")),
        Kind::GroupToken => Some((Resource::Token, "group")),
        Kind::ApiClient => Some((Resource::ApiClient, "")),
        Kind::UserKey => Some((Resource::User, "")),
        Kind::App => Some((Resource::App, "")),
        Kind::LicenseKey | Kind::ServiceAccountKey | Kind::User | Kind::BearerToken | Kind::AdminCertificate => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_with_the_most_are_named_and_the_others_counted() {
        let mut users = Users::default();
        for (account, used) in [("a", None), ("b", Some("2026-11-20T10:00:00Z")), ("b", Some("2026-11-19T10:00:00Z"))] {
            users.add(&json!({ "account": account, "last_used": used }));
        }
        let expected = "user_key: 3, of 2 accounts (b 2, a 1), last used 2026-11-20T10:00:00Z";
        assert_eq!(users.sentence(Kind::UserKey), expected);
        (0..7).for_each(|number| users.add(&json!({ "account": format!("c{number}") })));
        assert!(users.sentence(Kind::UserKey).contains("of 9 accounts (b 2, a 1, c0 1, c1 1, c2 1, …)"));
        assert_eq!(users.document(Kind::UserKey)["most"].as_array().map(Vec::len), Some(NAMED));
        assert_eq!(Users::default().sentence(Kind::App), "app: none");
    }
}
