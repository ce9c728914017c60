//! Lists that don't show everything, without a word (OpenBao's `list_scan_response_keys_filter_path`).

use serde_json::json;

use crate::command::{Answer, Vaultk8s};
use crate::team::{Team, held, names};

/// What the platform's operator may do: all that `render operator-policy` prints, but the rules for all policies; with the
/// filter lists of policies show only what the other rules are about.
fn narrow_token(team: &Team, filter: bool, lists: &[&str]) -> String {
    let lab = lab::shared();
    let printed = Vaultk8s::new(["render", "operator-policy", "--prune"]).config(&team.config()).run().exits(0).stdout;
    let others = format!("sys/policies/acl/vaultk8s-inventory/+/{}", team.mount);
    let without = [
        "sys/policies/acl",
        "sys/policies/detailed/acl",
        "sys/policies/acl/*",
        "sys/policies/acl/vaultk8s-inventory/*",
    ];
    let mut rules: Vec<String> = printed
        .split("\n\n")
        .flat_map(|rules| rules.split("\npath ").skip(1))
        .map(|rule| format!("path {rule}\n"))
        .filter(|rule| !without.iter().any(|path| rule.starts_with(&format!("path \"{path}\""))))
        .filter(|rule| !rule.contains(&others))
        .map(|rule| rule.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join("\n"))
        .collect();
    let filter = if filter { "list_scan_response_keys_filter_path = \"sys/policies/acl/{{ .key }}\"" } else { "" };
    rules.extend(lists.iter().map(|list| format!("path \"{list}\" {{ capabilities = [\"list\"] {filter} }}")));
    let name = lab.unique("narrow");
    lab.vault().write(&format!("sys/policies/acl/{name}"), &json!({ "policy": rules.join("\n") }));
    let token = lab.vault().write("auth/token/create", &json!({ "policies": [name], "ttl": "10m" }));
    token["auth"]["client_token"].as_str().unwrap().to_owned()
}

fn run(team: &Team, token: &str, line: &str) -> Answer {
    Vaultk8s::new(line.split(' ')).on_shared().config(&team.config()).env("VAULT_TOKEN", token).run()
}

#[test]
fn where_the_list_of_policies_is_filtered_nothing_counts_as_nobody_s() {
    let lab = lab::shared();
    let program = lab.vault_program().file_stem().unwrap().to_owned();
    // HashiCorp Vault has no such rules.
    if program == "vault" {
        return;
    }
    let mount = lab.mount("jwt");
    let platform = Team { auth: ", exclusive: true", ..Team::new("platform", &mount, "minio") };
    platform.bootstrap();
    let data = Team { auth: ", manage: false", ..Team::new("data", &mount, "spark") };
    data.bootstrap();
    let lists = ["sys/policies/acl", "sys/policies/detailed/acl"];
    for lists in [&lists[..1], &lists] {
        let token = narrow_token(&platform, true, lists);
        let told = ["warning", "isn't whole", &data.policies[0].0, "list_scan_response_keys_filter_path"];
        run(&platform, &token, "plan").exits(0).says(&told);
        let pruned = run(&platform, &token, "bootstrap --no-verify --prune --yes").exits(1);
        pruned.says(&["role/spark", "may be another owner's", "isn't whole"]);
        assert_eq!(held(&mount), names(&["minio", "spark"]));
    }
    // Of what may not be read nobody knows whether it exists.
    let token = narrow_token(&platform, true, &lists[..1]);
    let dangling = json!({ "role_type": "jwt", "user_claim": "sub", "bound_audiences": ["x"], "token_policies": ["no-such-policy"] });
    lab.vault().write(&format!("auth/{mount}/role/spark"), &dangling);
    run(&platform, &token, "plan").exits(0).says(&["no-such-policy", "may not read whether that is there"]);
    // Whom everything is shown knows that it doesn't exist, and where nothing is hidden, that is seen by what is shown.
    let open = narrow_token(&platform, false, &lists[..1]);
    for plan in [platform.run("plan").exits(0), run(&platform, &open, "plan").exits(0)] {
        assert!(!plan.stdout.contains("isn't whole"), "{}", plan.stdout);
    }
}
