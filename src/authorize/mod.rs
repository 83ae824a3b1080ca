//! May they do this, from here, there? Takes a [`Principal`] and returns a [`Permit`], the receipt that `limit` asks for.

pub mod content;
pub mod network;
pub mod origin;
pub mod resource;
pub mod role;
pub mod scope;

use crate::edge::head::Head;
use crate::edge::preface::Preface;
use crate::refusal::Refusal;
use crate::scheme::{Principal, Scene};

/// What a route asks of a proven caller.
#[derive(Debug, Default)]
pub struct Rules {
    /// Which scopes may read and write.
    pub scope: scope::Rule,
    /// Whether callers come from where their account says.
    pub network: network::Rule,
    /// Which camera a request is for; `None`: the route does not say.
    pub camera: Option<resource::Rule>,
    /// Which pages may ask; `None`: any.
    pub origin: Option<origin::Rule>,
    /// Where the operation stands, and who may do which. In the place of `scope`, where it is there.
    pub operation: Option<role::Rule>,
}

/// A proven caller who may do what they ask.
#[derive(Debug)]
pub struct Permit {
    principal: Principal,
    operation: Option<Box<str>>,
}

impl Permit {
    /// The operation that is permitted, where the route asks for one.
    pub fn operation(&self) -> Option<&str> {
        self.operation.as_deref()
    }

    /// Hands the caller on to the next room.
    pub fn into_principal(self) -> Principal {
        self.principal
    }
}

/// Permits or refuses.
pub fn permit(
    principal: Principal,
    rules: &Rules,
    (head, preface): (&Head<'_>, &Preface),
    scene: &Scene<'_>,
) -> Result<Permit, Refusal> {
    // The address first: somebody elsewhere is not told what the credential could do.
    rules.network.check(&principal, head)?;
    if let Some(origin) = &rules.origin {
        origin.check(&principal, (head, preface), scene)?;
    }
    let operation = match &rules.operation {
        Some(operation) => Some(operation.check(&principal, head, preface)?),
        None => {
            rules.scope.check(&principal, head)?;
            None
        }
    };
    if let Some(camera) = &rules.camera {
        camera.check(&principal, head, scene)?;
    }
    Ok(Permit { principal, operation })
}
