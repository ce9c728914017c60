//! `render`: what other tools are given, and what they make of it.

use std::path::Path;

use lab::Kubernetes;
use serde_json::{Value, json};

use crate::command::{Answer, Vaultk8s, testdata};
use crate::kubernetes_fixture::API_AUDIENCE;
use crate::stores::cluster;

fn run(args: &[&str]) -> Answer {
    Vaultk8s::new(args.iter().copied()).run()
}

fn documents(text: &str) -> Vec<Value> {
    text.split("\n---\n").skip(1).map(|text| serde_saphyr::from_str(text).unwrap()).collect()
}

fn of<'d>(documents: &'d [Value], kind: &str, name: &str) -> &'d Value {
    let found = documents.iter().find(|one| one["kind"] == kind && one["metadata"]["name"] == name);
    found.unwrap_or_else(|| panic!("no {kind} {name} in {documents:?}"))
}

#[test]
fn both_homelabs_come_out_as_their_owners_wrote_them() {
    let talos = testdata("render/talos/vaultk8s.yaml").display().to_string();
    let found = documents(&run(&["render", "eso", "-f", &talos]).exits(0).stdout);
    let jwt = |role: &str| {
        json!({ "provider": { "vault": {
            "server": "https://vault.laughingmanlab.net", "path": "secret", "version": "v2",
            "auth": { "jwt": {
                "path": "jwt-taloslmn", "role": role,
                "kubernetesServiceAccountToken": {
                    "serviceAccountRef": { "name": "external-secrets", "namespace": "external-secrets" },
                    "audiences": ["vault"], "expirationSeconds": 600,
                },
            } },
        } } })
    };
    for (name, role) in [
        ("vault-minio", "r-eso_minio-jwt-taloslmn-read"),
        ("vault-velero", "r-eso_velero-jwt-taloslmn-read"),
        ("vault-rpi", "r-eso-jwt-taloslmn-read"),
    ] {
        assert_eq!(of(&found, "ClusterSecretStore", name)["spec"], jwt(role));
    }
    assert_eq!(
        *of(&found, "ExternalSecret", "demo-db-secret"),
        json!({
            "apiVersion": "external-secrets.io/v1", "kind": "ExternalSecret",
            "metadata": { "name": "demo-db-secret", "namespace": "eso-test" },
            "spec": {
                "refreshInterval": "1m",
                "secretStoreRef": { "kind": "ClusterSecretStore", "name": "vault-rpi" },
                "target": { "name": "demo-db-secret", "creationPolicy": "Owner", "deletionPolicy": "Delete" },
                "data": [{
                    "secretKey": "DB_PASSWORD",
                    "remoteRef": { "key": "k8s/taloslmn/demo-db", "property": "db_password" },
                }],
            },
        })
    );
    let rke = testdata("render/rke/vaultk8s.yaml").display().to_string();
    let found = documents(&run(&["render", "eso", "-f", &rke]).exits(0).stdout);
    for name in ["api", "worker", "admin"] {
        let store = of(&found, "ClusterSecretStore", &format!("vault-example-{name}"));
        assert_eq!(
            store["spec"],
            json!({ "provider": { "vault": {
                "server": "https://vault.example.internal:8200", "path": "secret", "version": "v2",
                "caProvider": { "type": "ConfigMap", "name": "vault-ca", "namespace": "external-secrets", "key": "ca.crt" },
                "auth": { "kubernetes": {
                    "mountPath": "kubernetes", "role": format!("external-secrets-example-{name}"),
                    "serviceAccountRef": { "name": "external-secrets", "namespace": "external-secrets" },
                } },
            } } })
        );
    }
    let ca = std::fs::read_to_string(testdata("render/rke/vault-ca.pem")).unwrap();
    let map = of(&found, "ConfigMap", "vault-ca");
    assert_eq!(
        (&map["metadata"]["namespace"], map["data"]["ca.crt"].as_str()),
        (&json!("external-secrets"), Some(ca.as_str()))
    );
    assert_eq!(of(&found, "ExternalSecret", "example-api-env-file")["spec"]["data"][0]["secretKey"], ".env");
    // As the files beside them have it, byte for byte.
    for (file, folder) in [(&talos, "talos"), (&rke, "rke")] {
        let folder = testdata(&format!("render/{folder}")).display().to_string();
        run(&["render", "eso", "-f", file, "--check", &folder]).exits(0).complains(&["as rendered"]);
    }
}

