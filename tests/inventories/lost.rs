//! Inventories that were deleted, and those of mounts that are no more.

use lab::Mount;
use serde_json::json;
use vaultk8s::ownership::{Amendment, Place, amended};

use crate::team::{Team, held, names, policy_text, two_teams};

fn set_policy(path: &str, text: &str) {
    lab::shared().vault().write(path, &json!({ "policy": text }));
}

/// A role that was written by hand: for another account than a team's, and giving one policy.
fn by_hand(mount: &str, name: &str, policy: &str) {
    let role = json!({
        "role_type": "jwt", "user_claim": "sub", "bound_audiences": ["vault"], "bound_subject": "system:serviceaccount:x:y",
        "token_policies": [policy],
    });
    lab::shared().vault().write(&format!("auth/{mount}/role/{name}"), &role);
}

fn subject(mount: &str, name: &str) -> String {
    let role = lab::shared().vault().read(&format!("auth/{mount}/role/{name}"))["data"].clone();
    role["bound_subject"].as_str().unwrap_or_default().to_owned()
}

fn accessor(mount: &str) -> String {
    let mounts = lab::shared().vault().read("sys/auth")["data"].clone();
    mounts[format!("{mount}/")]["accessor"].as_str().unwrap().to_owned()
}

#[test]
fn an_inventory_whose_last_part_is_gone_is_damaged() {
    let (platform, data) = two_teams();
    let place = Place::first(&platform.owner.parse().unwrap(), &platform.mount.parse().unwrap());
    let many = (0..700).map(|i| format!("r{i}-{}", "x".repeat(460)).parse().unwrap());
    let claim = many.chain(["minio".parse().unwrap()]).collect();
    let amendment = Amendment { claim, keeps: Some(true), ..Amendment::default() };
    let parts = amended(&[], &amendment, Some(&accessor(&platform.mount)));
    assert_eq!(parts.len(), 2);
    let second = place.next();
    for (part, place) in parts.iter().zip([&place, &second]) {
        set_policy(&format!("sys/policies/acl/{}", place.policy()), &part.print(place));
    }
    platform.in_order();
    lab::shared().vault().delete(&format!("sys/policies/acl/{}", second.policy()));
    platform.run("plan --detailed-exitcode").exits(2).says(&["part 2 is missing", "takes over"]);
    platform.run("bootstrap --no-verify --yes --prune").exits(1).complains(&["part 2 is missing", "--prune"]);
    // A role that it may have listed is nobody else's.
    by_hand(&platform.mount, "r600", "default");
    let mut other = data.clone();
    other.roles.push(("r600".to_owned(), data.policies[0].0.clone()));
    other.run("bootstrap --no-verify --yes").exits(1).complains(&["r600", &platform.owner, "--approve take-over"]);
    platform.run("bootstrap --no-verify --approve take-over").exits(0);
    platform.in_order();

    // A run that ended between the two parts leaves one too many, and all that they list counts.
    let first = amended(&parts[..1], &Amendment::default(), None).remove(0);
    set_policy(&platform.inventory(), &first.print(&place));
    set_policy(&format!("sys/policies/acl/{}", second.policy()), &parts[1].print(&second));
    assert_eq!(first.parts(), Some(1));
    platform.run("plan --detailed-exitcode").exits(2).says(&["count of parts", "701 -> 701"]);
    platform.bootstrap();
    platform.in_order();
    assert!(policy_text(&place.policy()).contains("\n# parts 2\n"));
}

