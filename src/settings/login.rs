//! How the operator logs in to Vault where no token is at hand, as in a CI job or a pod: the method, the mount, and what is
//! presented there.
//!
//! A flag goes before its variable. A flag that the method has no use for is an error; a variable that it has no use for
//! is another job's. Whatever is said without a method is an error, because the run would be somebody else.

mod flags;

use std::path::Path;

use clap::ValueEnum;
use secrecy::SecretString;
use url::Url;

pub use self::flags::{LoginArgs, LoginMethod};
use super::{Environment, Origin, Setting, is_loopback, secret};
use crate::error::{Error, Result};
use crate::names::{Audience, InvalidName, MountPath, RoleName};

/// Where a pod finds the token of its service account.
const MOUNTED_TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/// A login to make.
#[derive(Debug, Clone)]
pub struct OperatorLogin {
    /// The method; never `token`.
    pub method: LoginMethod,
    /// The auth mount.
    pub mount: MountPath,
    /// As whom.
    pub identity: LoginIdentity,
    /// What proves it.
    pub proof: Proof,
    /// The variable with a token that is not used.
    pub unused: Option<String>,
}

/// As whom a login is made.
#[derive(Debug, Clone)]
pub enum LoginIdentity {
    /// A role of a jwt or kubernetes mount.
    Role(RoleName),
    /// An `AppRole`, by its id.
    RoleId(String),
}

/// What proves that the login may be made.
#[derive(Debug, Clone)]
pub enum Proof {
    /// A JWT or a secret id.
    Given(Setting<SecretString>),
    /// A JWT that GitHub Actions gives to the job that this runs in.
    GitHub {
        /// Where to ask for it.
        url: Url,
        /// What to show there.
        token: SecretString,
        /// For whom; `None` leaves that to GitHub.
        audience: Option<Audience>,
    },
}

/// A secret that a login takes, and what names it.
struct SecretKind {
    what: &'static str,
    file_flag: &'static str,
    env_flag: &'static str,
    file_variable: &'static str,
    variable: &'static str,
}

const JWT: SecretKind = SecretKind {
    what: "JWT",
    file_flag: "--login-jwt-file",
    env_flag: "--login-jwt-env",
    file_variable: "VAULTK8S_LOGIN_JWT_FILE",
    variable: "VAULTK8S_LOGIN_JWT",
};

const SECRET_ID: SecretKind = SecretKind {
    what: "secret id",
    file_flag: "--login-secret-id-file",
    env_flag: "--login-secret-id-env",
    file_variable: "VAULTK8S_LOGIN_SECRET_ID_FILE",
    variable: "VAULTK8S_LOGIN_SECRET_ID",
};

/// Where GitHub Actions gives a token to a job.
const GITHUB_URL: &str = "ACTIONS_ID_TOKEN_REQUEST_URL";

/// What it wants to see for that.
const GITHUB_TOKEN: &str = "ACTIONS_ID_TOKEN_REQUEST_TOKEN";

/// The variables that say something only together with a method.
const VARIABLES: [&str; 8] = [
    "VAULTK8S_LOGIN_MOUNT",
    "VAULTK8S_LOGIN_ROLE",
    JWT.file_variable,
    JWT.variable,
    "VAULTK8S_LOGIN_AUDIENCE",
    "VAULTK8S_LOGIN_ROLE_ID",
    SECRET_ID.file_variable,
    SECRET_ID.variable,
];

/// Says which login is to be made, with what; `None` where a token is to be used as it is.
///
/// # Errors
/// Contradictions, what is missing, and what can't be read.
pub(super) fn resolve(
    args: &LoginArgs,
    token_file: Option<&Path>,
    environment: &Environment,
) -> Result<Option<OperatorLogin>> {
    resolve_in(args, token_file, environment, Path::new(MOUNTED_TOKEN))
}

/// [`resolve`], with the pod's token at this path.
fn resolve_in(
    args: &LoginArgs,
    token_file: Option<&Path>,
    environment: &Environment,
    mounted: &Path,
) -> Result<Option<OperatorLogin>> {
    let chosen = method(args, environment)?;
    refuse_what_is_not_for(chosen, args)?;
    let (method, origin) = match chosen {
        None => return refuse_variables(environment).map(|()| None),
        Some((LoginMethod::Token, _)) => return Ok(None),
        Some(chosen) => chosen,
    };
    if token_file.is_some() {
        return Err(Error::usage(format!(
            "--token-file names a token of Vault, and {origin} {method} logs in for one"
        ))
        .remedy("leave --token-file away, or use the token as it is with --login token"));
    }
    let mount = match given("--login-mount", args.login_mount.as_deref(), "VAULTK8S_LOGIN_MOUNT", environment) {
        Some(mount) => parsed(&mount)?,
        None => method.to_string().parse().map_err(|error: InvalidName| Error::usage(error.to_string()))?,
    };
    let (identity, proof) = if method == LoginMethod::Approle {
        app_role(args, environment)?
    } else {
        let role = given("--login-role", args.login_role.as_deref(), "VAULTK8S_LOGIN_ROLE", environment)
            .ok_or_else(|| missing("role to log in as", "--login-role or VAULTK8S_LOGIN_ROLE"))?;
        (LoginIdentity::Role(parsed(&role)?), jwt(args, environment, method, mounted)?)
    };
    let unused = environment.vault("TOKEN").map(|(name, _)| name);
    Ok(Some(OperatorLogin { method, mount, identity, proof, unused }))
}

