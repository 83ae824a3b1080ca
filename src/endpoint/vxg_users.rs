//! VXG's super-admin API.
use super::{Entry, Kit};
use axum::Router;

/// The registry's line.
pub(super) const ENDPOINT: Entry = Entry {
    name: "vxg_users",
    about: "VXG's super-admin API: accounts and their licence keys",
    store: true,
    schemes: &["mtls"],
    build,
};

fn build(kit: &Kit) -> Router {
    let _ = kit.house();
    Router::new()
}
