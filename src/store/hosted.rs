//! How many cameras an account may have. What is published is counted in the index; what the present transaction has
//! done since is counted here and taken back with it, so that no camera of an account is ever counted anew.

use std::collections::HashMap;

use super::entry::Entry;
use super::index::Cameras;
use super::link::Stop;
use super::refused::Refused;
use super::resource::{Body, Resource};
use super::shelf::Desk;

/// Cameras that came and went in one transaction.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// More or fewer cameras than are published, by account.
    change: HashMap<String, i64>,
    /// What was added, with the mark of the desk at that time.
    undo: Vec<(usize, String, i64)>,
}

impl Tally {
    /// Notes that so many more cameras are an account's.
    pub(super) fn add(&mut self, mark: usize, account: &str, more: i64) {
        *self.change.entry(account.to_owned()).or_default() += more;
        self.undo.push((mark, account.to_owned(), more));
    }

    /// Takes back everything since the mark.
    pub(super) fn roll_back(&mut self, mark: usize) {
        while let Some((_, account, more)) = self.undo.pop_if(|(at, ..)| *at >= mark) {
            *self.change.entry(account).or_default() -= more;
        }
    }

    fn of(&self, account: &str) -> i64 {
        self.change.get(account).copied().unwrap_or(0)
    }
}

/// Whose camera this is, where it counts: one that is switched off does not.
fn host(entry: &Entry) -> Option<&str> {
    (entry.resource() == Resource::Camera && !entry.common.disabled).then(|| entry.account())
}

/// Counts an entry that takes the place of another, and refuses one camera more than its account may have. What is there
/// already may stay, also above a limit that was lowered since.
pub(super) fn count(
    desk: &mut Desk<'_>,
    before: Option<&Entry>,
    after: Option<&Entry>,
    cameras: &Cameras,
) -> Result<(), Stop> {
    let (gone, come) = (before.and_then(host), after.and_then(host));
    if gone == come {
        return Ok(());
    }
    if let Some(account) = come {
        let hosted = cameras.hosted(account).saturating_add_signed(desk.tally().of(account));
        if let Some(limit) = limit(desk, account)?.filter(|limit| hosted >= *limit) {
            let field = if before.is_some() { "disabled" } else { "account" };
            return Err(Refused::Allotment { field, account: account.to_owned(), limit, hosted }.into());
        }
        desk.tally_more(account, 1);
    }
    if let Some(account) = gone {
        desk.tally_more(account, -1);
    }
    Ok(())
}

fn limit(desk: &Desk<'_>, account: &str) -> Result<Option<u64>, redb::Error> {
    let found = desk.entry(Resource::Account, account)?.map(|entry| entry.body);
    Ok(if let Some(Body::Account(account)) = found { account.limits.hosted_cameras } else { None })
}
