use secrecy::ExposeSecret;

use super::*;

/// What a run is given: `--login-role ci` and `VAULTK8S_LOGIN_JWT=x` in one line, as in a shell.
fn resolved(line: &str, pod: &Path) -> Result<Option<OperatorLogin>> {
    use clap::{Args as _, FromArgMatches as _};

    let (variables, flags): (Vec<&str>, Vec<&str>) = line.split_whitespace().partition(|word| word.contains('='));
    let command = LoginArgs::augment_args(clap::Command::new("x").no_binary_name(true));
    let args = LoginArgs::from_arg_matches(&command.try_get_matches_from(flags).unwrap()).unwrap();
    let environment = Environment::from_pairs(variables.iter().map(|pair| pair.split_once('=').unwrap()));
    resolve_in(&args, None, &environment, pod)
}

fn login(line: &str) -> OperatorLogin {
    resolved(line, Path::new("/nonexistent/token")).unwrap().unwrap()
}

/// Mount, identity, secret and where that is from.
fn shown(login: &OperatorLogin) -> [String; 4] {
    let identity = match &login.identity {
        LoginIdentity::Role(role) => role.to_string(),
        LoginIdentity::RoleId(id) => id.clone(),
    };
    let (secret, origin) = match &login.proof {
        Proof::Given(secret) => (secret.value.expose_secret().to_owned(), secret.origin.to_string()),
        Proof::GitHub { url, audience, .. } => {
            (audience.as_ref().map_or_else(String::new, ToString::to_string), url.to_string())
        }
    };
    [login.mount.to_string(), identity, secret, origin]
}

#[test]
fn a_flag_goes_before_its_variable_and_the_mount_has_the_method_s_name() {
    let id_file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(id_file.path(), "s1\n").unwrap();
    let id_file = id_file.path().display();
    for (line, expected) in [
        ("--login jwt --login-role ci VAULTK8S_LOGIN_JWT=a.b.c", ["jwt", "ci", "a.b.c", "VAULTK8S_LOGIN_JWT"]),
        ("VAULTK8S_LOGIN=JWT VAULTK8S_LOGIN_ROLE=ci VAULTK8S_LOGIN_JWT=x", ["jwt", "ci", "x", "VAULTK8S_LOGIN_JWT"]),
        (
            "VAULTK8S_LOGIN=approle --login kubernetes --login-role a VAULTK8S_LOGIN_ROLE=b VAULTK8S_LOGIN_MOUNT=k/ \
             --login-jwt-env T T=t VAULTK8S_LOGIN_JWT=u",
            ["k", "a", "t", "T"],
        ),
        (
            "--login approle --login-role-id r VAULTK8S_LOGIN_SECRET_ID=s VAULTK8S_LOGIN_ROLE=jobs VAULTK8S_LOGIN_JWT=x",
            ["approle", "r", "s", "VAULTK8S_LOGIN_SECRET_ID"],
        ),
        (
            "--login jwt --login-role ci ACTIONS_ID_TOKEN_REQUEST_URL=https://g.example/t?v=1 \
             ACTIONS_ID_TOKEN_REQUEST_TOKEN=t VAULTK8S_LOGIN_AUDIENCE=vault",
            ["jwt", "ci", "vault", "https://g.example/t?v=1"],
        ),
    ] {
        assert_eq!(shown(&login(line)), expected, "{line}");
    }
    let from_file = login(&format!("--login approle --login-role-id r --login-secret-id-file {id_file}"));
    assert_eq!(shown(&from_file)[2..], ["s1".to_owned(), id_file.to_string()]);
    assert_eq!(login("--login jwt --login-role ci VAULTK8S_LOGIN_JWT=x BAO_TOKEN=t").unused.unwrap(), "BAO_TOKEN");
    for line in ["", "--login token", "--login token VAULTK8S_LOGIN_ROLE=ci", "VAULTK8S_LOGIN=token", "VAULTK8S_LOGIN="]
    {
        assert!(resolved(line, Path::new("")).unwrap().is_none(), "{line}");
    }
}

#[test]
fn in_a_pod_its_own_token_serves_unless_another_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let pod = folder.path().join("token");
    std::fs::write(&pod, "own\n").unwrap();
    let secret = |line: &str| shown(&resolved(line, &pod).unwrap().unwrap())[2].clone();
    assert_eq!(secret("--login kubernetes --login-role ci"), "own");
    assert_eq!(secret("--login kubernetes --login-role ci VAULTK8S_LOGIN_JWT=other"), "other");
    // It is for the API server, not for a jwt mount.
    assert!(resolved("--login jwt --login-role ci", &pod).is_err());
    std::fs::write(&pod, "").unwrap();
    let error = resolved("--login kubernetes --login-role ci", &pod).unwrap_err();
    assert!(error.to_string().ends_with("it is empty"), "{error}");
}

#[test]
fn what_contradicts_itself_or_is_missing_says_what_to_do() {
    for (line, problem, remedy) in [
        ("--login-role ci", "--login-role is given, but not how to log in", "--login jwt or --login kubernetes"),
        (
            "--login token --login-mount m",
            "--login-mount is given, and --login token has no use",
            "leave --login-mount",
        ),
        ("--login jwt --login-role-id r", "--login-role-id is given, and --login jwt has no use", "--login approle"),
        ("VAULTK8S_LOGIN=approle --login-jwt-env X", "VAULTK8S_LOGIN approle has no use for it", "--login jwt"),
        ("--login kubernetes --login-audience a", "--login-audience is given", "--login jwt"),
        ("VAULTK8S_LOGIN_ROLE=ci", "VAULTK8S_LOGIN_ROLE is set, but not how", "VAULTK8S_LOGIN or --login"),
        ("VAULTK8S_LOGIN_JWT=x", "VAULTK8S_LOGIN_JWT is set, but not how", "--login token"),
        ("VAULTK8S_LOGIN=github", "VAULTK8S_LOGIN names no way", "approle"),
        ("--login jwt", "no role to log in as", "VAULTK8S_LOGIN_ROLE"),
        ("--login jwt --login-role ci", "no JWT to log in with", "--login-jwt-env NAME"),
        ("--login jwt --login-role a/b VAULTK8S_LOGIN_JWT=x", "--login-role is wrong", "letters, digits"),
        ("--login jwt --login-mount auth/x --login-role ci", "--login-mount is wrong", "leave `auth/` away"),
        ("--login jwt --login-role ci VAULTK8S_LOGIN_JWT=x VAULTK8S_LOGIN_JWT_FILE=f", "two sources", "unset one"),
        ("--login jwt --login-role ci --login-audience a", "no job of GitHub Actions", "id-token: write"),
        ("--login kubernetes --login-role ci", "no service account's token", "--login-jwt-file"),
        ("--login approle", "no role id", "VAULTK8S_LOGIN_ROLE_ID"),
        ("--login approle --login-role-id r", "no secret id", "VAULTK8S_LOGIN_SECRET_ID"),
    ] {
        let error = resolved(line, Path::new("/nonexistent/token")).unwrap_err();
        assert_eq!(error.kind().exit_code(), 64, "{line}");
        assert!(error.to_string().contains(problem), "{line}: {error}");
        assert!(error.remedies().iter().any(|text| text.contains(remedy)), "{line}: {:?}", error.remedies());
    }
    let token_file = Some(Path::new("t"));
    let args = LoginArgs { login: Some(LoginMethod::Jwt), ..LoginArgs::default() };
    let error = resolve(&args, token_file, &Environment::default()).unwrap_err();
    assert!(error.to_string().contains("--token-file names a token of Vault, and --login jwt logs in"), "{error}");
}
