//! Runs that end at once, as a lost machine ends them, at every single request; and runs that meet another one at every write.

use std::time::Duration;

use lab::{Gate, HoldAt};

use super::snapshot::Snapshot;
use crate::command::{Running, Vaultk8s};
use crate::team::{Team, held, names, two_teams};

/// What is between the runs and the shared Vault.
pub(crate) fn gate() -> Gate {
    Gate::start(lab::shared().vault_address(), lab::shared().run().vault_authority())
}

/// A run of a team's file by way of a gate.
pub(crate) fn start(gate: &Gate, team: &Team, line: &str) -> Running {
    let command = Vaultk8s::new(line.split(' ')).on_shared().env("VAULT_ADDR", gate.address());
    command.config(&team.config()).start()
}

/// Kills the run at every request, before Vault sees it and before its answer comes back, and sees to it each time that all roles
/// are listed then and that the same run again leads to where an undisturbed one does.
fn killed_at_every_request(what: &str, teams: &[&Team], runs: &Team, line: &str, begin: impl Fn()) {
    let gate = gate();
    begin();
    gate.open();
    start(&gate, runs, line).finish().exits(0);
    let (requests, writes) = gate.counts();
    assert!(writes > 2, "{what}: {writes} writes");
    let undisturbed = Snapshot::of(teams).timeless();
    let mut killed = 0;
    for index in 0..requests {
        for answered in [false, true] {
            begin();
            let held_up = gate.hold(HoldAt { index, writes: false, answered });
            let mut running = start(&gate, runs, line);
            // Those that are under way together differ in their number from run to run.
            while !held_up.came_within(Duration::from_millis(20)) && !running.has_ended() {}
            killed += usize::from(!running.has_ended());
            running.kill();
            drop(held_up);
            gate.open();
            let at = format!("{what}, request {index} of {requests}, answered: {answered}");
            let listed = teams.iter().flat_map(|team| team.claimed()).collect();
            let there = held(&runs.mount);
            assert!(there.is_subset(&listed), "{at}: {there:?} {listed:?}");
            start(&gate, runs, line).finish().exits(0);
            assert_eq!(Snapshot::of(teams).timeless(), undisturbed, "{at}");
        }
    }
    assert!(killed >= 2 * requests - 4, "{what}: {killed} of {requests} requests");
}

#[test]
fn a_bootstrap_that_is_killed_at_any_request_is_finished_by_the_next() {
    let platform = Team::new("platform", &lab::shared().mount("jwt"), "minio").with("velero");
    killed_at_every_request("from nothing", &[&platform], &platform, "bootstrap --no-verify", || {
        let vault = lab::shared().vault();
        vault.delete(&format!("sys/auth/{}", platform.mount));
        for path in platform.policies.iter().map(|(policy, _)| format!("sys/policies/acl/{policy}")) {
            vault.delete(&path);
        }
        vault.delete(&platform.inventory());
    });
}

#[test]
fn a_second_team_s_bootstrap_that_is_killed_at_any_request_loses_nobody_s_role() {
    let (platform, data) = two_teams();
    let more = data.with("airflow");
    let before = Snapshot::of(&[&platform, &more]);
    killed_at_every_request("a second team's", &[&platform, &more], &more, "bootstrap --no-verify", || {
        before.restore();
    });
    assert_eq!(held(&data.mount), names(&["minio", "spark", "airflow"]));
    platform.in_order();
    more.in_order();
}

#[test]
fn a_prune_that_is_killed_at_any_request_leaves_no_role_that_nobody_lists() {
    let (platform, data) = two_teams();
    let more = data.with("airflow");
    more.bootstrap();
    let before = Snapshot::of(&[&platform, &more]);
    let line = "bootstrap --no-verify --prune --yes";
    killed_at_every_request("prune", &[&platform, &more], &data, line, || {
        before.restore();
    });
    assert_eq!(held(&data.mount), names(&["minio", "spark"]));
    platform.in_order();
    data.in_order();
}

#[test]
fn a_take_over_that_is_killed_at_any_request_leaves_the_role_with_one_of_the_two() {
    let (platform, data) = two_teams();
    let mut thief = data.clone();
    thief.roles.push(("minio".to_owned(), data.policies[0].0.clone()));
    let before = Snapshot::of(&[&platform, &thief]);
    let line = "bootstrap --no-verify --yes --approve take-over";
    killed_at_every_request("take-over", &[&platform, &thief], &thief, line, || {
        before.restore();
    });
    assert_eq!((thief.claimed(), platform.claimed()), (names(&["minio", "spark"]), names(&[])));
    thief.in_order();
}
