//! The roles of service accounts by name and number. The names are the vendor's, and so are the numbers of
//! Support, whose parents are 1 and 2, and Accountant; the vendor prints no others, and those are ours.

use serde::Serialize;

use super::arguments::Arguments;
use super::coded;
use crate::authorize::role::is_same_role;
use crate::refusal::Refusal;

/// The role that may do everything.
const OWNER: &str = "Owner";
/// The one group of roles there is.
const GROUP: (u32, &str) = (1, "Service accounts");

/// A role.
#[derive(Debug)]
struct Role {
    id: u32,
    name: &'static str,
    /// The roles that may do what this one may.
    parents: &'static [u32],
}

const fn role(id: u32, name: &'static str, parents: &'static [u32]) -> Role {
    Role { id, name, parents }
}

static ROLES: [Role; 13] = [
    role(1, OWNER, &[]),
    role(2, "Admin", &[1]),
    role(3, "Support", &[1, 2]),
    role(4, "Developer", &[1, 2]),
    role(5, "Supervisor", &[1, 2]),
    role(6, "Call list manager", &[1, 2]),
    role(7, "Accountant", &[1, 2]),
    role(8, "Payer", &[1, 2]),
    role(9, "User manager", &[1, 2]),
    role(10, "CallsSMS", &[1, 2]),
    role(11, "PhoneNumberManager", &[1, 2]),
    role(12, "Verification", &[1, 2]),
    role(13, "Scenarios", &[1, 2]),
];

impl Role {
    /// As it is kept: one word.
    fn word(&self) -> String {
        self.name.replace(' ', "-")
    }
}

/// The roles that a call names, as they are kept. `held` are those of the key, which it may name whatever they are. `None`:
/// it names none.
pub(super) fn asked(arguments: &Arguments, held: &[String]) -> Result<Option<Vec<String>>, Refusal> {
    let (ids, names) = (arguments.list("role_id")?, arguments.list("role_name")?);
    let (items, is_id) = match (ids, names) {
        (None, None) => return Ok(None),
        (Some(_), Some(_)) => return Err(coded(449, "Using 'role_id' and 'role_name' at the same_time.")),
        (Some(ids), None) => (ids, true),
        (None, Some(names)) => (names, false),
    };
    let invalid = || {
        if is_id {
            coded(440, "The 'role_id' parameter is invalid.")
        } else {
            coded(441, "The 'role_name' parameter is invalid.")
        }
    };
    let known = |item: &str| {
        let known = |role: &&Role| if is_id { role.id.to_string() == item } else { is_same_role(role.name, item) };
        ROLES.iter().find(known).map(Role::word).or_else(|| held.iter().find(|own| *own == item).cloned())
    };
    let mut words: Vec<String> = Vec::new();
    for item in &items {
        let word = known(item).ok_or_else(invalid)?;
        if !words.contains(&word) {
            words.push(word);
        }
    }
    if words.is_empty() { Err(invalid()) } else { Ok(Some(words)) }
}

/// Whether a caller with these roles may give this one away: nobody gives what they have not, but for the owner.
pub(super) fn may_give(held: Option<&[Box<str>]>, role: &str) -> bool {
    held.is_none_or(|held| held.iter().any(|own| is_same_role(own, OWNER) || is_same_role(own, role)))
}

/// A role as it is shown (`RoleView` of the vendor's clients).
#[derive(Debug, Serialize)]
pub(super) struct View<'a> {
    role_name: &'a str,
    role_id: u32,
    /// Whether it is held by way of another one; here nobody's is.
    #[serde(skip_serializing_if = "Option::is_none")]
    inherited: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_role_id: Option<&'static [u32]>,
    gui_only: bool,
}

/// A group of roles as it is shown (`RoleGroupView`).
#[derive(Debug, Serialize)]
pub(super) struct Group {
    id: u32,
    name: &'static str,
}

