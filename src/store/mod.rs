//! Who exists: accounts and their credentials, known by keyed digest. Nothing here believes a credential, and nothing
//! here blocks: what is on disk one day is published to the [`Index`] first.

pub mod audit_chain;
mod digest;
mod index;
pub mod key;
pub mod key_text;
pub mod keyring;
pub mod passphrase;
pub mod seal;

pub use self::digest::Pepper;
pub use self::index::{Clash, Index};
