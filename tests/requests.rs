//! What the example files cost: the requests of a bootstrap and of a diagnosis, by method and kind of path, counted in front of
//! real servers. More than stands here is a step back; where it gets fewer, the number here gets smaller too.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lab::{Tally, VaultOptions, VaultServer};

use crate::command::{Vaultk8s, external_secrets, testdata};

/// At most so many requests of a method to a kind of path.
type Most<'a> = &'a [(&'a str, usize)];

/// Servers with nothing in them, and what counts the requests to them.
struct Counted {
    server: VaultServer,
    vault: Tally,
    cluster: Tally,
    home: tempfile::TempDir,
    config: String,
}

impl Counted {
    /// With an example file, adapted to the lab.
    fn new(config: &str) -> Self {
        let lab = lab::shared();
        external_secrets(lab);
        let server = VaultServer::start(&VaultOptions::default());
        let vault = Tally::start(server.address(), server.authority().pem());
        let cluster = Tally::start(lab.kubernetes_server(), lab.kubernetes_ca());
        let home = tempfile::tempdir().unwrap();
        let (ca, own_ca) = (STANDARD.encode(lab.kubernetes_ca()), STANDARD.encode(cluster.authority().pem()));
        let kubeconfig = std::fs::read_to_string(lab.kubeconfig()).unwrap();
        let kubeconfig = kubeconfig.replace(lab.kubernetes_server(), cluster.url()).replace(&ca, &own_ca);
        for (file, text) in [
            ("kubeconfig", kubeconfig.as_str()),
            ("vault-ca.pem", vault.authority().pem()),
            ("ca.pem", lab.kubernetes_ca()),
        ] {
            std::fs::write(home.path().join(file), text).unwrap();
        }
        let text = std::fs::read_to_string(testdata(&format!("configs/{config}"))).unwrap();
        // Vault itself asks the cluster, past what counts.
        let auth = format!("caCert: {}\n      method: kubernetes", home.path().join("ca.pem").display());
        let config = text
            .replace("https://vault.example.internal:8200", vault.url())
            .replace("https://rke-api.example.internal:6443", lab.kubernetes_server())
            .replace("method: kubernetes", &auth)
            .replace("vault-auth", &lab.unique("vault-auth"));
        Self { server, vault, cluster, home, config }
    }

    /// Runs a command, which has to be content, and compares what it asks of either server with what it may ask at most.
    fn costs(&self, args: &[&str], vault: Most<'_>, cluster: Most<'_>) {
        self.vault.take();
        self.cluster.take();
        let file = |name: &str| self.home.path().join(name);
        let command = Vaultk8s::new(args.iter().copied()).env("KUBECONFIG", file("kubeconfig")).config(&self.config);
        let command = command.env("VAULT_ADDR", self.vault.url()).env("VAULT_CACERT", file("vault-ca.pem"));
        command.env("VAULT_TOKEN", self.server.root_token()).run().exits(0);
        within("Vault", args, self.vault.take(), vault);
        within("the cluster", args, self.cluster.take(), cluster);
    }
}

fn within(server: &str, args: &[&str], asked: Vec<(String, String)>, most: Most<'_>) {
    let mut counted = BTreeMap::<String, usize>::new();
    for (method, path) in asked {
        *counted.entry(format!("{method} {}", kind(&path))).or_default() += 1;
    }
    let most: BTreeMap<_, _> = most.iter().copied().collect();
    let beyond: Vec<_> =
        counted.iter().filter(|(what, count)| **count > most.get(what.as_str()).copied().unwrap_or_default()).collect();
    assert!(beyond.is_empty(), "{args:?} asks {server} more than it did: {beyond:?}\nall of it: {counted:#?}");
    let total: usize = counted.values().sum();
    assert!(total > 0, "{args:?} asks {server} past what counts");
}

/// A path without the names in it.
fn kind(path: &str) -> String {
    let mut kind: Vec<&str> = Vec::new();
    for word in path.trim_start_matches("/v1/").trim_start_matches('/').split('/') {
        let named = ["acl", "role", "namespaces", "serviceaccounts", "secrets", "clusterrolebindings"];
        match kind.last() {
            // What is below a KV mount is a name to its end.
            Some(&("data" | "metadata")) => {
                kind.push("*");
                break;
            }
            Some(last) if named.contains(last) => kind.push("*"),
            _ => kind.push(word),
        }
    }
    kind.join("/")
}

#[test]
fn of_the_talos_homelab() {
    let counted = Counted::new("talos.yaml");
    counted.costs(
        &["plan"],
        &[("GET sys/auth", 1), ("GET sys/mounts/secret", 1), ("LIST sys/policies/detailed/acl", 1)],
        &[("GET .well-known/openid-configuration", 1), ("GET openid/v1/jwks", 1)],
    );
    // From nothing.
    counted.costs(
        &["bootstrap"],
        &[
            ("GET auth/jwt-taloslmn/config", 1),
            ("GET auth/jwt-taloslmn/role/*", 6),
            ("GET sys/auth", 4),
            ("GET sys/mounts/secret", 1),
            ("LIST auth/jwt-taloslmn/cel/role", 1),
            ("LIST auth/jwt-taloslmn/role", 1),
            ("LIST sys/policies/acl", 1),
            ("LIST sys/policies/detailed/acl", 2),
            ("POST auth/jwt-taloslmn/config", 1),
            ("POST auth/jwt-taloslmn/login", 3),
            ("POST auth/jwt-taloslmn/role/*", 3),
            ("POST auth/token/revoke-self", 3),
            ("POST sys/auth/jwt-taloslmn", 1),
            ("POST sys/capabilities-self", 3),
            ("POST sys/policies/acl/*", 1),
        ],
        &[
            ("GET .well-known/openid-configuration", 1),
            ("GET openid/v1/jwks", 1),
            ("POST api/v1/namespaces/*/serviceaccounts/*/token", 3),
        ],
    );
    // Again, with nothing to do.
    counted.costs(
        &["bootstrap"],
        &[
            ("GET auth/jwt-taloslmn/config", 1),
            ("GET auth/jwt-taloslmn/role/*", 6),
            ("GET sys/auth", 2),
            ("GET sys/mounts/secret", 1),
            ("LIST auth/jwt-taloslmn/cel/role", 1),
            ("LIST auth/jwt-taloslmn/role", 1),
            ("LIST sys/policies/detailed/acl", 1),
            ("POST auth/jwt-taloslmn/login", 3),
            ("POST auth/token/revoke-self", 3),
            ("POST sys/capabilities-self", 3),
        ],
        &[
            ("GET .well-known/openid-configuration", 1),
            ("GET openid/v1/jwks", 1),
            ("POST api/v1/namespaces/*/serviceaccounts/*/token", 3),
        ],
    );
    counted.costs(
        &["verify-role", "r-eso-jwt-taloslmn-read"],
        &[
            ("GET auth/jwt-taloslmn/config", 1),
            ("GET auth/jwt-taloslmn/role/*", 1),
            ("GET auth/token/lookup-self", 1),
            ("GET sys/audit", 1),
            ("GET sys/auth", 1),
            ("GET sys/health", 2),
            ("GET sys/leader", 1),
            ("GET sys/mounts/secret", 1),
            ("GET sys/policies/acl/*", 2),
            ("GET sys/seal-status", 1),
            ("POST auth/jwt-taloslmn/login", 5),
            ("POST auth/token/revoke-self", 1),
            ("POST sys/capabilities-self", 1),
        ],
        &[
            ("GET .well-known/openid-configuration", 2),
            ("GET api/v1/namespaces/*/configmaps/kube-root-ca.crt", 1),
            ("GET api/v1/namespaces/*/serviceaccounts", 1),
            ("GET api/v1/namespaces/*/serviceaccounts/*", 1),
            ("GET api/v1/serviceaccounts", 1),
            ("GET apis/external-secrets.io", 1),
            ("GET openid/v1/jwks", 2),
            ("GET version", 2),
            ("POST api/v1/namespaces/*/serviceaccounts/*/token", 4),
        ],
    );
    counted.costs(
        &["verify-role", "--all"],
        &[
            ("GET auth/jwt-taloslmn/config", 1),
            ("GET auth/jwt-taloslmn/role/*", 3),
            ("GET auth/token/lookup-self", 1),
            ("GET sys/audit", 1),
            ("GET sys/auth", 1),
            ("GET sys/health", 4),
            ("GET sys/leader", 1),
            ("GET sys/mounts/secret", 1),
            ("GET sys/policies/acl/*", 2),
            ("GET sys/seal-status", 1),
            ("LIST auth/jwt-taloslmn/cel/role", 1),
            ("LIST auth/jwt-taloslmn/role", 1),
            ("POST auth/jwt-taloslmn/login", 15),
            ("POST auth/token/revoke-self", 3),
            ("POST sys/capabilities-self", 3),
        ],
        &[
            ("GET .well-known/openid-configuration", 2),
            ("GET api/v1/namespaces/*/configmaps/kube-root-ca.crt", 1),
            ("GET api/v1/namespaces/*/serviceaccounts", 1),
            ("GET api/v1/namespaces/*/serviceaccounts/*", 1),
            ("GET api/v1/serviceaccounts", 1),
            ("GET apis/external-secrets.io", 1),
            ("GET openid/v1/jwks", 2),
            ("GET version", 2),
            ("POST api/v1/namespaces/*/serviceaccounts/*/token", 12),
        ],
    );
}

#[test]
fn of_the_rke_homelab() {
    let counted = Counted::new("rke.yaml");
    counted.costs(
        &["plan"],
        &[("GET sys/auth", 1), ("GET sys/mounts/secret", 1), ("LIST sys/policies/detailed/acl", 1)],
        &[
            ("GET api/v1/namespaces/*", 1),
            ("GET api/v1/namespaces/*/secrets/*", 1),
            ("GET api/v1/namespaces/*/serviceaccounts/*", 1),
            ("GET apis/rbac.authorization.k8s.io/v1/clusterrolebindings/*", 1),
        ],
    );
    // From nothing.
    counted.costs(
        &["bootstrap"],
        &[
            ("GET auth/kubernetes/config", 2),
            ("GET auth/kubernetes/role/*", 6),
            ("GET sys/auth", 5),
            ("GET sys/mounts/secret", 1),
            ("LIST auth/kubernetes/role", 1),
            ("LIST sys/policies/acl", 1),
            ("LIST sys/policies/detailed/acl", 2),
            ("POST auth/kubernetes/config", 1),
            ("POST auth/kubernetes/login", 3),
            ("POST auth/kubernetes/role/*", 3),
            ("POST auth/token/revoke-self", 3),
            ("POST sys/auth/kubernetes", 1),
            ("POST sys/capabilities-self", 3),
            ("POST sys/policies/acl/*", 3),
        ],
        &[
            ("GET api/v1/namespaces/*", 2),
            // Again and again, until the controller manager has filled it.
            ("GET api/v1/namespaces/*/secrets/*", 60),
            ("GET api/v1/namespaces/*/serviceaccounts/*", 2),
            ("GET apis/rbac.authorization.k8s.io/v1/clusterrolebindings/*", 3),
            ("PATCH api/v1/namespaces/*", 1),
            ("PATCH api/v1/namespaces/*/secrets/*", 1),
            ("PATCH api/v1/namespaces/*/serviceaccounts/*", 2),
            ("POST api/v1/namespaces/*/serviceaccounts/*/token", 3),
            ("POST apis/authorization.k8s.io/v1/subjectaccessreviews", 46),
            ("POST apis/rbac.authorization.k8s.io/v1/clusterrolebindings", 1),
        ],
    );
    // Again, with nothing to do.
    counted.costs(
        &["bootstrap"],
        &[
            ("GET auth/kubernetes/config", 2),
            ("GET auth/kubernetes/role/*", 6),
            ("GET sys/auth", 2),
            ("GET sys/mounts/secret", 1),
            ("LIST auth/kubernetes/role", 1),
            ("LIST sys/policies/detailed/acl", 1),
            ("POST auth/kubernetes/login", 4),
            ("POST auth/token/revoke-self", 4),
            ("POST sys/capabilities-self", 3),
        ],
        &[
            ("GET api/v1/namespaces/*", 1),
            ("GET api/v1/namespaces/*/secrets/*", 1),
            ("GET api/v1/namespaces/*/serviceaccounts/*", 1),
            ("GET apis/rbac.authorization.k8s.io/v1/clusterrolebindings/*", 1),
            ("POST api/v1/namespaces/*/serviceaccounts/*/token", 4),
            ("POST apis/authorization.k8s.io/v1/subjectaccessreviews", 46),
        ],
    );
    counted.costs(
        &["verify-role", "external-secrets-example-api"],
        &[
            ("GET auth/kubernetes/config", 1),
            ("GET auth/kubernetes/role/*", 1),
            ("GET auth/token/lookup-self", 1),
            ("GET sys/audit", 1),
            ("GET sys/auth", 1),
            ("GET sys/health", 2),
            ("GET sys/leader", 1),
            ("GET sys/mounts/secret", 1),
            ("GET sys/policies/acl/*", 2),
            ("GET sys/seal-status", 1),
            ("POST auth/kubernetes/login", 5),
            ("POST auth/token/revoke-self", 1),
            ("POST sys/capabilities-self", 1),
        ],
        &[
            ("GET .well-known/openid-configuration", 1),
            ("GET api/v1/namespaces/*", 1),
            ("GET api/v1/namespaces/*/configmaps/kube-root-ca.crt", 1),
            // The reviewer's token, too: the relay that counts stands before the cluster with a CA of its own.
            ("GET api/v1/namespaces/*/secrets/*", 2),
            ("GET api/v1/namespaces/*/serviceaccounts", 1),
            ("GET api/v1/namespaces/*/serviceaccounts/*", 2),
            ("GET api/v1/serviceaccounts", 1),
            ("GET apis/external-secrets.io", 1),
            ("GET apis/rbac.authorization.k8s.io/v1/clusterrolebindings/*", 1),
            ("GET openid/v1/jwks", 1),
            ("GET version", 2),
            ("POST api/v1/namespaces/*/serviceaccounts/*/token", 4),
            ("POST apis/authorization.k8s.io/v1/subjectaccessreviews", 47),
        ],
    );
    counted.costs(
        &["verify-role", "--all"],
        &[
            ("GET auth/kubernetes/config", 1),
            ("GET auth/kubernetes/role/*", 3),
            ("GET auth/token/lookup-self", 1),
            ("GET sys/audit", 1),
            ("GET sys/auth", 1),
            ("GET sys/health", 4),
            ("GET sys/leader", 1),
            ("GET sys/mounts/secret", 1),
            ("GET sys/policies/acl/*", 4),
            ("GET sys/seal-status", 1),
            ("LIST auth/kubernetes/role", 1),
            ("POST auth/kubernetes/login", 15),
            ("POST auth/token/revoke-self", 3),
            ("POST sys/capabilities-self", 3),
        ],
        &[
            ("GET .well-known/openid-configuration", 1),
            ("GET api/v1/namespaces/*", 1),
            ("GET api/v1/namespaces/*/configmaps/kube-root-ca.crt", 1),
            // The reviewer's token, too: the relay that counts stands before the cluster with a CA of its own.
            ("GET api/v1/namespaces/*/secrets/*", 2),
            ("GET api/v1/namespaces/*/serviceaccounts", 1),
            ("GET api/v1/namespaces/*/serviceaccounts/*", 2),
            ("GET api/v1/serviceaccounts", 1),
            ("GET apis/external-secrets.io", 1),
            ("GET apis/rbac.authorization.k8s.io/v1/clusterrolebindings/*", 1),
            ("GET openid/v1/jwks", 1),
            ("GET version", 2),
            ("POST api/v1/namespaces/*/serviceaccounts/*/token", 12),
            ("POST apis/authorization.k8s.io/v1/subjectaccessreviews", 47),
        ],
    );
}
