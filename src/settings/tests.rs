use std::ffi::OsString;

use secrecy::ExposeSecret;

use super::*;

/// What the flags, the environment and the file say, in one row.
#[derive(Default)]
struct Said {
    args: VaultArgs,
    environment: Vec<(&'static str, OsString)>,
    file: Option<VaultSection>,
}

impl Said {
    fn flag(mut self, set: impl FnOnce(&mut VaultArgs)) -> Self {
        set(&mut self.args);
        self
    }

    fn env(mut self, name: &'static str, value: impl Into<OsString>) -> Self {
        self.environment.push((name, value.into()));
        self
    }

    fn file(mut self, set: impl FnOnce(&mut VaultSection)) -> Self {
        set(self.file.get_or_insert_default());
        self
    }

    fn resolve(&self) -> Result<VaultSettings> {
        let environment = Environment::from_pairs(self.environment.iter().cloned());
        VaultSettings::resolve(
            &self.args,
            &environment,
            self.file.as_ref().map(|file| (file, Path::new("cfg/vaultk8s.yaml"))),
        )
    }
}

fn said() -> Said {
    Said::default()
}

/// Says enough about the address that the rest can be looked at.
fn at() -> Said {
    said().env("VAULT_ADDR", "https://vault.example:8200")
}

fn url(text: &str) -> Url {
    Url::parse(text).unwrap()
}

#[test]
fn the_address_is_decided_by_flag_then_environment_then_file() {
    let a = "https://a.example";
    let rows = [
        (
            said().flag(|args| args.address = Some("https://f.example/".into())).env("VAULT_ADDR", a),
            "https://f.example",
            "--address",
        ),
        (said().env("VAULT_ADDR", a), a, "VAULT_ADDR"),
        (said().env("VAULT_ADDR", "https://v.example").env("BAO_ADDR", a), a, "BAO_ADDR"),
        (said().file(|file| file.address = Some(url(a))), a, "cfg/vaultk8s.yaml"),
        (said().env("VAULT_ADDR", "").file(|file| file.address = Some(url(a))), a, "cfg/vaultk8s.yaml"),
        (said().env("VAULT_ADDR", "https://A.example:443/").file(|file| file.address = Some(url(a))), a, "VAULT_ADDR"),
        (
            said()
                .flag(|args| args.address = Some(a.into()))
                .env("VAULT_ADDR", "https://v")
                .file(|file| file.address = Some(url("https://f"))),
            a,
            "--address",
        ),
        (said().env("VAULT_ADDR", "https://gate.example/vault/"), "https://gate.example/vault", "VAULT_ADDR"),
    ];
    for (said, address, origin) in rows {
        let settings = said.resolve().unwrap();
        assert_eq!((show(&settings.address.value), settings.address.origin.to_string().as_str()), (address, origin));
    }
}

#[test]
fn contradictions_and_gaps_are_wrong_usage_with_a_remedy() {
    let rows = [
        (said(), "nobody says where Vault is", "--address"),
        (said().env("VAULT_ADDR", "https://v.example").env("BAO_ADDR", ""), "nobody says where", "VAULT_ADDR"),
        (
            said().env("VAULT_ADDR", "https://v.example").file(|file| file.address = Some(url("https://f.example"))),
            "VAULT_ADDR names Vault at https://v.example, but cfg/vaultk8s.yaml names https://f.example",
            "--address https://v.example",
        ),
        (said().env("VAULT_ADDR", "http://vault.example:8200"), "http to another host", "--allow-http"),
        (
            at().env("VAULT_NAMESPACE", "a").file(|file| file.namespace = Some("b".into())),
            "names the namespace b",
            "--namespace",
        ),
        (
            at().env("VAULT_NAMESPACE", "root").file(|file| file.namespace = Some("b".into())),
            "the root namespace",
            "--namespace",
        ),
        (at().env("VAULT_NAMESPACE", "a b"), "white space", "namespace list"),
        (at().env("VAULT_SKIP_VERIFY", "yes"), "VAULT_SKIP_VERIFY is neither", "true or false"),
        (at().env("VAULT_CLIENT_TIMEOUT", "soon"), "VAULT_CLIENT_TIMEOUT is not a duration", "90s"),
        (at().flag(|args| args.timeout = Some("x".into())), "--timeout is not a duration", "90s"),
        (at().env("BAO_MAX_RETRIES", "-1"), "BAO_MAX_RETRIES is not a number", "2"),
        (at().env("VAULT_CLIENT_CERT", "c.pem"), "VAULT_CLIENT_CERT is set without VAULT_CLIENT_KEY", "both"),
        (at().env("VAULT_TLS_SERVER_NAME", "10.0.0.1"), "not a DNS name", "certificate"),
        (at().env("VAULT_PROXY_ADDR", "ftp://x"), "VAULT_PROXY_ADDR is not", "http://"),
        (at().env("VAULT_TOKEN", "two words"), "VAULT_TOKEN holds is not a token", "one line"),
        (at().env("VAULT_TOKEN", "  "), "no token in VAULT_TOKEN", "vault login"),
    ];
    for (said, problem, remedy) in rows {
        let error = said.resolve().unwrap_err();
        assert_eq!(error.kind().exit_code(), 64, "{error}");
        assert!(error.to_string().contains(problem), "{error}");
        assert!(error.remedies().iter().any(|text| text.contains(remedy)), "{error}: {:?}", error.remedies());
        assert!(!error.to_string().contains("two words"), "{error}");
    }
}

#[test]
fn http_stays_on_this_machine_unless_it_is_allowed() {
    for local in ["http://127.0.0.1:8200", "http://localhost:8200", "http://[::1]:8200"] {
        let settings = said().env("VAULT_ADDR", local).resolve().unwrap();
        assert!(settings.warnings().is_empty(), "{local}");
    }
    let settings =
        said().env("VAULT_ADDR", "http://vault.example").flag(|args| args.allow_http = true).resolve().unwrap();
    assert!(settings.warnings()[0].contains("unencrypted"));
}

#[test]
fn namespaces_lose_their_slashes_and_the_root_has_none() {
    let rows = [
        (at(), None),
        (at().env("VAULT_NAMESPACE", "/team/a/"), Some("team/a")),
        (at().env("VAULT_NAMESPACE", "root"), None),
        (at().env("VAULT_NAMESPACE", "a").env("BAO_NAMESPACE", "b"), Some("b")),
        (at().env("VAULT_NAMESPACE", "a").env("BAO_NAMESPACE", ""), None),
        (at().file(|file| file.namespace = Some("f".into())), Some("f")),
        (at().file(|file| file.namespace = Some(String::new())), None),
        (at().env("VAULT_NAMESPACE", "f/").file(|file| file.namespace = Some("f".into())), Some("f")),
        (
            at().flag(|args| args.namespace = Some("x".into()))
                .env("VAULT_NAMESPACE", "a")
                .file(|file| file.namespace = Some("b".into())),
            Some("x"),
        ),
        (at().flag(|args| args.namespace = Some(String::new())).env("VAULT_NAMESPACE", "a"), None),
    ];
    for (said, expected) in rows {
        let settings = said.resolve().unwrap();
        assert_eq!(settings.namespace.as_ref().map(|namespace| namespace.value.as_str()), expected);
    }
}

#[test]
fn the_ca_is_decided_by_flag_then_environment_then_file() {
    let ca = |said: Said| said.resolve().unwrap().tls.ca_cert.map(|ca| (ca.value, ca.origin.to_string()));
    let file = |file: &mut VaultSection| file.ca_cert = Some("certs/ca.pem".into());
    assert_eq!(ca(at()), None);
    assert_eq!(ca(at().file(file)), Some(("cfg/certs/ca.pem".into(), "cfg/vaultk8s.yaml".into())));
    assert_eq!(ca(at().file(file).env("VAULT_CACERT", "e.pem")), Some(("e.pem".into(), "VAULT_CACERT".into())));
    assert_eq!(ca(at().file(file).env("VAULT_CAPATH", "certs")), None);
    assert_eq!(ca(at().file(file).env("VAULT_CACERT_BYTES", "PEM")), None);
    let flag = at().file(file).env("VAULT_CAPATH", "certs").flag(|args| args.ca_cert = Some("f.pem".into()));
    let tls = flag.resolve().unwrap().tls;
    assert_eq!(tls.ca_cert.unwrap().value, PathBuf::from("f.pem"));
    assert!(tls.ca_path.is_none());
}

#[test]
fn the_rest_has_the_defaults_of_vaults_cli() {
    let settings = at().resolve().unwrap();
    assert_eq!((settings.timeout, settings.max_retries), (Duration::from_secs(60), 2));
    assert!(settings.token.is_none() && settings.warnings().is_empty());
    assert!(settings.proxies.between("https", "vault.example", 443).unwrap().is_none());
    let error = settings.require_token().unwrap_err();
    assert!(error.remedies()[0].contains("vault login") && error.remedies()[0].contains("VAULT_TOKEN"));

    let settings = at()
        .env("VAULT_CLIENT_TIMEOUT", "5")
        .env("VAULT_MAX_RETRIES", "0")
        .env("VAULT_SKIP_VERIFY", "true")
        .env("VAULT_TLS_SERVER_NAME", "Vault.example")
        .env("VAULT_HTTP_PROXY", "http://old:1")
        .env("VAULT_PROXY_ADDR", "http://new:1")
        .resolve()
        .unwrap();
    assert_eq!((settings.timeout, settings.max_retries), (Duration::from_secs(5), 0));
    assert!(settings.warnings()[0].contains("VAULT_SKIP_VERIFY"));
    assert_eq!(settings.tls.server_name.unwrap().value, "vault.example");
    let proxy = settings.proxies.between("https", "vault.example", 443).unwrap();
    assert_eq!(proxy.as_ref().map(|proxy| proxy.host.as_str()), Some("new"));
}

/// A home directory with these files in it.
fn home(files: &[(&str, &str)]) -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(home.path().join(name), text).unwrap();
    }
    home
}

