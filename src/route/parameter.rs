//! Where one `{name}` of a route's path stands in the paths of its requests, found once.

use super::path::is_name;
use crate::invalid::Invalid;

/// The place of a `{name}`: a segment, without the literal text around the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Counted from 0.
    segment: usize,
    /// How many bytes of literal text stand before it.
    before: usize,
    /// And after it.
    after: usize,
}

impl Parameter {
    /// Finds `name` in the path of a route.
    pub fn find(path: &str, name: &str) -> Result<Self, Invalid> {
        let mut found = None;
        for (segment, text) in path.split('/').skip(1).enumerate() {
            let Some((before, rest)) = text.split_once('{') else { continue };
            let Some((own, after)) = rest.split_once('}') else { continue };
            if own.strip_prefix('*').is_some_and(|rest| rest == name) {
                return Err(Invalid::new(format!("`{{*{name}}}` stands for any number of segments"))
                    .hint(format!("name the segment: \"…/{{{name}}}/{{*rest}}\"")));
            }
            if own != name {
                continue;
            }
            if found.is_some() {
                return Err(Invalid::new(format!("`{{{name}}}` stands twice in the path")));
            }
            found = Some(Self { segment, before: before.len(), after: after.len() });
        }
        found.ok_or_else(|| nowhere(path, name))
    }

    /// The text in its place in a canonical path that the route has matched: percent-encoded as it stands there.
    pub fn text<'a>(&self, path: &'a str) -> Option<&'a str> {
        let segment = path.split('/').nth(self.segment + 1)?;
        // The literal text was matched, be it with regard to case or without: its length is all that matters.
        segment.get(self.before..segment.len().checked_sub(self.after)?).filter(|text| !text.is_empty())
    }
}

fn nowhere(path: &str, name: &str) -> Invalid {
    let names: Vec<_> = path
        .split('{')
        .skip(1)
        .filter_map(|rest| rest.split_once('}'))
        .map(|(own, _)| own)
        .filter(|own| is_name(own))
        .map(|own| format!("`{own}`"))
        .collect();
    let invalid = Invalid::new(format!("the path `{path}` has no `{{{name}}}`"));
    match names.as_slice() {
        [] => invalid.hint("put it where the id stands: \"/api/v2/cameras/{id}/{*rest}\""),
        names => invalid.hint(format!("it has {}", names.join(" and "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_found_in_its_segment() {
        for (route, path, text) in [
            ("/{id}", "/7", Some("7")),
            ("/cameras/{id}/", "/cameras/248527/", Some("248527")),
            ("/api/{version}/cameras/{id}/{*rest}", "/api/v2/cameras/a%40b/live/", Some("a%40b")),
            ("/api/{version}/cameras/{id}/{*rest}", "/api/v2/cameras/7", Some("7")),
            ("/img-{id}.png", "/img-7.png", Some("7")),
            ("/img-{id}.png", "/IMG-7.PNG", Some("7")),
            ("/img-{id}.png", "/img-.png", None),
            ("/img-{id}.png", "/i.png", None),
            ("/a/{id}", "/a", None),
        ] {
            assert_eq!(Parameter::find(route, "id").unwrap().text(path), text, "{route} {path}");
        }
    }

    #[test]
    fn a_name_that_is_not_one_segment_is_a_mistake() {
        for (route, said) in [
            ("/cameras/{*rest}", "has no `{id}`"),
            ("/cameras/{camera}/{clip}", "it has `camera` and `clip`"),
            ("/cameras/id", "put it where the id stands"),
            ("/cameras/{*id}", "any number of segments"),
            ("/cameras/{id}/{id}", "twice"),
        ] {
            let invalid = Parameter::find(route, "id").unwrap_err();
            let text = format!("{} {}", invalid.message, invalid.hint.unwrap_or_default());
            assert!(text.contains(said), "{route}: {text}");
        }
    }
}
