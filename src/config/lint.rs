//! What a file as a whole may say but should be looked at.

use std::collections::{BTreeMap, BTreeSet};

use super::diagnostic::Problems;
use super::policies::Policies;
use super::policy_lint::OWN_TOKEN;
use super::suggest::listed;
use super::{Cluster, Grant, Leeways, Method, Position, ReviewerToken, Role, written_duration};
use crate::claims::Tie;
use crate::names::{Audience, PolicyName, RoleName};
use crate::policy::Capability;

/// The leeway in seconds above which clocks are no reason for it.
const MUCH_LEEWAY: i64 = 900;

fn leeways(role: &Role, problems: &mut Problems) {
    let Leeways { expiration, not_before, clock_skew } = role.leeways;
    let fields = [("expirationLeeway", expiration), ("notBeforeLeeway", not_before), ("clockSkewLeeway", clock_skew)];
    for (field, seconds) in fields {
        if let Some(seconds) =
            seconds.filter(|seconds| *seconds > MUCH_LEEWAY).and_then(|much| u64::try_from(much).ok())
        {
            let what = match field {
                "clockSkewLeeway" => "this role takes tokens that expired as long ago as",
                "expirationLeeway" => "this role takes tokens without an expiry for",
                _ => "this role takes tokens before they are valid by",
            };
            problems.warn(
                role.position,
                format!("{what} {}: `{field}`", written_duration(seconds)),
                "a few minutes are enough for clocks that differ",
            );
        }
    }
}

/// Policies that no role gives to anybody.
pub(super) fn unused_policies(policies: &Policies, clusters: &[Cluster], problems: &mut Problems) {
    let used: BTreeSet<&PolicyName> =
        clusters.iter().flat_map(|cluster| &cluster.roles).flat_map(|role| &role.policies).collect();
    let mut entries: BTreeMap<Position, (&str, Vec<&str>, usize)> = BTreeMap::new();
    for built in &policies.list {
        let entry = entries.entry(built.policy.position).or_insert((&built.written, Vec::new(), 0));
        entry.2 += 1;
        if !used.contains(&built.policy.name) {
            entry.1.push(built.policy.name.as_str());
        }
    }
    for (at, (written, unused, all)) in entries {
        let message = match unused.len() {
            0 => continue,
            some if some == all => format!("no role uses the policy {written:?}"),
            _ => format!("no role uses these of the policies {written:?}: {}", listed(unused)),
        };
        problems.warn(at, message, "list it in a role's `policies`, or remove it");
    }
}

/// The mounts that a file keeps are the mark of its policies, where it has no owner.
pub(super) fn unmarked(owned: bool, clusters: &[Cluster], policies: &Policies, problems: &mut Problems) {
    let Some(first) = clusters.first().filter(|_| !owned && clusters.iter().all(|cluster| !cluster.auth.managed))
    else {
        return;
    };
    if !policies.list.is_empty() {
        problems.warn(
            first.auth.position,
            "the policies of this file carry no mark, because it keeps no mount (`manage: false`) and has no `owner`: \
             nothing tells them from others', and `--prune` leaves them",
            "write `owner:` at the top, with a name that no other file has",
        );
    }
}

/// A file, or a cluster of it, to which nobody can log in: as it is when the end of the file is missing. `at` is where its roles are.
pub(super) fn nobody(clusters: &[Cluster], at: Position, problems: &mut Problems) {
    if clusters.iter().all(|cluster| cluster.roles.is_empty()) {
        problems.warn(
            at,
            "no roles: nobody can log in, nothing is verified",
            "add `roles:`, and look whether the file is there to its end",
        );
        return;
    }
    for cluster in clusters.iter().filter(|cluster| cluster.roles.is_empty()) {
        problems.warn(
            cluster.position,
            format!("no roles for the cluster {}: nobody can log in there, nothing of it is verified", cluster.name),
            "add a role for it, or remove the cluster",
        );
    }
}

