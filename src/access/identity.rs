//! What is known of an identity before anybody logs in: what a login gives the alias of its mount, and so what fills the templates of
//! its policies. Ids and groups, only a server knows.

use super::who::Who;
use crate::claims::{NAME, NAMESPACE, plain};
use crate::config::{Labelled, Role};
use crate::model::AuthMethod;
use crate::names::{MountPath, ServiceAccountRef};
use crate::policy::{Identity, accessor_symbol};

/// What is known of whoever logs in as a role, on a mount of this method: by the symbol of its accessor, and by that itself where it is
/// known.
pub(crate) fn before_login(
    (mount, accessor): (&MountPath, Option<&str>),
    method: AuthMethod,
    role: &Role,
    who: &Who,
) -> Identity {
    let mut identity = Identity::default();
    let symbol = accessor_symbol(mount);
    for (key, value) in of_alias(method, role, &Known::of(who)) {
        for accessor in [Some(symbol.as_str()), accessor].into_iter().flatten() {
            identity.know(format!("identity.entity.aliases.{accessor}.{key}"), &value);
        }
    }
    identity
}

/// As far as an account is known: of a pattern, its namespace or its name may be.
struct Known<'a> {
    namespace: Option<&'a str>,
    name: Option<&'a str>,
}

impl<'a> Known<'a> {
    fn of(who: &'a Who) -> Self {
        let plain = |text: &'a str| (!text.contains('*')).then_some(text);
        match who {
            Who::Account(account) => Self { namespace: Some(&account.namespace), name: Some(&account.name) },
            Who::Pattern(pattern) => Self { namespace: plain(&pattern.namespace), name: plain(&pattern.name) },
            // In which namespace, its labels say; they may be of one name all the same.
            Who::Labelled(Labelled { names, .. }) => {
                Self { namespace: None, name: if let [name] = names.as_slice() { plain(name) } else { None } }
            }
            Who::Claims(_) | Who::Anyone | Who::Selected { .. } => Self { namespace: None, name: None },
        }
    }

    /// The value of a claim of its token, where its account says it.
    fn claim(&self, claim: &str) -> Option<String> {
        match plain(claim) {
            "sub" => {
                let account = ServiceAccountRef { namespace: self.namespace?.to_owned(), name: self.name?.to_owned() };
                Some(account.subject())
            }
            NAMESPACE => self.namespace.map(str::to_owned),
            NAME => self.name.map(str::to_owned),
            _ => None,
        }
    }
}

