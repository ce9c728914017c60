//! Reading a cluster: the small pipes, every kind of signing key, and the ways in which a cluster can refuse.

use lab::{ControlPlane, ControlPlaneOptions, KeyKind, ServiceAccountKey};
use serde_json::json;

use crate::command::{Vaultk8s, testdata};

#[test]
fn issuer_jwks_and_pem_from_the_cluster_a_file_and_a_pipe() {
    let lab = lab::shared();
    let kube = |args: &[&str]| Vaultk8s::new(args.iter().copied()).env("KUBECONFIG", lab.kubeconfig());
    let jwks = lab.kubectl_get_raw("/openid/v1/jwks");

    let issuer = kube(&["issuer"]).run().exits(0).stdout;
    assert_eq!(issuer, format!("{}\n", lab.kubernetes_server()));
    let discovery = lab.kubectl_get_raw("/.well-known/openid-configuration");
    assert_eq!(Vaultk8s::new(["issuer", "-"]).stdin(discovery).run().exits(0).stdout, issuer);

    let from_cluster = kube(&["pem", "--context", lab.context()]).run().exits(0).stdout;
    let from_pipe = Vaultk8s::new(["pem"]).stdin(&*jwks).run().exits(0).stdout;
    assert_eq!(from_cluster, from_pipe);
    assert!(from_pipe.starts_with("-----BEGIN PUBLIC KEY-----\n"), "{from_pipe}");

    let again = kube(&["jwks", "--context", lab.context()]).run().exits(0).stdout;
    assert_eq!(Vaultk8s::new(["pem"]).stdin(&*again).run().exits(0).stdout, from_pipe);
    let document = Vaultk8s::new(["jwks", "-o", "json"]).stdin(&*again).run().exits(0).json();
    let set: serde_json::Value = serde_json::from_str(&jwks).unwrap();
    assert_eq!((&document["kind"], &document["keys"]), (&json!("JsonWebKeySet"), &set["keys"]));
}

#[test]
fn an_empty_pipe_is_an_error() {
    for command in ["pem", "jwks"] {
        Vaultk8s::new([command])
            .stdin("\n")
            .run()
            .exits(1)
            .complains(&["standard input is empty", "kubectl get --raw"]);
    }
}

