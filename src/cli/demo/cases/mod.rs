//! What the demo shows: for each vendor, requests that are accepted and requests that are refused, and what is expected
//! of the answer.

mod cameratag;
mod life;
mod multicam;
mod operator;
mod securevideo;
mod voximplant;
mod vxg;

use super::curl::Curl;
use super::ground::Facts;
use super::vendor::Vendor;

/// One request and what must come back.
pub(super) struct Case {
    /// Whose API it is for.
    pub(super) vendor: Vendor,
    /// What it shows, in a few words.
    pub(super) what: &'static str,
    /// The request.
    pub(super) curl: Curl,
    /// The status expected.
    pub(super) status: u16,
    /// What must stand in the answer.
    pub(super) shows: Vec<String>,
    /// What must not.
    pub(super) hides: Vec<String>,
    /// Whether it reaches the API behind the gateway.
    pub(super) accepted: bool,
    /// The story of which it is a step; stories are told in their order.
    pub(super) told: Option<Story>,
}

/// What is told step by step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Story {
    /// The life of a license key.
    LicenseKey,
    /// The life of an account of VXG's, from the super-admin API.
    Account,
    /// The life of a camera's token.
    Token,
}

impl Story {
    /// All of them, in the order in which they are told.
    pub(super) const ALL: [Self; 3] = [Self::LicenseKey, Self::Account, Self::Token];

    /// Its title.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::LicenseKey => "The life of a license key",
            Self::Account => "The life of an account, from the operator's certificate to the last camera",
            Self::Token => "The life of a camera's token",
        }
    }
}

impl Case {
    /// A request that reaches the API, which answers with `status`.
    fn accepted(vendor: Vendor, status: u16, what: &'static str, curl: Curl) -> Self {
        Self { vendor, what, curl, status, shows: Vec::new(), hides: Vec::new(), accepted: true, told: None }
    }

    /// A request that the gateway answers itself.
    fn refused(vendor: Vendor, status: u16, what: &'static str, curl: Curl) -> Self {
        Self { accepted: false, ..Self::accepted(vendor, status, what, curl) }
    }

    /// Makes it a step of a story.
    fn told(mut self, story: Story) -> Self {
        self.told = Some(story);
        self
    }

    /// Expects this status instead.
    fn status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    /// Expects this text in the answer.
    fn shows(mut self, text: impl Into<String>) -> Self {
        self.shows.push(text.into());
        self
    }

    /// Expects the answer to be without this text.
    fn hides(mut self, text: impl Into<String>) -> Self {
        self.hides.push(text.into());
        self
    }
}

/// All of them, vendor by vendor, and then the stories.
pub(super) fn all(facts: &Facts) -> Vec<Case> {
    Vendor::ALL
        .into_iter()
        .flat_map(|vendor| match vendor {
            Vendor::Vxg => vxg::cases(facts),
            Vendor::SecureVideo => securevideo::cases(facts),
            Vendor::CameraTag => cameratag::cases(facts),
            Vendor::Multicam => multicam::cases(facts),
            Vendor::Voximplant => voximplant::cases(facts),
        })
        .chain(life::cases(facts))
        .chain(operator::stories(facts))
        .collect()
}

/// The media type of a refusal in the default wording (RFC 9457).
const PROBLEM: &str = "application/problem+json";

/// One `[name, value]` of the echo's list of headers.
fn echoed(name: &str, value: &str) -> String {
    serde_json::json!([name, value]).to_string()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A case that expects `status`, shows and hides.
    pub(in crate::cli::demo) fn case(status: u16, shows: &str, hides: &str) -> Case {
        Case::accepted(Vendor::Vxg, status, "", Curl::new("http://127.0.0.1:1/")).shows(shows).hides(hides)
    }
}