/// Roles that work, but not as their author may think.
pub(super) fn roles(clusters: &[Cluster], policies: &Policies, problems: &mut Problems) {
    for cluster in clusters {
        let named = |name: &RoleName| cluster.roles.iter().any(|role| role.name == *name);
        if let Some(name) = cluster.auth.default_role.as_ref().filter(|name| !named(name)) {
            problems.warn(
                cluster.auth.position,
                format!("the file has no role {name} on this mount, which is its `defaultRole`: a login that names no role may fail"),
                "name one of the mount's roles",
            );
        }
        for role in &cluster.roles {
            if matches!(cluster.auth.method, Method::Jwt(_))
                && role.audiences.iter().any(|audience| audience.as_str().starts_with("https://kubernetes.default.svc"))
            {
                problems.warn(
                    role.position,
                    "this role takes tokens with the API server's own audience, which every pod has",
                    "use an audience for Vault alone, such as `audience: vault`",
                );
            }
            let unasked = role.audiences.iter().filter(|audience| !role.token_audiences.contains(audience));
            let unasked: Vec<&str> = unasked.map(Audience::as_str).collect();
            if role.audiences.len() > 1 && !role.token_audiences.is_empty() && !unasked.is_empty() {
                problems.warn(
                    role.position,
                    format!("no consumer asks for the audience {}, so that nobody proves it", listed(unasked)),
                    "take it out of `audience`, or leave `tokenAudiences` away: then each is tried alone",
                );
            }
            if !role.account_patterns.is_empty() {
                let patterns: Vec<String> = role.account_patterns.iter().map(ToString::to_string).collect();
                let patterns = patterns.join(", ");
                problems.warn(
                    role.position,
                    format!("this role lets in service accounts that nobody listed: whatever matches {patterns}"),
                    "list each service account, where they are known",
                );
            }
            labelled(cluster, role, problems);
            let globs = role.bound_claims.iter().filter(|(_, values)| values.iter().any(|value| value.contains('*')));
            let globs: Vec<&str> = globs.map(|(claim, _)| claim.as_str()).collect();
            if let Tie::Loose { whom, anywhere } = role.tie() {
                problems.warn(
                    role.position,
                    format!("this role is tied to no single account: it lets in {whom}"),
                    if anywhere && !role.allow_globs {
                        "name the accounts in `serviceAccounts`, or bind a claim that only theirs have; if all of those are meant, say \
                         so with `allowGlobs: true`"
                    } else {
                        "name the accounts in `serviceAccounts`, where they are known"
                    },
                );
            } else if role.allow_globs && !globs.is_empty() {
                problems.warn(
                    role.position,
                    format!("this role lets in whoever matches a pattern of {}", globs.join(", ")),
                    "list the values, where they are known",
                );
            }
            leeways(role, problems);
            if role.audiences.is_empty() {
                problems.warn(
                    role.position,
                    "this role takes tokens of any audience: who is sent one that is meant for somebody else can log in \
                     with it",
                    "set `audience` in place of `anyAudience`, and let the consumer ask for it with `tokenAudiences`",
                );
            }
            if role.token.no_default_policy
                && !OWN_TOKEN.iter().all(|own| grants(role.policies.as_slice(), policies, own))
            {
                problems.warn(
                    role.position,
                    "without Vault's `default` policy External Secrets can't look up and revoke its own token, and reports \
                     `invalid vault credentials`",
                    "remove `noDefaultPolicy`, or add a policy with `auth/token/lookup-self` (read) and \
                     `auth/token/revoke-self` (update)",
                );
            }
        }
    }
}

/// What a role by labels of namespaces means, and whether its logins can work.
fn labelled(cluster: &Cluster, role: &Role, problems: &mut Problems) {
    let (Some(labelled), Method::Kubernetes(auth)) = (&role.labelled, &cluster.auth.method) else { return };
    if auth.reviewer.token == ReviewerToken::Client {
        problems.add(
            role.position,
            "no login can work by `namespaceSelector`: Vault reads labels of namespaces with the reviewer's token, and with `token: client` \
             it has none",
            "choose another `token` of the reviewer, or name the namespaces in `serviceAccounts`",
        );
    }
    if auth.reviewer.token.is_elsewhere() {
        problems.warn(
            role.position,
            "logins by `namespaceSelector` work only where the reviewer's token may get namespaces: Vault reads their labels with it, and \
             nobody sets that up here, because its account isn't known",
            "let that account get namespaces, by a ClusterRole with `get` on `namespaces`; `system:auth-delegator` doesn't give it",
        );
    }
    problems.warn(
        role.position,
        format!("this role lets in whoever labels a namespace so: {labelled}"),
        "keep those labels to those who may decide about it, or name the namespaces in `serviceAccounts`",
    );
}

/// Whether one of the named policies has a rule for the path.
fn grants(names: &[PolicyName], policies: &Policies, (path, capability): &(&str, Capability)) -> bool {
    policies.list.iter().filter(|built| names.contains(&built.policy.name)).flat_map(|built| &built.policy.grants).any(
        |grant| match grant {
            Grant::Rule { path: rule, capabilities, .. } => {
                let rule = rule.as_str();
                let covers = rule.strip_suffix('*').map_or(rule == *path, |prefix| path.starts_with(prefix));
                covers && capabilities.contains(capability)
            }
            Grant::Kv { .. } => false,
        },
    )
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::Config;

    #[test]
    fn whose_reviewer_may_read_labels_is_not_known_of_a_token_from_elsewhere() {
        let told = |token: &str| {
            let file = format!(
                "clusters: [{{ name: c, context: c, auth: {{ method: kubernetes, audience: vault, reviewer: {{ token: {token} }} }} }}]
policies: [{{ name: p, read: a }}]
roles: [{{ name: r, serviceAccounts: app, namespaceSelector: team=shop, policies: p, ttl: 1h }}]"
            );
            let config = Config::parse(&file, Path::new("test.yaml")).unwrap();
            config.warnings.iter().any(|warning| warning.message.contains("token may get namespaces"))
        };
        assert!(told("{ file: token }") && told("{ env: TOKEN }"));
        assert!(!told("secret") && !told("bound") && !told("local"));
    }
}
