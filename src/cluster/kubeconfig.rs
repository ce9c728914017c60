//! The files of a kubeconfig, read and put together as kubectl does it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use kube::config::{AuthInfo, Cluster, Kubeconfig, NamedContext};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::cause::ClientCause;
use crate::error::{Error, Result};
use crate::fix::Kubectl;
use crate::input;
use crate::settings::{Proxies, Proxy};

/// A context of the kubeconfig.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChosenContext {
    /// Its name.
    pub name: String,
    /// What the kubeconfig calls its cluster.
    pub cluster: String,
}

/// Reads the files that something lists. What stands in the first of them counts.
pub(super) fn read_all(files: &[PathBuf], named_by: &str) -> Result<Kubeconfig> {
    let mut merged = Kubeconfig::default();
    for file in files {
        merged = merged.merge(read(file)?).map_err(|error| {
            Error::usage(format!("the kubeconfig files that {named_by} lists don't go together"))
                .because(ClientCause::of_kubeconfig(&error))
        })?;
    }
    Ok(merged)
}

fn read(file: &Path) -> Result<Kubeconfig> {
    let unread = || {
        Error::usage(format!("the kubeconfig {} could not be read", file.display()))
            .remedy(format!("look whether {} accepts it", Kubectl::default().run("config view").shown()))
    };
    input::read_text(file, input::KUBECONFIG).map_err(|error| unread().because(error))?;
    // Once more by the library, which sees to it that what a file names is relative to it.
    let mut read = Kubeconfig::read_from(file).map_err(|error| unread().because(ClientCause::of_kubeconfig(&error)))?;
    check(&read).map_err(|error| unread().because(error))?;
    // To kubectl an empty value is none: the next file may have one.
    blank(&mut read.current_context);
    for cluster in read.clusters.iter_mut().filter_map(|named| named.cluster.as_mut()) {
        tidy_cluster(cluster, file);
    }
    for user in read.auth_infos.iter_mut().filter_map(|named| named.auth_info.as_mut()) {
        tidy_user(user, file);
    }
    Ok(read)
}

/// What kubectl refuses of a file, and the library takes for something.
fn check(read: &Kubeconfig) -> Result<()> {
    if let Some(kind) = read.kind.as_ref().filter(|kind| !["", "Config"].contains(&kind.as_str())) {
        return Err(Error::usage(format!("it is a {kind}, not a Config")));
    }
    let names = [
        ("clusters", read.clusters.iter().map(|named| &named.name).collect::<Vec<_>>()),
        ("users", read.auth_infos.iter().map(|named| &named.name).collect()),
        ("contexts", read.contexts.iter().map(|named| &named.name).collect()),
    ];
    for (list, names) in names {
        let mut seen = BTreeSet::new();
        if let Some(twice) = names.into_iter().find(|name| !seen.insert(*name)) {
            return Err(Error::usage(format!("{twice:?} is twice among its `{list}`")));
        }
    }
    Ok(())
}

fn tidy_cluster(cluster: &mut Cluster, file: &Path) {
    let Cluster { server, certificate_authority, certificate_authority_data, proxy_url, tls_server_name, .. } = cluster;
    [server, certificate_authority_data, proxy_url, tls_server_name].into_iter().for_each(blank);
    blank_path(certificate_authority, file);
    cluster.certificate_authority_data.iter_mut().for_each(on_one_line);
}

fn tidy_user(user: &mut AuthInfo, file: &Path) {
    let AuthInfo { username, token_file, client_certificate, client_certificate_data, client_key, .. } = user;
    [username, client_certificate_data].into_iter().for_each(blank);
    for path in [token_file, client_certificate, client_key] {
        blank_path(path, file);
    }
    [&mut user.impersonate, &mut user.impersonate_uid].into_iter().for_each(blank);
    user.client_certificate_data.iter_mut().for_each(on_one_line);
    for secret in [&mut user.password, &mut user.token, &mut user.client_key_data] {
        if secret.as_ref().is_some_and(|secret| secret.expose_secret().is_empty()) {
            *secret = None;
        }
    }
    let wrapped = user.client_key_data.as_ref().map(|data| data.expose_secret().replace(['\r', '\n'], ""));
    user.client_key_data = wrapped.map(SecretString::from);
}

/// An empty value is none.
fn blank(value: &mut Option<String>) {
    value.take_if(|value| value.is_empty());
}

/// An empty path is none. The library has made it relative to the kubeconfig by now, so that the folder is left of it, with a slash at its
/// end.
fn blank_path(path: &mut Option<String>, kubeconfig: &Path) {
    let folder = kubeconfig.parent().map(|folder| folder.join("").into_os_string());
    path.take_if(|path| path.is_empty() || folder.as_ref().is_some_and(|folder| folder == path.as_str()));
}

/// As in Go, base64 may be wrapped.
fn on_one_line(data: &mut String) {
    data.retain(|c| !['\r', '\n'].contains(&c));
}

/// The context of that name, else the current one.
pub(super) fn choose(kubeconfig: &Kubeconfig, wanted: Option<String>) -> Result<&NamedContext> {
    let Some(name) = wanted.or_else(|| kubeconfig.current_context.clone()).filter(|name| !name.is_empty()) else {
        return Err(Error::usage("the kubeconfig has no current context")
            .remedy("name one with --context or as `context:` of the cluster")
            .remedy(contexts(kubeconfig)));
    };
    kubeconfig.contexts.iter().find(|context| context.name == name).ok_or_else(|| {
        Error::usage(format!("the kubeconfig has no context {name:?}"))
            .remedy(contexts(kubeconfig))
            .remedy("correct `context:` of the cluster, or give --context or --kubeconfig")
    })
}

