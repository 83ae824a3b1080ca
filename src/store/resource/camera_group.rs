//! Groups of cameras, for which one token can be given.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Attributes, Reference, Resource};
use crate::store::refused::Fault;

/// The most cameras in one group.
const MOST_CAMERAS: usize = 10_000;

/// A group of cameras.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CameraGroup {
    /// The ids of its cameras, all of the group's account.
    pub cameras: Vec<String>,
}

impl Attributes for CameraGroup {
    const ABOUT: &'static str = "A group of cameras";
    const FIELDS: &'static [&'static str] = &["cameras"];

    fn faults(&self) -> Vec<Fault> {
        let distinct: BTreeSet<_> = self.cameras.iter().collect();
        if self.cameras.len() > MOST_CAMERAS {
            return vec![Fault::new("cameras", format!("a group has at most {MOST_CAMERAS} cameras"))];
        }
        if distinct.len() < self.cameras.len() {
            return vec![Fault::new("cameras", "a camera stands here twice")];
        }
        Vec::new()
    }

    fn references(&self) -> Vec<Reference<'_>> {
        let camera = |id| Reference { resource: Resource::Camera, id, field: "cameras", follows: false };
        self.cameras.iter().map(String::as_str).map(camera).collect()
    }
}
