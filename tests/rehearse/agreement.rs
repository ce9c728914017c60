//! A rehearsal beside the real thing: the same configuration bootstrapped with a real cluster, role by role and path by path.

use std::collections::BTreeSet;

use lab::{ControlPlane, ControlPlaneOptions, VaultOptions, VaultServer};
use serde_json::{Value, json};

use super::{RKE, Rehearsal, TALOS};
use crate::command::Vaultk8s;

/// What a document says in a list of texts.
fn texts(list: &Value) -> BTreeSet<String> {
    list.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

#[test]
fn for_the_seeds_it_says_what_the_real_cluster_and_vault_say() {
    let (cluster, vault) =
        (ControlPlane::start(&ControlPlaneOptions::default()), VaultServer::start(&VaultOptions::default()));
    cluster.client().create_namespace("external-secrets").unwrap();
    for account in ["external-secrets", "somebody-else"] {
        cluster.client().create_service_account("external-secrets", account).unwrap();
    }
    let rke = RKE.replace("https://rke-api.example.internal:6443", cluster.server_url());
    for config in [TALOS, &rke] {
        let bootstrap = Vaultk8s::new(["bootstrap", "--address", vault.address()]).on(&vault);
        bootstrap.env("KUBECONFIG", cluster.kubeconfig()).config(config).run().exits(0);
        let report = Rehearsal::of(config, ["-o", "json"]).run().exits(0).json();
        let access =
            || {
                report["clusters"].as_array().unwrap().iter().flat_map(|cluster| {
                    cluster["access"].as_array().unwrap().iter().map(move |access| (cluster, access))
                })
            };
        let asked = access().flat_map(|(_, access)| access["grants"].as_array().unwrap());
        let asked: BTreeSet<&str> = asked.map(|grant| grant["asked"].as_str().unwrap()).collect();
        assert_eq!(access().count(), 3);
        for (there, access) in access() {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            let (mount, role) = (text(&there["mount"]), text(&access["role"]));
            let audience = text(&access["audience"]);
            let audiences = if there["method"] == "jwt" { vec![audience.as_str()] } else { Vec::new() };
            let token =
                |account: &str, audiences: &[&str]| cluster.client().token("external-secrets", account, audiences, 600);
            let login = vault.client().logged_in(&mount, &role, &token("external-secrets", &audiences));
            let (status, really) = login.post("sys/capabilities-self", &json!({ "paths": asked }));
            assert_eq!(status, 200, "{really}");
            for path in &asked {
                let grants = access["grants"].as_array().unwrap().iter().filter(|grant| grant["asked"] == **path);
                let mut rehearsed: BTreeSet<String> = grants.flat_map(|grant| texts(&grant["capabilities"])).collect();
                if rehearsed.is_empty() {
                    rehearsed.insert("deny".to_owned());
                }
                assert_eq!(rehearsed, texts(&really["data"][*path]), "{role} on {path}");
            }
            // Those whom both refuse, in the same words.
            for (who, token) in [
                ("another audience", token("external-secrets", &["vaultk8s-rehearsal-audience"])),
                ("another account of its namespace", token("somebody-else", &audiences)),
            ] {
                let (status, answer) = vault.client().login(&mount, &role, &token);
                let mut refusals = there["refusals"].as_array().unwrap().iter();
                let refusal = refusals.find(|refusal| refusal["role"] == *role && refusal["who"] == who).unwrap();
                assert!(status == 400 || status == 403, "{status}");
                let words: Vec<String> = texts(&answer["errors"]).into_iter().collect();
                assert_eq!((refusal["status"].as_str(), text(&refusal["detail"])), (Some("refused"), words.join("; ")));
            }
        }
    }
}
