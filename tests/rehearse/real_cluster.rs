//! A rehearsal with the tokens, keys and reviews of a real cluster, which stays as it is.

use serde_json::Value;

use super::Rehearsal;

/// A namespace of the shared cluster with an account, and a configuration whose clusters are all that one.
fn everywhere() -> (String, String) {
    let lab = lab::shared();
    let (namespace, context) = (lab.namespace("rehearsed"), lab.context());
    // One to borrow, whether or not the controllers have made `default` by now.
    for account in ["app", "other"] {
        lab.service_account(&namespace, account);
    }
    let api = "https://kubernetes.default.svc.cluster.local";
    let config = format!(
        "clusters:
  - {{ name: pinned, context: {context}, auth: {{ method: jwt, audience: vault }} }}
  - {{ name: url, context: {context}, auth: {{ method: jwt, keys: jwksUrl, audience: vault }} }}
  - {{ name: discovery, context: {context}, auth: {{ method: jwt, keys: oidcDiscovery, audience: vault }} }}
  - {{ name: reviewed, context: {context}, auth: {{ method: kubernetes, audience: {api}, reviewer: {{ serviceAccount: {namespace}/reviewer }} }} }}
  - {{ name: itself, context: {context}, auth: {{ method: kubernetes, audience: {api}, reviewer: {{ token: client }} }} }}
policies: [{{ name: p, read: [app/*] }}]
roles: [{{ name: r, serviceAccounts: {namespace}/app, policies: p, ttl: 10m }}]
"
    );
    (namespace, config)
}

fn with_kubeconfig(rehearsal: Rehearsal) -> Rehearsal {
    rehearsal.with(|command| command.env("KUBECONFIG", lab::shared().kubeconfig()))
}

/// What a rehearsal might leave in the namespace, where its reviewer would be; `default` comes from the controllers at some time.
fn objects(namespace: &str) -> Vec<String> {
    let mut all = Vec::new();
    for kind in ["serviceaccounts", "secrets"] {
        let path = format!("/api/v1/namespaces/{namespace}/{kind}");
        let (_, list) = lab::shared().kubernetes().request(reqwest::Method::GET, &path, None).unwrap();
        let items = list["items"].as_array().unwrap().iter().filter(|item| item["metadata"]["name"] != "default");
        all.extend(
            items.map(|item| format!("{kind} {} {}", item["metadata"]["name"], item["metadata"]["annotations"])),
        );
    }
    all
}

#[test]
fn the_clusters_own_tokens_log_in_and_its_strangers_are_refused() {
    let (namespace, config) = everywhere();
    let before = objects(&namespace);
    let rehearsal = with_kubeconfig(Rehearsal::of(&config, ["--cluster-from-context", "-o", "json"]));
    let report = rehearsal.run().exits(0).json();
    assert_eq!(objects(&namespace), before);
    for cluster in report["clusters"].as_array().unwrap() {
        assert_eq!(cluster["issuer"], lab::shared().kubernetes_server(), "{cluster}");
        assert_eq!(cluster["access"][0]["grants"][0]["path"], "secret/data/app/*");
        let refusals = cluster["refusals"].as_array().unwrap();
        assert!(refusals.len() == 4 && refusals.iter().all(|refusal| refusal["status"] == "refused"), "{cluster}");
    }
    let said = |value: &Value| value.as_array().unwrap().iter().map(Value::to_string).collect::<String>();
    assert!(said(&report["assumptions"]).contains("reviewed: the tokens are those of https://"), "{report}");
}

#[test]
fn an_account_that_is_not_there_fails_with_what_makes_it() {
    let (namespace, config) = everywhere();
    let config = config.replace(&format!("{namespace}/app"), &format!("{namespace}/missing"));
    let answer = with_kubeconfig(Rehearsal::of(&config, ["--cluster-from-context"])).run().exits(1);
    answer.says(&["does not exist, so nobody can log in as it", "create serviceaccount missing", "5 logins otherwise"]);
}

#[test]
fn what_names_no_cluster_or_may_not_ask_is_refused() {
    let (namespace, config) = everywhere();
    Rehearsal::of(&config, ["--context", "x"]).run().exits(64).complains(&["add --cluster-from-context"]);
    let several = ["--cluster-from-context", "--context", lab::shared().context()];
    with_kubeconfig(Rehearsal::of(&config, several)).run().exits(64).complains(&["can't stand for several clusters"]);
    let nowhere =
        Rehearsal::of(&config, ["--cluster-from-context"]).with(|command| command.env("KUBECONFIG", "/nowhere"));
    nowhere.run().exits(64).complains(&["there is no kubeconfig"]);
    let reviewed: Vec<&str> = config.lines().filter(|line| !line.contains("method: jwt")).collect();
    let weak = format!("system:serviceaccount:{namespace}:app");
    let answer =
        with_kubeconfig(Rehearsal::of(&reviewed.join("\n"), ["--cluster-from-context", "--as", &weak])).run().exits(1);
    answer.complains(&["these credentials may not ask", "token reviews", "system:auth-delegator"]);
}
