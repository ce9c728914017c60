//! The kubeconfig leads to another cluster than the mount is for.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lab::{ControlPlane, ControlPlaneOptions};
use serde_json::json;

use super::entry::{Entry, entry, run};
use super::setup::{Setup, Shape, flags};

/// A kubeconfig of two clusters that have the same namespace and account, with the context of the one that is not meant.
fn wrong_context(setup: &mut Setup) {
    let other = ControlPlane::start(&ControlPlaneOptions::default());
    let client = other.client();
    client.create_namespace(&setup.namespace).unwrap();
    client.service_account(&setup.namespace, "app");
    let (lab, kind) = (lab::shared(), |kind: &str| format!("{kind}:\n"));
    let (mut clusters, mut users, mut contexts) = (kind("clusters"), kind("users"), kind("contexts"));
    for (name, client, ca) in
        [("meant", lab.kubernetes(), lab.kubernetes_ca()), ("other", client, other.authority().pem())]
    {
        let cluster = json!({ "server": client.server(), "certificate-authority-data": STANDARD.encode(ca) });
        let user = json!({ "token": client.admin_token() });
        let context = json!({ "cluster": name, "user": name });
        for (list, what, of) in
            [(&mut clusters, "cluster", cluster), (&mut users, "user", user), (&mut contexts, "context", context)]
        {
            let _ = writeln!(list, "- {}", json!({ "name": name, what: of }));
        }
    }
    setup.write_file("kubeconfig", &format!("apiVersion: v1\nkind: Config\n{clusters}{users}{contexts}"));
    setup.environment.insert("KUBECONFIG", "kubeconfig".to_owned());
    setup.option("--context", Some("other"));
    setup.spare_plane = Some(other);
}

/// What a person does who follows the first remedy: the second, a command, takes the mount away from its own cluster.
fn name_the_context(setup: &mut Setup) {
    let (_, said, all) = setup.verify();
    let first = &said["causes"][0]["remedies"][0];
    assert!(first["text"].as_str().unwrap_or_default().contains("--context"), "{first}\n{all}");
    assert!(first["command"].is_null(), "{first}");
    setup.option("--context", Some("meant"));
}

fn kubernetes_flags() -> Shape {
    Shape { kubernetes: true, ..flags() }
}

fn other_cluster(
    name: &'static str,
    shape: fn() -> Shape,
    first: &'static str,
    words: &'static [&'static str],
) -> Entry {
    entry(name, shape, wrong_context, first, words).person(name_the_context)
}

#[test]
fn the_context_of_another_cluster() {
    run(
        "the context of another cluster",
        &[
            other_cluster("wrong context (flags)", flags, "VK312", &["another issuer", "other (https://127.0.0.1:"]),
            other_cluster("kubernetes: wrong context (flags)", kubernetes_flags, "VK322", &["is another cluster"]),
        ],
    );
}
