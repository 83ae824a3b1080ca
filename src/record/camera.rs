//! Cameras: how one stands to an account, and which ones a group has.

use std::sync::Arc;

/// How a camera stands to an account that asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holding {
    /// Nobody here knows a camera of this id.
    Unknown,
    /// It is switched off, whosever it is: by an operator, or since its time is over or has not come.
    Disabled,
    /// It is neither the account's nor that of an account below it.
    Elsewhere,
    /// It is the account's own, or that of an account below it.
    Held,
}

/// The cameras of a group, which all of its tokens share. There may be 10,000: they lie in order, to be found by halves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Members(Arc<[Arc<str>]>);

impl Members {
    /// Whether the camera of this id is one of them.
    pub fn contains(&self, id: &str) -> bool {
        self.0.binary_search_by(|own| (**own).cmp(id)).is_ok()
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Arc<str>> {
        self.0.iter()
    }

    /// The list itself, for whoever looks after how many there are in memory.
    pub(crate) fn shared(&self) -> &Arc<[Arc<str>]> {
        &self.0
    }

    /// A list that was made before.
    pub(crate) fn of_shared(list: Arc<[Arc<str>]>) -> Self {
        Self(list)
    }
}

impl<T: Into<Arc<str>>> FromIterator<T> for Members {
    fn from_iter<I: IntoIterator<Item = T>>(ids: I) -> Self {
        let mut ids: Vec<Arc<str>> = ids.into_iter().map(Into::into).collect();
        ids.sort_unstable();
        Self(ids.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_has_the_cameras_that_it_was_given_in_whatever_order() {
        let group: Members = ["9", "248527", "10", "z"].into_iter().collect();
        for (id, member) in
            [("9", true), ("10", true), ("248527", true), ("z", true), ("1", false), ("", false), ("24852", false)]
        {
            assert_eq!(group.contains(id), member, "{id}");
        }
        assert!(!Members::from_iter([""; 0]).contains(""));
    }
}
