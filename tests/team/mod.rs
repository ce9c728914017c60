//! Two teams with a file each, who share a Vault and a mount there.

use std::collections::BTreeSet;

use lab::Mount;

use crate::command::{Answer, Vaultk8s};

/// One team: its owner's name and what its file has beside the cluster.
#[derive(Clone)]
pub struct Team {
    pub owner: String,
    pub mount: Mount,
    pub namespace: String,
    /// `(name, policies)`.
    pub roles: Vec<(String, String)>,
    pub policies: Vec<(String, String)>,
    pub auth: &'static str,
}

impl Team {
    /// With one app: a policy and a role.
    pub fn new(owner: &str, mount: &Mount, app: &str) -> Self {
        let lab = lab::shared();
        let namespace = lab.namespace(owner);
        lab.service_account(&namespace, "app");
        let owner = lab.unique(owner);
        let policy = lab.unique(app);
        let (roles, policies) = (vec![(app.to_owned(), policy.clone())], vec![(policy, format!("{owner}/{app}/*"))]);
        Self { owner, mount: mount.clone(), namespace, roles, policies, auth: "" }
    }

    pub fn with(&self, app: &str) -> Self {
        let mut team = self.clone();
        let policy = lab::shared().unique(app);
        team.policies.push((policy.clone(), format!("{}/{app}/*", self.owner)));
        team.roles.push((app.to_owned(), policy));
        team
    }

    pub fn without(&self, app: &str) -> Self {
        let mut team = self.clone();
        team.roles.retain(|(name, _)| name != app);
        let used: BTreeSet<String> = team.roles.iter().map(|(_, policy)| policy.clone()).collect();
        team.policies.retain(|(name, _)| used.contains(name));
        team
    }

    pub fn config(&self) -> String {
        let Self { owner, mount, namespace, auth, .. } = self;
        let head = if owner.is_empty() { String::new() } else { format!("owner: {owner}\n") };
        let policies = self.policies.iter().map(|(name, path)| format!("  - {{ name: {name}, read: ['{path}'] }}\n"));
        let roles = self.roles.iter().map(|(name, policy)| {
            format!("  - {{ name: {name}, serviceAccounts: [{namespace}/app], policies: [{policy}], ttl: 10m }}\n")
        });
        format!(
            "{head}clusters:\n  - name: lab\n    context: {}\n    auth: {{ method: jwt, mount: {mount}, audience: vault{auth} }}\n\
             policies:\n{}roles:\n{}",
            lab::shared().context(),
            policies.collect::<String>(),
            roles.collect::<String>(),
        )
    }

    pub fn run(&self, line: &str) -> Answer {
        Vaultk8s::new(line.split(' ')).on_shared().config(&self.config()).run()
    }

    pub fn bootstrap(&self) -> Answer {
        self.run("bootstrap --no-verify").exits(0)
    }

    pub fn in_order(&self) {
        self.run("plan --detailed-exitcode").exits(0).says(&["No changes."]);
    }

    pub fn inventory(&self) -> String {
        format!("sys/policies/acl/vaultk8s-inventory/{}/{}", self.owner, self.mount)
    }

    /// The names that the owner's inventory lists.
    pub fn claimed(&self) -> BTreeSet<String> {
        let (status, answer) = lab::shared().vault().get(&self.inventory());
        if status == 404 {
            return BTreeSet::new();
        }
        let text = answer["data"]["policy"].as_str().unwrap();
        text.lines().filter_map(|line| line.strip_prefix("# role ")).map(str::to_owned).collect()
    }

    pub fn logs_in(&self, role: &str) -> bool {
        let lab = lab::shared();
        let token = lab.token(&self.namespace, "app", &["vault"], 600);
        lab.vault().login(&self.mount, role, &token).0 == 200
    }
}

pub fn held(mount: &str) -> BTreeSet<String> {
    let (status, answer) = lab::shared().vault().list(&format!("auth/{mount}/role"));
    if status == 404 {
        return BTreeSet::new();
    }
    answer["data"]["keys"].as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect()
}

pub fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

pub fn policy_text(name: &str) -> String {
    lab::shared().vault().read(&format!("sys/policies/acl/{name}"))["data"]["policy"].as_str().unwrap().to_owned()
}

/// A platform team and a data team that share a mount.
pub fn two_teams() -> (Team, Team) {
    let mount = lab::shared().mount("jwt");
    let platform = Team::new("platform", &mount, "minio");
    platform.bootstrap().says(&["inventory of platform"]);
    let data = Team { auth: ", manage: false", ..Team::new("data", &mount, "spark") };
    data.bootstrap();
    platform.in_order();
    data.in_order();
    (platform, data)
}
