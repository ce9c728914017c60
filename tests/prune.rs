//! What `--prune` leaves alone because not everything is known or could be planned. Against a real OpenBao (or Vault) and a real
//! kube-apiserver.

use serde_json::json;

use crate::command::{Answer, Vaultk8s};
use crate::team::{Team, held, names};

fn vault() -> &'static lab::Vault {
    lab::shared().vault()
}

/// A file with two clusters, each with a mount and a role; the roles of the first one get a name and a policy from the test.
struct Two {
    owner: String,
    namespace: String,
    mounts: [lab::Mount; 2],
    policies: [String; 3],
}

impl Two {
    fn new() -> Self {
        let lab = lab::shared();
        let namespace = lab.namespace("prune");
        lab.service_account(&namespace, "app");
        let policies = [lab.unique("p-old"), lab.unique("p-new"), lab.unique("p-two")];
        Self {
            owner: lab.unique("platform"),
            namespace,
            mounts: [lab.mount("jwt-one"), lab.mount("jwt-two")],
            policies,
        }
    }

    /// With what the roles are called, and the policy of the first one.
    fn run(&self, [one, two]: [&str; 2], policy: &str, line: &str) -> Answer {
        let Self { owner, namespace, mounts: [m1, m2], policies: [_, _, p2] } = self;
        let context = lab::shared().context();
        let config = format!(
            "owner: {owner}
clusters:
  - {{ name: one, context: {context}, auth: {{ method: jwt, mount: {m1}, audience: vault, exclusive: true }} }}
  - {{ name: two, context: {context}, auth: {{ method: jwt, mount: {m2}, audience: vault, exclusive: true }} }}
policies:
  - {{ name: {policy}, read: [{namespace}/one/*] }}
  - {{ name: {p2}, read: [{namespace}/two/*] }}
roles:
  - {{ name: {one}, clusters: [one], serviceAccounts: [{namespace}/app], policies: [{policy}] }}
  - {{ name: {two}, clusters: [two], serviceAccounts: [{namespace}/app], policies: [{p2}] }}
"
        );
        Vaultk8s::new(line.split(' ')).on_shared().config(&config).run()
    }
}

#[test]
fn a_cluster_whose_plan_fails_keeps_what_it_has() {
    let two = Two::new();
    let [old, new, _] = &two.policies;
    two.run(["one", "two"], old, "bootstrap --no-verify").exits(0);
    // Its inventory can't be relied on any more, so that nothing of it may be pruned.
    let inventory = format!("sys/policies/acl/vaultk8s-inventory/{}/{}", two.owner, two.mounts[0]);
    let text = vault().read(&inventory)["data"]["policy"].as_str().unwrap().replace("# role one", "# role oen");
    vault().write(&inventory, &json!({ "policy": text }));
    let renamed = ["one-anew", "two-anew"];
    let plan = two.run(renamed, new, "plan --prune").exits(1);
    plan.says(&["cluster one", "can't be relied on", "nothing is deleted"]);
    two.run(renamed, new, "bootstrap --no-verify --prune --yes").exits(1).says(&["can't be relied on"]);
    assert_eq!(held(two.mounts[0].as_str()), names(&["one"]));
    // The role names it still.
    assert_eq!(vault().get(&format!("sys/policies/acl/{old}")).0, 200);
    // The other cluster gets what is its own.
    assert_eq!(held(two.mounts[1].as_str()), names(&["two-anew"]));
    let mended = two.run(renamed, new, "bootstrap --no-verify --approve take-over").exits(1);
    mended.says(&["2 changes made; 1 unmanaged role on an exclusive mount"]);
    two.run(renamed, new, "bootstrap --no-verify --prune --yes").exits(0);
    assert_eq!(held(two.mounts[0].as_str()), names(&["one-anew"]));
    assert_eq!(vault().get(&format!("sys/policies/acl/{old}")).0, 404);
}

#[test]
fn a_cel_role_of_a_mount_that_another_owner_keeps_stays() {
    if lab::shared().vault_program().file_stem().unwrap() == "vault" {
        return;
    }
    let mount = lab::shared().mount("jwt");
    let platform = Team::new("platform", &mount, "minio");
    platform.bootstrap();
    let cel = format!("auth/{mount}/cel/role/by-hand");
    let program = json!({ "variables": [], "expression": "'by-hand'" });
    vault().write(&cel, &json!({ "cel_program": program, "bound_audiences": ["vault"], "message": "" }));
    let data = Team { auth: ", exclusive: true", ..Team::new("data", &mount, "spark") };
    let pruned = data.run("bootstrap --no-verify --prune --yes").exits(1);
    pruned.says(&["by-hand", &platform.owner, "keeps the mount"]);
    assert_eq!(vault().get(&cel).0, 200);
    // Who keeps the mount and names all its roles may.
    let platform = Team { auth: ", exclusive: true", ..platform };
    platform.run("bootstrap --no-verify --prune --yes").says(&["by-hand deleted"]);
    assert_eq!(vault().get(&cel).0, 404);
}
