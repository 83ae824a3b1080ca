//! `open`: anyone may pass, because the route says so in so many words. Not in the registry: it has no settings and no
//! name of its own, and goes with no other scheme.

use http::HeaderValue;

use crate::edge::head::Head;
use crate::edge::preface::Preface;
use crate::scheme::{Examine, Places, Principal, Rejection, Scene};

/// The scheme that believes everyone.
#[derive(Debug)]
pub(crate) struct Open;

impl Examine for Open {
    fn examine(&self, _: &Head<'_>, _: &Preface, _: &Scene<'_>) -> Result<Option<Principal>, Rejection> {
        Ok(Some(Principal::ambient("open", HeaderValue::from_static("anyone"))))
    }

    fn places(&self) -> Places {
        Places::default()
    }

    fn challenge(&self) -> Option<HeaderValue> {
        None
    }

    fn ambient(&self) -> bool {
        true
    }

    fn watches_for_leaks(&self) -> bool {
        false
    }
}
