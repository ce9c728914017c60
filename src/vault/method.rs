//! Requests for what all auth methods have: configuration, roles and logins of a mount.

use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::listing::Listing;
use super::request::encoded;
use super::tokens::LoginAnswer;
use super::{Data, Done, Request};
use crate::model::KubernetesConfig;
use crate::names::{MountPath, RoleName, StoredName};
use crate::policy::Capability;

/// Reads a mount's configuration; a mount that has none answers 404.
pub fn read_config<C: DeserializeOwned>(mount: &MountPath) -> Request<Data<C>> {
    Request::read(format!("auth/{mount}/config"))
}

/// Writes a mount's whole configuration.
pub fn write_config(mount: &MountPath, fields: Value) -> Request<Done> {
    Request::write(format!("auth/{mount}/config"), fields).needing(&[Capability::Update])
}

/// Where the names of a mount's roles are listed; a mount that has none answers 404.
pub fn list_roles(mount: &MountPath) -> Listing {
    Listing::new(format!("auth/{mount}/role"))
}

/// Where the names of a jwt mount's CEL roles are listed (OpenBao), which are a list of their own with a login of its own; a mount that has
/// none answers 404, and so does a server that knows no such roles, with a reason.
pub fn list_cel_roles(mount: &MountPath) -> Listing {
    Listing::new(format!("auth/{mount}/cel/role"))
}

/// Reads a role, whatever its name.
pub fn read_role<R: DeserializeOwned>(mount: &MountPath, name: &str) -> Request<Data<R>> {
    Request::read(format!("auth/{mount}/role/{}", encoded(name)))
}

/// Writes a whole role.
pub fn write_role(mount: &MountPath, name: &RoleName, fields: Value) -> Request<Done> {
    Request::write(format!("auth/{mount}/role/{name}"), fields)
}

/// Deletes a role, whatever its name.
pub fn delete_role(mount: &MountPath, name: &StoredName) -> Request<Done> {
    Request::delete(format!("auth/{mount}/role/{}", encoded(name.as_str())))
}

/// Deletes a CEL role, whatever its name.
pub fn delete_cel_role(mount: &MountPath, name: &StoredName) -> Request<Done> {
    Request::delete(format!("auth/{mount}/cel/role/{}", encoded(name.as_str())))
}

/// Logs in with a service account's token. Never retried once it may have arrived, because each login is a new token.
pub fn login(mount: &MountPath, role: &RoleName, token: &SecretString) -> Request<LoginAnswer> {
    Request::ask(format!("auth/{mount}/login"), json!({ "role": role, "jwt": token.expose_secret() }))
        .needing(&[])
        .once()
}

/// Writes a mount's whole configuration and the reviewer's token with it, because a POST erases the token that it leaves
/// out; `None` erases it.
pub fn write_kubernetes_config(
    mount: &MountPath,
    config: &KubernetesConfig,
    token: Option<&SecretString>,
) -> Request<Done> {
    let mut fields = json!(config);
    fields["token_reviewer_jwt"] = token.map(ExposeSecret::expose_secret).unwrap_or_default().into();
    write_config(mount, fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_never_shows_its_token() {
        let request = login(&"jwt".parse().unwrap(), &"r".parse().unwrap(), &SecretString::from("topsecret"));
        assert!(!format!("{request:?}").contains("topsecret"));
        assert!(!request.idempotent);
    }

    #[test]
    fn the_reviewer_s_token_is_sent_always_and_shown_never() {
        let mount = "kubernetes".parse().unwrap();
        let config = KubernetesConfig { token_reviewer_jwt_set: Some(true), ..KubernetesConfig::default() };
        let with = write_kubernetes_config(&mount, &config, Some(&SecretString::from("topsecret")));
        assert!(!format!("{with:?}").contains("topsecret"));
        let body = with.body.unwrap().0;
        assert_eq!(body["token_reviewer_jwt"], "topsecret");
        assert!(body.get("token_reviewer_jwt_set").is_none());
        let without = write_kubernetes_config(&mount, &config, None);
        assert_eq!(without.body.unwrap().0["token_reviewer_jwt"], "");
    }
}
