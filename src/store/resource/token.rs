//! VXG's access tokens for a camera or a group.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Attributes, Owner, Reference, Resource, SecretRule};
use crate::record::Kind;
use crate::scheme::access_token;
use crate::secret::Secret;
use crate::store::refused::Fault;

/// The most words in `scopes`.
const MOST_SCOPES: usize = 32;

/// An access token (`Acc`, `SI`) for one camera or one group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// The camera that it opens.
    #[serde(default)]
    pub camera: Option<String>,
    /// The group that it opens.
    #[serde(default)]
    pub group: Option<String>,
    /// What it may do there. Default: all.
    #[serde(default = "everything")]
    pub scopes: Vec<String>,
}

fn everything() -> Vec<String> {
    vec!["all".into()]
}

impl Token {
    /// What it is looked up as.
    pub(in crate::store) fn kind(&self) -> Kind {
        if self.camera.is_some() { Kind::CameraToken } else { Kind::GroupToken }
    }
}

impl Attributes for Token {
    const ABOUT: &'static str = "An access token for a camera or a group (Acc, SI)";
    const FIELDS: &'static [&'static str] = &["camera", "group", "scopes"];
    const SECRET: Option<SecretRule> = Some(SecretRule {
        field: "token",
        // VXG's API shows access tokens again.
        sealed: true,
        // A token for a group is found as another kind: `Token::kind` has the last word.
        found_as: Some(Kind::CameraToken),
        check,
        make: Some(make),
    });
    const OWNER: Owner = Owner::Inherited;

    fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        match (&self.camera, &self.group) {
            (Some(_), None) | (None, Some(_)) => {}
            (None, None) => faults.push(Fault::new("camera", "a token is for a `camera` or for a `group`")),
            (Some(_), Some(_)) => {
                faults.push(Fault::new("group", "a token is for a `camera` or for a `group`, not both"));
            }
        }
        let word = |scope: &String| {
            (1..=64).contains(&scope.len()) && scope.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',')
        };
        if self.scopes.is_empty() {
            faults.push(Fault::new("scopes", "a token without a scope opens nothing"));
        } else if self.scopes.len() > MOST_SCOPES || !self.scopes.iter().all(word) {
            faults.push(Fault::new("scopes", format!("scopes are at most {MOST_SCOPES} words of visible ASCII")));
        }
        faults
    }

    fn references(&self) -> Vec<Reference<'_>> {
        let to = |resource, field| move |id| Reference { resource, id, field, follows: false };
        let camera = self.camera.as_deref().map(to(Resource::Camera, "camera"));
        camera.into_iter().chain(self.group.as_deref().map(to(Resource::CameraGroup, "group"))).collect()
    }

    fn fixed_fields() -> &'static [&'static str] {
        &["camera", "group"]
    }
}

/// The inner share token of what was given, by which it will be looked up.
fn check(token: &Secret) -> Result<Option<Secret>, &'static str> {
    access_token::inner_token(token.expose())
        .map(Some)
        .map_err(|_| "this is neither a share token (`share.…`) nor an access token in base64")
}

/// A token of VXG's form. Nobody has its signing key here, so that its last part is random and it is known by look-up
/// alone; it has no end of its own (36,530 days, as VXG's), since the entry says when it expires.
fn make() -> Secret {
    let mut random = zeroize::Zeroizing::new([0; 24]);
    getrandom::fill(random.as_mut_slice()).expect("the operating system has randomness once it runs programs");
    let (number, rest) = random.split_at(4);
    let number = u32::from_be_bytes(number.try_into().expect("four bytes"));
    let payload = URL_SAFE_NO_PAD.encode(format!("{{\"si\": {number}}}"));
    Secret::new(format!("share.{payload}.61a964c3tbc1fab00.{}", URL_SAFE_NO_PAD.encode(rest)).into_bytes())
}
