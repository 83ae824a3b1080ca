//! Routes that are not reached, though they stand there. Requests that a route is for are made up and put to the very tables
//! that choose routes, and to what a listener refuses before that.

use http::Method;

use super::Scene;
use crate::config::check::route::Checked;
use crate::config::report::Report;
use crate::config::rules;
use crate::invalid::Invalid;
use crate::route::{Pattern, Table};

/// Stands where a pattern takes anything: nobody's pattern begins or ends so.
const ANYTHING: &str = "~0vidgate~0";
/// A host that nobody has (RFC 6761 §6.4).
const ELSEWHERE: &str = "vidgate.invalid";
/// The most requests that are made up; thousands of routes for as many hosts are not looked through to the end.
const MOST: usize = 200_000;

/// Routes that nothing reaches, and routes before which one host's routes stand.
pub(super) fn shadowed(scene: &Scene<'_>, report: &mut Report) {
    let deepest = scene.routes.iter().map(|(_, meant)| meant.path.value.matches('/').count()).max().unwrap_or(0);
    let mut left = MOST;
    for (at, (written, meant)) in scene.routes.iter().enumerate() {
        let paths = paths(&meant.path.value, deepest + 1);
        let invalid = unreached(scene, at, meant, &paths).or_else(|| taken(scene, meant, &paths[0], &mut left));
        if let Some(invalid) = invalid {
            report.find(rules::SHADOWED_ROUTE.on(&written.name.value), written.path.place.clone(), invalid);
        }
    }
}

/// Why no request reaches the route at this place in the list, by none of its listeners.
fn unreached(scene: &Scene<'_>, at: usize, meant: &Checked, paths: &[String]) -> Option<Invalid> {
    let host = meant.host.as_deref().map_or_else(|| ELSEWHERE.to_owned(), instance);
    let mut why = None;
    for listener in meant.listeners.iter().filter_map(|place| Some((scene.listeners.get(*place)?, *place))) {
        let (own, place) = listener;
        // A proxy that asks is shown a certificate for itself, and names any host.
        let shown = own.tls.as_ref().filter(|_| own.decide.is_none());
        let answers = shown.is_none_or(|tls| tls.present().answers_to(&host));
        if let Some(named) = meant.host.as_deref().filter(|_| !answers) {
            why.get_or_insert_with(|| {
                Invalid::new(format!(
                    "no request reaches this route: the listener `{}` asks for certificates, and is not called `{named}`",
                    own.name
                ))
                .hint("show a certificate for that host, or add it to the `names` of `tls`")
            });
            continue;
        }
        let mut fitting = paths.iter().filter(|path| path.len() <= own.limits.target_bytes);
        let chosen = |path: &str, method: &Method| scene.tables[place].select(&host, path, method).ok();
        let reaches =
            |path: &String| meant.methods.iter().any(|method| chosen(path, method).is_some_and(|id| id.0 == at));
        if fitting.any(reaches) {
            return None;
        }
        let too_long = paths.iter().all(|path| path.len() > own.limits.target_bytes);
        let other = paths.iter().find_map(|path| meant.methods.iter().find_map(|method| chosen(path, method)));
        let other = other.and_then(|id| scene.routes.get(id.0)).map(|(written, _)| written.name.value.as_str());
        why = Some(match (too_long, other) {
            (true, _) => Invalid::new("no request reaches this route: its path is longer than `max_target`"),
            (false, Some(other)) => Invalid::new(format!("no request reaches this route: `{other}` takes all of them")),
            (false, None) => Invalid::new("no request reaches this route: others refuse its method"),
        });
    }
    why
}

/// Whether a route for fewer hosts takes what this one is for, though its path says less.
fn taken(scene: &Scene<'_>, meant: &Checked, path: &str, left: &mut usize) -> Option<Invalid> {
    let method = meant.methods.first()?;
    for (written, other) in &scene.routes {
        let narrower = match (&meant.host, &other.host) {
            (None, Some(_)) => true,
            (Some(own), Some(host)) => own.starts_with("*.") && own != host,
            (_, None) => false,
        };
        let Some(host) = other.host.as_deref().filter(|_| narrower) else { continue };
        let Some(listener) = meant.listeners.iter().find(|place| other.listeners.contains(place)) else { continue };
        *left = left.checked_sub(1)?;
        let chosen = scene.tables[*listener].select(&instance(host), path, method).ok();
        let chosen = chosen.and_then(|id| scene.routes.get(id.0));
        if chosen.is_some_and(|(chosen, _)| chosen.name.value == written.name.value)
            && says_less(other, meant, path, method)
        {
            return Some(Invalid::new(format!(
                "for the host `{host}`, the route `{}` takes what this one is for: its path `{}` says less",
                written.name.value, other.path.value
            )));
        }
    }
    None
}

/// Whether the path of `meant` would be chosen before that of `other`, were they for the same host.
fn says_less(other: &Checked, meant: &Checked, path: &str, method: &Method) -> bool {
    let anywhere = |route: &Checked| Pattern { host: None, ..route.pattern() };
    Table::new(vec![(anywhere(other), false), (anywhere(meant), true)])
        .is_ok_and(|table| table.select(ELSEWHERE, path, method).is_ok_and(|own| own))
}

/// A host that a pattern is for.
fn instance(pattern: &str) -> String {
    pattern.strip_prefix("*.").map_or_else(|| pattern.to_owned(), |rest| format!("vidgate-0.{rest}"))
}

/// Paths that a pattern is for, with a `{*rest}` of each length up to `longest`: where any path reaches a route, one of
/// these does.
fn paths(pattern: &str, longest: usize) -> Vec<String> {
    let mut fixed = String::new();
    let mut rest = pattern;
    while let Some((literal, (name, tail))) = rest.split_once('{').and_then(|(a, b)| Some((a, b.split_once('}')?))) {
        fixed.push_str(literal);
        if name.starts_with('*') {
            let lengths = (1..=longest).map(|length| format!("{fixed}{}", [ANYTHING].repeat(length).join("/")));
            let mut paths: Vec<String> = lengths.flat_map(|path| [path.clone(), path + "/"]).collect();
            paths.push(fixed.clone());
            paths.extend(fixed.strip_suffix('/').filter(|shorter| !shorter.is_empty()).map(str::to_owned));
            return paths;
        }
        fixed.push_str(ANYTHING);
        rest = tail;
    }
    vec![fixed + rest]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_has_paths_of_each_length() {
        for (pattern, length, expected) in [
            ("/a", 2, &["/a"][..]),
            ("/a/{x}/b-{y}.png", 2, &["/a/~/b-~.png"]),
            ("/{*rest}", 1, &["/~", "/~/", "/"]),
            ("/a/{*rest}", 1, &["/a/~", "/a/~/", "/a/", "/a"]),
        ] {
            let paths: Vec<String> = paths(pattern, length).iter().map(|path| path.replace(ANYTHING, "~")).collect();
            assert_eq!(paths, expected, "{pattern}");
        }
    }
}
