//! The tool as people run it, through the standby.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::command::{Answer, Vaultk8s, reader};
use crate::fixture::{Fixture, Place, two_nodes};
use crate::kubernetes_fixture::API_AUDIENCE;

/// How many mounts, or tries, are enough to meet a standby that is late: without the index, half of them failed.
const MANY: usize = 20;

/// A configuration on the standby.
struct Flow {
    config: String,
}

impl Flow {
    fn run(&self, args: &[&str]) -> Answer {
        Place::Standby.on(Vaultk8s::new(args.iter().copied())).config(&self.config).run()
    }

    /// From nothing until nothing is left to do.
    fn bootstrap(&self, done: &str) {
        self.run(&["bootstrap", "--yes"]).exits(0).says(&[done]);
        self.run(&["bootstrap", "--yes"]).exits(0).says(&["nothing to change", " 0 writes."]);
        self.run(&["plan", "--detailed-exitcode"]).exits(0).says(&["No changes."]);
    }
}

/// Many mounts for one cluster, each with a policy and a role of its own. `auth` and `kubeconfig`'s context are of the method.
fn many_mounts(context: &str, auth: impl Fn(&str) -> String) -> Flow {
    let lab = lab::shared();
    let namespace = lab.namespace("many");
    lab.service_account(&namespace, "app");
    let id = lab.unique("m");
    let mut config = "clusters:\n".to_owned();
    for at in 0..MANY {
        let name = format!("{id}-{at}");
        writeln!(config, "  - name: {name}\n    context: {context}\n    auth: {{ mount: {name}, {} }}", auth(&name))
            .unwrap();
    }
    writeln!(
        config,
        "policies:\n  - {{ name: p-{{cluster}}, read: [{namespace}/*] }}
roles:\n  - {{ name: r-{{cluster}}, serviceAccounts: [{namespace}/app], policies: [p-{{cluster}}], ttl: 10m }}"
    )
    .unwrap();
    Flow { config }
}

#[test]
fn many_fresh_jwt_mounts_at_once() {
    let flow = many_mounts(lab::shared().context(), |_| "method: jwt, audience: vault".to_owned());
    flow.bootstrap(&format!("{} changes made; {MANY} logins verified", 4 * MANY));
    flow.run(&["verify-role", "--all"]).exits(0);
}

#[test]
fn many_fresh_kubernetes_mounts_at_once() {
    let lab = lab::shared();
    let (account, binding) = (format!("{}/vault-auth", lab.unique("review")), lab.unique("binding"));
    let flow = many_mounts("rke", |_| {
        format!(
            "method: kubernetes, audience: \"{API_AUDIENCE}\", \
             reviewer: {{ serviceAccount: {account}, bindingName: {binding}, token: secret }}"
        )
    });
    flow.bootstrap(&format!("{MANY} logins verified"));
    flow.run(&["verify-role", "--all"]).exits(0);
}

#[test]
fn one_fresh_mount_after_another() {
    for _ in 0..MANY / 4 {
        let fixture = Fixture::at(Place::Standby);
        fixture.command(["bootstrap"]).run().exits(0).says(&["4 changes made; 1 login verified"]);
    }
}

