//! Who exists: accounts and their credentials, known by keyed digest. Nothing here believes a credential, and nothing
//! here blocks: what is on disk one day is published to the [`Index`] first.

mod by_key;
mod digest;
mod index;

pub use self::digest::{Pepper, Peppers};
pub use self::index::{Clash, Index, Part, Sighting};