#[test]
fn an_inventory_that_is_written_anew_lists_nothing_that_another_owner_has_by_now() {
    let (platform, data) = two_teams();
    let data = data.with("airflow");
    data.bootstrap();
    // The platform's was of two parts, and listed the role before it became the other team's.
    let place = Place::first(&platform.owner.parse().unwrap(), &platform.mount.parse().unwrap());
    let many = (0..700).map(|i| format!("r{i}-{}", "x".repeat(460)).parse().unwrap());
    let claim = many.chain(["minio", "airflow"].map(|name| name.parse().unwrap())).collect();
    let amendment = Amendment { claim, keeps: Some(true), ..Amendment::default() };
    let parts = amended(&[], &amendment, Some(&accessor(&platform.mount)));
    set_policy(&platform.inventory(), &parts[0].print(&place));
    assert!(platform.claimed().contains("airflow"));
    platform.run("bootstrap --no-verify --approve take-over").exits(0);
    let claimed = platform.claimed();
    assert!(claimed.contains("minio") && claimed.len() > 400 && !claimed.contains("airflow"), "{}", claimed.len());
    platform.in_order();
    data.in_order();
}

#[test]
fn a_role_that_gives_a_policy_of_an_owner_without_an_inventory_is_not_nobody_s() {
    let lab = lab::shared();
    let mount = lab.mount("jwt");
    let platform = Team { auth: ", exclusive: true", ..Team::new("platform", &mount, "minio") };
    platform.bootstrap();
    let data = Team { auth: ", manage: false", ..Team::new("data", &mount, "spark") }.with("airflow");
    data.bootstrap();
    lab.vault().delete(&data.inventory());
    let kept = ["role/spark", &data.owner, "has no inventory"];
    platform.run("plan --detailed-exitcode").exits(2).says(&kept);
    platform.run("bootstrap --no-verify --prune --yes").exits(1).says(&kept);
    assert_eq!(held(&mount), names(&["minio", "spark", "airflow"]));

    // What says the same is no less theirs.
    let mut same = Team { namespace: data.namespace.clone(), ..platform.clone() };
    same.roles.push(data.roles[0].clone());
    same.policies.push(data.policies[0].clone());
    let refused = same.run("bootstrap --no-verify --yes").exits(1);
    refused.complains(&["spark", "has no inventory", "--approve take-over"]);
    assert_eq!(platform.claimed(), names(&["minio"]));

    // Its own file says that the list is gone, and gets back what it names.
    let less = data.without("airflow");
    less.run("plan").exits(0).says(&["warning", "has no inventory for this mount", "airflow"]);
    less.bootstrap();
    assert_eq!(less.claimed(), names(&["spark"]));
    // From then on the owner has a list, and what isn't on it isn't the owner's.
    platform.run("bootstrap --no-verify --prune --yes").exits(1).says(&["role/airflow deleted"]);
    assert_eq!(held(&mount), names(&["minio", "spark"]));
}

#[test]
fn names_of_a_mount_that_was_deleted_and_made_anew_are_not_the_owner_s() {
    let lab = lab::shared();
    let (platform, data) = two_teams();
    let data = data.with("airflow");
    data.bootstrap();
    let mount = &platform.mount;
    let before = accessor(mount);
    lab.vault().delete(&format!("sys/auth/{mount}"));
    // The one that keeps it makes it, and its list is of the new one.
    let remade = platform.bootstrap();
    remade.says(&["inventory of platform", "accessor of the mount"]);
    platform.in_order();
    assert_eq!(platform.claimed(), names(&["minio"]));
    assert_ne!(accessor(mount), before);

    // Somebody else makes roles of the names on the other team's list.
    by_hand(mount, "spark", "default");
    by_hand(mount, "airflow", "default");
    let plan = data.run("plan").exits(0);
    plan.says(&["of a mount that was there before", "airflow, spark", &before, &accessor(mount), "takes over"]);
    data.run("bootstrap --no-verify --yes").exits(1).complains(&["role/spark", "--approve take-over"]);
    let less = data.without("airflow");
    less.run("bootstrap --no-verify --yes --prune --approve take-over").exits(0);
    assert_eq!(subject(mount, "airflow"), "system:serviceaccount:x:y");
    assert_eq!(less.claimed(), names(&["spark"]));
    less.in_order();
    // And what equals the file is taken in.
    lab.vault().delete(&format!("sys/auth/{mount}"));
    platform.bootstrap();
    let nobody = Team { owner: String::new(), ..less.clone() };
    let made = format!(
        "role spark --mount {mount} --service-account {}/app --policy {} --audience vault --ttl 10m",
        nobody.namespace, nobody.roles[0].1
    );
    crate::command::Vaultk8s::new(made.split(' ')).on_shared().run().exits(0);
    less.bootstrap().says(&["taken in"]);
    less.in_order();
}

