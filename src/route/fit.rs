//! How far a request would get with one route alone: why it was not this one that was chosen.

use http::Method;

use super::table::{Pattern, Table};
use crate::refusal::Cause;

/// How far a request gets with a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// It is for another host.
    OtherHost,
    /// It has another path.
    OtherPath,
    /// The route does not take its method.
    OtherMethod,
    /// It fits: where the route was not chosen, a more specific one fits too.
    Fits,
}

impl Pattern {
    /// Asks a table of this pattern alone, so that it is the same look that chooses.
    pub fn fit(&self, host: &str, path: &str, method: &Method) -> Fit {
        let select = |pattern: Self| {
            let table = Table::new(vec![(pattern, ())]).ok()?;
            table.select(host, path, method).err().map(|refusal| refusal.cause)
        };
        // Most have another path, whatever the host.
        let anywhere = select(Self { host: None, ..self.clone() });
        if anywhere == Some(Cause::NotFound) {
            return Fit::OtherPath;
        }
        match if self.host.is_none() { anywhere } else { select(self.clone()) } {
            None => Fit::Fits,
            Some(Cause::MethodNotAllowed) => Fit::OtherMethod,
            Some(_) => Fit::OtherHost,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::Case;

    #[test]
    fn what_a_route_lacks_is_told() {
        let pattern = Pattern {
            host: Some("api.example".parse().unwrap()),
            path: "/a/{*rest}".into(),
            methods: vec![Method::GET],
            case: Case::Minded,
        };
        for (host, path, method, expected) in [
            ("api.example", "/a/b", Method::HEAD, Fit::Fits),
            ("API.example.", "/a", Method::GET, Fit::Fits),
            ("api.example", "/a/b", Method::POST, Fit::OtherMethod),
            ("other.example", "/a/b", Method::POST, Fit::OtherHost),
            ("other.example", "/b", Method::GET, Fit::OtherPath),
        ] {
            assert_eq!(pattern.fit(host, path, &method), expected, "{method} {host}{path}");
        }
    }
}
