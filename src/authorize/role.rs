//! The operation decides the permission (Voximplant, vendors 5.2): its name stands in the path, in the query or in a form,
//! and wherever it stands it is the same.

use crate::edge::head::Head;
use crate::edge::preface::Preface;
use crate::refusal::{Cause, Refusal};
use crate::route::Parameter;
use crate::scheme::Principal;

/// Where the name of the operation stands, and who may do which.
#[derive(Debug)]
pub struct Rule {
    /// In the path.
    pub path: Option<Parameter>,
    /// The name of the parameter in the query and in forms.
    pub parameter: Box<str>,
}

impl Rule {
    /// The operation that the request is for; refuses a caller who may not do it.
    pub fn check(&self, principal: &Principal, head: &Head<'_>, preface: &Preface) -> Result<Box<str>, Refusal> {
        let _ = (principal, head, preface);
        Err(Refusal::new(Cause::PermissionDenied, "nobody may do anything"))
    }
}