#[test]
fn clusters_that_sign_with_elliptic_curves_are_trusted_too() {
    for kind in [KeyKind::EcP256, KeyKind::EcP384, KeyKind::EcP521] {
        let keys = vec![ServiceAccountKey::generate(kind).unwrap()];
        let cluster = ControlPlane::start(&ControlPlaneOptions { keys, ..ControlPlaneOptions::default() });
        cluster.client().create_namespace("app").unwrap();
        cluster.client().create_service_account("app", "app").unwrap();
        let lab = lab::shared();
        let (mount, policy) = (lab.mount("jwt-ec"), lab.unique("p-ec"));
        let config = format!(
            "clusters: [{{ name: ec, auth: {{ method: jwt, mount: {mount}, audience: vault }} }}]
policies: [{{ name: {policy}, read: [ec/*] }}]
roles: [{{ name: r, serviceAccounts: [app/app], policies: [{policy}] }}]
"
        );
        let run = |args: &[&str]| {
            Vaultk8s::new(args.iter().copied())
                .on_shared()
                .env("KUBECONFIG", cluster.kubeconfig())
                .config(&config)
                .run()
        };
        run(&["bootstrap"]).exits(0).says(&["1 login verified"]);
        run(&["plan", "--detailed-exitcode"]).exits(0);
    }
}

#[test]
fn vault_takes_the_pem_of_every_kind_of_key() {
    let lab = lab::shared();
    let mount = lab.mount("jwt-kinds");
    lab.vault().write(&format!("sys/auth/{mount}"), &json!({ "type": "jwt" }));
    let mut pems = Vec::new();
    for kind in ["rsa-2048", "rsa-3072", "rsa-4096", "p256", "p384", "p521", "ed25519"] {
        let file = testdata(&format!("jwks/{kind}.json")).display().to_string();
        pems.push(Vaultk8s::new(["pem", &file]).run().exits(0).stdout);
    }
    lab.vault().write(&format!("auth/{mount}/config"), &json!({ "jwt_validation_pubkeys": pems }));
    let held = lab.vault().read(&format!("auth/{mount}/config"))["data"]["jwt_validation_pubkeys"].clone();
    let held: Vec<String> = serde_json::from_value(held).unwrap();
    assert_eq!(held, pems.iter().map(|pem| pem.trim().to_owned()).collect::<Vec<_>>());
}

#[test]
fn no_kubeconfig_and_an_unknown_context_are_wrong_usage() {
    let lab = lab::shared();
    Vaultk8s::new(["issuer"]).run().exits(64).complains(&["no kubeconfig", "KUBECONFIG"]);
    Vaultk8s::new(["issuer", "--kubeconfig", "nowhere"]).run().exits(64).complains(&["nowhere is not there"]);
    Vaultk8s::new(["issuer", "--context", "nowhere"])
        .env("KUBECONFIG", lab.kubeconfig())
        .run()
        .exits(64)
        .complains(&["no context \"nowhere\"", lab.context()]);
}

#[test]
fn a_cluster_that_refuses_discovery_says_what_is_missing() {
    let lab = lab::shared();
    Vaultk8s::new(["issuer", "--as", "nobody"])
        .env("KUBECONFIG", lab.kubeconfig())
        .run()
        .exits(1)
        .complains(&["forbids the issuer", "system:service-account-issuer-discovery"]);

    let kubeconfig =
        std::fs::read_to_string(lab.kubeconfig()).unwrap().replace(lab.kubernetes().admin_token(), "wrong");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), kubeconfig).unwrap();
    Vaultk8s::new(["issuer"])
        .env("KUBECONFIG", file.path())
        .run()
        .exits(1)
        .complains(&["does not accept these credentials", "log in to the cluster again"]);
}

#[test]
fn keys_that_are_no_keys_are_refused() {
    let private = r#"{"keys":[{"kty":"RSA","kid":"leaked","n":"AQAB","e":"AQAB","d":"c2VjcmV0"}]}"#;
    for (jwks, code, words) in [
        // What is something else is the wrong input; keys that must not be trusted are a failure.
        ("<html>", 64, vec!["a web page", "not a JSON Web Key Set"]),
        (r#"{"keys":[]}"#, 1, vec!["no key"]),
        ("[]", 1, vec!["keys"]),
        (private, 1, vec!["leaked", "private"]),
    ] {
        for command in ["pem", "jwks"] {
            let answer = Vaultk8s::new([command]).stdin(jwks).run().exits(code).complains(&words);
            assert_eq!(answer.stdout, "");
            assert!(!answer.stderr.contains("c2VjcmV0"));
        }
    }
}

#[test]
fn secrets_of_a_kubeconfig_are_never_shown() {
    const SECRET: &str = "verysecret";
    let folder = tempfile::tempdir().unwrap();
    let plugin = folder.path().join("plugin");
    std::fs::write(&plugin, format!("#!/bin/sh\necho {SECRET}; echo {SECRET} >&2; exit $STATUS\n")).unwrap();
    std::fs::set_permissions(&plugin, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let exec = |status: &str| {
        format!(
            "{{ exec: {{ apiVersion: client.authentication.k8s.io/v1, command: {}, args: [{SECRET}], \
             env: [{{ name: STATUS, value: \"{status}\" }}], interactiveMode: Never }} }}",
            plugin.display()
        )
    };
    let kubeconfig = |cluster: &str, user: &str| {
        format!(
            "apiVersion: v1
kind: Config
current-context: c
contexts: [{{ name: c, context: {{ cluster: c, user: u }} }}]
clusters: [{{ name: c, cluster: {{ server: \"https://127.0.0.1:1\"{cluster} }} }}]
users:
  - name: u
    user: {user}
"
        )
    };
    let token = format!("{{ token: {SECRET} }}");
    for (text, words) in [
        (kubeconfig("", &format!("{{ token: \"{SECRET}\\q\" }}")), "at line 8"),
        (kubeconfig("", &exec("3")), "credential plugin"),
        (kubeconfig("", &exec("0")), "did not print an ExecCredential"),
        (kubeconfig(&format!(", proxy-url: \"http://user:{SECRET}@127.0.0.1:9/\""), &token), "proxy-url"),
        (kubeconfig("", &format!("{{ client-certificate-data: \"{SECRET}!\", client-key-data: x }}")), "is not base64"),
        (kubeconfig("", &format!("{{ token: \"{SECRET}\\n\" }}")), "can't be sent"),
        (kubeconfig("", &token), "Connection refused"),
    ] {
        let file = folder.path().join("kubeconfig");
        std::fs::write(&file, text).unwrap();
        for format in ["text", "json"] {
            let answer = Vaultk8s::new(["issuer", "-o", format]).env("KUBECONFIG", &file).run();
            assert!(!format!("{}{}", answer.stdout, answer.stderr).contains(SECRET), "{}", answer.stderr);
            assert_ne!(answer.code, 0);
            answer.complains(&[words]);
        }
    }
}
