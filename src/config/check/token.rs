//! VXG's access tokens as operators have them. Their form is the business of `scheme::access_token`; here it is noticed
//! when one was filed under the wrong camera, where it would be refused at every request.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::invalid::Invalid;
use crate::scheme::access_token;
use crate::secret::Secret;

/// The inner share token, by which it will be looked up. `camera` is whose token it ought to be.
pub(super) fn inner(secret: &Secret, camera: Option<&str>) -> Result<Secret, Invalid> {
    let inner = access_token::inner_token(secret.expose())?;
    match (camera, stated_camera(secret)) {
        (Some(meant), Some(stated)) if meant != stated => {
            Err(Invalid::new(format!("this is the token of camera {stated}")))
        }
        _ => Ok(inner),
    }
}

/// The camera that the base64 around a share token states.
fn stated_camera(secret: &Secret) -> Option<String> {
    #[derive(Deserialize)]
    struct Outer {
        camid: u64,
    }
    let json = Zeroizing::new(STANDARD.decode(secret.expose()).ok()?);
    serde_json::from_slice(&json).ok().map(|outer: Outer| outer.camid.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// VXG's own sample.
    const INNER: &str = "share.eyJzaSI6IDIzNTYzOX0.61a964c3tbc1fab00.xBWXdksAURv6ws5MOZX-AQIh-KM";
    const JSON: &str = r#"{"camid": 248527, "access": "all", "token": "share.eyJzaSI6IDIzNTYzOX0.61a964c3tbc1fab00.xBWXdksAURv6ws5MOZX-AQIh-KM"}"#;

    fn read(text: &str, camera: Option<&str>) -> Result<Secret, Invalid> {
        inner(&Secret::new(text.as_bytes().to_vec()), camera)
    }

    #[test]
    fn both_forms_lead_to_the_inner_token() {
        for text in [INNER, &STANDARD.encode(JSON)] {
            assert!(read(text, Some("248527")).unwrap().equals(INNER.as_bytes()), "{text}");
        }
    }

    #[test]
    fn the_token_of_another_camera_is_noticed() {
        let outer = STANDARD.encode(JSON);
        assert_eq!(read(&outer, Some("1")).unwrap_err().message, "this is the token of camera 248527");
        assert!(read(&outer, None).is_ok());
    }

    #[test]
    fn anything_else_is_a_mistake() {
        for text in ["", "v3.X9tKpuXq0btatj", "share.a.b", &STANDARD.encode("{}")] {
            assert!(read(text, None).is_err(), "{text}");
        }
    }
}
