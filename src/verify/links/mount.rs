//! The auth mount: is it there, of the right type, configured?

use crate::config::{Reviewer, ReviewerToken};
use crate::fix::Command;
use crate::model::AuthMethod;
use crate::vault::VaultError;
use crate::verify::catalogue::{MOUNT_CONFIGURED, MOUNT_EXISTS, MOUNT_TYPE};
use crate::verify::facts::{Known, some};
use crate::verify::finding::{Finding, Remedy};
use crate::verify::links::by_file;
use crate::verify::scene::{MountScene, Source};
use crate::verify::walk::{Row, row};

/// The checks of a mount, of whichever method.
pub(in crate::verify) const ROWS: &[Row<MountScene>] =
    &[row!(MOUNT_EXISTS, exists), row!(MOUNT_TYPE, kind), row!(MOUNT_CONFIGURED, configured)];

pub(super) fn unread() -> Finding {
    Finding::unseen("the mount's configuration can't be read with this token")
}

/// Without a file nothing says that the cluster that was looked at is the mount's: a wrong context looks the same as a mount
/// of another cluster, and what mends the second takes the mount away from its own.
pub(super) fn context_first(mount: &MountScene, finding: Finding) -> Finding {
    let (Source::Flags { .. }, Some(connection)) = (&mount.source, mount.cluster.connected()) else { return finding };
    finding
        .with("the cluster that was looked at", format!("{} ({})", connection.name(), connection.server()))
        .to_do("if another cluster is meant, name it: --context NAME (--kubeconfig FILE)")
}

/// What makes the mount what it should be: the file that keeps it, or the cluster itself.
pub(super) fn remake(mount: &MountScene, method: AuthMethod) -> Remedy {
    mount.keepers().or_else(|| mount.source.bootstrap()).unwrap_or_else(|| {
        let command = mount.source.own(match method {
            AuthMethod::Jwt => "auth jwt",
            AuthMethod::Kubernetes => "auth kubernetes",
        });
        let command = command.flag("--mount", mount.path.as_str());
        let command = match (method, &mount.reviewer) {
            (AuthMethod::Jwt, _) => command,
            (AuthMethod::Kubernetes, Some(reviewer)) => reviewer_flags(command, reviewer),
            // The command would set up a reviewer of its own beside one that nobody has named.
            (AuthMethod::Kubernetes, None) => {
                let text = "name who reviews tokens for Vault (--reviewer NAMESPACE/NAME, or --reviewer-token client); then run this again";
                return Remedy { text: text.to_owned(), command: None };
            }
        };
        let text = match method {
            AuthMethod::Jwt => {
                "set the mount up for this cluster, if it is the one that is meant: its issuer and keys are pinned, in place of \
                 a `jwks_url` or a discovery URL and their CAs"
            }
            AuthMethod::Kubernetes => "set the mount up for this cluster, if it is the one that is meant",
        };
        Remedy { text: text.to_owned(), command: Some(command) }
    })
}

/// What makes these fields of the mount's configuration what they should be: the file, where it says otherwise than Vault. `where_said` is
/// what of the file is wrong where both say the same.
pub(super) fn correct(mount: &MountScene, method: AuthMethod, fields: &[&str], where_said: &str) -> Known<Remedy> {
    if let Some(remedy) = mount.keepers() {
        return Ok(remedy);
    }
    Ok(by_file::config(mount, fields, where_said)?.unwrap_or_else(|| remake(mount, method)))
}

/// The flags that name a reviewer: without them the command would set up another one.
fn reviewer_flags(command: Command, reviewer: &Reviewer) -> Command {
    let account = reviewer.service_account.to_string();
    match &reviewer.token {
        ReviewerToken::Local => command.fixed("--reviewer-token local"),
        ReviewerToken::File(path) => command.flag("--reviewer-token-file", &path.display().to_string()),
        ReviewerToken::Environment(name) => command.flag("--reviewer-token-env", name),
        ReviewerToken::Client => command.fixed("--reviewer-token client"),
        ReviewerToken::Bound => command.flag("--reviewer", &account).fixed("--reviewer-token bound"),
        ReviewerToken::Secret => command.flag("--reviewer", &account).flag("--secret-name", &reviewer.secret_name),
    }
}

