//! What Vault holds of some teams, to be compared and to be put back.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::team::{Team, held};

/// The roles of a mount, and the policies and inventories of the teams that have roles there.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Snapshot {
    mount: String,
    roles: BTreeMap<String, Value>,
    /// Those that are not there as well, which is to be put back too.
    policies: BTreeMap<String, Option<String>>,
}

impl Snapshot {
    pub(crate) fn of(teams: &[&Team]) -> Self {
        let vault = lab::shared().vault();
        let mount = teams[0].mount.to_string();
        let role = |name: String| {
            let role = vault.read(&format!("auth/{mount}/role/{name}"))["data"].clone();
            (name, role)
        };
        let roles = held(&mount).into_iter().map(role).collect();
        let of_files =
            teams.iter().flat_map(|team| team.policies.iter().map(|(policy, _)| format!("sys/policies/acl/{policy}")));
        let inventories = teams.iter().map(|team| team.inventory());
        let policies = of_files.chain(inventories).map(|path| {
            let text = vault.get(&path).1["data"]["policy"].as_str().map(str::to_owned);
            (path, text)
        });
        let policies = policies.collect();
        Self { mount, roles, policies }
    }

    /// Puts everything back.
    pub(crate) fn restore(&self) {
        let vault = lab::shared().vault();
        let role = |name: &str| format!("auth/{}/role/{name}", self.mount);
        for name in held(&self.mount) {
            vault.delete(&role(&name));
        }
        for (name, document) in &self.roles {
            vault.write(&role(name), document);
        }
        for (path, text) in &self.policies {
            match text {
                Some(text) => _ = vault.write(path, &json!({ "policy": text })),
                None => _ = vault.delete(path),
            }
        }
    }

    /// Without what is otherwise of each mount that is made.
    pub(crate) fn timeless(&self) -> Self {
        let timeless = |text: &String| {
            let lines =
                text.lines().filter(|line| !["# accessor ", "# end of "].iter().any(|words| line.starts_with(words)));
            lines.collect::<Vec<_>>().join("\n")
        };
        let policies = self.policies.iter().map(|(path, text)| (path.clone(), text.as_ref().map(timeless)));
        Self { policies: policies.collect(), ..self.clone() }
    }
}

impl Snapshot {
    /// The document of a role, where it is there.
    pub(crate) fn role(&self, name: &str) -> Option<&Value> {
        self.roles.get(name)
    }
}
