//! Whose an object in a cluster is: a `ClusterRoleBinding` that somebody else made gets no subject unasked, and those who share one
//! lose none. Against a real OpenBao (or Vault) and a real kube-apiserver.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::command::{Answer, Running, Vaultk8s};
use crate::kubernetes_fixture::Fixture;

const BINDINGS: &str = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";

/// A binding to the reviewers' role for one account of somebody else.
fn binding(name: &str) -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": { "name": name },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:auth-delegator" },
        "subjects": [{ "kind": "ServiceAccount", "namespace": "elsewhere", "name": "other" }],
    })
}

/// Makes it as `kubectl create` would.
fn made_by_hand(name: &str) {
    let path = format!("{BINDINGS}?fieldManager=kubectl-create");
    assert_eq!(lab::shared().kubernetes().post(&path, &binding(name)).0, 201);
}

/// Applies it as another tool would that goes on doing so.
fn applied_by(manager: &str, document: &Value) -> bool {
    let lab = lab::shared();
    let mut kubectl = Command::new(lab.kubectl())
        .args(["apply", "--server-side", "--field-manager", manager, "--filename", "-", "--kubeconfig"])
        .arg(lab.kubeconfig())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    kubectl.stdin.take().unwrap().write_all(document.to_string().as_bytes()).unwrap();
    kubectl.wait().unwrap().success()
}

fn there(name: &str) -> Value {
    lab::shared().kubernetes().get(&format!("{BINDINGS}/{name}")).1
}

