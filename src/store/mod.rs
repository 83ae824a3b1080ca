//! Who exists: accounts and their credentials, known by keyed digest. Nothing here believes a credential, and nothing
//! here blocks: what is on disk one day is published to the [`Index`] first.

mod digest;
#[cfg_attr(not(test), expect(dead_code, reason = "the store that runs on it is still to come"))]
mod engine;
mod index;

pub use self::digest::Pepper;
pub use self::index::{Clash, Index};
