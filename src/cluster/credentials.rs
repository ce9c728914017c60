//! The credentials of a kubeconfig's user: which of them count, as kubectl decides it, and why they can't be used.
//!
//! - `plugin`: the program that gives them;
//! - `identity`: a client certificate and its key;
//! - `layer`: how they go with each request;
//! - `provider`: what kubectl itself knew once, and what is left of it.

mod fault;
mod identity;
mod layer;
mod plugin;
mod provider;

use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use kube::config::AuthInfo;
use rustls::client::ResolvesClientCert;
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

pub(crate) use self::fault::CredentialFault;
use self::identity::Identity;
pub(super) use self::layer::Presenting;
use self::plugin::Plugin;
use crate::fix::Kubectl;
use crate::input;

/// What who asks is known by.
#[derive(Clone, Default)]
pub(crate) struct KubeCredentials {
    source: Source,
    /// The certificate that is shown to who asks for one.
    identity: Option<Arc<Identity>>,
}

/// Where the header that says who asks comes from.
#[derive(Clone, Default)]
enum Source {
    /// There is none.
    #[default]
    Nothing,
    Given(HeaderValue),
    /// A file, which may change, and what counts while it can't be read.
    File(Arc<Path>, Option<HeaderValue>),
    Plugin(Arc<Plugin>),
}

impl KubeCredentials {
    /// A token and nothing else.
    ///
    /// # Errors
    /// When it has characters that can't be sent.
    pub(crate) fn token(token: &SecretString) -> Result<Self, CredentialFault> {
        Ok(Self { source: Source::Given(bearer(token)?), identity: None })
    }

    /// Those of a kubeconfig's user. A program that gives them is run, without the variables of these names; `kubectl` is what reaches the
    /// same cluster.
    ///
    /// # Errors
    /// When kubectl refuses them, when a file can't be read, and when the program doesn't give what it should.
    pub(super) async fn of(user: &AuthInfo, withheld: &[String], kubectl: &Kubectl) -> Result<Self, CredentialFault> {
        check(user)?;
        let identity = identity(user)?.map(Arc::new);
        if let Some(source) = written(user)? {
            return Ok(Self { source, identity });
        }
        if let Some(token) =
            user.auth_provider.as_ref().map(|provider| provider::token(provider, kubectl)).transpose()?
        {
            return Ok(Self { source: Source::Given(bearer(&token)?), identity });
        }
        // With a certificate that is written there, kubectl doesn't ask the program.
        match user.exec.as_ref().filter(|_| identity.is_none()) {
            Some(exec) => {
                let plugin = Arc::new(Plugin::start(exec.clone(), withheld).await?);
                let identity = plugin.identity();
                Ok(Self { source: Source::Plugin(plugin), identity })
            }
            None => Ok(Self { source: Source::Nothing, identity }),
        }
    }

    /// The certificate that is shown to who asks for one.
    pub(super) fn shown(&self) -> Option<Arc<dyn ResolvesClientCert>> {
        self.identity.clone().map(|identity| identity as Arc<dyn ResolvesClientCert>)
    }

    /// The header that says who asks.
    async fn header(&self) -> Result<Option<HeaderValue>, CredentialFault> {
        match &self.source {
            Source::Nothing => Ok(None),
            Source::Given(value) => Ok(Some(value.clone())),
            Source::File(file, otherwise) => match (read_token(file), otherwise) {
                (Ok(token), _) => bearer(&token).map(Some),
                (Err(_), Some(value)) => Ok(Some(value.clone())),
                (Err(fault), None) => Err(fault),
            },
            Source::Plugin(plugin) => plugin.token().await?.as_ref().map(bearer).transpose(),
        }
    }
}

/// What kubectl refuses before it asks anybody.
fn check(user: &AuthInfo) -> Result<(), CredentialFault> {
    let refused = |said: &str| Err(CredentialFault::written(said));
    let has_token = user.token.is_some() || user.token_file.is_some();
    if has_token && (user.username.is_some() || user.password.is_some()) {
        return refused(
            "its user has a token, and a name and a password: only one of them may be there, as with kubectl",
        );
    }
    if user.exec.is_some() && user.auth_provider.is_some() {
        return refused("its user has `exec` and `auth-provider`: only one of them may be there, as with kubectl");
    }
    let acts_further = user.impersonate_uid.is_some()
        || user.impersonate_groups.as_ref().is_some_and(|groups| !groups.is_empty())
        || user.impersonate_user_extra.as_ref().is_some_and(|extra| !extra.is_empty());
    if acts_further && user.impersonate.is_none() {
        return refused("its user has `as-groups`, `as-uid` or `as-user-extra` without `as`");
    }
    if let Some(exec) = &user.exec {
        plugin::check(exec)?;
    }
    if let Some(provider) = &user.auth_provider {
        provider::check(provider)?;
    }
    Ok(())
}

