//! Cameras. The id of the entry is the id by which the upstream knows the camera.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Attributes;

/// A camera.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Camera {}

impl Attributes for Camera {
    const ABOUT: &'static str = "A camera; its id is the one by which the upstream knows it";
    const FIELDS: &'static [&'static str] = &[];
}
