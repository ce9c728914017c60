//! A Vault that limits the rate of requests: everything takes longer, and is finished.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use lab::{VaultOptions, VaultServer};
use serde_json::json;

use crate::command::{Answer, Vaultk8s};

const WAITS: &str = "Vault limits the rate of requests (429): asking more slowly";

struct Limited {
    vault: VaultServer,
    config: String,
}

impl Limited {
    /// A Vault of its own, and a file with this many roles.
    fn new(roles: usize) -> Self {
        let lab = lab::shared();
        let namespace = lab.namespace("app");
        let mut config = format!(
            "clusters: [{{ name: one, context: {}, auth: {{ method: jwt, mount: jwt-rates, audience: vault }} }}]\npolicies:\n",
            lab.context()
        );
        for at in 0..roles {
            lab.service_account(&namespace, &format!("app-{at}"));
            let _ = writeln!(config, "  - {{ name: p-{at}, read: [{namespace}/{at}/*] }}");
        }
        config.push_str("roles:\n");
        for at in 0..roles {
            let _ = writeln!(
                config,
                "  - {{ name: r-{at}, serviceAccounts: [{namespace}/app-{at}], policies: [p-{at}], ttl: 10m }}"
            );
        }
        Self { vault: VaultServer::start(&VaultOptions::default()), config }
    }

    /// With at most so many requests in an interval, everywhere or below a path.
    fn quota(&self, path: &str, rate: u32, interval: &str) {
        let quota = json!({ "path": path, "rate": rate, "interval": interval });
        self.vault.client().write("sys/quotas/rate-limit/of-the-lab", &quota);
    }

    fn command(&self, args: &[&str]) -> Vaultk8s {
        Vaultk8s::new(args.iter().copied()).on(&self.vault).config(&self.config)
    }

    fn run(&self, args: &[&str]) -> Answer {
        self.command(args).run()
    }
}

#[test]
fn a_limit_of_twenty_requests_a_second_makes_everything_slower_and_nothing_fail() {
    let limited = Limited::new(12);
    limited.quota("", 20, "1s");
    let begun = Instant::now();
    limited.run(&["plan", "--detailed-exitcode"]).exits(2);
    let bootstrap = limited.run(&["bootstrap", "-o", "json"]).exits(0);
    assert_eq!(bootstrap.json()["kind"], "Bootstrap");
    assert!(!bootstrap.stdout.contains("more slowly") && !bootstrap.stderr.contains(WAITS), "{}", bootstrap.stderr);
    limited.run(&["plan", "--detailed-exitcode"]).exits(0);
    let shown = limited.command(&["verify-role", "--all"]).at_terminal(|_, _| ()).exits(0);
    assert_eq!(shown.stderr.matches(WAITS).count(), 1, "{}", shown.stderr);
    let quiet = limited.command(&["verify-role", "--all", "--quiet"]).at_terminal(|_, _| ()).exits(0);
    assert_eq!(quiet.stderr.matches(WAITS).count(), 0, "{}", quiet.stderr);
    assert!(begun.elapsed() < Duration::from_secs(150), "{:?}", begun.elapsed());
}
