//! What changes hands, and stays where it went. Against a real OpenBao (or Vault) and a real kube-apiserver.

use serde_json::{Value, json};

use crate::command::Vaultk8s;
use crate::fixture::Fixture;
use lab::HoldAt;

use crate::inventories::{Paused, gate, start};
use crate::kubernetes_fixture;
use crate::team::{Team, held, names, two_teams};

fn vault() -> &'static lab::Vault {
    lab::shared().vault()
}

fn config(mount: &str) -> Value {
    vault().read(&format!("auth/{mount}/config"))["data"].clone()
}

fn set(mount: &str, field: &str, value: &str) {
    let mut there = config(mount);
    there[field] = value.into();
    vault().write(&format!("auth/{mount}/config"), &there);
}

#[test]
fn what_a_file_without_owner_took_over_is_listed_by_nobody_and_stays_its_own() {
    let (platform, data) = two_teams();
    let ownerless = Team { owner: String::new(), roles: Vec::new(), policies: Vec::new(), ..data.clone() };
    let mut ownerless = Team { namespace: data.namespace.clone(), ..ownerless };
    let policy = lab::unique("p-free");
    ownerless.policies.push((policy.clone(), "free/*".to_owned()));
    ownerless.roles.push(("minio".to_owned(), policy));
    ownerless.run("bootstrap --no-verify --yes").exits(1).complains(&["role/minio", &platform.owner]);
    assert_eq!(platform.claimed(), names(&["minio"]));
    let taken = ownerless.run("bootstrap --no-verify --yes --approve take-over").exits(0);
    taken.says(&[&format!("released names of {}", platform.owner)]);
    assert_eq!(platform.claimed(), names(&[]));
    ownerless.in_order();
    // Whoever had it is asked from then on, and prunes it no more.
    platform.run("bootstrap --no-verify --yes").exits(1).complains(&["role/minio", "--approve take-over"]);
    platform.without("minio").run("bootstrap --no-verify --prune --yes").exits(0);
    ownerless.in_order();
}

#[test]
fn what_a_single_step_without_owner_took_over_is_listed_by_nobody() {
    let (platform, data) = two_teams();
    let Team { mount, namespace, .. } = &platform;
    let line = format!(
        "role minio --mount {mount} --service-account {namespace}/app --policy {} --audience vault --approve take-over",
        data.policies[0].0
    );
    Vaultk8s::new(line.split(' ')).on_shared().run().exits(0);
    assert_eq!(platform.claimed(), names(&[]));
    platform.run("bootstrap --no-verify --yes").exits(1).complains(&["role/minio", "--approve take-over"]);
}

#[test]
fn the_mount_of_a_file_without_owner_is_changed_by_an_owner_s_file_with_consent_alone() {
    let fixture = Fixture::new();
    fixture.bootstrap();
    let mut owned = fixture.clone();
    owned.config = format!("owner: {}\n{}", lab::unique("platform"), fixture.config)
        .replace("description: a mount of a test", "description: the platform's");
    let description = || vault().read("sys/auth")["data"][format!("{}/", fixture.mount)]["description"].clone();
    owned.command(["bootstrap", "--yes"]).run().exits(1).complains(&[
        &format!("auth/{}", fixture.mount),
        "names no owner",
        "--approve take-over",
    ]);
    assert_eq!(description(), "a mount of a test");
    owned.command(["bootstrap", "--yes", "--approve", "take-over"]).run().exits(0);
    assert_eq!(description(), "the platform's");
    owned.in_order();
    // From then on it is the owner's.
    set(&fixture.mount, "bound_issuer", "https://somebody");
    owned.command(["bootstrap", "--yes"]).run().exits(0);
    fixture.command(["bootstrap", "--yes"]).run().exits(1).complains(&["kept by the file of the owner", "take-over"]);
}