/// What is known of the alias, by what a template calls it.
fn of_alias(method: AuthMethod, role: &Role, known: &Known<'_>) -> Vec<(String, String)> {
    let (metadata, name): (Vec<(&str, Option<String>)>, Option<String>) = match method {
        // Of its name nothing is: it is the account's uid, or has a slash.
        AuthMethod::Kubernetes => (
            vec![
                ("service_account_namespace", known.namespace.map(str::to_owned)),
                ("service_account_name", known.name.map(str::to_owned)),
            ],
            None,
        ),
        AuthMethod::Jwt => {
            let mapped = role.claim_mappings.iter().map(|(claim, key)| (key.as_str(), known.claim(claim)));
            let own = [("role", Some(role.name.to_string()))];
            (own.into_iter().chain(mapped).collect(), known.claim(&role.user_claim))
        }
    };
    let metadata = metadata.into_iter().filter_map(|(key, value)| Some((format!("metadata.{key}"), value?)));
    metadata.chain(name.map(|name| ("name".to_owned(), name))).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::access::who::let_in;
    use crate::config::Config;
    use crate::policy::Policy;

    /// What a path becomes for each of those whom a role lets in.
    fn filled(auth: &str, role: &str, path: &str) -> Vec<String> {
        let text = format!(
            "clusters: [{{ name: c, context: c, auth: {{ {auth}, mount: m, audience: vault }} }}]
policies: [{{ name: p, read: [a] }}]
roles: [{{ name: r, policies: p, ttl: 1h, {role} }}]"
        );
        let config = Config::parse(&text, Path::new("test.yaml")).unwrap();
        let (cluster, role) = (&config.clusters[0], &config.clusters[0].roles[0]);
        let path = path.replace("{a}", "identity.entity.aliases.{accessor:m}");
        let policy = Policy::parse(&format!("path \"{path}\" {{ capabilities = [\"read\"] }}")).unwrap();
        let one = |who: Who| {
            policy.filled(&before_login((&cluster.auth.mount, None), cluster.auth.method.kind(), role, &who)).rules()[0]
                .path
                .to_string()
        };
        let_in(role).into_iter().map(one).collect()
    }

    #[test]
    fn what_a_kubernetes_login_gives_its_alias_is_known() {
        let filled = |path: &str| filled("method: kubernetes", "serviceAccounts: [x/app, y/app]", path);
        let both = "{{{a}.metadata.service_account_namespace}}/{{{a}.metadata.service_account_name}}";
        assert_eq!(filled(both), ["x/app", "y/app"]);
        for unknown in
            ["{{{a}.metadata.service_account_uid}}", "{{{a}.name}}", "{{identity.entity.id}}", "{{{a}.metadata.role}}"]
        {
            assert!(filled(unknown)[0].contains("{{"), "{unknown}");
        }
    }

    #[test]
    fn what_a_jwt_login_gives_its_alias_is_what_its_role_maps() {
        let role = "serviceAccounts: [x/app], claimMappings: { /kubernetes.io/namespace: ns, /kubernetes.io/pod/name: pod, iss: iss }";
        let filled = |path: &str| filled("method: jwt", role, path).remove(0);
        assert_eq!(filled("{{{a}.metadata.ns}}/{{{a}.metadata.role}}/*"), "x/r/*");
        assert_eq!(filled("{{{a}.name}}"), "system:serviceaccount:x:app");
        for unknown in ["{{{a}.metadata.pod}}", "{{{a}.metadata.service_account_namespace}}", "{{{a}.metadata.iss}}"] {
            assert!(filled(unknown).contains("{{"), "{unknown}");
        }
    }

    #[test]
    fn of_a_pattern_is_known_what_it_says() {
        let role = "serviceAccounts: ['team-*/app'], allowGlobs: true";
        let path = |key: &str| "{{{a}.metadata.service_account_KEY}}".replace("KEY", key);
        assert!(filled("method: kubernetes", role, &path("namespace"))[0].contains("{{"));
        assert_eq!(filled("method: kubernetes", role, &path("name")), ["app"]);
        let labelled = "serviceAccounts: [app, db], namespaceSelector: team=shop";
        assert_eq!(filled("method: kubernetes", labelled, &path("name")), ["app", "db"]);
        assert!(filled("method: kubernetes", labelled, &path("namespace"))[0].contains("{{"));
    }

    #[test]
    fn the_accessor_itself_is_one_more_name_of_the_mount() {
        let config = Config::parse(
            "clusters: [{ name: c, context: c, auth: { method: kubernetes, mount: m, audience: vault } }]
policies: [{ name: p, read: [a] }]
roles: [{ name: r, serviceAccounts: x/app, policies: p, ttl: 1h }]",
            Path::new("test.yaml"),
        )
        .unwrap();
        let cluster = &config.clusters[0];
        let policy = |accessor: &str| {
            let path = format!("a/{{{{identity.entity.aliases.{accessor}.metadata.service_account_name}}}}");
            Policy::parse(&format!("path \"{path}\" {{ capabilities = [\"read\"] }}")).unwrap()
        };
        let who = Who::Account("x/app".parse().unwrap());
        let identity = before_login(
            (&cluster.auth.mount, Some("auth_kubernetes_1")),
            AuthMethod::Kubernetes,
            &cluster.roles[0],
            &who,
        );
        let filled = |accessor: &str| policy(accessor).filled(&identity).rules()[0].path.to_string();
        assert_eq!((filled("auth_kubernetes_1"), filled("{accessor:m}")), ("a/app".to_owned(), "a/app".to_owned()));
        assert!(filled("auth_kubernetes_2").contains("{{") && filled("{accessor:n}").contains("{{"));
    }
}
