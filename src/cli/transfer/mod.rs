//! What goes into the store and comes out of it in files: import, export, backup and its way back.

mod backup;
mod counted;
mod export;
mod import;
mod lines;
mod new_file;
mod order;

pub(super) use self::backup::{Backup, Restore};
pub(super) use self::export::Export;
pub(super) use self::import::Import;
pub(super) use self::new_file::NewFile;