/// The method that was asked for, and by what.
fn method(args: &LoginArgs, environment: &Environment) -> Result<Option<(LoginMethod, &'static str)>> {
    const VARIABLE: &str = "VAULTK8S_LOGIN";
    if let Some(method) = args.login {
        return Ok(Some((method, "--login")));
    }
    let Some(text) = environment.text(VARIABLE) else { return Ok(None) };
    match LoginMethod::from_str(text.trim(), true) {
        Ok(method) => Ok(Some((method, VARIABLE))),
        Err(_) => Err(Error::usage(format!("{VARIABLE} names no way to log in that is known here"))
            .remedy("set it to token, jwt, kubernetes or approle")),
    }
}

/// Refuses flags that say something which the method doesn't ask for.
fn refuse_what_is_not_for(chosen: Option<(LoginMethod, &'static str)>, args: &LoginArgs) -> Result<()> {
    use LoginMethod::{Approle, Jwt, Kubernetes};

    let flags = [
        ("--login-mount", args.login_mount.is_some(), &[Jwt, Kubernetes, Approle][..]),
        ("--login-role", args.login_role.is_some(), &[Jwt, Kubernetes]),
        (JWT.file_flag, args.login_jwt_file.is_some(), &[Jwt, Kubernetes]),
        (JWT.env_flag, args.login_jwt_env.is_some(), &[Jwt, Kubernetes]),
        ("--login-audience", args.login_audience.is_some(), &[Jwt]),
        ("--login-role-id", args.login_role_id.is_some(), &[Approle]),
        (SECRET_ID.file_flag, args.login_secret_id_file.is_some(), &[Approle]),
        (SECRET_ID.env_flag, args.login_secret_id_env.is_some(), &[Approle]),
    ];
    for (flag, given, methods) in flags {
        let said = match chosen {
            _ if !given => continue,
            Some((method, _)) if methods.contains(&method) => continue,
            Some((method, origin)) => format!("{flag} is given, and {origin} {method} has no use for it"),
            None => format!("{flag} is given, but not how to log in"),
        };
        let names: Vec<String> = methods.iter().map(|method| format!("--login {method}")).collect();
        return Err(Error::usage(said).remedy(format!("add {}, or leave {flag} away", names.join(" or "))));
    }
    Ok(())
}

/// Refuses variables that say something about a login when nobody asks for one.
fn refuse_variables(environment: &Environment) -> Result<()> {
    match VARIABLES.iter().find(|name| environment.text(name).is_some()) {
        None => Ok(()),
        Some(name) => Err(Error::usage(format!("{name} is set, but not how to log in"))
            .remedy("set VAULTK8S_LOGIN or --login to jwt, kubernetes or approle, or use a token with --login token")),
    }
}

fn jwt(args: &LoginArgs, environment: &Environment, method: LoginMethod, mounted: &Path) -> Result<Proof> {
    if args.login_audience.is_some() {
        return github(args, environment);
    }
    match JWT.find(args.login_jwt_file.as_deref(), args.login_jwt_env.as_deref(), environment)? {
        Some(jwt) => Ok(Proof::Given(jwt)),
        None if method == LoginMethod::Kubernetes => pods_own(mounted).map(Proof::Given),
        None if environment.text(GITHUB_URL).is_some() => github(args, environment),
        None => Err(JWT.missing().remedy("in GitHub Actions, let the job have `permissions: { id-token: write }`")),
    }
}

/// What GitHub Actions gives to a job that may have a token.
fn github(args: &LoginArgs, environment: &Environment) -> Result<Proof> {
    let (Some(url), Some(token)) = (environment.text(GITHUB_URL), environment.text(GITHUB_TOKEN)) else {
        return Err(Error::usage(format!(
            "this is no job of GitHub Actions that may have a token: {GITHUB_URL} or {GITHUB_TOKEN} is not set"
        ))
        .remedy("let the job have `permissions: { id-token: write }`")
        .remedy("elsewhere leave --login-audience away, and name the token with --login-jwt-file or --login-jwt-env"));
    };
    let url = Url::parse(&url).ok().filter(|url| url.scheme() == "https" || is_loopback(url)).ok_or_else(|| {
        Error::usage(format!("{GITHUB_URL} is not an https URL")).remedy("leave it to GitHub Actions")
    })?;
    let token = JWT.cleaned(&token, Origin::Variable(GITHUB_TOKEN.to_owned()))?.value;
    let audience = given("--login-audience", args.login_audience.as_deref(), "VAULTK8S_LOGIN_AUDIENCE", environment);
    let audience = audience.map(|audience| parsed(&audience)).transpose()?;
    Ok(Proof::GitHub { url, token, audience })
}

/// The token of the service account of the pod that this runs in.
fn pods_own(path: &Path) -> Result<Setting<SecretString>> {
    let text = secret::read_file(path).map_err(|cause| {
        Error::usage(format!("there is no service account's token to log in with at {}", path.display()))
            .because(cause)
            .remedy(
                "outside a pod, or where it mounts no token, name one: --login-jwt-file FILE or --login-jwt-env NAME",
            )
    })?;
    JWT.cleaned(&text, Origin::File { path: path.to_owned(), what: "service account token" })
}

fn app_role(args: &LoginArgs, environment: &Environment) -> Result<(LoginIdentity, Proof)> {
    let role_id = given("--login-role-id", args.login_role_id.as_deref(), "VAULTK8S_LOGIN_ROLE_ID", environment)
        .ok_or_else(|| missing("role id to log in with", "--login-role-id or VAULTK8S_LOGIN_ROLE_ID"))?;
    let (file, env) = (args.login_secret_id_file.as_deref(), args.login_secret_id_env.as_deref());
    let secret_id = SECRET_ID.find(file, env, environment)?.ok_or_else(|| SECRET_ID.missing())?;
    Ok((LoginIdentity::RoleId(role_id.value.trim().to_owned()), Proof::Given(secret_id)))
}

impl SecretKind {
    /// Reads it from where the flags or the variables say it is; `None` where nothing says so.
    fn find(
        &self,
        file: Option<&Path>,
        env: Option<&str>,
        environment: &Environment,
    ) -> Result<Option<Setting<SecretString>>> {
        if let Some(file) = file {
            return self.read(file, self.file_flag).map(Some);
        }
        if let Some(name) = env {
            return self.named(name, environment).map(Some);
        }
        match (environment.text(self.file_variable), environment.text(self.variable)) {
            (Some(_), Some(_)) => Err(Error::usage(format!(
                "{} and {} are two sources of one {}",
                self.file_variable, self.variable, self.what
            ))
            .remedy(format!("unset one of them, or decide with {} or {}", self.file_flag, self.env_flag))),
            (Some(file), None) => self.read(Path::new(&file), self.file_variable).map(Some),
            (None, Some(text)) => self.cleaned(&text, Origin::Variable(self.variable.to_owned())).map(Some),
            (None, None) => Ok(None),
        }
    }

    fn read(&self, file: &Path, named_by: &'static str) -> Result<Setting<SecretString>> {
        let (text, origin) = secret::read(file, self.what, named_by)?;
        self.cleaned(&text, origin)
    }

    /// From the variable that the flag names. The name is not quoted until it is known to be one: whoever lets the shell
    /// expand it gives the secret itself.
    fn named(&self, name: &str, environment: &Environment) -> Result<Setting<SecretString>> {
        match environment.get(name) {
            Some(text) => self.cleaned(&text.to_string_lossy(), Origin::Variable(name.to_owned())),
            None => Err(Error::usage(format!("the variable that {} names is not set", self.env_flag))
                .remedy(format!("give it the variable's name, without `$`: {} CI_TOKEN", self.env_flag))
                .remedy("let the job have the variable, such as by `id_tokens:` in GitLab CI")),
        }
    }

    fn cleaned(&self, text: &str, origin: Origin) -> Result<Setting<SecretString>> {
        match secret::clean(text, self.what, &origin)? {
            Some(value) => Ok(Setting { value, origin }),
            None => Err(Error::usage(format!("there is no {} in {origin}: it is empty", self.what))
                .remedy(format!("look at what should have put the {} there", self.what))),
        }
    }

    fn missing(&self) -> Error {
        let Self { what, file_flag, env_flag, variable, .. } = self;
        missing(&format!("{what} to log in with"), &format!("{file_flag} FILE, {env_flag} NAME, or {variable}"))
    }
}

fn missing(what: &str, how: &str) -> Error {
    Error::usage(format!("there is no {what}")).remedy(format!("give it with {how}"))
}

/// A value and where it came from: the flag, else the variable.
fn given(
    flag: &'static str,
    value: Option<&str>,
    variable: &'static str,
    environment: &Environment,
) -> Option<Setting<String>> {
    match value {
        Some(value) => Some(Setting::new(value.to_owned(), Origin::Flag(flag))),
        None => environment.text(variable).map(|value| Setting::new(value, Origin::Variable(variable.to_owned()))),
    }
}

fn parsed<T: std::str::FromStr<Err = InvalidName>>(text: &Setting<String>) -> Result<T> {
    text.value
        .trim()
        .parse()
        .map_err(|error: InvalidName| Error::usage(format!("{} is wrong: {error}", text.origin)).remedy(error.remedy))
}

#[cfg(test)]
mod tests;
