//! How far clocks may be apart for a role, and tokens that say when they are valid.

use lab::{ControlPlaneOptions, KeyKind, ServiceAccountKey};
use serde_json::json;

use super::setup::{Setup, Shape, flags};
use crate::signature::signed_anew;

/// What a check says of a token that begins and ends at these seconds from now, where the role has this leeway; and what
/// the server says to the login, which has the last word.
fn judged(setup: &Setup, leeway: i64, (begins, ends): (i64, i64)) -> (String, u16, String) {
    setup.role(json!({ "clock_skew_leeway": leeway }));
    let token = setup.cluster().token(&setup.namespace, "app", &["vault"], 600);
    let token = signed_anew(&token, &setup.plane.as_ref().unwrap().keys()[0], begins, ends);
    setup.write_file("token", &token);
    let (_, said, all) = setup.verify();
    let sections = said["sections"].as_array().unwrap().iter();
    let mut checks = sections.flat_map(|section| section["checks"].as_array().unwrap());
    let check = checks.find(|check| check["id"] == "VK421").unwrap_or_else(|| panic!("{all}"));
    let (login, _) = setup.vault().login(&setup.mount, "r-app", &token);
    (check["status"].as_str().unwrap().to_owned(), login, check["detail"].to_string())
}

#[test]
fn the_leeway_of_the_role_decides_as_the_server_does() {
    let keys = vec![ServiceAccountKey::generate(KeyKind::Rsa2048).unwrap()];
    let cluster = Some(ControlPlaneOptions { keys, ..ControlPlaneOptions::default() });
    let mut setup = Setup::new(Shape { cluster, ..flags() });
    setup.option("--audience", None);
    setup.option("--jwt-file", Some("token"));
    for (leeway, times, check, login) in [
        (600, (-4000, -400), "warning", 200),
        (600, (-4000, -700), "failed", 400),
        (600, (400, 4000), "passed", 200),
        (0, (-4000, -30), "warning", 200),
        (0, (-4000, -90), "failed", 400),
        (-1, (-4000, -30), "failed", 400),
        (-1, (30, 4000), "failed", 400),
    ] {
        let (found, status, detail) = judged(&setup, leeway, times);
        assert_eq!((found.as_str(), status), (check, login), "leeway {leeway}, from and to {times:?}: {detail}");
    }
}
