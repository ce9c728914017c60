//! What changes hands, and stays where it went. Against a real OpenBao (or Vault) and a real kube-apiserver.

use serde_json::{Value, json};

use crate::command::Vaultk8s;
use crate::fixture::Fixture;
use crate::team::{Team, names, two_teams};

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
