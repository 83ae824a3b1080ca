//! Header and query, on their way to an upstream that goes on checking: where both hold a credential, both must be the
//! proven caller's. One that nobody has looked at, or that was found wrong, could be the one that it believes (threats A6).

use std::sync::Arc;

use percent_encoding::percent_decode_str;

use super::Expression;
use crate::edge::head::Head;
use crate::edge::preface::Preface;
use crate::refusal::{Reason, Refusal};
use crate::scheme::{Examine, Principal, Rejection, Scene, word};

const TWO: &str = "Authorization and the query hold credentials that are not both the caller's";

impl Expression {
    /// Refuses a proven caller who has sent a second credential that did not prove them. To be asked where credentials go
    /// on as they came.
    pub fn one_caller(
        &self,
        principal: &Principal,
        head: &Head<'_>,
        preface: &Preface,
        scene: &Scene<'_>,
    ) -> Result<(), Refusal> {
        let Some(query) = head.query().filter(|query| names_one_of(query, &self.parameters)) else { return Ok(()) };
        let Some(word) = word(head) else { return Ok(()) };
        // Rare from here on: most send one credential. Whatever was wrong has been counted before.
        let scene = Scene { guard: None, ..*scene };
        let (mut by_header, mut by_query) = (false, false);
        for scheme in self.tree.leaves().into_iter().map(|leaf| &*leaf.scheme) {
            let (header, parameter) = (answers(scheme, word), names_one_of(query, &scheme.places().query));
            if (header || parameter) && is_of(scheme.examine(head, preface, &scene), principal) {
                by_header |= header;
                by_query |= parameter;
            }
        }
        if by_header && by_query { Ok(()) } else { Err(self.unproven(Reason::Ambiguous, TWO)) }
    }
}

/// Whether a pair of the query has one of these names, after decoding and without regard to case: as it is stripped.
fn names_one_of(query: &str, names: &[Box<str>]) -> bool {
    let is_named = |pair: &str| {
        let name = pair.split_once('=').map_or(pair, |(name, _)| name);
        let lower = || percent_decode_str(name).map(|byte| byte.to_ascii_lowercase());
        names.iter().any(|own| lower().eq(own.bytes().map(|byte| byte.to_ascii_lowercase())))
    };
    !names.is_empty() && query.split(['&', ';']).any(is_named)
}

/// Whether a scheme is answered with this word (RFC 9110 §11.4: credentials begin as the challenge does).
fn answers(scheme: &dyn Examine, word: &[u8]) -> bool {
    scheme.challenge().is_some_and(|challenge| {
        let own = challenge.as_bytes().split(|&byte| byte == b' ').next();
        own.is_some_and(|own| own.eq_ignore_ascii_case(word))
    })
}

fn is_of(found: Result<Option<Principal>, Rejection>, principal: &Principal) -> bool {
    let Ok(Some(found)) = found else { return false };
    found.credentials().iter().all(|record| principal.credentials().iter().any(|own| Arc::ptr_eq(own, record)))
}