/// What stands in the kubeconfig, or in the file of a token.
fn written(user: &AuthInfo) -> Result<Option<Source>, CredentialFault> {
    let token = user.token.as_ref().map(bearer).transpose()?;
    if let Some(file) = &user.token_file {
        if token.is_none() {
            read_token(Path::new(file))?;
        }
        return Ok(Some(Source::File(Path::new(file).into(), token)));
    }
    if let Some(value) = token {
        return Ok(Some(Source::Given(value)));
    }
    let is_known_otherwise = user.client_certificate.is_some()
        || user.client_certificate_data.is_some()
        || user.exec.is_some()
        || user.auth_provider.is_some();
    let name = match &user.username {
        Some(name) => name,
        // kubectl asks the person for the name where nothing else says who it is.
        None if user.password.is_some() && !is_known_otherwise => {
            return Err(CredentialFault::written("its user has a `password` without a `username`"));
        }
        None => return Ok(None),
    };
    let password = user.password.as_ref().map(ExposeSecret::expose_secret).unwrap_or_default();
    let pair = Zeroizing::new(format!("{name}:{password}"));
    header(&Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes()))))
        .map(|value| Some(Source::Given(value)))
}

fn bearer(token: &SecretString) -> Result<HeaderValue, CredentialFault> {
    header(&Zeroizing::new(format!("Bearer {}", token.expose_secret())))
}

fn header(text: &str) -> Result<HeaderValue, CredentialFault> {
    let mut value = HeaderValue::from_str(text).map_err(|_| {
        CredentialFault::written("its token has characters that can't be sent, such as a line break")
            .remedy("write the token on one line, without white space around it")
    })?;
    value.set_sensitive(true);
    Ok(value)
}

fn read_token(file: &Path) -> Result<SecretString, CredentialFault> {
    let text = input::read_text(file, input::SECRET).map(Zeroizing::new).map_err(|error| {
        CredentialFault::written(format!("its token file {} could not be read: {error}", file.display()))
    })?;
    match text.trim() {
        "" => Err(CredentialFault::written(format!("its token file {} is empty", file.display()))),
        token => Ok(SecretString::from(token)),
    }
}

/// The certificate that stands in the kubeconfig, or in a file of it. A key without one is of no use, and none to kubectl either.
fn identity(user: &AuthInfo) -> Result<Option<Identity>, CredentialFault> {
    let certificate =
        one_of("client-certificate", user.client_certificate.as_deref(), user.client_certificate_data.as_deref())?;
    let Some(certificate) = certificate else { return Ok(None) };
    let data = user.client_key_data.as_ref().map(ExposeSecret::expose_secret);
    let Some(key) = one_of("client-key", user.client_key.as_deref(), data)? else {
        return Err(CredentialFault::written("its user has a `client-certificate` without a `client-key`"));
    };
    Identity::of(&certificate, &key).map(Some)
}

/// What a field holds, or the file that it names.
fn one_of(field: &str, file: Option<&str>, data: Option<&str>) -> Result<Option<Zeroizing<Vec<u8>>>, CredentialFault> {
    match (file, data) {
        (Some(_), Some(_)) => Err(CredentialFault::written(format!(
            "its user has both `{field}` and `{field}-data`: only one of them may be there, as with kubectl"
        ))),
        (Some(file), None) => input::read(Path::new(file), input::CERTIFICATES).map(Some).map_err(|error| {
            CredentialFault::written(format!("the file {file} of `{field}` could not be read: {error}"))
        }),
        (None, Some(data)) => STANDARD
            .decode(data)
            .map(|bytes| Some(Zeroizing::new(bytes)))
            .map_err(|_| CredentialFault::written(format!("`{field}-data` is not base64"))),
        (None, None) => Ok(None),
    }
}

#[cfg(test)]
mod tests;
