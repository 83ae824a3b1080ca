//! Which assets of an app a public listing may show (CameraTag, vendors 3.1): the upstream's JSON is read whole and those
//! that may not be seen are taken out of it. What is not the JSON that is expected is withheld.

use http::Response;
use http::request::Parts;

use crate::deadline::Deadline;
use crate::forward::Body;
use crate::record::Wall;
use crate::refusal::{Cause, Refusal};

/// How a listing is filtered.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The largest answer that is looked through, in bytes.
    pub max_answer: u64,
}

impl Rule {
    /// Has the upstream answer with the whole listing, as plain JSON.
    pub fn prepare(&self, parts: &mut Parts) {
        let _ = parts;
    }

    /// The listing without what may not be seen.
    pub async fn filter(
        &self,
        answer: Response<Body>,
        wall: Wall,
        patience: &Deadline,
    ) -> Result<Response<Body>, Refusal> {
        let _ = (answer, wall, patience);
        Err(Refusal::new(Cause::UpstreamFailed, "the listing is withheld"))
    }
}
