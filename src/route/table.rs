//! The routes of one listener. The host is asked first: an exact name, then the longest wildcard, then the routes that
//! take any host; a host whose routes have no such path leaves it to the next, so that a route for all hosts need not be
//! repeated for each. Within a host the most specific path decides, then the method.

use std::borrow::Cow;

use http::Method;

use super::case::{self, Case};
use super::host::HostPattern;
use super::tree::{Builder, Tree};
use crate::invalid::Invalid;
use crate::refusal::{Cause, Refusal};

/// What a route asks of a request.
#[derive(Clone, Debug)]
pub struct Pattern {
    /// The host; `None` takes any.
    pub host: Option<HostPattern>,
    /// The path, with `{name}` for a part of one segment and `{*rest}` for the rest, also where that is nothing.
    pub path: String,
    /// The methods; GET takes HEAD along.
    pub methods: Vec<Method>,
    /// Whether upper and lower case are told apart in the path.
    pub case: Case,
}

/// Leads from host, path and method to an entry.
#[derive(Clone, Debug)]
pub struct Table<T> {
    /// Sorted by name.
    exact: Vec<(HostPattern, Tree<T>)>,
    /// The longest suffix first.
    wildcards: Vec<(HostPattern, Tree<T>)>,
    any: Option<Tree<T>>,
    /// Whether some route ignores case: then all paths are looked for in one spelling, so that a host whose route minds
    /// case does not leave another spelling of its path to the routes of the next host.
    folded: bool,
    /// What it was made from.
    entries: Vec<(Pattern, T)>,
}

impl<T: Copy> Table<T> {
    /// Builds the table, or names every entry that cannot be part of it.
    pub fn new(entries: Vec<(Pattern, T)>) -> Result<Self, Vec<(usize, Invalid)>> {
        let made_from = entries.clone();
        let folded = entries.iter().any(|(pattern, _)| pattern.case == Case::Ignored);
        let mut mistakes = Vec::new();
        let mut hosts: Vec<(Option<HostPattern>, Builder<T>)> = Vec::new();
        for (index, (pattern, value)) in entries.into_iter().enumerate() {
            let place = hosts.iter().position(|(host, _)| *host == pattern.host).unwrap_or_else(|| {
                hosts.push((pattern.host.clone(), Builder::new(folded)));
                hosts.len() - 1
            });
            if let Err(invalid) = hosts[place].1.add(index, pattern, value) {
                mistakes.push((index, invalid));
            }
        }
        let mut table = Self { exact: Vec::new(), wildcards: Vec::new(), any: None, folded, entries: made_from };
        for (host, builder) in hosts {
            match (host, builder.finish()) {
                (None, Ok(tree)) => table.any = Some(tree),
                (Some(host), Ok(tree)) if host.is_wildcard() => table.wildcards.push((host, tree)),
                (Some(host), Ok(tree)) => table.exact.push((host, tree)),
                (_, Err(more)) => mistakes.extend(more),
            }
        }
        if !mistakes.is_empty() {
            mistakes.sort_by_key(|(index, _)| *index);
            return Err(mistakes);
        }
        table.exact.sort_by(|(one, _), (other, _)| one.compare(&other.to_string()));
        table.wildcards.sort_by_key(|(host, _)| std::cmp::Reverse(host.weight()));
        Ok(table)
    }

    /// What it was made from, in that order.
    pub fn entries(&self) -> &[(Pattern, T)] {
        &self.entries
    }