/// A configuration for the cluster with External Secrets' CRDs, each of whose stores is of another form.
fn round_trip(namespace: &str) -> String {
    let address = lab::shared().vault_address();
    format!(
        "vault: {{ address: '{address}', caCert: vault-ca.pem }}
clusters:
  - name: one
    auth: {{ method: jwt, mount: jwt-{namespace}, audience: vault }}
  - name: two
    auth:
      method: kubernetes
      mount: kubernetes-{namespace}
      audience: {API_AUDIENCE}
      reviewer: {{ serviceAccount: {namespace}/review, bindingName: {namespace}, token: secret }}
policies:
  - {{ name: p-{namespace}, read: '{namespace}/*', list: '{namespace}/*' }}
roles:
  - {{ name: r-app, serviceAccounts: {namespace}/app, policies: p-{namespace} }}
  - {{ name: r-two, serviceAccounts: [{namespace}/app, {namespace}/app2], policies: p-{namespace}, clusters: one }}
stores:
  - name: {namespace}-map
    clusters: one
    role: r-app
    caProvider: {{ name: vault-ca, namespace: {namespace} }}
    expirationSeconds: 15m
  - name: bundle
    clusters: one
    role: r-two
    serviceAccount: {namespace}/app
    kind: SecretStore
    namespace: {namespace}
    caBundle: vault-ca.pem
  - name: of-pods
    clusters: two
    role: r-app
    kind: SecretStore
    namespace: {namespace}
    caProvider: {{ name: vault-ca }}
secrets:
  - {{ name: db, namespace: {namespace}, clusters: one, store: {namespace}-map, refreshInterval: 5m, data: {{ password: '{namespace}/db#password', all: '{namespace}/db' }} }}
  - {{ name: db-two, namespace: {namespace}, clusters: one, store: bundle, data: {{ password: 'secret/{namespace}/db#password' }} }}
"
    )
}

/// Makes the Secret as the operator would.
fn make_its_secret(cluster: &Kubernetes, namespace: &str, document: &Value) {
    let keys = document["spec"]["data"].as_array().unwrap().iter().map(|key| key["secretKey"].as_str().unwrap());
    let data: Value =
        keys.map(|key| (key.to_owned(), Value::from("czNjcmV0"))).collect::<serde_json::Map<_, _>>().into();
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "data": data,
        "metadata": { "name": document["spec"]["target"]["name"], "namespace": namespace },
    });
    assert_eq!(cluster.post(&format!("/api/v1/namespaces/{namespace}/secrets"), &secret).0, 201);
}