fn token(said: &Said) -> Option<(String, String)> {
    let token = said.resolve().unwrap().token?;
    Some((token.value.expose_secret().to_owned(), token.origin.to_string()))
}

#[test]
fn the_token_is_found_where_vaults_cli_finds_it() {
    let home = home(&[(".vault-token", "hvs.login\n"), ("t", " hvs.file\r\n"), ("empty", "\n")]);
    let in_home = |said: Said| said.env("HOME", home.path());
    let path = |name: &str| home.path().join(name);
    assert_eq!(token(&in_home(at())), Some(("hvs.login".into(), "~/.vault-token".into())));
    assert_eq!(token(&in_home(at().env("VAULT_TOKEN", "hvs.env"))), Some(("hvs.env".into(), "VAULT_TOKEN".into())));
    assert_eq!(
        token(&in_home(at().env("VAULT_TOKEN", "hvs.env").env("BAO_TOKEN", ""))),
        Some(("hvs.login".into(), "~/.vault-token".into()))
    );
    let file = in_home(at().env("VAULT_TOKEN", "hvs.env").flag(|args| args.token_file = Some(path("t"))));
    assert_eq!(token(&file), Some(("hvs.file".into(), path("t").display().to_string())));
    let elsewhere = in_home(at().env("BAO_TOKEN_PATH", path("t")));
    assert_eq!(token(&elsewhere), Some(("hvs.file".into(), path("t").display().to_string())));
    assert_eq!(token(&in_home(at().env("BAO_TOKEN_PATH", path("none")))), None);
    assert_eq!(token(&at()), None);

    for (name, problem) in [("none", "could not be read"), ("empty", "it is empty")] {
        let error = in_home(at().flag(|args| args.token_file = Some(path(name)))).resolve().unwrap_err();
        assert!(error.to_string().contains(problem), "{error}");
    }
}