#[test]
fn a_mount_that_somebody_made_anew_under_the_path_of_one_s_own_is_changed_with_consent_alone() {
    let mut fixture = Fixture::new();
    fixture.config = format!("owner: {}\n{}", lab::unique("platform"), fixture.config);
    fixture.bootstrap();
    let wanted = config(&fixture.mount);
    let path = format!("sys/auth/{}", fixture.mount);
    vault().delete(&path);
    vault().write(&path, &json!({ "type": "jwt", "description": "a mount of a test" }));
    let mut theirs = wanted;
    theirs["default_role"] = "payroll".into();
    vault().write(&format!("auth/{}/config", fixture.mount), &theirs);
    let before = config(&fixture.mount);
    fixture.command(["bootstrap", "--yes"]).run().exits(1).complains(&["made it anew", "--approve take-over"]);
    assert_eq!(config(&fixture.mount), before);
    fixture.command(["bootstrap", "--yes", "--approve", "take-over"]).run().exits(0);
    fixture.in_order();
    // One that nobody configured is nobody's.
    vault().delete(&path);
    vault().write(&path, &json!({ "type": "jwt", "description": "a mount of a test" }));
    fixture.command(["bootstrap", "--yes"]).run().exits(0);
}

/// Makes a mount of the path by hand, with roles that let in somebody else.
fn made_anew_by_hand(team: &Team, options: &Value, roles: &[&str]) {
    let path = format!("sys/auth/{}", team.mount);
    vault().delete(&path);
    let mut mount = json!({ "type": "jwt", "description": "somebody's" });
    mount.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
    vault().write(&path, &mount);
    let secret = json!({ "bound_issuer": "https://somebody.example", "jwks_url": "", "jwt_validation_pubkeys": [KEY] });
    vault().write(&format!("auth/{}/config", team.mount), &secret);
    let role = json!({
        "role_type": "jwt", "user_claim": "sub", "bound_audiences": ["x"], "bound_subject": "me", "token_policies": ["somebody"],
    });
    for name in roles {
        vault().write(&format!("auth/{}/role/{name}", team.mount), &role);
    }
}

const KEY: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEEVs/o5+uQbTjL3chynL4wXgUg2R9
q9UU8I5mEovUf86QZ7kOBIjJwqnzD1omageEHWwHdBO6B+dFabmdT9POxg==
-----END PUBLIC KEY-----
";

#[test]
fn a_local_mount_by_hand_under_the_path_of_one_s_own_is_somebody_else_s() {
    for (was, is) in [("", true), (", tune: { local: true }", true)] {
        let mount = lab::shared().mount("jwt");
        let auth: &'static str = if was.is_empty() { "" } else { ", tune: { local: true }" };
        let team = Team { auth, ..Team::new("platform", &mount, "minio") }.with("velero");
        team.bootstrap();
        made_anew_by_hand(&team, &json!({ "local": is }), &["minio", "velero"]);
        let before = config(&mount);
        let less = team.without("velero");
        let refused = less.run("bootstrap --no-verify --prune --yes").exits(1);
        refused.complains(&["made it anew", "role/minio", "--approve take-over"]);
        assert_eq!((config(&mount), held(&mount)), (before, names(&["minio", "velero"])));
        vault().delete(&format!("sys/auth/{mount}"));
    }
}

#[test]
fn a_run_that_ends_right_after_it_made_its_mount_has_it() {
    let mount = lab::shared().mount("jwt");
    let team = |owner: &str, description| Team { auth: description, ..Team::new(owner, &mount, owner) };
    let (one, two) = (team("platform", ", description: of one"), team("data", ", description: of two"));
    let gate = gate();
    let held_up = gate.hold(HoldAt { index: 0, writes: true, answered: true });
    let mut running = start(&gate, &one, "bootstrap --no-verify --yes");
    while !held_up.came_within(std::time::Duration::from_millis(20)) && !running.has_ended() {}
    running.kill();
    drop(held_up);
    assert_eq!(vault().get(&one.inventory()).0, 404);
    two.run("bootstrap --no-verify --yes").exits(1).complains(&["kept by the file of the owner", &one.owner]);
    one.run("bootstrap --no-verify --yes").exits(0);
    one.in_order();
    // Who takes the mount over has it then, and nobody else.
    two.run("bootstrap --no-verify --yes --approve take-over").exits(0);
    two.in_order();
    one.run("bootstrap --no-verify --yes").exits(1).complains(&["kept by the file of the owner", &two.owner]);
    assert!(!vault().read(&one.inventory())["data"]["policy"].as_str().unwrap().contains("# the mount"));
    // And back.
    one.run("bootstrap --no-verify --yes --approve take-over").exits(0);
    one.in_order();
    two.run("bootstrap --no-verify --yes").exits(1).complains(&["kept by the file of the owner", &one.owner]);
}