#[test]
fn what_is_rendered_is_taken_and_found_in_order() {
    let cluster = cluster();
    let namespace = lab::unique("render");
    cluster.client().create_namespace(&namespace).unwrap();
    cluster.client().create_service_account(&namespace, "app").unwrap();
    cluster.client().create_service_account(&namespace, "app2").unwrap();
    lab::shared().vault().write(&format!("secret/data/{namespace}/db"), &json!({ "data": { "password": "s3cret" } }));
    let config = round_trip(&namespace);
    let ca = std::fs::read_to_string(lab::shared().vault_ca()).unwrap();
    let run = |args: &[&str]| {
        let run = Vaultk8s::new(args.iter().copied()).on_shared().env("KUBECONFIG", cluster.kubeconfig());
        run.config(&config).file("vault-ca.pem", &ca).unhidden().run()
    };
    run(&["bootstrap", "--yes"]).exits(0);
    run(&["render", "eso"]).exits(64).complains(&["has 2 clusters", "--cluster", "one, two"]);
    for name in ["one", "two"] {
        for document in documents(&run(&["render", "eso", "--cluster", name]).exits(0).stdout) {
            let (kind, version) = (document["kind"].as_str().unwrap(), document["apiVersion"].as_str().unwrap());
            let api = if version == "v1" { "/api/v1".to_owned() } else { format!("/apis/{version}") };
            let place =
                document["metadata"]["namespace"].as_str().map(|own| format!("/namespaces/{own}")).unwrap_or_default();
            let path = format!("{api}{place}/{}s?fieldValidation=Strict", kind.to_lowercase());
            let (status, answer) = cluster.client().post(&path, &document);
            // Of both clusters, which are one here.
            assert!(status == 201 || (status == 409 && kind == "ConfigMap"), "{path}: {answer}");
            if kind == "ExternalSecret" {
                make_its_secret(cluster.client(), &namespace, &document);
            }
        }
        let verified = run(&["verify-role", "--all", "--cluster", name, "-o", "json"]);
        let found = verified.json();
        assert_eq!(found["causes"], json!([]), "{}", verified.stdout);
        for id in ["VK911", "VK916", "VK917", "VK918"] {
            let sections = found["sections"].as_array().unwrap().iter();
            let mut checks = sections.flat_map(|section| section["checks"].as_array().unwrap());
            assert!(checks.any(|check| check["id"] == id && check["status"] == "passed"), "{id}: {}", verified.stdout);
        }
        verified.exits(0);
    }
}

#[test]
fn a_folder_keeps_what_is_somebody_else_s() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().display().to_string();
    let config = std::fs::read_to_string(testdata("render/talos/vaultk8s.yaml")).unwrap();
    let render = |config: &str, args: &[&str]| {
        let args = ["render", "eso"].into_iter().chain(args.iter().copied());
        Vaultk8s::new(args).config(config).run()
    };
    let store = |name: &str| folder.path().join(format!("taloslmn/clustersecretstore.{name}.yaml"));
    let list = || walk(folder.path());
    // Nothing is there: all is missing, and nothing is made by a check.
    render(&config, &["--check", &out]).exits(1).says(&["+kind: ClusterSecretStore"]).complains(&["4 files"]);
    assert!(list().is_empty());
    render(&config, &["--out", &out]).exits(0).complains(&["4 files", "4 written"]);
    render(&config, &["--out", &out]).exits(0).complains(&["0 written, 4 as they were"]);
    render(&config, &["--check", &out]).exits(0);
    // Changed by hand, it is shown, and written anew.
    let rendered = std::fs::read_to_string(store("vault-rpi")).unwrap();
    std::fs::write(store("vault-rpi"), rendered.replace("expirationSeconds: 600", "expirationSeconds: 3600")).unwrap();
    render(&config, &["--check", &out])
        .exits(1)
        .says(&["-            expirationSeconds: 3600", "+            expirationSeconds: 600"]);
    render(&config, &["--out", &out]).exits(0).complains(&["1 written"]);
    assert_eq!(std::fs::read_to_string(store("vault-rpi")).unwrap(), rendered);
    // Somebody else's stays, and nothing else is written.
    std::fs::write(store("vault-rpi"), "# mine\n").unwrap();
    std::fs::remove_file(store("vault-minio")).unwrap();
    render(&config, &["--out", &out]).exits(1).complains(&["vault-rpi.yaml is there", "--force"]);
    assert!(!store("vault-minio").exists());
    assert_eq!(std::fs::read_to_string(store("vault-rpi")).unwrap(), "# mine\n");
    render(&config, &["--check", &out]).exits(1).says(&["-# mine"]);
    render(&config, &["--out", &out, "--force"]).exits(0);
    // What is not rendered any more is told, and deleted when that is asked for; what is somebody else's never.
    std::fs::write(folder.path().join("taloslmn/mine.yaml"), "# mine\n").unwrap();
    let less = config.split("secrets:").next().unwrap();
    render(less, &["--check", &out]).exits(1).says(&["-kind: ExternalSecret"]).complains(&["1 file in"]);
    render(less, &["--out", &out]).exits(0).complains(&["is not rendered any more", "--prune"]);
    render(less, &["--out", &out, "--prune"]).exits(0).complains(&["1 deleted"]);
    render(less, &["--check", &out]).exits(0);
    assert_eq!(list().len(), 4, "{:?}", list());
    // A folder that is a file.
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    render(&config, &["--out", &file.display().to_string()]).exits(1).complains(&["file/taloslmn"]);
    render(&config, &["--out", &out, "--check", &out]).exits(64);
    render(&config, &["--prune"]).exits(64).complains(&["--out"]);
}