#[cfg(unix)]
mod helper {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn with_helper(script: &str) -> tempfile::TempDir {
        let home = home(&[(".vault-token", "hvs.login"), ("helper", script)]);
        let helper = home.path().join("helper");
        std::fs::set_permissions(&helper, std::fs::Permissions::from_mode(0o700)).unwrap();
        std::fs::write(home.path().join(".vault"), format!("token_helper = {:?}\n", helper.display().to_string()))
            .unwrap();
        home
    }

    #[test]
    fn a_token_helper_takes_the_place_of_the_login_file() {
        let home = with_helper("#!/bin/sh\ntest \"$1\" = get && echo \"hvs.for.$VAULT_ADDR\" | tr -d /\n");
        let found = token(&at().env("HOME", home.path()).env("PATH", "/usr/bin:/bin")).unwrap();
        assert_eq!(found.0, "hvs.for.https:vault.example:8200");
        assert!(found.1.starts_with("the token helper /"));

        let home = with_helper("#!/bin/sh\nexit 0\n");
        assert_eq!(token(&at().env("HOME", home.path())), None);
    }

    #[test]
    fn a_token_helper_that_fails_is_told_of() {
        let home = with_helper("#!/bin/sh\necho hvs.half\necho the agent is locked >&2\nexit 3\n");
        let error = at().env("HOME", home.path()).resolve().unwrap_err();
        assert!(
            error.to_string().contains("the agent is locked") && !error.to_string().contains("hvs.half"),
            "{error}"
        );
        // One that never ends.
        let home = with_helper("#!/bin/sh\nexec yes\n");
        let error = at().env("HOME", home.path()).env("PATH", "/usr/bin:/bin").resolve().unwrap_err();
        assert!(error.to_string().contains("gave no token"), "{error}");
        let home = with_helper("#!/nowhere/interpreter\n");
        assert!(at().env("HOME", home.path()).resolve().unwrap_err().to_string().contains("could not be started"));
    }
}