/// Its subjects, as `namespace/name`.
fn subjects(name: &str) -> BTreeSet<String> {
    let subjects = there(name)["subjects"].as_array().unwrap().clone();
    let written =
        |subject: &Value| format!("{}/{}", subject["namespace"].as_str().unwrap(), subject["name"].as_str().unwrap());
    subjects.iter().map(written).collect()
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

impl Fixture {
    fn reviewer(&self) -> String {
        format!("{}-review/vault-auth", self.namespace)
    }

    /// The same in a file of this owner.
    fn of(&self, owner: &str) -> Self {
        Self { config: format!("owner: {owner}\n{}", self.config), ..self.clone() }
    }

    /// With another binding.
    fn bound_by(&self, name: &str) -> Self {
        Self { config: self.config.replace(&self.binding, name), binding: name.to_owned(), ..self.clone() }
    }
}

#[test]
fn a_binding_by_hand_gets_a_subject_with_consent_alone() {
    for owner in ["", "kteam"] {
        let mut fixture = Fixture::new("token: bound", "");
        if !owner.is_empty() {
            fixture = fixture.of(&lab::unique(owner));
        }
        let name = &fixture.binding;
        made_by_hand(name);
        let words = [&format!("ClusterRoleBinding {name}"), "kubectl-create", "bindingName", "--approve take-over"];
        for line in [&["bootstrap"][..], &["bootstrap", "--yes"]] {
            fixture.run(line).exits(1).complains(&words);
            assert_eq!(subjects(name), names(&["elsewhere/other"]));
        }
        fixture.run(&["plan"]).exits(0).says(&["! this takes over", "+ \"ServiceAccount", "kubectl-create"]);
        fixture.run(&["bootstrap", "--approve", "take-over"]).exits(0).says(&["1 login verified"]);
        assert_eq!(subjects(name), names(&["elsewhere/other", &fixture.reviewer()]));
        fixture.in_order();
    }
    // One that has the account already is used as it is.
    let fixture = Fixture::new("token: bound", "");
    let mut document = binding(&fixture.binding);
    let (namespace, account) = (format!("{}-review", fixture.namespace), "vault-auth");
    document["subjects"] = json!([{ "kind": "ServiceAccount", "namespace": namespace, "name": account }]);
    assert_eq!(lab::shared().kubernetes().post(BINDINGS, &document).0, 201);
    fixture.bootstrap();
}

#[test]
fn a_binding_that_another_tool_applies_is_left_to_it() {
    let fixture = Fixture::new("token: bound", "");
    let (name, document) = (&fixture.binding, binding(&fixture.binding));
    assert!(applied_by("argocd", &document));
    let before = there(name)["metadata"]["managedFields"].clone();
    for line in [&["bootstrap"][..], &["bootstrap", "--yes", "--approve", "take-over"]] {
        let words = [&format!("ClusterRoleBinding {name}"), "argocd", "bindingName"];
        fixture.run(line).exits(1).complains(&words);
    }
    assert_eq!(there(name)["metadata"]["managedFields"], before);
    assert!(applied_by("argocd", &document), "its next apply fails");
    // The other tool adds the subject, and all is well.
    let mut more = document;
    let (namespace, account) = (format!("{}-review", fixture.namespace), "vault-auth");
    more["subjects"].as_array_mut().unwrap().push(json!({
        "kind": "ServiceAccount", "namespace": namespace, "name": account,
    }));
    assert!(applied_by("argocd", &more));
    fixture.bootstrap();
    assert!(applied_by("argocd", &more));
}

#[test]
fn another_owner_s_binding_gets_a_subject_with_consent_alone() {
    let (platform, data) = (lab::unique("platform"), lab::unique("data"));
    let one = Fixture::new("token: bound", "").of(&platform);
    one.bootstrap();
    let two = Fixture::new("token: bound", "").bound_by(&one.binding);
    let asked = |fixture: &Fixture| {
        fixture.run(&["bootstrap", "--yes"]).exits(1).complains(&[
            &format!("ClusterRoleBinding {}", one.binding),
            &format!("the owner {platform}"),
            "bindingName",
            "--approve take-over",
        ])
    };
    // A file that names no owner asks as well.
    asked(&two);
    let two = two.of(&data);
    asked(&two).complains(&[&data]);
    assert_eq!(subjects(&one.binding), names(&[&one.reviewer()]));
    two.run(&["bootstrap", "--approve", "take-over"]).exits(0);
    assert_eq!(subjects(&one.binding), names(&[&one.reviewer(), &two.reviewer()]));
    one.in_order();
    two.in_order();
}

/// Earlier releases left no word about whose it is, and applied it by force.
#[test]
fn a_binding_of_an_earlier_release_is_changed_unasked() {
    let fixture = Fixture::new("token: bound", "");
    assert!(applied_by("vaultk8s", &binding(&fixture.binding)));
    fixture.of(&lab::unique("platform")).run(&["bootstrap"]).exits(0);
    assert_eq!(subjects(&fixture.binding), names(&["elsewhere/other", &fixture.reviewer()]));
    fixture.bootstrap();
}

#[test]
fn two_mounts_of_one_file_share_a_binding() {
    let (one, two) = (Fixture::new("token: bound", ""), Fixture::new("token: bound", ""));
    let second = two.bound_by(&one.binding).config;
    let (cluster, rest) = second.strip_prefix("clusters:\n").unwrap().split_once("policies:\n").unwrap();
    let (policy, role) = rest.split_once("roles:\n").unwrap();
    let config = one
        .config
        .replace("policies:\n", &format!("{}policies:\n{policy}", cluster.replace("name: lab", "name: second")))
        .replace("roles:\n", &format!("roles:\n{}", role.replace("r-app", "r-second")))
        .replace("- name: r-app", "- name: r-app\n    clusters: [lab]")
        .replace("- name: r-second", "- name: r-second\n    clusters: [second]");
    let both = Fixture { config, ..one.clone() };
    both.run(&["bootstrap"]).exits(0).says(&["2 logins verified"]);
    assert_eq!(subjects(&one.binding), names(&[&one.reviewer(), &two.reviewer()]));
    both.in_order();
}

#[test]
fn runs_at_once_that_share_a_binding_lose_no_subject() {
    let first = Fixture::new("token: bound", "");
    let files: Vec<Fixture> = (0..4).map(|_| Fixture::new("token: bound", "").bound_by(&first.binding)).collect();
    let start = |file: &Fixture| {
        let command = Vaultk8s::new(["bootstrap", "--no-verify"]).on_shared().config(&file.config);
        command.start()
    };
    let runs: Vec<_> = files.iter().map(start).collect();
    let answers: Vec<Answer> = runs.into_iter().map(Running::finish).collect();
    for answer in answers {
        answer.exits(0);
    }
    assert_eq!(subjects(&first.binding), files.iter().map(Fixture::reviewer).collect());
}

#[test]
fn a_subject_that_comes_while_the_question_stands_stays() {
    let fixture = Fixture::new("token: bound", "");
    made_by_hand(&fixture.binding);
    let refused = Vaultk8s::new(["bootstrap"]).on_shared().config(&fixture.config).at_terminal(|terminal, _| {
        terminal.shows("Only 'yes' will be accepted: ");
        let mut more = there(&fixture.binding);
        more["subjects"].as_array_mut().unwrap().push(json!({
            "kind": "ServiceAccount", "namespace": "elsewhere", "name": "late",
        }));
        let path = format!("{BINDINGS}/{}", fixture.binding);
        assert_eq!(lab::shared().kubernetes().put(&path, &more).0, 200);
        terminal.types("yes\n").unwrap();
    });
    refused.exits(1).complains(&["what was shown is not so any more", &fixture.binding]);
    assert_eq!(subjects(&fixture.binding), names(&["elsewhere/late", "elsewhere/other"]));
}