/// Gives Vault the reviewer's token by hand, and leaves the rest of the configuration as it is. Without a role's login
/// nothing shows that Vault has another token, so that `vaultk8s auth` would leave it.
pub(super) fn hand_over(mount: &MountScene) -> Known<Option<Remedy>> {
    if !mount.source.is_flags() {
        return Ok(None);
    }
    let (reviewer, config) = (some!(mount.standing_reviewer()), some!(mount.kubernetes_config()?));
    if !config.pem_keys.is_empty() || config.use_annotations_as_alias_metadata {
        return Ok(None);
    }
    let kubectl = mount.cluster.kubectl().within(&reviewer.service_account.namespace);
    let token = if reviewer.token == ReviewerToken::Bound {
        kubectl.token(&reviewer.service_account.name)
    } else {
        kubectl.token_in(&reviewer.secret_name)
    };
    let path = format!("auth/{}/config", mount.path);
    let cli = mount.vault.cli();
    let write = cli.write(&path).fixed("token_reviewer_jwt=-").field("kubernetes_host", &config.kubernetes_host);
    let write = write
        .field("disable_local_ca_jwt", &config.disable_local_ca_jwt.to_string())
        .field("disable_iss_validation", &config.disable_iss_validation.to_string());
    let write = if config.issuer.is_empty() { write } else { write.field("issuer", &config.issuer) };
    let command = if config.kubernetes_ca_cert.is_empty() {
        token.hand_over(&write)
    } else {
        cli.rewrite(&path, "kubernetes_ca_cert", token, write)
    };
    let text = match reviewer.token {
        ReviewerToken::Bound => {
            "give Vault a token of the reviewer for 24 h, with the rest of the configuration as it is; one that lasts is a \
             Secret's, or is renewed by a bootstrap on a schedule"
        }
        _ => "give Vault the token that the reviewer has in the cluster, with the rest of the configuration as it is",
    };
    Ok(Some(Remedy { text: text.to_owned(), command: Some(command) }))
}

/// What else may be meant where a mount isn't there.
const ANOTHER: &str =
    "name a mount that is there (--mount, `auth.mount`), or its namespace (--namespace, VAULT_NAMESPACE)";

fn exists(mount: &MountScene) -> Known<Finding> {
    let path = &mount.path;
    let mounts = match mount.vault.auth_mounts()? {
        Ok(mounts) => mounts,
        Err(VaultError::Forbidden { .. }) => return by_its_configuration(mount),
        Err(_) => return Ok(Finding::unseen("the auth mounts could not be listed")),
    };
    if let Some(found) = mounts.get(&format!("{path}/")) {
        return Ok(Finding::passed(format!("auth/{path}/, accessor {}", found.accessor)));
    }
    let others: Vec<&str> = mounts
        .iter()
        .filter(|(_, mount)| matches!(mount.kind.as_str(), "jwt" | "kubernetes" | "oidc"))
        .map(|(path, _)| path.trim_end_matches('/'))
        .collect();
    let others = if others.is_empty() { "none of jwt or kubernetes".to_owned() } else { others.join(", ") };
    let namespace = mount.vault.namespace().unwrap_or("the root namespace");
    let finding = Finding::failed(format!("there is no auth mount at auth/{path}/"))
        .with("the mount that is asked for", path.to_string())
        .with("mounts that are there", others)
        .with("the namespace", namespace)
        .why("Vault answers a login at a mount that isn't there with `permission denied`, and nothing else");
    Ok(match mount.wanted {
        Some(method) => finding.mend([remake(mount, method)]).to_do(format!("or {ANOTHER}")),
        // Without a file, a slip of the pen is likelier than a mount that nobody made.
        None if mount.reviewer.is_some() => finding.to_do(ANOTHER).mend([remake(mount, AuthMethod::Kubernetes)]),
        None => finding.to_do(ANOTHER).mend([remake(mount, AuthMethod::Jwt)]),
    })
}

