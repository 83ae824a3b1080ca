use super::*;

const MODES: [Wall; 4] = [Wall::None, Wall::All, Wall::WhiteList, Wall::BlackList];

/// What is left of a listing; nothing where it is withheld.
fn left(text: &str, wall: Wall) -> Option<String> {
    listing::without(text, |state| shows(wall, state)).ok()
}

#[test]
fn each_mode_shows_its_states() {
    // The states of CameraTag's assets.
    let states = ["published", "processed", "approved", "rejected", "featured"];
    let asset = |state: &&str| format!(r#"{{"uuid":"{state}","state":"{state}"}}"#);
    let listing = |states: &[&str]| {
        let assets: Vec<String> = states.iter().map(asset).collect();
        format!(r#"{{"assets":[{}],"total_pages":3}}"#, assets.join(","))
    };
    for (wall, shown) in [
        (Wall::None, &[][..]),
        (Wall::All, &states),
        (Wall::WhiteList, &["approved", "featured"]),
        (Wall::BlackList, &["published", "processed", "approved", "featured"]),
    ] {
        assert_eq!(left(&listing(&states), wall).unwrap(), listing(shown), "{wall:?}");
    }
}

#[test]
fn an_asset_whose_state_nobody_knows_is_shown_only_where_all_are() {
    for asset in [
        r#"{"uuid":"1"}"#,
        r#"{"state":null}"#,
        r#"{"state":7}"#,
        r#"{"state":["approved"]}"#,
        r#"{"state":"Approved"}"#,
        r#"{"state":"approved "}"#,
        r#"{"state":""}"#,
        r#"{"state":"new"}"#,
        r#"{"State":"approved"}"#,
        r#"{"x":{"state":"approved"}}"#,
    ] {
        for wall in MODES {
            let kept = if wall == Wall::All { asset } else { "" };
            assert_eq!(left(&format!("[{asset}]"), wall).unwrap(), format!("[{kept}]"), "{asset} {wall:?}");
        }
    }
    let escaped = r#"[{"st\u0061te":"appr\u006fved"}]"#;
    assert_eq!(left(escaped, Wall::WhiteList).unwrap(), escaped);
}

#[test]
fn what_is_kept_stays_as_it_was() {
    let before = "\n{ \"n\" : 1.50e+3, \"copy\" : [] , \"a\\u0073sets\" : ";
    let kept = "{ \"id\": 12345678901234567890.10, \"state\" : \"approved\", \"t\": \"\\u00e9\u{e9}\", \"id\": -0 }";
    let dropped = r#"{"state":"rejected"}"#;
    let after = " , \"total_pages\":3, \"n\":[1,[2,{\"state\":\"rejected\"}]]} \r\n";
    let listing = [before, "[ ", dropped, " , ", kept, ",\t", dropped, ", ", kept, "]", after].concat();
    let expected = [before, "[", kept, ",", kept, "]", after].concat();
    assert_eq!(left(&listing, Wall::WhiteList).unwrap(), expected);
    assert_eq!(left(&listing, Wall::None).unwrap(), [before, "[]", after].concat());
}

#[test]
fn what_is_not_expected_is_withheld() {
    let deep = "[".repeat(100_000);
    for text in [
        "",
        "null",
        "7",
        "\"[]\"",
        "{}",
        r#"{"assets":null}"#,
        r#"{"assets":{}}"#,
        r#"{"assets":"[]"}"#,
        r#"{"Assets":[]}"#,
        r#"{"data":{"assets":[]}}"#,
        r#"{"assets":[],"assets":[]}"#,
        r#"{"assets":[],"asset\u0073":[{"state":"rejected"}]}"#,
        r#"[{"state":"approved","state":"rejected"}]"#,
        r#"[{"state":"rejected","st\u0061te":"approved"}]"#,
        "[1]",
        "[null]",
        "[[]]",
        r#"[{"state":"approved"}"#,
        r#"[{"state":"approved"},]"#,
        r#"[{"state":"approved"}] []"#,
        r#"wall([{"state":"approved"}])"#,
        "\u{feff}[]",
        r#"{"assets":[],"n":NaN}"#,
        &deep,
    ] {
        for wall in MODES {
            assert_eq!(left(text, wall), None, "{} {wall:?}", &text[..text.len().min(60)]);
        }
    }
    assert_eq!(left(" [ ] ", Wall::None).unwrap(), " [] ");
}

#[test]
fn the_upstream_is_asked_for_all_of_it_in_clear() {
    let request = http::Request::get("/wall.json")
        .header("Accept-Encoding", "gzip")
        .header("Accept-Encoding", "br")
        .header("Range", "bytes=0-9")
        .header("If-Range", "\"a\"")
        .header("If-Match", "\"a\"")
        .header("If-None-Match", "\"a\"")
        .header("If-Modified-Since", "Wed, 21 Oct 2026 07:28:00 GMT")
        .header("If-Unmodified-Since", "Wed, 21 Oct 2026 07:28:00 GMT")
        .header("A-IM", "diffe")
        .header("Accept", "application/json");
    let mut parts = request.body(()).unwrap().into_parts().0;
    Rule { max_answer: 1 }.prepare(&mut parts);
    let left: Vec<_> = parts.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
    assert_eq!(left, [("accept", "application/json"), ("accept-encoding", "identity")]);
}