#[test]
fn of_two_owners_that_make_the_same_mount_at_once_one_has_it() {
    let mount = lab::shared().mount("jwt");
    let team = |owner: &str| Team::new(owner, &mount, owner);
    let (one, two) = (team("platform"), team("data"));
    let gate = gate();
    let late =
        Paused::of(&gate, &two, "bootstrap --no-verify --yes", HoldAt { index: 0, writes: true, answered: false });
    one.run("bootstrap --no-verify --yes").exits(0);
    late.goes_on().exits(1).says(&["path is already in use", "not tried: it needs mount"]);
    assert_eq!(vault().get(&two.inventory()).0, 404);
    one.in_order();
    // What is the same on the mount is nobody's quarrel.
    two.run("bootstrap --no-verify --yes").exits(0);
    two.in_order();
    one.in_order();
}

#[test]
fn what_a_file_without_owner_takes_over_of_a_mount_is_nobody_s_that_has_one() {
    let mount = lab::shared().mount("jwt");
    let one = Team::new("platform", &mount, "minio");
    one.bootstrap();
    let free = Team { owner: String::new(), auth: ", description: free", ..Team::new("x", &mount, "free") };
    free.run("bootstrap --no-verify --yes").exits(1).complains(&["kept by the file of the owner", &one.owner]);
    free.run("bootstrap --no-verify --yes --approve take-over").exits(0);
    free.in_order();
    let said = vault().read("sys/auth")["data"][format!("{mount}/")]["options"].clone();
    assert_eq!(said["vaultk8s-owner"], "(none)", "{said}");
}

#[test]
fn who_leaves_a_mount_to_others_keeps_it_no_more() {
    let (platform, data) = two_teams();
    let guest = Team { auth: ", manage: false", ..platform.clone() };
    guest.run("bootstrap --no-verify --yes").exits(0).says(&["keeps the mount", "true -> false"]);
    guest.in_order();
    let keeper = Team { auth: ", description: data's", ..data.clone() };
    keeper.run("bootstrap --no-verify --yes").exits(1).complains(&["named no owner", "--approve take-over"]);
    keeper.run("bootstrap --no-verify --yes --approve take-over").exits(0);
    keeper.in_order();
    guest.in_order();
}

#[test]
fn roles_of_a_mount_by_hand_are_somebody_s_to_a_file_without_owner_too() {
    let fixture = Fixture::new();
    fixture.command(["bootstrap"]).run().exits(0);
    let wanted = config(&fixture.mount);
    vault().delete(&format!("sys/auth/{}", fixture.mount));
    vault().delete(&format!("sys/policies/acl/{}", fixture.policy));
    vault()
        .write(&format!("sys/auth/{}", fixture.mount), &json!({ "type": "jwt", "description": "a mount of a test" }));
    vault().write(&format!("auth/{}/config", fixture.mount), &wanted);
    let role = format!("auth/{}/role/r-app", fixture.mount);
    let theirs = json!({ "role_type": "jwt", "user_claim": "sub", "bound_audiences": ["x"], "bound_subject": "me" });
    vault().write(&role, &theirs);
    fixture.command(["bootstrap", "--yes"]).run().exits(1).complains(&["role/r-app", "--approve take-over"]);
    assert_eq!(vault().read(&role)["data"]["bound_subject"], "me");
    fixture.command(["bootstrap", "--yes", "--approve", "take-over"]).run().exits(0);
    fixture.in_order();
}

#[test]
fn a_first_run_that_ended_after_the_configuration_asks_nothing_about_its_own_mount() {
    for owner in ["", "owner: first\n"] {
        let fixture = kubernetes_fixture::Fixture::new("token: bound", "");
        let config = format!("{owner}{}", fixture.config);
        let gate = gate();
        let command =
            |line: &str| Vaultk8s::new(line.split(' ')).on_shared().env("VAULT_ADDR", gate.address()).config(&config);
        // Enabled and configured, and nothing is recorded in the cluster yet.
        let held_up = gate.hold(HoldAt { index: 1, writes: true, answered: true });
        let mut running = command("bootstrap --no-verify --yes").start();
        while !held_up.came_within(std::time::Duration::from_millis(20)) && !running.has_ended() {}
        assert!(!running.has_ended());
        running.kill();
        drop(held_up);
        assert_eq!(vault().get(&format!("auth/{}/config", fixture.mount)).0, 200);
        gate.open();
        command("bootstrap --no-verify --yes").run().exits(0);
    }
}
