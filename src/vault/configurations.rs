//! The configuration of a mount.

use super::{Client, VaultError, method};
use crate::model::{AuthMethod, ConfigDocument, JwtConfig, KubernetesConfig};
use crate::names::MountPath;

/// A mount's configuration, normalised; `None` where it has none.
///
/// # Errors
/// What Vault says in place of an answer.
pub async fn read(
    client: &Client,
    mount: &MountPath,
    method: AuthMethod,
) -> Result<Option<ConfigDocument>, VaultError> {
    let config = match method {
        AuthMethod::Jwt => {
            let config = client.find(&method::read_config::<JwtConfig>(mount)).await?;
            config.map(|config| ConfigDocument::Jwt(config.data))
        }
        AuthMethod::Kubernetes => {
            let config = client.find(&method::read_config::<KubernetesConfig>(mount)).await?;
            config.map(|config| ConfigDocument::Kubernetes(config.data))
        }
    };
    Ok(config.map(ConfigDocument::normalised))
}