fn contexts(kubeconfig: &Kubeconfig) -> String {
    let names: Vec<&str> = kubeconfig.contexts.iter().map(|context| context.name.as_str()).collect();
    if names.is_empty() { "it has no contexts at all".to_owned() } else { format!("it has: {}", names.join(", ")) }
}

/// What a context names.
pub(super) struct Named<'a> {
    pub(super) cluster: Option<&'a mut Cluster>,
    pub(super) user: Option<&'a AuthInfo>,
}

/// Finds what a context names.
///
/// # Errors
/// When it names a user that isn't there: then kubectl asks for a name and a password, which nobody has.
pub(super) fn named<'a>(kubeconfig: &'a mut Kubeconfig, context: &NamedContext) -> Result<Named<'a>> {
    let Some(context) = &context.context else { return Ok(Named { cluster: None, user: None }) };
    let cluster = kubeconfig.clusters.iter_mut().find(|named| named.name == context.cluster);
    let user = match context.user.as_ref().filter(|name| !name.is_empty()) {
        Some(name) => match kubeconfig.auth_infos.iter().find(|named| named.name == *name) {
            Some(named) => named.auth_info.as_ref(),
            None => return Err(Error::usage(format!("it has no user {name:?}, which its context names"))),
        },
        None => None,
    };
    Ok(Named { cluster: cluster.and_then(|named| named.cluster.as_mut()), user })
}

/// Makes of a cluster's `server` the URL that kubectl makes of it, and refuses what it refuses.
pub(super) fn check_cluster(cluster: &mut Cluster) -> Result<()> {
    if cluster.certificate_authority.is_some() && cluster.certificate_authority_data.is_some() {
        return Err(Error::usage(
            "its cluster has both `certificate-authority` and `certificate-authority-data`: only one of them may be there, as with kubectl",
        ));
    }
    let has_authority = cluster.certificate_authority.is_some() || cluster.certificate_authority_data.is_some();
    if cluster.insecure_skip_tls_verify == Some(true) && has_authority {
        return Err(Error::usage(
            "its cluster has a `certificate-authority` and `insecure-skip-tls-verify`: only one of them may be there, as with kubectl",
        ));
    }
    let Some(server) = &cluster.server else { return Ok(()) };
    let text = if server.contains("://") { server.clone() } else { format!("http://{server}") };
    let Ok(mut url) = Url::parse(&text) else { return Ok(()) };
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Error::usage(
            "the `server` of its cluster has a user and a password in it, which would be shown wherever the server is: write them as \
             `username` and `password` of its user",
        ));
    }
    url.set_query(None);
    url.set_fragment(None);
    cluster.server = Some(url.to_string());
    Ok(())
}

/// Stands for a cluster that names no proxy, so that the library doesn't look for one in the environment.
const NO_PROXY_URL: &str = "http://none.invalid";

/// What decides on a proxy for a context: as with kubectl, its cluster's `proxy-url` counts without exception, and else the
/// environment does.
pub(super) fn proxies(cluster: Option<&mut Cluster>, context: &str, environment: &Proxies) -> Result<Proxies> {
    let Some(cluster) = cluster else { return Ok(environment.clone()) };
    let Some(url) = &cluster.proxy_url else {
        cluster.proxy_url = Some(NO_PROXY_URL.to_owned());
        return Ok(environment.clone());
    };
    let origin = format!("`proxy-url` of the context {context:?} in the kubeconfig");
    Ok(environment.with(Proxy::parse(url, origin)?))
}

/// What a program is told of a cluster's proxy: what the kubeconfig says.
pub(super) fn without_stand_in(proxy_url: &mut Option<String>) {
    if proxy_url.as_deref() == Some(NO_PROXY_URL) {
        *proxy_url = None;
    }
}

/// Refuses files that a context of a kubeconfig names and that the library would read without end.
pub(super) fn check_files(named: &Named<'_>) -> Result<()> {
    let authority = named.cluster.as_ref().and_then(|cluster| cluster.certificate_authority.as_ref());
    let certificates =
        named.user.map(|user| [&user.client_certificate, &user.client_key]).into_iter().flatten().flatten();
    let certificates = authority.into_iter().chain(certificates).map(|file| (file, input::CERTIFICATES));
    let token = named.user.and_then(|user| user.token_file.as_ref()).map(|file| (file, input::SECRET));
    for (file, limit) in certificates.chain(token) {
        // One that isn't there is the library's to complain about.
        let Ok(held) = std::fs::metadata(file) else { continue };
        let refused = |why: String| {
            Error::usage(format!("the file {file} that the kubeconfig names could not be read"))
                .because(Error::usage(why))
                .remedy(format!(
                    "correct the kubeconfig; look whether {} shows the right file",
                    Kubectl::default().run("config view").shown()
                ))
        };
        if !held.is_file() {
            return Err(refused("it is no file".to_owned()));
        }
        if held.len() > limit.bytes as u64 {
            return Err(refused(limit.exceeded().to_string()));
        }
    }
    Ok(())
}
