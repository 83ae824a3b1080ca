//! What is measured: [`families`] is the one table of it. Workers count requests in memory that each of them alone writes
//! ([`tally`]), so that a request pays for a few plain additions; everything else is looked at when somebody asks. Labels
//! are names from the configuration or words of the house, never anything that a caller sent.

pub mod families;
pub mod process;
pub mod sheet;
pub mod tally;
pub mod workers;

pub use self::families::Family;
pub use self::sheet::{Sheet, page};
pub use self::tally::Tallies;
pub use self::workers::{Worker, Workers};
