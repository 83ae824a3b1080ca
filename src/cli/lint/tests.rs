//! The page of rules.

use super::*;

#[test]
fn the_page_of_rules_is_the_one_that_comes_with_vidgate() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/lint.md")).unwrap();
    assert_eq!(page, config::document_of_rules(), "vidgate lint --rules --markdown > docs/lint.md");
}
