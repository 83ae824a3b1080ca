//! Which door inside: host, path and method of a request lead to one entry of a table, or to none.

mod case;
mod fit;
mod host;
mod parameter;
mod path;
mod table;
mod tree;

pub use self::case::Case;
pub use self::fit::Fit;
pub use self::host::HostPattern;
pub use self::parameter::Parameter;
pub use self::table::{Pattern, Table};
