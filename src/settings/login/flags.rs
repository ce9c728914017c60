//! The flags of a login.

use std::fmt;
use std::path::PathBuf;

use clap::ValueEnum;

/// How the operator gets a token of Vault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[expect(clippy::doc_markdown, reason = "the doc comments are help texts")]
pub enum LoginMethod {
    /// No login: --token-file, VAULT_TOKEN, the token helper or ~/.vault-token
    Token,
    /// With a JSON Web Token, such as a CI system gives to a job
    Jwt,
    /// With the token of a Kubernetes service account; in a pod, with its own
    Kubernetes,
    /// With a role id and a secret id
    Approle,
}

impl fmt::Display for LoginMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Token => "token",
            Self::Jwt => "jwt",
            Self::Kubernetes => "kubernetes",
            Self::Approle => "approle",
        })
    }
}

/// How to log in to Vault for this run.
#[derive(Debug, Clone, Default, clap::Args)]
#[expect(clippy::doc_markdown, reason = "the doc comments are help texts")]
#[command(next_help_heading = "Login to Vault")]
pub struct LoginArgs {
    /// Log in for this run, so that no token of Vault has to lie about in CI [default: token]
    ///
    /// The login's token is used for this run and revoked at its end; a token in the environment or at home is not
    /// looked at. Also VAULTK8S_LOGIN.
    #[arg(long, value_name = "METHOD", value_enum)]
    pub login: Option<LoginMethod>,

    /// The path of the auth mount to log in at; the method's name unless set
    ///
    /// Also VAULTK8S_LOGIN_MOUNT. The login is in the namespace of all other requests.
    #[arg(long, value_name = "PATH")]
    pub login_mount: Option<String>,

    /// The role to log in as (jwt, kubernetes)
    ///
    /// Also VAULTK8S_LOGIN_ROLE.
    #[arg(long, value_name = "NAME")]
    pub login_role: Option<String>,

    /// Log in with the token in this file, or on standard input for - (jwt, kubernetes)
    ///
    /// Also VAULTK8S_LOGIN_JWT_FILE. The kubernetes method takes the pod's own token where nothing names another.
    #[arg(long, value_name = "FILE", conflicts_with = "login_jwt_env")]
    pub login_jwt_file: Option<PathBuf>,

    /// Log in with the token in the environment variable of this name (jwt, kubernetes)
    ///
    /// Without a file or a name, VAULTK8S_LOGIN_JWT; without that, the jwt method asks GitHub Actions, in a job of which it
    /// runs with `id-token: write`.
    #[arg(long, value_name = "NAME")]
    pub login_jwt_env: Option<String>,

    /// The audience to ask GitHub Actions for; without it, GitHub's own (jwt)
    ///
    /// Also VAULTK8S_LOGIN_AUDIENCE.
    #[arg(long, value_name = "AUDIENCE", conflicts_with_all = ["login_jwt_file", "login_jwt_env"])]
    pub login_audience: Option<String>,

    /// The role id to log in with (approle)
    ///
    /// Also VAULTK8S_LOGIN_ROLE_ID.
    #[arg(long, value_name = "ID")]
    pub login_role_id: Option<String>,

    /// Log in with the secret id in this file, or on standard input for - (approle)
    ///
    /// Also VAULTK8S_LOGIN_SECRET_ID_FILE.
    #[arg(long, value_name = "FILE", conflicts_with = "login_secret_id_env")]
    pub login_secret_id_file: Option<PathBuf>,

    /// Log in with the secret id in the environment variable of this name (approle)
    ///
    /// Without a file or a name, VAULTK8S_LOGIN_SECRET_ID.
    #[arg(long, value_name = "NAME")]
    pub login_secret_id_env: Option<String>,
}
