//! Reading what Vault holds now: few requests, many at once.

use futures::stream::{StreamExt, TryStreamExt, iter};

use super::{
    AuthMethod, AuthMount, Client, ConfigDocument, JwtConfig, JwtRole, KubernetesConfig, KubernetesRole, RoleDocument,
    VaultError, auth_mounts, method, policies,
};
use crate::desired::{Desired, DesiredMount};
use crate::error::{Error, Result};
use crate::names::{PolicyName, RoleName};
use crate::plan::{Observed, ObservedMount};

/// Reads everything that the desired state touches, with at most `parallelism` requests at a time.
///
/// # Errors
/// When Vault can't be reached or refuses; a refusal says which rule is missing.
pub async fn observe(client: &Client, desired: &Desired, parallelism: usize) -> Result<Observed> {
    let observation = async {
        let (mounts, (policies, default_policy)) =
            futures::try_join!(auth_mounts(client), read_policies(client, desired, parallelism))?;
        let mut observed = Observed { auth_mounts: mounts, policies, default_policy, ..Observed::default() };
        for mount in &desired.mounts {
            let there = observed.auth_mounts.get(mount.path.as_str());
            if there.is_some_and(|there| there.kind == mount.method.as_str()) {
                let inside = read_mount(client, mount, parallelism).await?;
                observed.mounts.insert(mount.path.clone(), inside);
            }
        }
        Ok::<_, VaultError>(observed)
    };
    match observation.await {
        Ok(observed) => Ok(observed),
        Err(error) => Err(Error::from(client.explain_forbidden(error).await)),
    }
}

async fn auth_mounts(client: &Client) -> Result<std::collections::BTreeMap<String, AuthMount>, VaultError> {
    let mounts = client.send(&auth_mounts::list()).await?.data;
    Ok(mounts.into_iter().map(|(path, mount)| (path.trim_end_matches('/').to_owned(), mount)).collect())
}

type Policies = (std::collections::BTreeMap<PolicyName, String>, Option<String>);

/// All policies at once where the server can do that, else each desired one.
async fn read_policies(client: &Client, desired: &Desired, parallelism: usize) -> Result<Policies, VaultError> {
    match client.find(&policies::read_all()).await {
        Ok(Some(all)) => {
            let mut texts = all.data.key_info;
            let default = texts.remove("default").map(|text| text.policy);
            let found = desired.policies.iter().filter_map(|wanted| {
                let text = texts.remove(wanted.name.as_str())?;
                Some((wanted.name.clone(), text.policy))
            });
            return Ok((found.collect(), default));
        }
        // Vault has no such path, and an operator's policy may leave it out.
        Ok(None) | Err(VaultError::Forbidden { .. } | VaultError::NotFound { .. } | VaultError::Rejected { .. }) => {}
        Err(error) => return Err(error),
    }
    let one = async |name: &PolicyName| {
        let text = client.find(&policies::read(name.as_str())).await?;
        Ok::<_, VaultError>(text.map(|text| (name.clone(), text.data.policy)))
    };
    let found: Vec<_> =
        iter(&desired.policies).map(|wanted| one(&wanted.name)).buffer_unordered(parallelism).try_collect().await?;
    // Reading `default` helps verification and is no duty: an operator may not be allowed to.
    let default = client.find(&policies::read("default")).await.ok().flatten().map(|text| text.data.policy);
    Ok((found.into_iter().flatten().collect(), default))
}

async fn read_mount(client: &Client, mount: &DesiredMount, parallelism: usize) -> Result<ObservedMount, VaultError> {
    let config = if mount.config.is_some() { read_config(client, mount).await? } else { None };
    let one = async |name| {
        let role = read_role(client, mount, name).await?;
        Ok::<_, VaultError>(role.map(|role| (name.clone(), role)))
    };
    let roles: Vec<_> =
        iter(&mount.roles).map(|role| one(&role.name)).buffer_unordered(parallelism).try_collect().await?;
    Ok(ObservedMount { config, roles: roles.into_iter().flatten().collect() })
}

async fn read_config(client: &Client, mount: &DesiredMount) -> Result<Option<ConfigDocument>, VaultError> {
    let config = match mount.method {
        AuthMethod::Jwt => {
            let config = client.find(&method::read_config::<JwtConfig>(&mount.path)).await?;
            config.map(|config| ConfigDocument::Jwt(config.data))
        }
        AuthMethod::Kubernetes => {
            let config = client.find(&method::read_config::<KubernetesConfig>(&mount.path)).await?;
            config.map(|config| ConfigDocument::Kubernetes(config.data))
        }
    };
    Ok(config.map(ConfigDocument::normalised))
}

async fn read_role(client: &Client, mount: &DesiredMount, name: &RoleName) -> Result<Option<RoleDocument>, VaultError> {
    let role = match mount.method {
        AuthMethod::Jwt => {
            let role = client.find(&method::read_role::<JwtRole>(&mount.path, name)).await?;
            role.map(|role| RoleDocument::Jwt(role.data))
        }
        AuthMethod::Kubernetes => {
            let role = client.find(&method::read_role::<KubernetesRole>(&mount.path, name)).await?;
            role.map(|role| RoleDocument::Kubernetes(role.data))
        }
    };
    Ok(role.map(RoleDocument::normalised))
}