#[test]
fn argo_cd_is_told_of_chart_and_manifests() {
    let talos = testdata("render/talos/vaultk8s.yaml").display().to_string();
    let repository = "https://gitlab.com/vlspr-home/argocd/eso-talos-laughingmanlab-net.git";
    let args = ["render", "argocd", "-f", &talos, "--project", "internal", "--chart-version", "1.1.1"];
    let args: Vec<&str> =
        args.into_iter().chain(["--repository", repository, "--path", "manifests/external-secrets"]).collect();
    let [application] = documents(&run(&args).exits(0).stdout).try_into().unwrap();
    let values = json!({ "installCRDs": true, "serviceAccount": { "create": true, "name": "external-secrets" } });
    assert_eq!(
        application,
        json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
            "metadata": {
                "name": "external-secrets", "namespace": "argocd",
                "annotations": { "argocd.argoproj.io/sync-wave": "-10" },
            },
            "spec": {
                "project": "internal",
                "destination": { "server": "https://kubernetes.default.svc", "namespace": "external-secrets" },
                "sources": [
                    {
                        "repoURL": "https://charts.external-secrets.io", "chart": "external-secrets",
                        "targetRevision": "1.1.1",
                        "helm": { "releaseName": "external-secrets", "valuesObject": values },
                    },
                    { "repoURL": repository, "targetRevision": "main", "path": "manifests/external-secrets" },
                ],
                "syncPolicy": {
                    "automated": { "prune": true, "selfHeal": true },
                    "syncOptions": ["CreateNamespace=true", "ServerSideApply=true"],
                },
            },
        })
    );
    // Beside the stores, neither takes the other's file for one of its own.
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().display().to_string();
    run(&["render", "eso", "-f", &talos, "--out", &out]).exits(0);
    let with_out: Vec<&str> = args.iter().copied().chain(["--out", &out, "--prune"]).collect();
    run(&with_out).exits(0).complains(&["1 written"]);
    run(&["render", "eso", "-f", &talos, "--out", &out, "--prune"]).exits(0).complains(&["4 as they were"]);
    assert_eq!(walk(folder.path()).len(), 5);
    // A file with several clusters needs one to be named.
    let two = std::fs::read_to_string(testdata("configs/both.yaml")).unwrap();
    let args: Vec<&str> = args.iter().copied().filter(|arg| *arg != "-f" && *arg != talos).collect();
    Vaultk8s::new(args).config(&two).run().exits(64).complains(&["clusters", "--cluster"]);
}

fn walk(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(walk(&path));
        } else {
            found.push(path.display().to_string());
        }
    }
    found
}

