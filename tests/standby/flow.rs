//! The tool as people run it, through the standby.

use std::fmt::Write as _;
use std::time::Instant;

use crate::command::{Answer, Vaultk8s};
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
    let started = Instant::now();
    for _ in 0..MANY / 4 {
        let fixture = Fixture::at(Place::Standby);
        fixture.command(["bootstrap"]).run().exits(0).says(&["4 changes made; 1 login verified"]);
    }
    println!("{} first bootstraps through a standby: 0 failed, in {:?}", MANY / 4, started.elapsed());
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
