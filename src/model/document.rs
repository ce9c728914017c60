//! What the auth methods have in common: the documents of a mount's configuration and of its roles, whichever method it has.
//!
//! A document has every field that matters. A configuration is written whole because a POST erases what it leaves out, a role
//! because a POST keeps it. What Vault reads back has the same form after `normalised`.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::jwt::{JwtConfig, JwtRole};
use super::kubernetes::{KubernetesConfig, KubernetesRole};
use super::token_fields::TokenFields;

/// An auth method that this tool knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuthMethod {
    /// Vault checks signatures itself.
    Jwt,
    /// Vault asks the cluster.
    Kubernetes,
}

impl AuthMethod {
    /// The type of its mounts, as `sys/auth` has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Jwt => "jwt",
            Self::Kubernetes => "kubernetes",
        }
    }
}

impl std::fmt::Display for AuthMethod {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What each method has its own form of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Document<J, K> {
    /// Of the `jwt` method.
    Jwt(J),
    /// Of the `kubernetes` method.
    Kubernetes(K),
}

/// A mount's configuration.
pub type ConfigDocument = Document<JwtConfig, KubernetesConfig>;

/// A role.
pub type RoleDocument = Document<JwtRole, KubernetesRole>;

impl<J, K> Document<J, K> {
    /// The method of which it has the form.
    pub fn method(&self) -> AuthMethod {
        match self {
            Self::Jwt(_) => AuthMethod::Jwt,
            Self::Kubernetes(_) => AuthMethod::Kubernetes,
        }
    }

    /// The form of the `jwt` method, if it is of that.
    pub fn jwt(&self) -> Option<&J> {
        match self {
            Self::Jwt(document) => Some(document),
            Self::Kubernetes(_) => None,
        }
    }

    /// The form of the `kubernetes` method, if it is of that.
    pub fn kubernetes(&self) -> Option<&K> {
        match self {
            Self::Jwt(_) => None,
            Self::Kubernetes(document) => Some(document),
        }
    }
}

impl<J: Serialize, K: Serialize> Document<J, K> {
    /// Its fields, as Vault has them.
    pub fn fields(&self) -> Value {
        match self {
            Self::Jwt(document) => json!(document),
            Self::Kubernetes(document) => json!(document),
        }
    }
}

impl ConfigDocument {
    /// The form in which two configurations that mean the same are equal.
    #[must_use]
    pub fn normalised(self) -> Self {
        match self {
            Self::Jwt(config) => Self::Jwt(config.normalised()),
            Self::Kubernetes(config) => Self::Kubernetes(config.normalised()),
        }
    }
}

impl RoleDocument {
    /// What it says about the tokens of its logins.
    pub fn token(&self) -> &TokenFields {
        match self {
            Self::Jwt(role) => &role.token,
            Self::Kubernetes(role) => &role.token,
        }
    }

    /// The audiences, one of which a token must have; a `kubernetes` role that has none takes any.
    pub fn audiences(&self) -> Vec<String> {
        match self {
            Self::Jwt(role) => role.bound_audiences.clone(),
            Self::Kubernetes(role) => {
                Some(role.audience.clone()).filter(|audience| !audience.is_empty()).into_iter().collect()
            }
        }
    }

    /// The form in which two roles that mean the same are equal.
    #[must_use]
    pub fn normalised(self) -> Self {
        match self {
            Self::Jwt(role) => Self::Jwt(role.normalised()),
            Self::Kubernetes(role) => Self::Kubernetes(role.normalised()),
        }
    }
}
