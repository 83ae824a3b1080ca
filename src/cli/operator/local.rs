//! The file itself, while no gateway has it open.

use std::io::Write;

use super::{Access, Call, Operator, Trouble};

/// The admin API in this process.
pub(super) struct Local {}

impl Local {
    /// Opens the store.
    pub(super) fn open(_access: &Access) -> Result<Self, Trouble> {
        Err(Trouble::plain("the configuration has no `[store]`: there is nothing to manage"))
    }
}

impl Operator for Local {
    fn stream(&mut self, _call: Call, _sink: &mut dyn Write) -> Result<(), Trouble> {
        unreachable!()
    }
}
