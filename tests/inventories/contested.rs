//! Two runs at once, one of which stands still at one point while the other goes on.

use std::collections::BTreeSet;
use std::time::Duration;

use lab::{Gate, Held, HoldAt};

use crate::command::{Answer, Running};
use crate::cut_short::{gate, start};
use crate::snapshot::Snapshot;
use crate::team::{Team, held, names, two_teams};

const BOOTSTRAP: &str = "bootstrap --no-verify --yes";

/// A run that stands still, or has ended before it came there.
struct Paused {
    running: Running,
    held: Held,
}

impl Paused {
    fn at(gate: &Gate, team: &Team, at: HoldAt) -> Self {
        let held = gate.hold(at);
        let mut running = start(gate, team, BOOTSTRAP);
        while !held.came_within(Duration::from_millis(20)) && !running.has_ended() {}
        Self { running, held }
    }

    fn goes_on(self) -> Answer {
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

#[test]
fn of_two_owners_that_make_a_role_of_one_name_at_the_same_moment_one_gets_it_at_most() {
    let (platform, data) = two_teams();
    let with_it = |team: &Team| {
        let mut team = team.clone();
        team.roles.push(("same".to_owned(), team.policies[0].0.clone()));
        team
    };
    let (one, two) = (with_it(&platform), with_it(&data));
    let before = Snapshot::of(&[&one, &two]);
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
        let at = format!("{here:?} {there:?}\n{}{}\n{}{}", ones.stdout, ones.stderr, twos.stdout, twos.stderr);
        outcomes.insert((ones.code, twos.code));
        assert!(ones.code == 1 || twos.code == 1, "both got it: {at}");
        let now = Snapshot::of(&[&one, &two]);
        let policies = now.role("same").map(|role| role["token_policies"][0].as_str().unwrap().to_owned());
        let claims: Vec<&Team> = [&one, &two].into_iter().filter(|team| team.claimed().contains("same")).collect();
        let Some(policy) = policies else {
            assert!(claims.is_empty(), "a claim without a role stays: {at}");
            assert!(ones.code == 1 && twos.code == 1, "{at}");
            one.run(BOOTSTRAP).exits(0);
            continue;
        };
        // Whose the role is, that one has the claim, and nobody else.
        let [winner] = claims[..] else { panic!("{} claims: {at}", claims.len()) };
        assert_eq!(policy, winner.policies[0].0, "{at}");
        let loser = if winner.owner == one.owner { &two } else { &one };
        let code = |team: &Team| if team.owner == one.owner { ones.code } else { twos.code };
        assert_eq!(code(loser), 1, "{at}");
        winner.run(BOOTSTRAP).exits(0);
        winner.in_order();
        loser.run(BOOTSTRAP).exits(1).complains(&["role/same", &winner.owner, "--approve take-over"]);
    }
    assert!(outcomes.contains(&(0, 1)) && outcomes.contains(&(1, 0)), "{outcomes:?}");
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
