//! Lists in pages, as VXG has them: `limit` and `offset` in the query, `meta` and `objects` in the answer.

use serde_json::{Value, json};
use url::form_urlencoded;

use super::document::wrong;
use crate::refusal::Refusal;

/// How many objects a page has where nothing is said.
const USUAL: usize = 20;
/// The most objects of a page; asked for more, or for 0, one gets so many.
const MOST: usize = 1000;

/// The query of a request, as far as anybody asks for it.
#[derive(Debug)]
pub(super) struct Query<'a> {
    raw: &'a str,
}

impl<'a> Query<'a> {
    /// The query as received; nothing in it is refused that nobody asks for.
    pub(super) fn new(raw: Option<&'a str>) -> Self {
        Self { raw: raw.unwrap_or_default() }
    }

    /// The value of a parameter, decoded. One that stands twice is refused: it could be read in two ways.
    pub(super) fn value(&self, name: &str) -> Result<Option<String>, Refusal> {
        let mut values = form_urlencoded::parse(self.raw.as_bytes()).filter(|(own, _)| own == name);
        match (values.next(), values.next()) {
            (None, _) => Ok(None),
            (Some((_, value)), None) => Ok(Some(value.into_owned())),
            (Some(_), Some(_)) => Err(wrong(name, "one parameter of the query, and it stands there twice")),
        }
    }

    /// Which page is asked for.
    pub(super) fn page(&self) -> Result<Page, Refusal> {
        let number = |name| match self.value(name)? {
            None => Ok(None),
            Some(text) => match text.parse::<usize>() {
                Ok(number) if text.bytes().all(|byte| byte.is_ascii_digit()) => Ok(Some(number)),
                Ok(_) | Err(_) => Err(wrong(name, "a whole number that is not negative")),
            },
        };
        let limit = number("limit")?.unwrap_or(USUAL);
        let limit = if limit == 0 { MOST } else { limit.min(MOST) };
        Ok(Page { limit, offset: number("offset")?.unwrap_or(0) })
    }
}

/// A page of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Page {
    /// How many objects at most.
    pub(super) limit: usize,
    /// How many come before it.
    pub(super) offset: usize,
}

impl Page {
    /// The page as it is answered; `path` is the list's own.
    pub(super) fn answer(self, path: &str, objects: &[Value], total: usize) -> Value {
        let Self { limit, offset } = self;
        let at = |offset: usize| format!("{path}?limit={limit}&offset={offset}");
        let next = offset.checked_add(limit).filter(|next| *next < total).map(at);
        let previous = (offset > 0).then(|| at(offset.saturating_sub(limit)));
        json!({
            "meta": { "limit": limit, "offset": offset, "total_count": total, "next": next, "previous": previous },
            "objects": objects,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read_from_the_query() {
        for (query, expected) in [
            ("", Some((20, 0))),
            ("limit=5&offset=10&order_by=name", Some((5, 10))),
            ("limit=0", Some((1000, 0))),
            ("limit=5000", Some((1000, 0))),
            ("limit=-1", None),
            ("limit=+1", None),
            ("limit=x", None),
            ("offset=99999999999999999999999", None),
            ("limit=1&limit=2", None),
            ("limit=1&%6cimit=2", None),
        ] {
            let page = Query::new(Some(query)).page().ok().map(|page| (page.limit, page.offset));
            assert_eq!(page, expected, "{query}");
        }
    }

    #[test]
    fn a_page_names_those_before_and_after_it() {
        for (offset, total, previous, next) in [
            (0, 0, None, None),
            (0, 20, None, None),
            (0, 21, None, Some("/l/?limit=20&offset=20")),
            (20, 41, Some("/l/?limit=20&offset=0"), Some("/l/?limit=20&offset=40")),
            (30, 31, Some("/l/?limit=20&offset=10"), None),
            (usize::MAX, 31, Some("/l/?limit=20&offset=18446744073709551595"), None),
        ] {
            let answer = Page { limit: 20, offset }.answer("/l/", &[], total);
            assert_eq!((answer["meta"]["previous"].as_str(), answer["meta"]["next"].as_str()), (previous, next));
            assert_eq!(answer["meta"]["total_count"], total);
        }
    }
}