/// Who may not list mounts may still read this one's configuration.
fn by_its_configuration(mount: &MountScene) -> Known<Finding> {
    Ok(match mount.config()? {
        Ok(Some(_)) => Finding::passed(format!("auth/{}/ has a configuration", mount.path)),
        _ => Finding::unseen(format!("whether auth/{}/ is there can't be seen with this token", mount.path))
            .to_do("grant the token: path \"sys/auth\" { capabilities = [\"read\"] }"),
    })
}

fn kind(mount: &MountScene) -> Known<Finding> {
    let Some(found) = mount.listed()? else {
        return Ok(Finding::unseen("the type of the mount can't be seen with this token"));
    };
    let kind = found.kind.as_str();
    let path = &mount.path;
    let right = match mount.wanted {
        Some(method) => kind == method.as_str(),
        None => matches!(kind, "jwt" | "oidc" | "kubernetes"),
    };
    if right {
        return Ok(Finding::passed(format!("of type {kind}")));
    }
    let configured = !matches!(mount.config()?, Ok(None));
    if kind == "oidc" && mount.wanted == Some(AuthMethod::Jwt) && configured {
        return Ok(Finding::warning(
            "of type oidc: the same plugin under another name, which takes such logins as well",
        )
        .to_do("a bootstrap adopts mounts of type jwt alone: name another path, or take this mount away first"));
    }
    let wanted = mount.wanted.map_or("jwt or kubernetes", AuthMethod::as_str);
    let finding = Finding::failed(format!("auth/{path}/ is of type {kind}, not {wanted}"))
        .with("the mount's type", kind)
        .with("the type that is wanted", wanted)
        .why("a mount of another type has other logins: the role is not there, and tokens of service accounts mean nothing to it");
    if let Some(remedy) = mount.keepers() {
        return Ok(finding.mend([remedy]).to_do("or correct `auth.method`, or `auth.mount`, here"));
    }
    Ok(finding.to_do("name another path (--mount, `auth.mount`), and let a bootstrap make it").run(
        "or, if nobody needs it, take the mount away with everything that it holds, and make it anew",
        mount.vault.cli().run("auth disable").name(path.as_str()),
    ))
}

/// What to do where a mount is to be set up for a Vault in a pod, and this one is in none.
fn pod_less(mount: &MountScene) -> Option<Remedy> {
    let is_local = mount.reviewer.as_ref().is_some_and(|reviewer| reviewer.token == ReviewerToken::Local);
    is_local.then(|| Remedy {
        text: "where Vault answers that with `/var/run/secrets/kubernetes.io/serviceaccount/…: no such file or directory`, it runs in no \
               pod, and `local` is no way for it: let the reviewer have a token, `secret` or `bound`"
            .to_owned(),
        command: None,
    })
}

fn configured(mount: &MountScene) -> Known<Finding> {
    Ok(match mount.config()? {
        Ok(Some(_)) => Finding::passed("it has a configuration"),
        Ok(None) => match mount.method()? {
            Some(method) => Finding::failed(format!("auth/{}/ has no configuration", mount.path))
                .why(match method {
                    AuthMethod::Jwt => "the server's own message is `could not load configuration`",
                    AuthMethod::Kubernetes => "the server's own message is `could not load backend configuration`",
                })
                .mend([remake(mount, method)])
                .mend(pod_less(mount)),
            None => Finding::unseen("the mount's type is not known, and so not how to read its configuration"),
        },
        Err(error) => mount.vault.refused(error)?,
    })
}
