//! Why it was not another route: every other one of the listener, asked by itself.

use super::account::{Outcome, Telling};
use super::story::Seen;
use crate::route::{Fit, Pattern};
use crate::world::{Route, World};

/// The other routes: those that come near one by one, and the rest as one.
pub(super) fn others(world: &World, seen: &Seen, chosen: Option<&Route>) -> Vec<Telling> {
    let (mut near, mut far) = (Vec::new(), Vec::new());
    for (pattern, id) in world.table(seen.listener).entries() {
        let route = &world.routes[id.0];
        if chosen.is_some_and(|chosen| std::ptr::eq(chosen, route)) {
            continue;
        }
        let why = match pattern.fit(&seen.host, &seen.path, &seen.method) {
            Fit::OtherPath => {
                far.push(&*route.name);
                continue;
            }
            Fit::OtherHost => "is for another host",
            Fit::OtherMethod => "does not take the method",
            Fit::Fits => "is less specific",
        };
        let says = format!("`{}` ({}) {why}", route.name, written(pattern));
        near.push(Telling::new("other", Outcome::Skipped, says).with("name", &*route.name));
    }
    if !far.is_empty() {
        let says =
            format!("other paths: {}", far.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "));
        near.push(Telling::new("others", Outcome::Skipped, says).with("names", far));
    }
    near
}

fn written(pattern: &Pattern) -> String {
    let host = pattern.host.as_ref().map(ToString::to_string).unwrap_or_default();
    let methods = pattern.methods.iter().map(http::Method::as_str).collect::<Vec<_>>().join(" ");
    format!("{methods} {host}{}", pattern.path)
}
