//! Healthy labs of many shapes give no alarm.

use std::fmt::Write as _;

use lab::{ControlPlaneOptions, KeyKind, ServiceAccountKey};
use serde_json::json;

use super::issuers::with_slash;
use super::kubernetes_role::may_get_namespaces;
use super::setup::{API_AUDIENCE, Setup, Shape, flags};

/// Roles of the large lab, on each of its mounts.
const ROLES: usize = 100;

/// Nothing failed, and nothing is to be looked at.
#[track_caller]
fn no_alarm(setup: &Setup) -> usize {
    let (code, said, all) = setup.verify();
    let causes = said["causes"].as_array().map(Vec::as_slice).unwrap_or_default();
    assert!(code == 0 && causes.is_empty(), "exit {code}: {causes:#?}\n{}", if causes.is_empty() { &all } else { "" });
    let sections = said["sections"].as_array().unwrap();
    sections.iter().filter(|section| section["about"]["kind"] == "role").count()
}

#[test]
fn two_hundred_roles_of_both_methods() {
    let mut setup = Setup::new(Shape::default());
    let (mount, policy, namespace) = (&setup.mount, &setup.policy, &setup.namespace);
    let mut text = format!(
        "clusters:
  - name: one
    context: admin@taloslmn
    auth: {{ method: jwt, mount: {mount}, audience: vault }}
  - name: two
    context: rke
    auth:
      method: kubernetes
      mount: {mount}-two
      audience: {API_AUDIENCE}
      reviewer: {{ serviceAccount: {namespace}-review/vault-auth, bindingName: {namespace}-review }}
policies:
"
    );
    for at in 0..ROLES {
        let kv = if at % 2 == 0 { "secret" } else { "kv1" };
        let list = if at % 3 == 0 { format!(", list: [{namespace}/{at}/*]") } else { String::new() };
        let write = if at % 5 == 0 { format!(", write: [{namespace}/{at}/own]") } else { String::new() };
        let _ = writeln!(text, "  - {{ name: {policy}-{at}, kv: {kv}, read: [{namespace}/{at}/*]{list}{write} }}");
    }
    text.push_str("roles:\n");
    for at in 0..ROLES {
        let (account, next) = (format!("{namespace}/app-{}", at % 10), (at + 1) % ROLES);
        let more = match at % 4 {
            1 => ", maxTtl: 1h".to_owned(),
            2 => ", tokenType: batch".to_owned(),
            3 => ", boundCidrs: [127.0.0.0/8]".to_owned(),
            _ => String::new(),
        };
        let policies = format!("[{policy}-{at}, {policy}-{next}]");
        let _ = writeln!(
            text,
            "  - {{ name: r-{at}, serviceAccounts: [{account}], policies: {policies}, ttl: 10m{more} }}"
        );
    }
    for at in 0..10 {
        setup.cluster().service_account(namespace, &format!("app-{at}"));
    }
    std::fs::write(&setup.file, text).unwrap();
    setup.bootstrap();
    let args = ["verify-role", "--all", "-o", "json", "--parallelism", "16"].map(str::to_owned).into();
    setup.args = args;
    assert_eq!(no_alarm(&setup), 2 * ROLES);
}

#[test]
fn all_kinds_of_keys() {
    for kind in [KeyKind::Rsa2048, KeyKind::EcP256, KeyKind::EcP384, KeyKind::EcP521] {
        let keys = vec![ServiceAccountKey::generate(kind).unwrap()];
        let cluster = Some(ControlPlaneOptions { keys, ..ControlPlaneOptions::default() });
        assert_eq!(no_alarm(&Setup::new(Shape { cluster, ..Shape::default() })), 1);
    }
}

// By the jwt method, an entry of the catalogue is healthy at first and in the end.
#[test]
fn an_issuer_with_a_slash() {
    for flags in [false, true] {
        no_alarm(&Setup::new(Shape { kubernetes: true, flags, ..with_slash() }));
    }
}

#[test]
fn leeways() {
    let role = ", expirationLeeway: 2m, notBeforeLeeway: 1m, clockSkewLeeway: 30s";
    for flags in [false, true] {
        no_alarm(&Setup::new(Shape { flags, role, ..Shape::default() }));
    }
}

#[test]
fn a_role_that_takes_several_audiences() {
    let mut setup = Setup::new(flags());
    setup.role(json!({ "bound_audiences": ["vault", "prod"] }));
    no_alarm(&setup);
    setup.option("--audience", Some("prod"));
    no_alarm(&setup);
}

// What binds the audience once more, and what no token of a Secret has.
#[test]
fn claims_that_every_token_has() {
    let setup = Setup::new(flags());
    let subject = format!("system:serviceaccount:{}:app", setup.namespace);
    setup.role(
        json!({ "bound_claims": { "sub": subject, "aud": ["vault"], "/kubernetes.io/namespace": setup.namespace } }),
    );
    no_alarm(&setup);
}

#[test]
fn namespaces_by_their_labels() {
    let setup = Setup::new(Shape { kubernetes: true, prepare: Some(may_get_namespaces), ..flags() });
    let selector = format!("matchLabels:\n  kubernetes.io/metadata.name: {}\n", setup.namespace);
    setup.role(json!({ "bound_service_account_namespaces": [], "bound_service_account_namespace_selector": selector }));
    no_alarm(&setup);
}

#[test]
fn keys_in_rotation() {
    let key = |kind| ServiceAccountKey::generate(kind).unwrap();
    for each in [false, true] {
        let keys = vec![key(KeyKind::EcP256), key(KeyKind::Rsa2048)];
        let cluster = Some(ControlPlaneOptions { keys, ..ControlPlaneOptions::default() });
        let mut setup = Setup::new(Shape { kubernetes: each, flags: each, cluster, ..Shape::default() });
        no_alarm(&setup);
        // Then another signs, the one that did is still published, and the oldest is gone.
        let plane = setup.plane.as_mut().unwrap();
        let keys = vec![key(KeyKind::EcP384), plane.keys()[0].clone()];
        plane.restart(&ControlPlaneOptions { keys, ..ControlPlaneOptions::default() });
        setup.bootstrap();
        no_alarm(&setup);
    }
}
