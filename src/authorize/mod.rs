//! May they do this, from here, there? Takes a [`Principal`] and returns a [`Permit`], the receipt that `limit` asks for.

pub mod content;
mod undertaking;
pub mod network;
pub mod origin;
pub mod resource;
pub mod role;
pub mod scope;

pub use self::undertaking::Undertaking;
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
    /// Who may use it, whatever the operation. In the place of `scope`, where it is there.
    pub holders: Option<role::Who>,
}

/// A proven caller who may do what they ask.
#[derive(Debug)]
pub struct Permit {
    principal: Principal,
    undertaking: Undertaking,
}

impl Permit {
    /// The operation that is permitted, where the route asks for one.
    pub fn operation(&self) -> Option<&str> {
        self.undertaking.operation()
    }

    /// Hands the caller on to the next room, and what they may do.
    pub fn into_parts(self) -> (Principal, Undertaking) {
        (self.principal, self.undertaking)
    }
}

/// Permits or refuses.
pub fn permit(
    principal: Principal,
    rules: &Rules,
    (head, preface): (&Head<'_>, &Preface),
    scene: &Scene<'_>,
    witness: &mut impl Witness,
) -> Result<Permit, Refusal> {
    // The address first: somebody elsewhere is not told what the credential could do.
    heard(witness, Question::Address, rules.network.check(&principal, head))?;
    if let Some(origin) = &rules.origin {
        heard(witness, Question::Origin, origin.check(&principal, (head, preface), scene))?;
    }
    let operation = match (&rules.operation, &rules.holders) {
        (Some(operation), _) => Some(heard(witness, Question::Operation, operation.check(&principal, head, preface))?),
        (None, Some(holders)) => {
            heard(witness, Question::Holders, holders.check(&principal))?;
            None
        }
        (None, None) => {
            heard(witness, Question::Scope, rules.scope.check(&principal, head))?;
            None
        }
    };
    let camera = match &rules.camera {
        Some(camera) => heard(witness, Question::Camera, camera.check(&principal, head, scene))?,
        None => None,
    };
    Ok(Permit { principal, undertaking: Undertaking::new(head, operation, camera) })
}

/// What is asked of a proven caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// Whether they come from where their account says.
    Address,
    /// Whether the page that asks may.
    Origin,
    /// Whether they may do the operation.
    Operation,
    /// Whether they have one of the roles.
    Holders,
    /// Whether their scopes cover the method.
    Scope,
    /// Whether the camera is theirs.
    Camera,
}

/// Hears what is asked of a caller, and how it ends; by default nobody does.
pub trait Witness {
    /// A question was asked; with a refusal, the answer is no.
    #[inline]
    fn question(&mut self, _: Question, _: Option<&Refusal>) {}
}

impl Witness for () {}

fn heard<T>(witness: &mut impl Witness, question: Question, answer: Result<T, Refusal>) -> Result<T, Refusal> {
    witness.question(question, answer.as_ref().err());
    answer
}