#[test]
fn nothing_is_written_where_not_all_can_be() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().display().to_string();
    let config = std::fs::read_to_string(testdata("render/talos/vaultk8s.yaml")).unwrap();
    let render = |args: &[&str]| {
        let args = ["render", "eso"].into_iter().chain(args.iter().copied());
        Vaultk8s::new(args).config(&config).run()
    };
    let store = |name: &str| folder.path().join(format!("taloslmn/clustersecretstore.{name}.yaml"));
    std::fs::create_dir_all(store("vault-velero")).unwrap();
    for more in [&[][..], &["--force"]] {
        let args: Vec<&str> = ["--out", &out].iter().chain(more).copied().collect();
        render(&args).exits(1).complains(&["vault-velero.yaml is there"]);
        assert_eq!(walk(folder.path()), Vec::<String>::new(), "{more:?}");
    }
    std::fs::remove_dir(store("vault-velero")).unwrap();
    // Neither links nor files that look like something half-written are in its way, or written through.
    let outside = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(outside.path(), "precious").unwrap();
    std::os::unix::fs::symlink(outside.path(), store("vault-rpi")).unwrap();
    std::fs::write(store("vault-minio").with_extension("yaml.new"), "mine").unwrap();
    std::fs::write(folder.path().join("taloslmn/latin.yaml"), [0x66, 0xfc, 0x72]).unwrap();
    render(&["--out", &out]).exits(1).complains(&["vault-rpi.yaml is there", "--force"]);
    std::fs::remove_file(store("vault-rpi")).unwrap();
    render(&["--out", &out]).exits(0).complains(&["4 written"]);
    assert_eq!(std::fs::read_to_string(outside.path()).unwrap(), "precious");
    assert_eq!(std::fs::read_to_string(store("vault-minio").with_extension("yaml.new")).unwrap(), "mine");
    // Nor is what nobody writes to waited for.
    let pipe = folder.path().join("taloslmn/externalsecret.eso-test.demo-db-secret.yaml");
    std::fs::remove_file(&pipe).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    render(&["--check", &out]).exits(1).complains(&["1 file in"]);
    render(&["--out", &out]).exits(1).complains(&["demo-db-secret.yaml is there"]);
    std::fs::remove_file(&pipe).unwrap();
    render(&["--out", &out]).exits(0).complains(&["1 written"]);
    // Line ends of another system make no file somebody else's.
    let text = std::fs::read_to_string(store("vault-rpi")).unwrap();
    std::fs::write(store("vault-rpi"), text.replace('\n', "\r\n")).unwrap();
    let document = render(&["--check", &out, "-o", "json"]).exits(0).json();
    assert_eq!((&document["kind"], document["unchanged"].as_array().unwrap().len()), (&json!("RenderedFolder"), 4));
}

#[test]
fn a_cluster_that_is_gone_leaves_nothing_behind_in_silence() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().display().to_string();
    let config = |clusters: &[&str]| {
        let cluster = |name: &&str| {
            format!("  - {{ name: {name}, context: {name}, auth: {{ method: jwt, audience: vault }} }}\n")
        };
        format!(
            "vault: {{ address: 'https://vault.example.internal' }}
clusters:
{}policies:
  - {{ name: p, read: 'a/*' }}
roles:
  - {{ name: a_b, serviceAccounts: n/a, policies: p }}
",
            clusters.iter().map(cluster).collect::<String>()
        )
    };
    let render = |clusters: &[&str], args: &[&str]| {
        let args = ["render", "eso"].into_iter().chain(args.iter().copied());
        Vaultk8s::new(args).config(&config(clusters)).run()
    };
    render(&["one", "two"], &["--out", &out]).exits(0);
    render(&["one"], &["--cluster", "one", "--check", &out]).exits(0);
    let gone = render(&["one"], &["--check", &out, "-o", "json"]).exits(1).json();
    assert_eq!(gone["stale"], json!(["two/clustersecretstore.a-b.yaml"]));
    render(&["one"], &["--out", &out]).exits(0).complains(&["a-b.yaml is not rendered any more"]);
    render(&["one"], &["--out", &out, "--prune"]).exits(0).complains(&["1 deleted"]);
    render(&["one"], &["--check", &out]).exits(0);
    // Of two roles that would make one store neither does.
    let both = config(&["one"]) + "  - { name: a-b, serviceAccounts: n/b, policies: p }\n";
    let answer = Vaultk8s::new(["render", "eso"]).config(&both).run().exits(0);
    assert!(documents(&answer.stdout).is_empty(), "{}", answer.stdout);
    answer.complains(&["the role a_b of cluster one", "the role a-b of cluster one", "or that of another one"]);
}

