//! May they do this, from here, there? Takes a [`Principal`] and returns a [`Permit`], the receipt that `limit` asks for.

pub mod content;
pub mod network;
pub mod resource;
pub mod scope;

use crate::edge::head::Head;
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
}

/// A proven caller who may do what they ask.
#[derive(Debug)]
pub struct Permit {
    principal: Principal,
}

impl Permit {
    /// Hands the caller on to the next room.
    pub fn into_principal(self) -> Principal {
        self.principal
    }
}

/// Permits or refuses.
pub fn permit(principal: Principal, rules: &Rules, head: &Head<'_>, scene: &Scene<'_>) -> Result<Permit, Refusal> {
    // The address first: somebody elsewhere is not told what the credential could do.
    rules.network.check(&principal, head)?;
    rules.scope.check(&principal, head)?;
    if let Some(camera) = &rules.camera {
        camera.check(&principal, head, scene)?;
    }
    Ok(Permit { principal })
}
