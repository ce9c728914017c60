//! Who issued the token: the cluster as it is, as it was before, another one, or its controller manager.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lab::{ControlPlane, ControlPlaneOptions};
use serde_json::{Value, json};

use super::entry::{entry, run};
use super::setup::{Setup, Shape};
use crate::signature::signed_anew;

/// An issuer as some installers write it. Nobody need answer there where the keys are pinned.
const WITH_SLASH: &str = "https://lab.example/";

/// A cluster whose issuer ends with a slash.
pub fn with_slash() -> Shape {
    let issuer = Some(WITH_SLASH.to_owned());
    Shape { cluster: Some(ControlPlaneOptions { issuer, ..ControlPlaneOptions::default() }), ..Shape::default() }
}

fn with_slash_flags() -> Shape {
    Shape { flags: true, ..with_slash() }
}

fn no_slash(setup: &mut Setup) {
    setup.mount_config(json!({ "bound_issuer": WITH_SLASH.trim_end_matches('/') }));
}

fn flags() -> Shape {
    Shape { flags: true, ..Shape::default() }
}

fn kubernetes_flags() -> Shape {
    Shape { kubernetes: true, ..flags() }
}

fn own_cluster() -> Shape {
    Shape { cluster: Some(ControlPlaneOptions::default()), ..flags() }
}

/// Logs in with the token that the controller manager writes into a Secret: it has no audience and never ends.
fn legacy(setup: &mut Setup) {
    let secrets = format!("/api/v1/namespaces/{}/secrets", setup.namespace);
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/service-account-token",
        "metadata": { "name": "app", "annotations": { "kubernetes.io/service-account.name": "app" } },
    });
    assert_eq!(setup.cluster().post(&secrets, &secret).0, 201);
    let token = loop {
        let token = setup.jwt_in(&format!("{secrets}/app"));
        if !token.is_empty() {
            break token;
        }
        std::thread::sleep(Duration::from_millis(100));
    };
    setup.present(&token);
}

/// The cluster has another issuer by now, which the mount knows; who logs in has not taken note of it.
fn older(setup: &mut Setup) {
    let token = setup.cluster().token(&setup.namespace, "app", &["vault"], 600);
    let plane = setup.plane.as_mut().unwrap();
    let (keys, issuer) = (plane.keys().to_vec(), Some("https://new.example".to_owned()));
    plane.restart(&ControlPlaneOptions { keys, issuer, ..ControlPlaneOptions::default() });
    setup.bootstrap();
    setup.present(&token);
}

/// A token that the cluster's key signed, with another issuer.
fn of_issuer(setup: &Setup, issuer: &str) -> String {
    let token = setup.cluster().token(&setup.namespace, "app", &["vault"], 600);
    let mut parts = token.split('.');
    let (header, claims) = (parts.next().unwrap(), parts.next().unwrap());
    let mut claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
    claims["iss"] = issuer.into();
    let unsigned = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()));
    signed_anew(&unsigned, &setup.plane.as_ref().unwrap().keys()[0], -10, 600)
}

/// Logs in with a token of another cluster, which has the same account.
fn foreign(setup: &mut Setup) {
    let other = ControlPlane::start(&ControlPlaneOptions::default());
    let client = other.client();
    client.create_namespace(&setup.namespace).unwrap();
    client.service_account(&setup.namespace, "app");
    setup.present(&client.token(&setup.namespace, "app", &["vault"], 600));
}

fn new_token(setup: &mut Setup) {
    setup.present(&setup.cluster().token(&setup.namespace, "app", &["vault"], 600));
}

#[test]
fn an_issuer_that_ends_with_a_slash() {
    run(
        "an issuer that ends with a slash",
        &[
            entry(
                "the cluster's issuer has a slash",
                with_slash,
                no_slash,
                "VK312",
                &["slash", "example/", "example\""],
            ),
            entry(
                "the cluster's issuer has a slash (flags)",
                with_slash_flags,
                no_slash,
                "VK312",
                &["slash", "example/", "example\""],
            ),
        ],
    );
}

#[test]
fn tokens_that_were_brought_along() {
    run(
        "tokens that were brought along",
        &[
            entry("legacy token of a Secret (flags)", flags, legacy, "VK411", &["the token has no audience", "vault"])
                .also(&["VK424"])
                .person(new_token),
            entry(
                "kubernetes: legacy token of a Secret (flags)",
                kubernetes_flags,
                legacy,
                "VK411",
                &["the token has no audience", "kubernetes.default.svc"],
            )
            .person(|setup| setup.present(&setup.cluster().token(&setup.namespace, "app", &[], 600))),
            entry(
                "legacy token, and the role takes those without an audience (flags)",
                flags,
                |setup| {
                    setup.role(json!({ "bound_audiences": [] }));
                    legacy(setup);
                },
                "VK424",
                &["kubernetes/serviceaccount", "https://127.0.0.1:"],
            )
            .person(|setup| {
                setup.bootstrap();
                new_token(setup);
            }),
            entry(
                "a token older than the cluster's issuer (flags)",
                own_cluster,
                older,
                "VK424",
                &["another issuer", "https://127.0.0.1:", "https://new.example"],
            )
            .person(new_token),
            // It gets in, and all that is to be told is that the mount lets it.
            entry(
                "a token of another issuer, and the mount compares none (flags)",
                own_cluster,
                |setup| {
                    setup.mount_config(json!({ "bound_issuer": "" }));
                    setup.present(&of_issuer(setup, "https://elsewhere.example"));
                },
                "VK312",
                &["compares no issuer"],
            )
            .person(|setup| {
                setup.bootstrap();
                new_token(setup);
            }),
            entry("a token of another cluster (flags)", flags, foreign, "VK424", &["another issuer"])
                .also(&["VK422"])
                .person(new_token),
        ],
    );
}