#[test]
fn the_cli_s_configuration_is_read_with_care() {
    // Both files, the variable, JSON.
    let helper = "token_helper = \"relative\"";
    for (name, text) in [(".vault", helper), (".bao", helper), (".vault", r#"{"token_helper": "relative"}"#)] {
        let home = home(&[(name, text)]);
        let error = at().env("HOME", home.path()).resolve().unwrap_err();
        assert!(error.to_string().contains(&format!("token_helper in ~/{name} is not an absolute path")), "{error}");
    }
    let home = home(&[(".vault", ""), ("other", helper), ("ansible", "hunter2 $ecret"), (".vault-token", "hvs.login")]);
    assert_eq!(token(&at().env("HOME", home.path())).unwrap().0, "hvs.login");
    let named = at().env("HOME", home.path()).env("VAULT_CONFIG_PATH", home.path().join("other"));
    assert!(named.resolve().unwrap_err().to_string().contains("token_helper in VAULT_CONFIG_PATH"));
    // A password that Ansible keeps there is not quoted.
    let error =
        at().env("HOME", home.path()).env("VAULT_CONFIG_PATH", home.path().join("ansible")).resolve().unwrap_err();
    assert!(!format!("{error} {:?}", error.causes()).contains("hunter2"), "{error}");
}

/// A command of Vault's own CLI, as it is told what leads to Vault.
fn shown(handed: &HandOn) -> String {
    handed.cli.run("status").to_string()
}

#[test]
fn other_commands_are_told_what_the_environment_does_not_say() {
    let handed = |said: Said| said.resolve().unwrap().hand_on();
    // A shell with the same environment knows all of it.
    let by_environment = handed(at().env("VAULT_NAMESPACE", "team").env("VAULT_CACERT", "ca.pem"));
    assert_eq!(by_environment, HandOn::default());
    assert_eq!(shown(&handed(said().env("BAO_ADDR", "https://bao.example"))), "bao status");

    let by_flag = handed(at().flag(|args| {
        args.address = Some("https://other.example:8200/".to_owned());
        args.namespace = Some("team".to_owned());
        args.ca_cert = Some("ca.pem".into());
    }));
    let values = ["https://other.example:8200", "team", "ca.pem"];
    let flags = ["--address", values[0], "--namespace", values[1], "--ca-cert", values[2]];
    assert_eq!(by_flag.flags, flags);
    assert_eq!(
        shown(&by_flag),
        "VAULT_ADDR=https://other.example:8200 VAULT_NAMESPACE=team VAULT_CACERT=ca.pem vault status"
    );

    // For `bao` its own variables win, and it alone knows BAO_TOKEN.
    let bao = said().env("BAO_TOKEN", "s.token").env("BAO_NAMESPACE", "elsewhere").flag(|args| {
        args.address = Some("https://other.example:8200".to_owned());
        args.namespace = Some(String::new());
    });
    let bao = handed(bao);
    assert_eq!(bao.flags, ["--address", values[0], "--namespace", ""]);
    assert_eq!(shown(&bao), "BAO_ADDR=https://other.example:8200 BAO_NAMESPACE='' bao status");

    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "hvs.token").unwrap();
    let by_token_file = handed(at().flag(|args| args.token_file = Some(file.path().to_owned())));
    assert_eq!(by_token_file.flags, ["--token-file", &file.path().display().to_string()]);

    // `vaultk8s` reads the file again; Vault's own CLI doesn't.
    let by_file = handed(said().file(|section| section.address = Some(url("https://file.example"))));
    assert_eq!(by_file.flags, Vec::<String>::new());
    assert_eq!(shown(&by_file), "VAULT_ADDR=https://file.example vault status");
}

