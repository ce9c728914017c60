//! Two runs at once, one of which stands still at one point while the other goes on.

use std::collections::BTreeSet;
use std::time::Duration;

use lab::{Gate, Held, HoldAt};
use serde_json::json;

use super::cut_short::{gate, start};
use super::snapshot::Snapshot;
use crate::command::{Answer, Running, Vaultk8s};
use crate::team::{Team, held, names, two_teams};

const BOOTSTRAP: &str = "bootstrap --no-verify --yes";

/// A run that stands still, or has ended before it came there.
pub(crate) struct Paused {
    running: Running,
    held: Held,
}

impl Paused {
    fn at(gate: &Gate, team: &Team, at: HoldAt) -> Self {
        Self::of(gate, team, BOOTSTRAP, at)
    }

    pub(crate) fn of(gate: &Gate, team: &Team, line: &str, at: HoldAt) -> Self {
        let held = gate.hold(at);
        let mut running = start(gate, team, line);
        while !held.came_within(Duration::from_millis(20)) && !running.has_ended() {}
        Self { running, held }
    }

    pub(crate) fn goes_on(self) -> Answer {
        self.held.let_go();
        self.running.finish()
    }
}

fn undisturbed_writes(gate: &Gate, team: &Team) -> usize {
    gate.open();
    start(gate, team, BOOTSTRAP).finish().exits(0);
    gate.counts().1
}

#[test]
fn a_run_that_stands_still_at_any_write_while_another_one_runs_loses_nothing_of_either() {
    let (platform, data) = two_teams();
    let (one, two) = (platform.with("velero"), data.with("airflow"));
    // A second run of the same owner's as well.
    let mut same = platform.with("restic");
    same.roles.retain(|(role, _)| role != "minio");
    let before = Snapshot::of(&[&one, &two, &same]);
    let gate = gate();
    let writes = undisturbed_writes(&gate, &one);
    assert_eq!(writes, 3, "a policy, a claim and a role");
    for (other, more) in [(&two, "airflow"), (&same, "restic")] {
        for index in 0..writes {
            before.restore();
            let paused = Paused::at(&gate, &one, HoldAt { index, writes: true, answered: false });
            other.run(BOOTSTRAP).exits(0);
            paused.goes_on().exits(0);
            assert_eq!(held(&one.mount), names(&["minio", "spark", "velero", more]), "write {index}");
            let listed: BTreeSet<String> = one.claimed().union(&data.claimed()).cloned().collect();
            assert_eq!(listed, held(&one.mount), "write {index}");
            one.in_order();
            other.in_order();
        }
    }
}

/// Two owners whose files get the same new role, each with a policy of its own.
fn rivals() -> (Team, Team) {
    let with_it = |mut team: Team| {
        team.roles.push(("same".to_owned(), team.policies[0].0.clone()));
        team
    };
    let (platform, data) = two_teams();
    (with_it(platform), with_it(data))
}

/// Sees to it that at most one of two runs got the role, that it has it alone, and that the next runs say so.
fn settled(one: &Team, two: &Team, ones: &Answer, twos: &Answer, at: &str) {
    let at = format!("{at}\n{}{}\n{}{}", ones.stdout, ones.stderr, twos.stdout, twos.stderr);
    assert!(ones.code == 1 || twos.code == 1, "both got it: {at}");
    let now = Snapshot::of(&[one, two]);
    let claims: Vec<&Team> = [one, two].into_iter().filter(|team| team.claimed().contains("same")).collect();
    let Some(role) = now.role("same") else {
        assert!(claims.is_empty(), "a claim without a role stays: {at}");
        assert!(ones.code == 1 && twos.code == 1, "{at}");
        one.run(BOOTSTRAP).exits(0);
        return;
    };
    // Whose the role is, that one has the claim, and nobody else.
    let [winner] = claims[..] else { panic!("{} claims: {at}", claims.len()) };
    assert_eq!(role["token_policies"][0], winner.policies[0].0, "{at}");
    let (loser, code) = if winner.owner == one.owner { (two, twos.code) } else { (one, ones.code) };
    assert_eq!(code, 1, "{at}");
    winner.run(BOOTSTRAP).exits(0);
    winner.in_order();
    loser.run(BOOTSTRAP).exits(1).complains(&["role/same", &winner.owner, "--approve take-over"]);
}