#[test]
fn what_argo_cd_can_t_take_is_refused() {
    let talos = testdata("render/talos/vaultk8s.yaml").display().to_string();
    let good = [
        ("--repository", "git@git.example.internal:team/cluster.git"),
        ("--path", "manifests/taloslmn"),
        ("--chart-version", "1.1.1"),
    ];
    let args = |changed: &[(&str, &str)]| -> Vec<String> {
        let rest = good.iter().filter(|(name, _)| !changed.iter().any(|(other, _)| other == name));
        let pairs = rest.chain(changed).flat_map(|(name, value)| [(*name).to_owned(), (*value).to_owned()]);
        ["render", "argocd", "-f", &talos].into_iter().map(str::to_owned).chain(pairs).collect()
    };
    let render = |changed: &[(&str, &str)]| Vaultk8s::new(args(changed).iter().map(String::as_str)).run();
    render(&[]).exits(0);
    for (name, value) in [
        ("--repository", "https://somebody:hush@git.example.internal/x.git"),
        ("--repository", "ftp://git.example.internal/x.git"),
        ("--repository", "cluster.git"),
        ("--path", "../manifests"),
        ("--path", ""),
        ("--chart-version", ""),
        ("--revision", "a b"),
        ("--argocd-namespace", "X Y"),
        ("--namespace", "External"),
        ("--destination", "foo"),
        ("--project", ""),
    ] {
        render(&[(name, value)]).exits(64).complains(&[name]);
    }
    // The operator, which may read every Secret, doesn't get the account of an app.
    let config = "clusters: [{ name: c, auth: { method: jwt, audience: vault } }]\npolicies: [{ name: p, read: 'a/*' }]\nroles: [{ name: r, serviceAccounts: apps/one, policies: p }]\n";
    let rest = args(&[]).into_iter().filter(|arg| *arg != "-f" && *arg != talos).collect::<Vec<_>>();
    let answer = Vaultk8s::new(rest.iter().map(String::as_str)).config(config).run().exits(0);
    let [application] = documents(&answer.stdout).try_into().unwrap();
    assert_eq!(application["spec"]["destination"]["namespace"], "external-secrets");
    assert_eq!(application["spec"]["sources"][0]["helm"]["valuesObject"], json!({ "installCRDs": true }));
}

#[test]
fn without_stores_each_role_that_lets_in_one_account_has_one() {
    let config = "
vault: { address: 'https://vault.example.internal/below', namespace: team }
clusters: [{ name: c, auth: { method: jwt, mount: j, audience: [a, b] } }]
policies: [{ name: p, read: 'x/*', kv: team-kv }]
roles:
  - { name: r_one, serviceAccounts: a/b, policies: p }
  - { name: r-two, serviceAccounts: [a/b, a/c], policies: p }
";
    let config = config.replace("audience: [a, b]", "audience: a");
    let answer = Vaultk8s::new(["render", "eso"]).config(&config).run();
    let answer = answer.exits(0).complains(&["r-two", "lets in 2 service accounts", "serviceAccount"]);
    let [store] = documents(&answer.stdout).try_into().unwrap();
    assert_eq!(store["metadata"], json!({ "name": "r-one" }));
    let vault = &store["spec"]["provider"]["vault"];
    assert_eq!(
        (&vault["server"], &vault["namespace"], &vault["path"]),
        (&json!("https://vault.example.internal/below"), &json!("team"), &json!("team-kv"))
    );
    let beta = Vaultk8s::new(["render", "eso", "--api-version", "v1beta1"]).config(&config).run().exits(0);
    beta.says(&["external-secrets.io/v1beta1"]);
    let json = Vaultk8s::new(["render", "eso", "-o", "json"]).config(&config).run().exits(0).json();
    assert_eq!(
        (&json["kind"], &json["files"][0]["path"]),
        (&json!("Rendered"), &json!("c/clustersecretstore.r-one.yaml"))
    );
    let nowhere = config.replace("address: 'https://vault.example.internal/below', ", "");
    Vaultk8s::new(["render", "eso"])
        .config(&nowhere)
        .run()
        .exits(64)
        .complains(&["where the store r-one finds Vault", "vault.address"]);
}