#[test]
fn two_hundred_apps_end_green() {
    let lab = lab::shared();
    let (namespace, mount) = (lab.namespace("apps"), lab.unique("apps"));
    lab.service_account(&namespace, "app");
    let apps: Vec<String> = (0..200).map(|at| format!("a{at}")).collect();
    let apps = apps.join(", ");
    let flow = Flow {
        config: format!(
            "clusters:
  - name: lab
    context: {}
    auth: {{ method: jwt, mount: {mount}, audience: vault }}
policies:
  - {{ name: \"{mount}-{{each}}\", each: [{apps}], read: [\"{namespace}/{{each}}/*\"] }}
roles:
  - {{ name: \"r-{{each}}\", each: [{apps}], serviceAccounts: [{namespace}/app], policies: [\"{mount}-{{each}}\"], ttl: 10m }}
",
            lab.context()
        ),
    };
    flow.run(&["bootstrap"]).exits(0).says(&["402 changes made; 200 logins verified"]);
    flow.run(&["bootstrap", "--no-verify"]).exits(0).says(&["nothing to change", " 0 writes."]);
}

#[test]
fn what_is_pruned_is_gone_and_a_login_works_at_once() {
    let fixture = Fixture::at(Place::Standby);
    let exclusive = fixture.config.replace("audience: vault,", "audience: vault, exclusive: true,");
    let more = format!(
        "{exclusive}  - {{ name: r-more, serviceAccounts: [{}/app], policies: [{}], ttl: 10m }}\n",
        fixture.namespace, fixture.policy
    );
    let (more, less) = (Flow { config: more }, Flow { config: exclusive });
    for _ in 0..3 {
        more.run(&["bootstrap", "--yes"]).exits(0).says(&["2 logins verified"]);
        less.run(&["plan", "--prune", "--detailed-exitcode"]).exits(2).says(&["r-more"]);
        less.run(&["bootstrap", "--prune", "--yes"]).exits(0).says(&["1 change made"]);
        less.run(&["plan", "--prune", "--detailed-exitcode"]).exits(0).says(&["No changes."]);
        let vault = two_nodes().active().client();
        assert_eq!(vault.get(&format!("auth/{}/role/r-more", fixture.mount)).0, 404);
        less.run(&["verify-role", "r-app"]).exits(0);
        // The token's own first request comes through the standby, too.
        let token = lab::shared().token(&fixture.namespace, "app", &["vault"], 600);
        let login = Place::Standby.on(Vaultk8s::new([
            "login",
            "--mount",
            &fixture.mount,
            "--role",
            "r-app",
            "--jwt-file",
            "-",
        ]));
        login.stdin(token).run().exits(0);
    }
}

#[test]
fn a_role_that_somebody_made_by_hand_is_seen_at_once_and_so_is_its_end() {
    let fixture = Fixture::at(Place::Standby);
    let flow = Flow { config: fixture.config.replace("audience: vault,", "audience: vault, exclusive: true,") };
    flow.bootstrap("1 login verified");
    let vault = two_nodes().active().client();
    let (role, by_hand) =
        (format!("auth/{}/role/r-app", fixture.mount), format!("auth/{}/role/by-hand", fixture.mount));
    let anybody = json!({ "role_type": "jwt", "user_claim": "sub", "bound_audiences": "vault" });
    for _ in 0..5 {
        vault.write(&by_hand, &anybody);
        flow.run(&["plan", "--prune", "--detailed-exitcode"]).exits(2).says(&["by-hand"]);
        vault.delete(&by_hand);
        flow.run(&["plan", "--prune", "--detailed-exitcode"]).exits(0).says(&["No changes."]);
        vault.delete(&role);
        flow.run(&["plan", "--detailed-exitcode"]).exits(2).says(&["1 to create"]);
        flow.run(&["bootstrap"]).exits(0).says(&["1 change made; 1 login verified"]);
    }
}

/// Who looks at roles asks the node about itself first, and its answer says how far it is: no more than that.
#[test]
fn what_somebody_wrote_just_before_is_seen_by_who_looks_at_roles() {
    let fixture = Fixture::at(Place::Standby);
    let flow = Flow { config: fixture.config.replace("audience: vault,", "audience: vault, exclusive: true,") };
    flow.bootstrap("1 login verified");
    let vault = two_nodes().active().client();
    let by_hand = format!("auth/{}/role/by-hand", fixture.mount);
    let anybody = json!({ "role_type": "jwt", "user_claim": "sub", "bound_audiences": "vault" });
    for _ in 0..MANY {
        vault.write(&by_hand, &anybody);
        flow.run(&["verify-role", "--all", "--only", "VK304"]).exits(1).says(&["by-hand"]);
        vault.delete(&by_hand);
        flow.run(&["verify-role", "--all", "--only", "VK304"]).exits(0);
    }
}

#[test]
fn the_node_is_said_to_stand_by_and_all_else_is_in_order() {
    let fixture = Fixture::at(Place::Standby);
    for _ in 0..3 {
        fixture.command(["bootstrap"]).run().exits(0);
        let shown = fixture.command(["verify-role", "r-app", "-o", "json"]).run().exits(0).stdout;
        assert!(shown.contains("this node is a standby; it forwards to https://127.0.0.1:"), "{shown}");
        assert!(!shown.contains("\"failed\"") && !shown.contains("sealed: it"), "{shown}");
    }
}

#[test]
fn a_refusal_that_is_the_active_nodes_too_is_waited_for_once_and_told() {
    let lab = lab::shared();
    let (mount, account) = (lab.unique("kubernetes"), format!("{}/vault-auth", lab.unique("review")));
    let (namespace, policy) = (lab.namespace("app"), lab.unique("p-read"));
    lab.service_account(&namespace, "app");
    let flow = Flow {
        config: format!(
            "clusters:
  - name: lab
    context: rke
    auth:
      method: kubernetes
      mount: {mount}
      audience: {API_AUDIENCE}
      reviewer: {{ serviceAccount: {account}, bindingName: {mount}, token: secret }}
{}",
            reader(&policy, &namespace)
        ),
    };
    flow.bootstrap("1 login verified");
    let (path, vault) = (format!("auth/{mount}/config"), two_nodes().active().client());
    let mut config = vault.read(&path)["data"].clone();
    config["token_reviewer_jwt"] = json!("a-token-of-nobody");
    vault.write(&path, &config);
    let started = Instant::now();
    let answer = flow.run(&["verify-role", "--all"]).exits(1);
    let took = started.elapsed();
    assert!(answer.stdout.contains("VK431"), "{}", answer.stdout);
    assert!(took < Duration::from_secs(90), "it waited for {took:?}");
}