#[test]
fn of_two_owners_that_make_a_role_of_one_name_at_the_same_moment_one_gets_it_at_most() {
    let (one, two) = rivals();
    let before = Snapshot::of(&[&one.without("same"), &two.without("same")]);
    let (first, second) = (gate(), gate());
    let writes = undisturbed_writes(&first, &one);
    assert_eq!(writes, 2, "a claim and a role");
    let mut outcomes = BTreeSet::new();
    // At a claim and at a role, before Vault sees it and once it has: each of the one with each of the other.
    let points = |writes: usize| (0..writes).flat_map(|index| [(index, false), (index, true)]);
    for (here, there) in points(writes).flat_map(|here| points(writes).map(move |there| (here, there))) {
        before.restore();
        let at = |(index, answered)| HoldAt { index, writes: true, answered };
        let paused = Paused::at(&first, &one, at(here));
        let other = Paused::at(&second, &two, at(there));
        let (ones, twos) = (paused.goes_on(), other.goes_on());
        outcomes.insert((ones.code, twos.code));
        settled(&one, &two, &ones, &twos, &format!("{here:?} {there:?}"));
    }
    assert!(outcomes.contains(&(0, 1)) && outcomes.contains(&(1, 0)), "{outcomes:?}");
}

#[test]
fn of_two_owners_one_of_which_stands_still_at_any_request_one_gets_the_role_at_most() {
    let (one, two) = rivals();
    let before = Snapshot::of(&[&one.without("same"), &two.without("same")]);
    let gate = gate();
    gate.open();
    start(&gate, &one, BOOTSTRAP).finish().exits(0);
    let (requests, _) = gate.counts();
    for index in 0..requests {
        before.restore();
        let paused = Paused::at(&gate, &one, HoldAt { index, writes: false, answered: false });
        let twos = two.run(BOOTSTRAP);
        settled(&one, &two, &paused.goes_on(), &twos, &format!("request {index} of {requests}"));
    }
}

#[test]
fn a_take_over_in_a_saved_plan_is_no_contest() {
    let (platform, data) = two_teams();
    let mut thief = data.clone();
    thief.roles.push(("minio".to_owned(), data.policies[0].0.clone()));
    let folder = tempfile::tempdir().unwrap();
    let plan = folder.path().join("plan.json").display().to_string();
    thief.run(&format!("plan --out {plan}")).exits(0);
    assert!(std::fs::read_to_string(&plan).unwrap().contains("takenFrom"));
    thief.run(&format!("bootstrap --no-verify --plan {plan} --approve take-over")).exits(0);
    assert_eq!((thief.claimed(), platform.claimed()), (names(&["minio", "spark"]), names(&[])));
    thief.in_order();
}

#[test]
fn who_finds_a_name_claimed_by_another_owner_says_so_and_writes_no_role() {
    let (platform, data) = two_teams();
    let mut one = platform.clone();
    one.roles.push(("same".to_owned(), platform.policies[0].0.clone()));
    let mut two = data.clone();
    two.roles.push(("same".to_owned(), data.policies[0].0.clone()));
    let gate = gate();
    // Its plan is made, and its claim isn't.
    let paused = Paused::at(&gate, &one, HoldAt { index: 0, writes: true, answered: false });
    two.run(BOOTSTRAP).exits(0);
    let stopped = paused.goes_on().exits(1);
    stopped.says(&[&data.owner, "claimed the same roles", "run it again", "it needs inventory"]);
    assert_eq!(one.claimed(), names(&["minio"]));
    two.in_order();
    platform.in_order();
}

#[test]
fn who_may_not_look_any_more_whether_another_owner_came_meanwhile_writes_no_role() {
    let (platform, _) = two_teams();
    let one = platform.with("velero");
    let lab = lab::shared();
    let printed = Vaultk8s::new(["render", "operator-policy"]).config(&one.config()).run().exits(0).stdout;
    let name = lab.unique("operator");
    let policy = format!("sys/policies/acl/{name}");
    let set = |text: &str| _ = lab.vault().write(&policy, &json!({ "policy": text }));
    set(&printed);
    let token = lab.vault().write("auth/token/create", &json!({ "policies": [name], "ttl": "10m" }));
    let token = token["auth"]["client_token"].as_str().unwrap();
    let gate = gate();
    // At the policy, which is written before the claim.
    let held_up = gate.hold(HoldAt { index: 0, writes: true, answered: false });
    let command = Vaultk8s::new(BOOTSTRAP.split(' ')).on_shared().env("VAULT_ADDR", gate.address());
    let mut running = command.env("VAULT_TOKEN", token).config(&one.config()).start();
    while !held_up.came_within(Duration::from_millis(20)) && !running.has_ended() {}
    set(&format!("{printed}\npath \"sys/policies/acl\" {{ capabilities = [\"deny\"] }}\n"));
    held_up.let_go();
    running.finish().exits(1).says(&["nobody can tell", "may not list sys/policies/acl", "run it again"]);
    assert_eq!(held(&one.mount), names(&["minio", "spark"]));
}
