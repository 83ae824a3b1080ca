//! Which camera a request is for, and whether the caller may go there. A token goes to its camera or to those of its
//! group, an account to its own cameras and to those of accounts below it. A camera that nobody here knows is nobody's.
//!
//! Whoever is proven by a circumstance alone (`ip`) or as a super-administrator has no cameras to be kept to, and passes.
//! Ids in bodies are not looked at.

use std::borrow::Cow;
use std::fmt;

use percent_encoding::percent_decode_str;

use crate::clock::UnixTime;
use crate::edge::head::Head;
use crate::record::{Attributes, Directory, Group, Holding, Kind, Record};
use crate::refusal::{Cause, Refusal};
use crate::route::Parameter;
use crate::scheme::{Principal, Scene};

/// Where the id of the camera stands in a request, and who is kept to it.
#[derive(Debug)]
pub struct Rule {
    /// In the path.
    pub path: Option<Parameter>,
    /// In the query, under any of these names. They are compared after decoding and without regard to case.
    pub query: Vec<Box<str>>,
    /// Who is kept to it.
    pub binds: Binds,
}

/// Who is kept to their cameras.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binds {
    /// Every credential.
    Everyone,
    /// Tokens of cameras and groups; whose camera is whose among accounts is the upstream's business.
    Tokens,
}

/// Whom to ask, and for which moment.
pub(super) type Now<'a> = (&'a dyn Directory, UnixTime);

/// The longest id that takes no place of its own in memory, in bytes. Ids are numbers as a rule, or UUIDs without hyphens.
const SHORT: usize = 32;

/// The id of a camera that a request is for.
#[derive(Clone)]
pub enum CameraId {
    /// A short one, and how long it is.
    Short([u8; SHORT], u8),
    /// Any other.
    Long(Box<str>),
}

impl CameraId {
    fn new(id: &str) -> Self {
        let mut bytes = [0; SHORT];
        match (bytes.get_mut(..id.len()), u8::try_from(id.len())) {
            (Some(place), Ok(length)) => {
                place.copy_from_slice(id.as_bytes());
                Self::Short(bytes, length)
            }
            (_, _) => Self::Long(id.into()),
        }
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Short(bytes, length) => str::from_utf8(&bytes[..usize::from(*length)]).expect("it was made of text"),
            Self::Long(id) => id,
        }
    }
}

impl fmt::Debug for CameraId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CameraId({:?})", self.as_str())
    }
}

fn refuse(detail: &'static str) -> Refusal {
    Refusal::new(Cause::PermissionDenied, detail)
}

impl Rule {
    /// Refuses a caller who has no business with the camera that the request names; says which it is. Where it names none
    /// there is nothing to refuse: a token stands for its camera then.
    pub fn check(
        &self,
        principal: &Principal,
        head: &Head<'_>,
        scene: &Scene<'_>,
    ) -> Result<Option<CameraId>, Refusal> {
        let Some(id) = self.camera(head)? else { return Ok(None) };
        self.opens(principal, &id, (scene.directory, scene.now))?;
        Ok(Some(CameraId::new(&id)))
    }

    /// Refuses a caller who has no business with this camera, as it stands at that moment.
    pub(super) fn opens(&self, principal: &Principal, id: &str, now: Now<'_>) -> Result<(), Refusal> {
        // Several where they were joined by `and`: none of them may be led elsewhere by another.
        for record in principal.credentials().iter() {
            match &record.attributes {
                Attributes::Camera(own) if **own == *id => {}
                Attributes::Camera(_) => return Err(refuse("the token is for another camera")),
                Attributes::Group(group) => of_group(group, record, id, now)?,
                Attributes::None | Attributes::Proofs(_) | Attributes::PublicKey(_) | Attributes::App(_) => {
                    if self.binds == Binds::Everyone && record.kind() != Kind::AdminCertificate {
                        of_account(principal, id, now)?;
                    }
                }
            }
        }
        // Whom a foreign issuer knows has nothing on file: the account that they speak for is what they are kept to.
        if self.binds == Binds::Everyone && principal.rests_on_issuers() {
            of_account(principal, id, now)?;
        }
        Ok(())
    }

    /// The id of the camera that a request is for. However an upstream reads the request, it finds this one.
    fn camera<'h>(&self, head: &'h Head<'_>) -> Result<Option<Cow<'h, str>>, Refusal> {
        let mut found = None;
        if let Some(parameter) = &self.path {
            let text = parameter.text(head.path()).ok_or_else(|| refuse("the path names no camera"))?;
            agree(&mut found, decode(text)?)?;
        }
        if self.query.is_empty() {
            return Ok(found);
        }
        for pair in head.query().unwrap_or_default().split('&') {
            self.note(pair, &mut found)?;
            // To some readers a semicolon ends a pair as well.
            if pair.contains(';') {
                pair.split(';').try_for_each(|part| self.note(part, &mut found))?;
            }
        }
        Ok(found)
    }

    /// Notes the id of a pair of the query that names a camera.
    fn note<'h>(&self, pair: &'h str, found: &mut Option<Cow<'h, str>>) -> Result<(), Refusal> {
        let (name, text) = pair.split_once('=').unwrap_or((pair, ""));
        let is_named =
            |own: &str| percent_decode_str(name).map(|byte| byte.to_ascii_lowercase()).eq(lower(own.as_bytes()));
        if !self.query.iter().any(|own| is_named(own)) {
            return Ok(());
        }
        if text.contains('+') {
            return Err(refuse("the camera's id in the query has a plus sign: one reader's blank"));
        }
        agree(found, decode(text)?)
    }
}

fn lower(text: &[u8]) -> impl Iterator<Item = u8> {
    text.iter().map(u8::to_ascii_lowercase)
}

/// One id, however often it stands there.
fn agree<'h>(found: &mut Option<Cow<'h, str>>, id: Cow<'h, str>) -> Result<(), Refusal> {
    match found {
        Some(first) if *first != id => Err(refuse("the request names two cameras")),
        Some(_) => Ok(()),
        None => {
            *found = Some(id);
            Ok(())
        }
    }
}

fn decode(text: &str) -> Result<Cow<'_, str>, Refusal> {
    percent_decode_str(text).decode_utf8().map_err(|_| refuse("the camera's id is not text"))
}

fn of_group(group: &Group, record: &Record, id: &str, (directory, now): Now<'_>) -> Result<(), Refusal> {
    if !group.cameras.contains(id) {
        return Err(refuse("the camera is not in the token's group"));
    }
    match directory.camera(id, &record.account, now) {
        // A group may be declared with cameras of which nothing else is said.
        Holding::Held | Holding::Unknown => Ok(()),
        Holding::Disabled => Err(refuse("the camera is switched off")),
        Holding::Elsewhere => Err(refuse("the camera belongs to another account than the group")),
    }
}

fn of_account(principal: &Principal, id: &str, (directory, now): Now<'_>) -> Result<(), Refusal> {
    let account = principal.account().ok_or_else(|| refuse("the credential has no account"))?;
    match directory.camera(id, account, now) {
        Holding::Held => Ok(()),
        Holding::Unknown => Err(refuse("nobody here knows the camera")),
        Holding::Disabled => Err(refuse("the camera is switched off")),
        Holding::Elsewhere => Err(refuse("the camera belongs to another account")),
    }
}

#[cfg(test)]
mod tests;