    /// The entry for a request: its host without the port, its canonical path, its method.
    pub fn select(&self, host: &str, path: &str, method: &Method) -> Result<T, Refusal> {
        let host = host.strip_suffix('.').unwrap_or(host);
        let exact = self.exact.binary_search_by(|(name, _)| name.compare(host)).ok().map(|place| &self.exact[place].1);
        let wildcards = self.wildcards.iter().filter(|(suffix, _)| suffix.covers(host)).map(|(_, tree)| tree);
        let folded = if self.folded { case::folded(path) } else { Cow::Borrowed(path) };
        let naturalized = if self.folded { case::naturalized(&folded) } else { None };
        for tree in exact.into_iter().chain(wildcards).chain(&self.any) {
            // An upstream that takes one letter for another would find another route's resource behind this one.
            if naturalized.as_ref().is_some_and(|other| !tree.leads_alike(&folded, other)) {
                return Err(Refusal::new(Cause::NotFound, "a letter of the path is another one to some upstreams"));
            }
            if let Some(leaf) = tree.find(path, &folded)? {
                return leaf.select(method);
            }
        }
        Err(Refusal::new(Cause::NotFound, "no route has this host and path"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Methods behind a `~` are those of a route that ignores case.
    fn pattern(host: &str, path: &str, methods: &str) -> Pattern {
        let (case, methods) = match methods.strip_prefix('~') {
            Some(methods) => (Case::Ignored, methods),
            None => (Case::Minded, methods),
        };
        Pattern {
            case,
            host: (!host.is_empty()).then(|| host.parse().unwrap()),
            path: path.into(),
            methods: methods.split_whitespace().map(|method| method.parse().unwrap()).collect(),
        }
    }

    fn table(rows: &[(&str, &str, &str)]) -> Result<Table<usize>, Vec<(usize, Invalid)>> {
        let entry =
            |(index, (host, path, methods)): (usize, &(&str, &str, &str))| (pattern(host, path, methods), index);
        Table::new(rows.iter().enumerate().map(entry).collect())
    }

    /// The entry, or the name of the cause with what is allowed instead.
    fn selected(table: &Table<usize>, request: &str) -> String {
        let [method, host, path] = request.split(' ').collect::<Vec<_>>()[..] else { panic!("{request}") };
        match table.select(host, path, &method.parse().unwrap()) {
            Ok(entry) => entry.to_string(),
            Err(refusal) => match refusal.fields.first() {
                Some((_, allow)) => format!("{}: {}", refusal.cause.name(), allow.to_str().unwrap()),
                None => refusal.cause.name().to_owned(),
            },
        }
    }

    #[test]
    fn the_most_specific_host_and_path_win() {
        let table = table(&[
            ("", "/{*rest}", "GET"),
            ("*.example.com", "/api/{*rest}", "GET"),
            ("*.b.example.com", "/api/{*rest}", "GET"),
            ("a.example.com", "/api/{*rest}", "GET"),
            ("a.example.com", "/api/live", "GET"),
            ("a.example.com", "/api/live/{id}/image", "GET"),
        ])
        .unwrap();
        for (request, expected) in [
            ("GET a.example.com /api/x", "3"),
            ("GET A.EXAMPLE.com. /api/x", "3"),
            ("GET a.example.com /api/live", "4"),
            ("GET a.example.com /api/live/", "3"),
            ("GET a.example.com /api/live/7/image", "5"),
            ("GET a.example.com /api/live/7/image/x", "3"),
            ("GET a.example.com /api/live//image", "3"),
            ("GET c.example.com /api/x", "1"),
            ("GET c.B.example.com /api/x", "2"),
            ("GET b.example.com /api/x", "1"),
            ("GET example.com /api/x", "0"),
            ("GET a.example.com /other", "0"),
            ("GET c.b.example.com /other", "0"),
            ("GET [::1] /", "0"),
            ("GET  /", "0"),
        ] {
            assert_eq!(selected(&table, request), expected, "{request}");
        }
    }

    #[test]
    fn many_hosts_are_all_found() {
        let hosts: Vec<String> = (0..300).map(|number| format!("h{number}.example")).collect();
        let rows: Vec<(&str, &str, &str)> = hosts.iter().map(|host| (host.as_str(), "/", "GET")).collect();
        let table = table(&rows).unwrap();
        for (index, host) in hosts.iter().enumerate() {
            assert_eq!(selected(&table, &format!("GET {} /", host.to_uppercase())), index.to_string());
        }
        assert_eq!(selected(&table, "GET h300.example /"), "not_found");
    }

    #[test]
    fn the_rest_may_be_nothing_unless_another_route_claims_the_place() {
        let table = table(&[
            ("", "/api/v4/{*rest}", "GET"),
            ("", "/x/{*rest}", "GET"),
            ("", "/x", "GET"),
            ("", "/y/{id}/{*rest}", "GET"),
        ])
        .unwrap();
        for (request, expected) in [
            ("GET h /api/v4/live", "0"),
            ("GET h /api/v4/", "0"),
            ("GET h /api/v4", "0"),
            ("GET h /api/v4x", "not_found"),
            ("GET h /api", "not_found"),
            ("GET h /x", "2"),
            ("GET h /x/", "1"),
            ("GET h /y/7", "3"),
            ("GET h /y/7/", "3"),
            ("GET h /y/7/z/", "3"),
            ("GET h /y/", "not_found"),
        ] {
            assert_eq!(selected(&table, request), expected, "{request}");
        }
    }

    #[test]
    fn a_path_without_the_method_names_those_it_has() {
        let table = table(&[
            ("", "/a", "POST GET"),
            ("", "/a", "DELETE"),
            ("", "/b", "PUT"),
            ("", "/c/{x}", "GET"),
            ("", "/c/{y}", "HEAD"),
            ("h", "/d", "GET"),
            ("", "/d", "POST"),
        ])
        .unwrap();
        for (request, expected) in [
            ("GET h /a", "0"),
            ("HEAD h /a", "0"),
            ("DELETE h /a", "1"),
            ("PUT h /a", "method_not_allowed: DELETE, GET, HEAD, POST"),
            ("PROPFIND h /a", "method_not_allowed: DELETE, GET, HEAD, POST"),
            ("HEAD h /b", "method_not_allowed: PUT"),
            ("GET h /c/1", "3"),
            ("HEAD h /c/1", "4"),
            ("POST h /d", "method_not_allowed: GET, HEAD"),
            ("POST g /d", "6"),
        ] {
            assert_eq!(selected(&table, request), expected, "{request}");
        }
    }

    #[test]
    fn a_route_that_ignores_case_takes_every_spelling_of_its_path() {
        let table = table(&[
            ("", "/User/{id}", "~GET"),
            ("", "/user/{id}/Photo", "~GET"),
            ("", "/Session/{*rest}", "~POST"),
            ("", "/{*rest}", "~PUT"),
        ])
        .unwrap();
        for (request, expected) in [
            ("GET h /User/2112", "0"),
            ("GET h /user/2112", "0"),
            ("GET h /USER/Abc", "0"),
            ("GET h /uSER/%C3%A9", "0"),
            ("GET h /user/7/PHOTO", "1"),
            ("PUT h /USER/7/photo", "method_not_allowed: GET, HEAD"),
            ("POST h /SESSION", "2"),
            ("POST h /session/", "2"),
            ("POST h /sessioN/7/X", "2"),
            ("GET h /session/7", "method_not_allowed: POST"),
            ("GET h /u%C5%BFer/7", "not_found"),
            ("GET h /user/%C5%BFer", "0"),
            ("PUT h /%E2%84%AA", "3"),
            ("GET h /u%C3%9Fer/7", "method_not_allowed: PUT"),
            ("PUT h /user", "3"),
        ] {
            assert_eq!(selected(&table, request), expected, "{request}");
        }
    }

    #[test]
    fn no_spelling_leads_around_a_route_that_minds_case() {
        let table = table(&[
            ("", "/Admin/{*rest}", "GET"),
            ("", "/{*rest}", "GET"),
            ("", "/sv/{*rest}", "~GET"),
            ("a", "/Key", "GET"),
            ("a", "/key/{id}", "GET"),
            ("*.b", "/Key", "GET"),
        ])
        .unwrap();
        for (request, expected) in [
            ("GET h /Admin/x", "0"),
            ("GET h /Admin", "0"),
            // As if the route that ignores case were not there.
            ("GET h /admin/x", "1"),
            ("GET h /admin", "1"),
            ("GET h /SV/x", "2"),
            ("GET h /Sv", "2"),
            ("GET h /svx", "1"),
            ("GET a /Key", "3"),
            ("GET a /key", "not_found"),
            ("GET a /KEY", "not_found"),
            ("GET a /key/X", "4"),
            ("GET a /KEY/X", "not_found"),
            ("GET a /sV/x", "2"),
            ("GET a.b /key", "not_found"),
            ("GET b /key", "1"),
        ] {
            assert_eq!(selected(&table, request), expected, "{request}");
        }
    }

    #[test]
    fn routes_that_disagree_about_case_in_one_place_are_named() {
        for (rows, blamed) in [
            (&[("", "/user/{id}", "~GET"), ("", "/User/x", "GET")][..], Some(1)),
            (&[("", "/User/x", "GET"), ("", "/user/{id}", "~GET")], Some(1)),
            (&[("", "/user", "~GET"), ("", "/user", "POST")], Some(1)),
            (&[("", "/User", "~GET"), ("", "/user", "~GET")], Some(1)),
            (&[("", "/User", "~GET"), ("", "/user", "~POST")], None),
            (&[("", "/User", "GET"), ("", "/user", "POST")], None),
            (&[("", "/User", "GET"), ("", "/user", "POST"), ("", "/x", "~GET")], Some(1)),
            (&[("", "/api/{*rest}", "GET"), ("", "/{*rest}", "~GET")], Some(1)),
            (&[("", "/{*rest}", "GET"), ("", "/api/{*rest}", "~GET")], None),
            (&[("", "/api", "GET"), ("", "/api/{*rest}", "~GET")], Some(1)),
            (&[("", "/api/{*rest}", "GET"), ("", "/Api", "~GET")], None),
            (&[("a", "/User/x", "GET"), ("", "/user/{id}", "~GET")], None),
            (&[("", "/caf%C3%A9", "~GET")], Some(0)),
        ] {
            let mistakes =
                table(rows).map(drop).map_err(|mistakes| mistakes.iter().map(|(at, _)| *at).collect::<Vec<_>>());
            assert_eq!(mistakes.err(), blamed.map(|at| vec![at]), "{rows:?}");
        }
    }

    #[test]
    fn every_entry_that_cannot_stand_is_named() {
        let mistakes = table(&[
            ("h", "/a/{x}", "GET POST"),
            ("H.", "/a/{y}", "PUT POST"),
            ("", "/a/{x}", "GET"),
            ("h", "/a/{*rest}", "GET"),
            ("h", "/a/{x}-{y}", "GET"),
            ("h", "/b//", "GET"),
        ])
        .unwrap_err();
        let said: Vec<String> = mistakes
            .into_iter()
            .map(|(index, invalid)| format!("{index}: {} | {}", invalid.message, invalid.hint.unwrap_or("-".into())))
            .collect();
        insta::assert_snapshot!(said.join("\n"), @r#"
        1: an earlier route takes POST of `/a/{y}` already | give the two different hosts, paths or methods
        3: `/a/{*rest}` cannot be told apart from the path of an earlier route | in one place of a path there may be literals and either one {name} or one {*rest}
        4: `/a/{x}-{y}` is not a path pattern | a segment has room for one {name}
        5: no request has the path `/b//` | its one canonical form is "/b/"
        "#);
    }
}
