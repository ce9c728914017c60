//! A healthy lab of an entry's own: a mount, a policy, a role, a service account and a secret, and the command line that
//! looks at them.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use lab::{
    BrokenLogins, ControlPlane, ControlPlaneOptions, Kubernetes, Mount, Relay, ShiftedClock, Vault, VaultOptions,
    VaultServer,
};
use serde_json::{Value, json};

use crate::stores::{self, Stores};

/// The audience of the lab's API server, and so of tokens that were asked for without one.
pub const API_AUDIENCE: &str = "https://kubernetes.default.svc.cluster.local";

/// The file of a run's capture.
const CAPTURE: &str = "capture.json";

/// What is in the secret, and nowhere else.
const HIDDEN: &str = "hidden-value";

/// What sort of lab an entry wants. The default is the `jwt` method, looked at by its configuration file.
#[derive(Debug, Default)]
pub struct Shape {
    /// The kubernetes method.
    pub kubernetes: bool,
    /// `verify-role` is told by flags, without a file.
    pub flags: bool,
    /// A Vault of its own.
    pub vault: Option<VaultOptions>,
    /// A cluster of its own.
    pub cluster: Option<ControlPlaneOptions>,
    /// The secrets are below a KV mount of version 1.
    pub kv1: bool,
    /// They are below a KV mount whose path has a slash.
    pub nested: bool,
    /// More fields of `auth`, each with a comma in front.
    pub auth: &'static str,
    /// More fields of the role, each with a comma in front.
    pub role: &'static str,
    /// The token of the reviewer: `secret` unless set.
    pub reviewer: Option<&'static str>,
    /// What the cluster needs before anything else, with the namespace of the service account.
    pub prepare: Option<fn(&Kubernetes, &str)>,
    /// The role has a second policy, which grants something else.
    pub second: bool,
    /// A store of External Secrets uses the role, in a cluster where that is installed.
    pub store: bool,
    /// The kubernetes mount's host is a relay in front of the API server.
    pub relay: bool,
}

/// The `jwt` method, looked at by its configuration file.
pub fn jwt() -> Shape {
    Shape::default()
}

/// The `jwt` method, looked at by flags.
pub fn flags() -> Shape {
    Shape { flags: true, ..jwt() }
}

/// The lab of one entry.
pub struct Setup {
    pub server: Option<VaultServer>,
    pub plane: Option<ControlPlane>,
    /// A server that has to live on for a while.
    pub spare: Option<VaultServer>,
    /// A cluster that has to live on for a while.
    pub spare_plane: Option<ControlPlane>,
    /// The way by which the kubernetes mount asks the API server.
    pub relay: Option<Relay>,
    /// What stands in front of Vault and tells another time.
    pub clock: Option<ShiftedClock>,
    /// What stands in front of Vault and does something to logins.
    pub logins: Option<BrokenLogins>,
    /// Servers of somebody else's, which have to live on for a while.
    pub others: Vec<Box<dyn std::any::Any>>,
    pub mount: Mount,
    pub policy: String,
    pub namespace: String,
    /// The KV mount.
    pub kv: String,
    /// The arguments of `verify-role`.
    pub args: Vec<String>,
    /// The environment of all commands.
    pub environment: BTreeMap<&'static str, String>,
    /// The configuration file.
    pub file: PathBuf,
    /// What tells labs of its shape from others.
    pub shape: String,
    stores: Option<Stores>,
    kubernetes: bool,
    home: tempfile::TempDir,
}

