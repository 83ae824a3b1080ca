//! A token for a user who has logged in. A user has a bounded number of them: what is over goes, and then the oldest, in
//! the same transaction.

use serde_json::{Map, Value};

use super::entry::{Entry, Status};
use super::link::Stop;
use super::refused::Refused;
use super::resource::Resource;
use super::rules::{self, Circumstances, Worked};
use super::shelf::Desk;
use crate::clock::UnixTime;

/// Makes the token; at most `most` are there then.
pub(super) fn issue(
    desk: &mut Desk<'_>,
    user: &str,
    expires: UnixTime,
    most: usize,
    at: &Circumstances<'_>,
) -> Result<Worked, Stop> {
    let resource = Resource::User;
    let Some(user) = desk.entry(resource, user)? else {
        return Err(Refused::missing(resource, user).into());
    };
    let (mut over, mut good) = (Vec::new(), Vec::new());
    for token in tokens(desk, &user)? {
        let list = if token.status(at.now) == Status::Expired { &mut over } else { &mut good };
        list.push(token);
    }
    good.sort_by(|one, other| (one.created, &one.id).cmp(&(other.created, &other.id)));
    let surplus = (good.len() + 1).saturating_sub(most.max(1));
    let (mut effects, mut deals) = (Vec::new(), Vec::new());
    for token in over.into_iter().chain(good.into_iter().take(surplus)) {
        rules::take_away(desk, token, &mut effects, &mut deals)?;
    }
    let document = Map::from_iter([
        ("user".to_owned(), Value::from(user.id)),
        ("expires".to_owned(), Value::from(expires.to_text())),
    ]);
    let mut made = rules::create(desk, Resource::BearerToken, document, Vec::new(), at)?;
    // The meant one comes first, as everywhere.
    made.effects.append(&mut effects);
    made.deals.append(&mut deals);
    Ok(made)
}

fn tokens(desk: &Desk<'_>, user: &Entry) -> Result<Vec<Entry>, redb::Error> {
    let needing = rules::needing(desk, user, usize::MAX)?;
    let ids = needing.into_iter().filter(|(resource, _)| *resource == Resource::BearerToken);
    ids.filter_map(|(resource, id)| desk.entry(resource, &id).transpose()).collect()
}
