//! Another node becomes active in the middle of a bootstrap, or none does.

use std::time::{Duration, Instant};

use lab::TwoNodes;

use crate::command::{Answer, Vaultk8s};

/// So many roles, each with a policy.
const APPS: usize = 24;

/// What is to be set up on nodes that change places.
struct Setup {
    mount: String,
    config: String,
}

impl Setup {
    fn new() -> Self {
        let lab = lab::shared();
        let (namespace, mount) = (lab.namespace("failover"), lab.unique("failover"));
        lab.service_account(&namespace, "app");
        let apps: Vec<String> = (0..APPS).map(|at| format!("a{at}")).collect();
        let apps = apps.join(", ");
        let config = format!(
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
        );
        Self { mount, config }
    }

    fn command(&self, nodes: &TwoNodes, args: &[&str]) -> Vaultk8s {
        Vaultk8s::new(args.iter().copied()).on(nodes.standby()).config(&self.config)
    }

    /// Waits until an active node holds so many roles of the mount.
    fn wait_for(&self, nodes: &TwoNodes, roles: usize) {
        let started = Instant::now();
        loop {
            for node in nodes.nodes() {
                let listed = node.client().list(&format!("auth/{}/role", self.mount));
                if listed.1["data"]["keys"].as_array().is_some_and(|keys| keys.len() >= roles) {
                    return;
                }
            }
            assert!(started.elapsed() < Duration::from_secs(30), "the bootstrap doesn't come that far");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// What a run says that met a failover: that it is done, which is then true, or what happened, which is told.
    fn judge(&self, nodes: &TwoNodes, answer: &Answer) {
        let all = format!("{}\n{}", answer.stdout, answer.stderr);
        if answer.code == 0 {
            let held = nodes.active().client().list(&format!("auth/{}/role", self.mount)).1;
            assert_eq!(held["data"]["keys"].as_array().map(Vec::len), Some(APPS), "a false success:\n{all}");
            self.command(nodes, &["plan", "--detailed-exitcode"]).run().exits(0).says(&["No changes."]);
        } else {
            assert_eq!(answer.code, 1, "{all}");
            let named = ["standby", "redirects", "leadership", "does not answer", "refused", "active"];
            assert!(named.iter().any(|words| all.contains(words)), "it doesn't say what happened:\n{all}");
        }
    }

    /// The next run does what is left, and the one after it finds nothing to do.
    fn converges(&self, nodes: &TwoNodes) {
        self.command(nodes, &["bootstrap", "--yes"]).run().exits(0);
        self.command(nodes, &["plan", "--detailed-exitcode"]).run().exits(0).says(&["No changes."]);
    }
}

#[test]
fn another_node_becomes_active_in_the_middle() {
    let nodes = TwoNodes::start_restless();
    for roles in [1, APPS / 2] {
        let setup = Setup::new();
        let running = setup.command(&nodes, &["bootstrap", "--yes"]).start();
        setup.wait_for(&nodes, roles);
        nodes.step_down();
        let answer = running.finish();
        setup.judge(&nodes, &answer);
        setup.converges(&nodes);
    }
}

#[test]
fn the_active_node_dies_in_the_middle() {
    let mut nodes = TwoNodes::start_restless();
    let setup = Setup::new();
    let running = setup.command(&nodes, &["bootstrap", "--yes"]).start();
    setup.wait_for(&nodes, 1);
    let port = nodes.active().port();
    let dead = nodes.nodes_mut().iter_mut().find(|node| node.port() == port).unwrap();
    dead.stop();
    let answer = running.finish();
    // The node that is left goes on answering reads from what it has, which may be of any age: that is no green.
    let left = nodes.nodes().iter().find(|node| node.port() != port).unwrap();
    let plan = Vaultk8s::new(["plan", "--detailed-exitcode"]).on(left).config(&setup.config).run().exits(1);
    assert!(plan.stderr.contains("redirects GET sys/ha-status") || plan.stderr.contains("standby"), "{}", plan.stderr);
    let dead = nodes.nodes_mut().iter_mut().find(|node| node.port() == port).unwrap();
    dead.restart();
    // With one node of two, nobody can be active.
    assert_eq!(answer.code, 1, "a success without an active node:\n{}", answer.stdout);
    setup.judge(&nodes, &answer);
    setup.converges(&nodes);
}