impl Setup {
    /// Sets a healthy lab up.
    pub fn new(shape: Shape) -> Self {
        let shared = lab::shared();
        let whole = format!("{shape:?}");
        let server = shape.vault.as_ref().map(VaultServer::start);
        let plane = shape.cluster.as_ref().map(ControlPlane::start);
        let home = tempfile::tempdir().unwrap();
        let installed = shape.store.then(stores::cluster);
        let cluster = plane.as_ref().or(installed);
        let client = cluster.map_or(shared.kubernetes(), ControlPlane::client);
        let namespace = client.namespace("app");
        client.service_account(&namespace, "app");
        if let Some(prepare) = shape.prepare {
            prepare(client, &namespace);
        }
        let mut environment = BTreeMap::from([("HOME", home.path().display().to_string())]);
        let vault = server.as_ref().map_or(shared.vault(), VaultServer::client);
        let (mount, policy) = (Mount::new(vault, "catalogue"), lab::unique("p-catalogue"));
        let ca = server.as_ref().map_or(shared.vault_ca(), VaultServer::ca);
        let token = server.as_ref().map_or(shared.root_token(), VaultServer::root_token);
        environment.insert("VAULT_ADDR", vault.address().to_owned());
        environment.insert("VAULT_TOKEN", token.to_owned());
        if vault.address().starts_with("https") {
            environment.insert("VAULT_CACERT", ca.display().to_string());
        }
        let kubeconfig = cluster.map_or(shared.kubeconfig().to_owned(), ControlPlane::kubeconfig);
        environment.insert("KUBECONFIG", kubeconfig.display().to_string());
        environment.insert("PATH", shims(home.path()));

        let kv = kv_mount(&shape, vault);
        let (path, body) = if shape.kv1 {
            (format!("{kv}/{namespace}/db"), json!({ "password": HIDDEN }))
        } else {
            (format!("{kv}/data/{namespace}/db"), json!({ "data": { "password": HIDDEN } }))
        };
        vault.write(&path, &body);
        let auth = if shape.kubernetes {
            let reviewer = shape.reviewer.unwrap_or("secret");
            let names = if reviewer == "client" {
                String::new()
            } else {
                format!("serviceAccount: {namespace}-review/vault-auth, bindingName: {namespace}-review, ")
            };
            format!(
                "method: kubernetes, mount: {mount}, audience: {API_AUDIENCE}, reviewer: {{ {names}token: {reviewer} }}"
            )
        } else {
            format!("method: jwt, mount: {mount}, audience: vault")
        };
        let relay = shape.relay.then(|| Relay::start(client.server()));
        let host = relay.as_ref().map(|relay| format!(", host: {}", relay.url())).unwrap_or_default();
        let (more, role) = (shape.auth, shape.role);
        let (second, named) = if shape.second {
            (format!("\n  - {{ name: {policy}-second, read: [{namespace}-second/*] }}"), format!(", {policy}-second"))
        } else {
            (String::new(), String::new())
        };
        let config = format!(
            "kv: {kv}
clusters:
  - name: lab
    auth: {{ {auth}{host}{more} }}
policies:
  - name: {policy}
    read: [{namespace}/*]
    list: [{namespace}/*]{second}
roles:
  - {{ name: r-app, serviceAccounts: [{namespace}/app], policies: [{policy}{named}], ttl: 10m{role} }}
"
        );
        let file =
            if shape.flags { home.path().join("set-up/vaultk8s.yaml") } else { home.path().join("vaultk8s.yaml") };
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, &config).unwrap();
        let account = format!("{namespace}/app");
        let mut args: Vec<String> = ["verify-role", "-o", "json", "--kv", &kv].map(str::to_owned).into();
        args.extend(["--path".to_owned(), format!("{namespace}/db#password")]);
        if shape.flags {
            args.extend(["--mount", &mount, "--role", "r-app", "--service-account", &account].map(str::to_owned));
            if shape.kubernetes {
                match shape.reviewer {
                    Some("bound") => args.extend([
                        "--reviewer".to_owned(),
                        format!("{namespace}-review/vault-auth"),
                        "--reviewer-token=bound".to_owned(),
                    ]),
                    Some("client") => args.extend(["--reviewer-token", "client"].map(str::to_owned)),
                    _ => args.extend(["--reviewer".to_owned(), format!("{namespace}-review/vault-auth")]),
                }
            } else {
                args.extend(["--audience", "vault"].map(str::to_owned));
            }
        } else {
            args.push("r-app".to_owned());
        }
        let kubernetes = shape.kubernetes;
        let (spare, spare_plane, clock, logins) = (None, None, None, None);
        let stores = None;
        let mut setup = Self {
            server,
            plane,
            spare,
            spare_plane,
            relay,
            clock,
            logins,
            others: Vec::new(),
            mount,
            policy,
            namespace,
            kv,
            args,
            environment,
            file,
            shape: whole,
            stores,
            kubernetes,
            home,
        };
        setup.bootstrap();
        if shape.store {
            setup.stores = Some(Stores::create(kubernetes, &setup.mount, "r-app", &setup.namespace));
        }
        setup
    }

    /// Lets Vault hold what the file says.
    pub fn bootstrap(&self) {
        let answer = self.shell(&format!("vaultk8s bootstrap --yes --approve take-over -f {}", self.file.display()));
        assert!(answer.status.success(), "the bootstrap failed:\n{}", shown(&answer));
    }

    /// Runs a command as whoever reads the remedy would.
    pub fn shell(&self, command: &str) -> Output {
        // As people have at their terminals: the words of others that have line breaks stand there as `$'…'`.
        let mut shell = Command::new("/bin/bash");
        shell.args(["-c", command]).env_clear().envs(&self.environment).current_dir(self.home.path());
        shell.output().unwrap()
    }

    /// Runs `verify-role`: its exit code and what it says.
    pub fn verify(&self) -> (i32, Value, String) {
        let (code, _, said, all) = self.verify_and_capture();
        (code, said, all)
    }

    /// Runs `verify-role`: its exit code, its capture, and what it says.
    pub fn verify_and_capture(&self) -> (i32, String, Value, String) {
        let mut command = Command::new(snapbox::cmd::cargo_bin!("vaultk8s"));
        command.args(&self.args).env_clear().envs(&self.environment).current_dir(self.home.path());
        let answer = command.arg("--capture").arg(CAPTURE).output().unwrap();
        assert!(!shown(&answer).contains(HIDDEN), "a secret is told: {}", shown(&answer));
        let capture = if answer.stdout.is_empty() { String::new() } else { self.told_elsewhere(&answer) };
        let said = serde_json::from_slice(&answer.stdout).unwrap_or_default();
        (answer.status.code().unwrap_or(-1), capture, said, shown(&answer))
    }

    /// The capture of a run, which tells the same as the run did to somebody who has nothing but it, and holds no secret.
    fn told_elsewhere(&self, answer: &Output) -> String {
        let own = self.home.path().join(CAPTURE);
        let text = std::fs::read_to_string(&own).expect("a run that tells something captures it");
        std::fs::remove_file(own).unwrap();
        assert_eq!(leaked(&text, &[HIDDEN, &self.environment["VAULT_TOKEN"]]), Vec::<&str>::new());
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(CAPTURE);
        std::fs::write(&file, &text).unwrap();
        let mut command = Command::new(snapbox::cmd::cargo_bin!("vaultk8s"));
        command.args(["verify-role", "-o", "json", "--from"]).arg(&file).env_clear().current_dir(folder.path());
        let told = command.output().unwrap();
        let whole = |answer: &Output| (answer.status.code(), String::from_utf8_lossy(&answer.stdout).into_owned());
        let (there, here) = (whole(answer), whole(&told));
        assert!(there == here, "its capture tells otherwise:\n{}\n--- and not\n{}", shown(&told), shown(answer));
        text
    }

    /// A client of the entry's Vault, as root.
    pub fn vault(&self) -> &Vault {
        self.server.as_ref().map_or(lab::shared().vault(), VaultServer::client)
    }

    /// A client of the entry's cluster, as `cluster-admin`.
    pub fn cluster(&self) -> &Kubernetes {
        let installed = self.stores.as_ref().map(|_| stores::cluster());
        self.plane.as_ref().or(installed).map_or(lab::shared().kubernetes(), ControlPlane::client)
    }

    /// The store that uses the role, and what refers to it.
    pub fn stores(&self) -> &Stores {
        self.stores.as_ref().unwrap()
    }

    /// Changes fields of the role, and leaves the others.
    pub fn role(&self, fields: Value) {
        let mut body =
            if self.kubernetes { json!({}) } else { json!({ "role_type": "jwt", "bound_claims_type": "string" }) };
        merge(&mut body, fields);
        self.vault().write(&format!("auth/{}/role/r-app", self.mount), &body);
    }

    /// Changes fields of the mount's configuration, and leaves the others, the reviewer's token included.
    pub fn mount_config(&self, fields: Value) {
        let path = format!("auth/{}/config", self.mount);
        let mut body = self.vault().read(&path)["data"].clone();
        if self.kubernetes {
            let kept = self.reviewer_jwt();
            body["token_reviewer_jwt"] = kept.into();
        }
        merge(&mut body, fields);
        self.vault().write(&path, &body);
    }

    /// The token in the reviewer's Secret.
    pub fn reviewer_jwt(&self) -> String {
        self.jwt_in(&self.reviewer_secret())
    }

    /// The token in the Secret at this path, empty until it is filled.
    pub fn jwt_in(&self, secret: &str) -> String {
        use base64::Engine as _;
        let (_, secret) = self.cluster().get(secret);
        let token = secret["data"]["token"].as_str().unwrap_or_default();
        String::from_utf8(base64::engine::general_purpose::STANDARD.decode(token).unwrap()).unwrap()
    }

    /// The path of the reviewer's Secret.
    pub fn reviewer_secret(&self) -> String {
        format!("/api/v1/namespaces/{}-review/secrets/vault-auth-token", self.namespace)
    }

    /// The path of the role's service account.
    pub fn account(&self) -> String {
        format!("/api/v1/namespaces/{}/serviceaccounts/app", self.namespace)
    }

    /// Writes the policy.
    pub fn write_policy(&self, name: &str, text: &str) {
        self.vault().write(&format!("sys/policies/acl/{name}"), &json!({ "policy": text }));
    }

    /// Writes a file in the working directory.
    pub fn write_file(&self, name: &str, text: &str) {
        std::fs::write(self.home.path().join(name), text).unwrap();
    }

    /// Lets `verify-role` log in with this token, in place of one that it asks the cluster for.
    pub fn present(&mut self, token: &str) {
        self.write_file("token", token);
        self.option("--audience", None);
        self.option("--jwt-file", Some("token"));
    }

    /// Gives an option of `verify-role` another value, or drops it.
    pub fn option(&mut self, name: &str, value: Option<&str>) {
        if let Some(at) = self.args.iter().position(|arg| arg == name) {
            self.args.drain(at..at + 2);
        }
        self.args.extend(value.into_iter().flat_map(|value| [name.to_owned(), value.to_owned()]));
    }
}

/// The tokens in a text, of Kubernetes and of Vault, and those of these words that are in it.
pub fn leaked<'a>(text: &'a str, words: &[&'a str]) -> Vec<&'a str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let is_token = |word: &&str| {
        let is_long = word.len() > 20;
        is_long
            && (word.starts_with("eyJ")
                || ["hvs.", "hvb.", "s.", "b.", "hvr.", "r."].iter().any(|start| word.starts_with(start)))
    };
    let tokens = text.split(|c| !plain(c)).filter(is_token);
    tokens.chain(words.iter().copied().filter(|word| !word.is_empty() && text.contains(word))).collect()
}

/// The KV mount that a shape wants: one of those that every Vault of the lab has, or one of its own.
fn kv_mount(shape: &Shape, vault: &Vault) -> String {
    match shape {
        Shape { nested: true, .. } => {
            let mount = format!("{}/kv", lab::unique("team"));
            vault.write(&format!("sys/mounts/{mount}"), &json!({ "type": "kv", "options": { "version": "2" } }));
            // A new mount of version 2 refuses requests for a moment.
            while vault.get(&format!("{mount}/config")).0 != 200 {
                std::thread::yield_now();
            }
            mount
        }
        Shape { kv1: true, .. } => "kv1".to_owned(),
        _ => "secret".to_owned(),
    }
}

/// Fields of an object over those of another.
fn merge(body: &mut Value, fields: Value) {
    for (name, value) in fields.as_object().unwrap() {
        body[name] = value.clone();
    }
}

/// A `PATH` with what the remedies call: `vaultk8s` as it was built, `vault`, which is OpenBao's program in this lab, and
/// `kubectl`.
fn shims(home: &Path) -> String {
    let folder = home.join("bin");
    std::fs::create_dir_all(&folder).unwrap();
    let shared = lab::shared();
    let vaultk8s = snapbox::cmd::cargo_bin!("vaultk8s");
    for (name, program) in [("vaultk8s", vaultk8s), ("vault", shared.vault_program()), ("kubectl", shared.kubectl())] {
        let path = folder.join(name);
        std::fs::write(&path, format!("#!/bin/sh\nexec '{}' \"$@\"\n", program.display())).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    format!("{}:{}", folder.display(), std::env::var("PATH").unwrap_or_default())
}

/// What a command printed.
pub fn shown(answer: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&answer.stdout), String::from_utf8_lossy(&answer.stderr))
}