impl<'a> View<'a> {
    /// The role that is kept in this word; `expanded` with where it stands among the others.
    pub(super) fn of_word(word: &'a str, expanded: bool) -> Self {
        match ROLES.iter().find(|role| is_same_role(role.name, word)) {
            Some(role) => Self::of(role, expanded),
            // The operator's own.
            None => Self { role_name: word, role_id: word.parse().unwrap_or(0), ..Self::of(&ROLES[0], false) },
        }
    }

    fn of(role: &Role, expanded: bool) -> Self {
        Self {
            role_name: role.name,
            role_id: role.id,
            inherited: expanded.then_some(false),
            parent_role_id: expanded.then_some(role.parents),
            gui_only: false,
        }
    }
}

/// `GetRoles`
pub(super) fn all(arguments: &Arguments) -> Result<Vec<View<'static>>, Refusal> {
    let group = arguments.text("group_name")?;
    let listed = group.is_none_or(|group| is_same_role(&group, GROUP.1));
    Ok(ROLES.iter().filter(|_| listed).map(|role| View::of(role, true)).collect())
}

/// `GetRoleGroups`
pub(super) fn groups() -> [Group; 1] {
    [Group { id: GROUP.0, name: GROUP.1 }]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use bytes::Bytes;
    use http::HeaderMap;

    use super::*;
    use crate::authorize::role::voximplant;

    #[test]
    fn the_roles_are_those_of_the_table_with_a_number_each() {
        let names: BTreeSet<_> = ROLES.iter().map(|role| role.name).collect();
        assert_eq!(names, voximplant::ROLES.iter().copied().collect());
        let ids: BTreeSet<_> = ROLES.iter().map(|role| role.id).collect();
        assert_eq!(ids.len(), ROLES.len());
        for (number, name) in voximplant::NUMBERS {
            assert!(ROLES.iter().any(|role| role.id.to_string() == *number && role.name == *name), "{name}");
        }
        assert!(ROLES.iter().flat_map(|role| role.parents).all(|parent| ids.contains(parent)));
    }

    #[test]
    fn roles_are_named_by_number_or_by_name_and_never_by_both() {
        for (query, held, expected) in [
            ("", &[][..], Ok(None)),
            ("role_id=3%3B7", &[], Ok(Some(&["Support", "Accountant"][..]))),
            ("role_name=call-list+manager&role_name=OWNER", &[], Ok(Some(&["Call-list-manager", "Owner"]))),
            ("role_id=3&role_id=3", &[], Ok(Some(&["Support"]))),
            ("role_id=03", &[], Err(440)),
            ("role_id=Support", &[], Err(440)),
            ("role_id=any", &[], Err(440)),
            ("role_id=", &[], Err(440)),
            ("role_id=14", &[], Err(440)),
            ("role_id=14", &["14"], Ok(Some(&["14"]))),
            ("role_name=TestRole", &[], Err(441)),
            ("role_name=TestRole", &["TestRole"], Ok(Some(&["TestRole"]))),
            ("role_name=;", &[], Err(441)),
            ("role_id=3&role_name=Support", &[], Err(449)),
        ] {
            let arguments = Arguments::read(Some(query), &HeaderMap::new(), Bytes::new()).unwrap();
            let held: Vec<String> = held.iter().map(ToString::to_string).collect();
            let read = asked(&arguments, &held).map_err(|refusal| refusal.code.unwrap_or_default());
            let expected: Result<Option<Vec<String>>, u16> =
                expected.map(|words| words.map(|words| words.iter().map(ToString::to_string).collect()));
            assert_eq!(read, expected, "{query}");
        }
    }

    #[test]
    fn nobody_but_the_owner_gives_what_they_have_not() {
        let held = |words: &[&str]| words.iter().map(|word| Box::from(*word)).collect::<Vec<Box<str>>>();
        for (own, role, may) in [
            (&["owner"][..], "Admin", true),
            (&["Admin"], "Owner", false),
            (&["Admin", "Support"], "3", true),
            (&["Admin"], "admin", true),
            (&[], "Support", false),
        ] {
            assert_eq!(may_give(Some(&held(own)), role), may, "{own:?} {role}");
        }
        assert!(may_give(None, "Owner"));
    }
}
