//! CameraTag's API: what is published and played, and assets in all states that there are.

use axum::extract::{Path, Request};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};

use super::{echo, media};
use crate::cli::demo::credentials::{BOOTH, KIOSK};

/// The pages that are no lists.
pub(super) fn pages() -> Router {
    let app = |id: &str| format!("/api/v16/cameras/{id}/assets/wall.json");
    Router::new()
        .route("/api/v16/cameras/{app}/assets/{asset}/publish.json", post(publish))
        .route(&app(BOOTH), get(wall))
        .route(&app(KIOSK), get(wall))
        .route("/assets/{asset}/720p.mp4", get(media::download))
        .route("/assets/{asset}/thumbnail.png", get(media::picture))
}

/// The lists.
pub(super) fn lists() -> Vec<(&'static str, Value)> {
    let asset = json!({
        "uuid": "v-1",
        "state": "approved",
        "medias": { "720p": "/assets/v-1/720p.mp4" },
        "thumbnail": "/assets/v-1/thumbnail.png",
    });
    vec![
        ("/api/v16/apps.json", json!([{ "uuid": BOOTH, "name": "Booth" }, { "uuid": KIOSK, "name": "Kiosk" }])),
        ("/api/v16/assets/v-1.json", asset),
    ]
}

/// What the recorder waits for, and what has arrived of it.
async fn publish(Path((_, asset)): Path<(String, String)>, request: Request) -> Json<Value> {
    Json(json!({ "uuid": asset, "received": echo::told(request).await }))
}

async fn wall() -> Json<Value> {
    let states = ["published", "processed", "approved", "rejected", "featured"];
    let assets: Vec<Value> =
        states.iter().map(|state| json!({ "uuid": format!("v-{state}"), "state": state })).collect();
    Json(json!({ "assets": assets, "total_pages": 1 }))
}