#[test]
fn a_role_of_a_name_on_another_owner_s_list_of_a_mount_that_is_gone_may_be_that_owner_s() {
    let lab = lab::shared();
    let mount = lab.mount("jwt");
    let platform = Team { auth: ", exclusive: true", ..Team::new("platform", &mount, "minio") };
    platform.bootstrap();
    let data = Team { auth: ", manage: false", ..Team::new("data", &mount, "spark") };
    data.bootstrap();
    lab.vault().delete(&format!("sys/auth/{mount}"));
    platform.bootstrap();
    by_hand(&mount, "spark", "default");
    by_hand(&mount, "nobodys", "default");
    let pruned = platform.run("bootstrap --no-verify --prune --yes").exits(1);
    pruned.says(&["role/nobodys deleted", &format!("may be the owner {}'s", data.owner)]);
    assert_eq!(held(&mount), names(&["minio", "spark"]));
    // A name alone is no role: whoever needs one may have it.
    lab.vault().delete(&format!("auth/{mount}/role/spark"));
    let mut other = platform.clone();
    other.roles.push(("spark".to_owned(), platform.policies[0].0.clone()));
    other.bootstrap();
    data.run("bootstrap --no-verify --yes").exits(1).complains(&["role/spark", &platform.owner]);
}

/// The text is that of the version before inventories said how many parts they have and of which mount they are.
#[test]
fn an_inventory_of_an_earlier_version_counts_and_says_more_with_the_next_run() {
    const MOUNT: &str = "jwt-of-an-earlier-version";
    const TEXT: &str = "\
# The roles of auth/jwt-of-an-earlier-version that vaultk8s wrote for the owner early, part 1. It grants nothing; don't edit it.
# the mount
# role minio
# role velero
# end of 2, sha256:c6c15cc271469d89
";
    let mount = Mount::called(lab::shared().vault(), MOUNT);
    let team = Team { owner: "early".to_owned(), ..Team::new("early", &mount, "minio") }.with("velero");
    team.bootstrap();
    set_policy(&team.inventory(), TEXT);
    team.without("velero").run("plan --prune").exits(0).says(&["- role auth/jwt-of-an-earlier-version/role/velero"]);
    // While it is the mount that it is of, that is noted.
    team.run("plan").exits(0).says(&["accessor of the mount", &accessor(MOUNT), "2 -> 2"]);
    team.bootstrap();
    assert_eq!(team.claimed(), names(&["minio", "velero"]));
    let more = team.with("spark");
    more.bootstrap();
    assert_eq!(more.claimed(), names(&["minio", "velero", "spark"]));
    let text = policy_text(&format!("vaultk8s-inventory/early/{MOUNT}"));
    let lines: Vec<&str> = text.lines().skip(1).take(3).collect();
    assert_eq!(lines, ["# parts 1", &format!("# accessor {}", accessor(MOUNT)), "# the mount"], "{text}");
    more.in_order();
}

#[test]
fn roles_of_a_mount_that_is_no_more_keep_no_policy() {
    let lab = lab::shared();
    let one = Team::new("platform", &lab.mount("jwt"), "minio");
    let two = Team { mount: lab.mount("jwt"), ..one.with("velero").without("minio") };
    one.bootstrap();
    two.bootstrap();
    lab.vault().delete(&format!("sys/auth/{}", two.mount));
    let policy = &two.policies[0].0;
    one.run("bootstrap --no-verify --prune --yes").exits(0).says(&[&format!("policy {policy} deleted")]);
    assert_eq!(lab.vault().get(&format!("sys/policies/acl/{policy}")).0, 404);
}
