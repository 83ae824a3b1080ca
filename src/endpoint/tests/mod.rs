//! Endpoints by themselves; from the street, `tests/it/endpoints.rs`.

mod users;

use super::*;

#[test]
fn every_endpoint_has_a_name_of_its_own() {
    for (place, entry) in ENDPOINTS.iter().enumerate() {
        assert!(ENDPOINTS[..place].iter().all(|other| other.name != entry.name), "{}", entry.name);
        assert!(!entry.about.is_empty() && std::ptr::eq(Entry::of_name(entry.name).unwrap(), entry));
    }
}