#[test]
fn the_program_that_is_there_is_the_one_that_is_called() {
    let folder = |programs: &[&str]| {
        let folder = tempfile::tempdir().unwrap();
        for program in programs {
            std::fs::write(folder.path().join(program), "").unwrap();
        }
        folder
    };
    let (vault, bao, both) = (folder(&["vault"]), folder(&["bao"]), folder(&["vault", "bao"]));
    let of_vault = || at().env("VAULT_TOKEN", "t");
    let of_bao = || said().env("BAO_ADDR", "https://vault.example").env("BAO_TOKEN", "t").env("BAO_NAMESPACE", "n");
    let told = "VAULT_ADDR=https://vault.example VAULT_NAMESPACE=n VAULT_TOKEN=\"$BAO_TOKEN\" vault status";
    for (path, said, called) in [
        (&vault, of_vault(), "vault status"),
        // It reads the other's variables.
        (&bao, of_vault(), "bao status"),
        (&both, of_vault(), "vault status"),
        (&both, of_bao(), "bao status"),
        (&bao, of_bao(), "bao status"),
        // It doesn't.
        (&vault, of_bao(), told),
    ] {
        let handed = said.env("PATH", path.path()).resolve().unwrap().hand_on();
        assert_eq!(shown(&handed), called);
    }
    // What may be a secret is named, and not written out.
    let of_bao = of_bao()
        .env("BAO_PROXY_ADDR", "http://u:p@proxy:1")
        .env("BAO_TLS_SERVER_NAME", "v.example")
        .env("BAO_SKIP_VERIFY", "1")
        .env("BAO_CAPATH", "/cas")
        .env("BAO_CACERT_BYTES", "pem")
        .env("BAO_CLIENT_CERT", "/cert")
        .env("BAO_CLIENT_KEY", "/key");
    let handed = of_bao.env("PATH", vault.path()).resolve().unwrap().hand_on();
    let more = "VAULT_PROXY_ADDR=\"$BAO_PROXY_ADDR\" VAULT_TLS_SERVER_NAME=\"$BAO_TLS_SERVER_NAME\" VAULT_SKIP_VERIFY=\"$BAO_SKIP_VERIFY\" \
                VAULT_CACERT_BYTES=\"$BAO_CACERT_BYTES\" VAULT_CAPATH=\"$BAO_CAPATH\" VAULT_CLIENT_CERT=\"$BAO_CLIENT_CERT\" \
                VAULT_CLIENT_KEY=\"$BAO_CLIENT_KEY\" vault";
    assert_eq!(shown(&handed), told.replace(" vault ", &format!(" {more} ")));
    let of_vault =
        at().env("VAULT_PROXY_ADDR", "http://proxy:1").env("PATH", vault.path()).resolve().unwrap().hand_on();
    assert_eq!(shown(&of_vault), "vault status");
    // An empty variable of OpenBao's is the root namespace; `vault` would take that of its own.
    for (path, called) in [(&vault, "VAULT_NAMESPACE='' vault status"), (&bao, "bao status")] {
        let said = at().env("VAULT_NAMESPACE", "team").env("BAO_NAMESPACE", "").env("PATH", path.path());
        assert_eq!(shown(&said.resolve().unwrap().hand_on()), called);
    }
    let none = at().resolve().unwrap();
    assert!(none.require_token().unwrap_err().remedies()[0].contains("`vault login`"));
    let none = at().env("PATH", bao.path()).resolve().unwrap();
    assert!(none.require_token().unwrap_err().remedies()[0].contains("`bao login`"));
}

#[test]
fn debug_output_of_settings_holds_no_token() {
    let settings = at().env("VAULT_TOKEN", "hvs.secret").resolve().unwrap();
    assert!(!format!("{settings:?}").contains("hvs.secret"));
}

#[test]
fn http_to_this_machine_is_in_the_clear_where_a_proxy_elsewhere_carries_it() {
    let away = "http://192.0.2.2:3128";
    for (address, variables, is_clear) in [
        ("http://vault.example", &[][..], true),
        ("https://vault.example", &[("VAULT_PROXY_ADDR", away)], false),
        ("http://127.0.0.1:8200", &[], false),
        ("http://[::1]:8200", &[("VAULT_PROXY_ADDR", "http://127.0.0.1:3128")], false),
        ("http://localhost:8200", &[("VAULT_PROXY_ADDR", away)], true),
        ("http://127.0.0.1:8200", &[("BAO_PROXY_ADDR", "socks5://192.0.2.2")], true),
        // What is for all servers leaves this machine alone.
        ("http://127.0.0.1:8200", &[("HTTP_PROXY", away), ("HTTPS_PROXY", away)], false),
    ] {
        let environment = Environment::from_pairs(variables.iter().copied());
        let proxies = Proxies::for_vault(&environment).unwrap();
        assert_eq!(is_in_the_clear(&url(address), &proxies), is_clear, "{address} {variables:?}");
        let resolved =
            variables.iter().fold(said().env("VAULT_ADDR", address), |said, (name, value)| said.env(name, value));
        assert_eq!(resolved.resolve().is_err(), is_clear, "{address} {variables:?}");
    }
}
