//! Dangerous edits of a configuration: each must be caught, by the reading of the file, by a login, by an expectation or by the
//! comparison with the version before, and in words that say what is wrong.

use super::Rehearsal;
use crate::command;

const BASE: &str = include_str!("../../testdata/rehearse/base.yaml");

/// How an edit is caught.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    /// The file is refused, as by every command.
    Refusal,
    /// It is read with a warning, as by every command, and the rehearsal ends with this code; what it does is in the comparison.
    Warning(i32),
    /// The rehearsal fails.
    Failure,
    /// Nothing is wrong by itself: what changes for whom is told.
    Comparison,
}
use By::{Comparison, Failure, Refusal, Warning};

struct Mutation {
    what: &'static str,
    from: &'static str,
    to: &'static str,
    by: By,
    words: &'static [&'static str],
}

const fn edit(
    what: &'static str,
    from: &'static str,
    to: &'static str,
    by: By,
    words: &'static [&'static str],
) -> Mutation {
    Mutation { what, from, to, by, words }
}

/// The roles of `api` and `web` have this in common.
const OWN_POLICIES: &str = "policies: [p-{each}-read, p-web-keep-out]";

const MUTATIONS: &[Mutation] = &[
    // Paths.
    edit(
        "a path of all applications",
        "read: prod/{each}/*",
        "read: prod/*",
        Failure,
        &[
            "✗ nobody but api/app of prod can read secret/prod/api/*",
            "web/app of prod can, through r-web, on secret/data/prod/api/",
            "gains read secret/prod/* through r-api",
            "including secret/prod/deploy/*, secret/prod/edge/*",
        ],
    ),
    edit(
        "the whole mount",
        "read: staging/*",
        "read: '*'",
        Warning(1),
        &[
            "this reads every secret of the KV mount \"secret\"",
            "✗ external-secrets/external-secrets of staging cannot read secret/prod/*",
        ],
    ),
    edit(
        "another cluster's path",
        "read: staging/*",
        "read: prod/api/*",
        Failure,
        &[
            "external-secrets/external-secrets of staging can, through r-staging, on secret/data/prod/api/",
            "gains read secret/prod/api/* through r-staging",
            "loses read secret/staging/*",
        ],
    ),
    edit(
        "a glob without its slash",
        "read: staging/*",
        "read: staging*",
        Comparison,
        &["gains read secret/staging* through r-staging", "as before on secret/staging/*"],
    ),
    edit("any segment", "read: staging/*", "read: +/staging/*", Failure, &["gains read secret/+/staging/*"]),
    edit(
        "a mistyped path",
        "read: prod/{each}/*",
        "read: prd/{each}/*",
        Failure,
        &[
            "✗ api/app of prod can read secret/prod/api/db",
            "r-api does not give it on secret/data/prod/api/db",
            "loses read secret/prod/web/*",
        ],
    ),
    edit(
        "another KV mount",
        "    read: staging/*",
        "    kv: team\n    read: staging/*",
        Comparison,
        &["gains read team/staging/* through r-staging", "loses read secret/staging/*"],
    ),
    edit(
        "the API's path in place of the secret's",
        "read: staging/*",
        "read: data/staging/*",
        Refusal,
        &["begins with `data/`"],
    ),
    edit("a relative path", "read: staging/*", "read: staging/../prod/*", Refusal, &["it has a relative segment"]),
    // Verbs and rules.
    edit(
        "writing in place of reading",
        "read: staging/*",
        "write: staging/*",
        Comparison,
        &["gains write secret/staging/*", "loses read secret/staging/*"],
    ),
    edit(
        "writing beside reading",
        "    read: prod/{each}/*",
        "    read: prod/{each}/*\n    write: prod/*",
        Warning(1),
        &["this policy gives more than one permission", "✗ nobody but api/app of prod can write secret/prod/api/*"],
    ),
    edit(
        "deleting",
        "    read: staging/*",
        "    read: staging/*\n    delete: staging/*",
        Warning(1),
        &["more than one permission", "✗ nobody can delete secret/*"],
    ),
    edit(
        "making tokens",
        "    read: staging/*",
        "    rules: [{ path: auth/token/create, capabilities: [update] }]",
        Warning(0),
        &[
            "gains update auth/token/create through r-staging",
            "can give itself more than the file says: it can make tokens that outlive it",
        ],
    ),
    edit(
        "writing policies",
        "    read: staging/*",
        "    rules: [{ path: sys/policies/acl/*, capabilities: [update, sudo] }]",
        Warning(0),
        &["gains update, sudo sys/policies/acl/*", "it can write policies, reach protected paths (sudo)"],
    ),
    edit(
        "writing policies, in other words",
        "    read: staging/*",
        "    rules: [{ path: '+/policies/+/+', capabilities: [update] }]",
        Warning(0),
        &["can give itself more than the file says: it can write policies"],
    ),
    edit(
        "writing its own role",
        "    read: staging/*",
        "    rules: [{ path: 'auth/+/role/*', capabilities: [update] }]",
        Warning(0),
        &["it can write roles and users of auth methods"],
    ),
    edit(
        "the whole mount, in other words",
        "read: staging/*",
        "read: ['+/+', '+/*']",
        Warning(1),
        &[
            "this reads every secret of the KV mount \"secret\" that is 2 deep",
            "✗ external-secrets/external-secrets of staging cannot read secret/prod/*",
        ],
    ),
    edit(
        "a folder in place of what is in it",
        "read: staging/*",
        "read: staging/",
        Warning(0),
        &["\"staging/\" ends in a slash, and so does no secret", "loses read secret/staging/*"],
    ),
    edit(
        "listing a folder from below",
        "    read: staging/*",
        "    rules: [{ path: secret/metadata/prod/*, capabilities: [list] }]",
        Warning(0),
        &["gains list secret/prod/*"],
    ),
    edit(
        "metadata, by which versions go",
        "    read: staging/*",
        "    rules: [{ path: secret/metadata/staging/*, capabilities: [update] }]",
        Failure,
        &["✗ nobody can delete secret/*", "through r-staging, on secret/metadata/staging/"],
    ),
    edit(
        "the mount's own configuration",
        "    read: staging/*",
        "    rules: [{ path: secret/config, capabilities: [update] }]",
        Failure,
        &["✗ nobody can delete secret/*", "through r-staging, on secret/config"],
    ),
    edit(
        "versions brought back",
        "    read: staging/*",
        "    rules: [{ path: secret/undelete/prod/*, capabilities: [update] }]",
        Failure,
        &["✗ nobody can delete secret/*", "✗ nobody but api/app of prod can write secret/prod/api/*"],
    ),
    edit(
        "everything",
        "    read: staging/*",
        "    rules: [{ path: '*', capabilities: [read] }]",
        Failure,
        &["gains read * through r-staging", "✗ external-secrets/external-secrets of staging cannot read secret/prod/*"],
    ),
    edit(
        "a rule in place of a verb",
        "    read: staging/*",
        "    rules: [{ path: secret/data/prod/*, capabilities: [read] }]",
        Warning(1),
        &["this rule is about the KV mount \"secret\"", "gains read secret/prod/*"],
    ),
    edit(
        "destroying",
        "    read: staging/*",
        "    rules: [{ path: secret/destroy/staging/*, capabilities: [update] }]",
        Failure,
        &["gains update secret/destroy/staging/*"],
    ),
    edit(
        "a denial dropped",
        "policies: [p-{each}-read, p-web-keep-out]",
        "policies: p-{each}-read",
        Warning(0),
        &["gains read secret/prod/web/root through r-web"],
    ),
    edit(
        "a denial that misses",
        "path: secret/data/prod/web/root",
        "path: secret/data/prod/web/roots",
        Comparison,
        &["gains read secret/prod/web/root through r-web"],
    ),
    edit(
        "any length of path",
        "read: staging/*",
        "read: ['staging/+/*', staging/*]",
        Comparison,
        &["no service account gains or loses access by a policy"],
    ),
    edit(
        "a rule that defeats a denial",
        "rules: [{ path: secret/data/prod/web/root, capabilities: [deny] }]",
        "rules: [{ path: secret/data/prod/+/root, capabilities: [deny] }, { path: secret/data/prod/web/root, capabilities: [list] }]",
        Warning(0),
        &["gains list secret/data/prod/web/root through r-web"],
    ),
    edit(
        "any application's secret of one name",
        "read: staging/*",
        "read: prod/+/password",
        Failure,
        &[
            "gains read secret/prod/+/password",
            "external-secrets/external-secrets of staging can, through r-staging, on secret/data/prod/",
            "✗ nobody but api/app of prod can read secret/prod/api/*",
        ],
    ),
    edit(
        "a path that Vault fills in",
        "read: staging/*",
        "read: 'prod/{{identity.entity.name}}/*'",
        Failure,
        &[
            "✗ external-secrets/external-secrets of staging cannot read secret/prod/*",
            "may, through r-staging, where the server makes it so of secret/data/prod/{{identity.entity.name}}/*",
        ],
    ),
    edit(
        "metadata, and with it every version, deleted",
        "    read: staging/*",
        "    rules: [{ path: secret/metadata/prod/*, capabilities: [delete] }]",
        Failure,
        &["✗ nobody can delete secret/*", "gains delete secret/metadata/prod/*"],
    ),
    edit(
        "a part of a secret written",
        "    read: staging/*",
        "    rules: [{ path: secret/data/prod/web/*, capabilities: [patch] }]",
        Failure,
        &["✗ nobody but web/app of prod can write secret/prod/web/*"],
    ),
    // Who gets which policies.
    edit(
        "swapped policies",
        OWN_POLICIES,
        "policies: [p-api-read, p-web-keep-out]",
        Failure,
        &[
            "gains read secret/prod/api/* through r-web",
            "loses read secret/prod/web/*",
            "✗ nobody but api/app of prod can read secret/prod/api/*",
        ],
    ),
    edit(
        "one more policy",
        "policies: p-staging-read",
        "policies: [p-staging-read, p-edge-read]",
        Failure,
        &[
            "gains read secret/prod/edge/* through r-staging",
            "✗ external-secrets/external-secrets of staging cannot read secret/prod/*",
        ],
    ),
    edit(
        "a policy of nobody's",
        "policies: p-staging-read",
        "policies: p-staging-reed",
        Refusal,
        &["there is no policy \"p-staging-reed\"", "did you mean \"p-staging-read\""],
    ),
    edit("the policy root", "policies: p-staging-read", "policies: root", Refusal, &["which allows everything"]),
    edit(
        "names that are one to Vault",
        "name: p-edge-read",
        "name: P-Deploy-Write",
        Refusal,
        &["two policies are named \"p-deploy-write\""],
    ),
    edit(
        "another name for a role",
        "name: r-staging",
        "name: r-stage",
        Comparison,
        &[
            "keeps read secret/staging/* through r-stage, no longer through r-staging",
            "role r-stage of staging is new: audience https://kubernetes.default.svc.cluster.local",
            "role r-staging of staging is gone",
        ],
    ),
    // Who is let in.
    edit(
        "another namespace",
        "serviceAccounts: ci/deployer",
        "serviceAccounts: default/deployer",
        Comparison,
        &[
            "default/deployer of prod",
            "gains write secret/prod/deploy/* through r-deploy",
            "ci/deployer of prod",
            "loses write secret/prod/deploy/*",
        ],
    ),
    edit(
        "everybody's account",
        "serviceAccounts: external-secrets/external-secrets",
        "serviceAccounts: external-secrets/default",
        Failure,
        &[
            "external-secrets/default of staging",
            "gains read secret/staging/*",
            // What is expected of the former account is nothing any more.
            "external-secrets/external-secrets of staging can't log in through any role, so nothing was tried",
        ],
    ),
    edit(
        "one account more",
        "serviceAccounts: ci/deployer",
        "serviceAccounts: [ci/deployer, ci/default]",
        Comparison,
        &["ci/default of prod", "gains write secret/prod/deploy/* through r-deploy"],
    ),
    edit(
        "a glob on a jwt mount",
        "serviceAccounts: ci/deployer",
        "serviceAccounts: '*/deployer'",
        Refusal,
        &["it contains a wildcard"],
    ),
    edit(
        "a glob without its opt-in",
        "serviceAccounts: external-secrets/external-secrets",
        "serviceAccounts: external-secrets/*",
        Refusal,
        &["it contains a wildcard", "allowGlobs"],
    ),
    edit(
        "a glob with its opt-in",
        "serviceAccounts: external-secrets/external-secrets",
        "serviceAccounts: external-secrets/*\n    allowGlobs: true",
        Warning(0),
        &[
            "lets in service accounts that nobody listed: whatever matches external-secrets/*",
            "whatever matches external-secrets/* of staging",
            "gains read secret/staging/* through r-staging",
            "allowGlobs is true, and was false: looser",
        ],
    ),
    edit(
        "all accounts",
        "serviceAccounts: external-secrets/external-secrets",
        "serviceAccounts: '*/*'\n    allowGlobs: true",
        Refusal,
        &["it lets in every service account of the cluster"],
    ),
    edit(
        "names × namespaces",
        "serviceAccounts: external-secrets/external-secrets",
        "serviceAccounts: [a/x, b/y]",
        Refusal,
        &["a kubernetes role binds every name in every namespace, so also a/y, b/x"],
    ),
    edit(
        "a namespace in place of its account",
        "    serviceAccounts: ci/deployer",
        "    boundClaims: { /kubernetes.io/namespace: ci }",
        Warning(0),
        &[
            "it lets in every service account of the namespace ci",
            "whoever has /kubernetes.io/namespace ci of prod",
            "gains write secret/prod/deploy/* through r-deploy",
        ],
    ),
    edit(
        "a glob of subjects",
        "    serviceAccounts: ci/deployer",
        "    boundClaims: { sub: 'system:serviceaccount:*' }\n    allowGlobs: true",
        Warning(0),
        &["is tied to no single account", "whoever has sub system:serviceaccount:* of prod"],
    ),
    edit(
        "a claim dropped",
        "    boundClaims: { /kubernetes.io/namespace: '{each}' }\n",
        "",
        Comparison,
        &[
            "role r-api of prod: boundClaims /kubernetes.io/namespace is any, and was api: looser",
            "role r-web of prod: boundClaims /kubernetes.io/namespace is any, and was web: looser",
        ],
    ),
    edit(
        "a claim that no token has",
        "/kubernetes.io/namespace: '{each}'",
        "team: '{each}'",
        Failure,
        &["✗ r-api", "its login was refused", "✗ api/app of prod can read secret/prod/api/db"],
    ),
    edit(
        "a pod in place of its namespace",
        "/kubernetes.io/namespace: '{each}'",
        "/kubernetes.io/pod/name: '{each}'",
        Comparison,
        &["role r-api of prod: boundClaims /kubernetes.io/namespace is any, and was api: looser"],
    ),
    // Audiences.
    edit("no audience", "      audience: vault\n", "", Refusal, &["the cluster \"prod\" has no `audience`"]),
    edit(
        "any audience on a jwt mount",
        "    ttl: 10m",
        "    ttl: 10m\n    anyAudience: true",
        Refusal,
        &["`anyAudience` can't be used on the jwt mount of \"prod\""],
    ),
    edit(
        "any audience",
        "    ttl: 2h",
        "    ttl: 2h\n    anyAudience: true",
        Warning(0),
        &[
            "this role takes tokens of any audience",
            "role r-staging of staging: audience is any, and was https://kubernetes.default.svc.cluster.local: looser",
            "lets in another audience: anyAudience lets it in",
        ],
    ),
    edit(
        "the API server's own audience",
        "audience: vault",
        "audience: https://kubernetes.default.svc.cluster.local",
        Warning(0),
        &[
            "the API server's own audience, which every pod has",
            "audience is https://kubernetes.default.svc.cluster.local, and was vault",
        ],
    ),
    edit(
        "tokens for another audience",
        "    ttl: 10m",
        "    ttl: 10m\n    tokenAudiences: other",
        Refusal,
        &["no login can work: tokens are requested for \"other\", and the role requires \"vault\""],
    ),
    // Mounts, and whom they trust.
    edit(
        "two clusters on one mount",
        "mount: kubernetes-{cluster}",
        "mount: jwt-prod",
        Refusal,
        &["\"staging\" and \"prod\"", "the same mount \"jwt-prod\""],
    ),
    edit("a mount below another one", "mount: kubernetes-{cluster}", "mount: jwt-prod/staging", Refusal, &["jwt-prod"]),
    edit(
        "another cluster's context",
        "context: admin@staging",
        "context: admin@prod",
        Comparison,
        &["mount kubernetes-staging of staging: cluster is context admin@prod, and was context admin@staging"],
    ),
    edit(
        "another host",
        "host: https://staging.example.internal:6443",
        "host: https://api.example.com:6443",
        Comparison,
        &["host is https://api.example.com:6443/, and was https://staging.example.internal:6443/"],
    ),
    edit(
        "no CA",
        "      caCert: certs/staging.pem\n",
        "",
        Warning(0),
        &["caCert is the kubeconfig's, and was", "certs/staging.pem could not be read"],
    ),
    edit(
        "no reviewer",
        "        token: bound\n        lifetime: 1h",
        "        token: client",
        Warning(0),
        &["reviewer is vault-auth/vault-auth (client), and was vault-auth/vault-auth (bound)"],
    ),
    edit(
        "keys from elsewhere",
        "keys: pinned",
        "keys: jwksUrl\n      jwksUrl: https://keys.example.com/jwks",
        Comparison,
        &["mount jwt-prod of prod: keys is from https://keys.example.com/jwks, and was pinned"],
    ),
    edit(
        "another issuer",
        "keys: pinned",
        "keys: pinned\n      issuer: https://issuer.example.com",
        Comparison,
        &["issuer is https://issuer.example.com, and was as discovered"],
    ),
    edit(
        "roles that nobody lists",
        "      exclusive: true\n",
        "",
        Comparison,
        &["exclusive is false, and was true: looser"],
    ),
    edit(
        "another path of the mount",
        "mount: jwt-{cluster}",
        "mount: jwt",
        Comparison,
        &["mount jwt of prod: mount is jwt, and was jwt-prod"],
    ),
    edit(
        "a cluster left out of a role",
        "    clusters: staging\n    serviceAccounts",
        "    serviceAccounts",
        Comparison,
        &[
            "external-secrets/external-secrets of prod",
            "gains read secret/staging/* through r-staging",
            "role r-staging of prod is new",
        ],
    ),
    // For how long, how often and from where.
    edit(
        "a longer life",
        "    ttl: 2h",
        "    ttl: 30d",
        Comparison,
        &["role r-staging of staging: ttl is 30d, and was 2h: looser"],
    ),
    edit("a life without end", "    ttl: 2h", "    period: 1h", Comparison, &["period is 1h, and was none: looser"]),
    edit("no limit of uses", "    numUses: 5\n", "", Comparison, &["numUses is without limit, and was 5: looser"]),
    edit(
        "from anywhere",
        "    boundCidrs: 10.1.0.0/16\n",
        "",
        Comparison,
        &["boundCidrs is any, and was 10.1.0.0/16: looser"],
    ),
    edit(
        "from a wider network",
        "10.1.0.0/16",
        "10.0.0.0/8",
        Comparison,
        &["boundCidrs is 10.0.0.0/8, and was 10.1.0.0/16"],
    ),
    edit(
        "later than it is",
        "    ttl: 10m",
        "    ttl: 10m\n    clockSkewLeeway: 10m",
        Comparison,
        &["clockSkewLeeway is 600s"],
    ),
    edit(
        "a year later than it is",
        "    ttl: 10m",
        "    ttl: 10m\n    clockSkewLeeway: 8760h",
        Warning(0),
        &[
            "this role takes tokens that expired as long ago as 365d",
            "clockSkewLeeway is 31536000s, and was the server's: looser",
        ],
    ),
    edit(
        "tokens that can't be revoked",
        "    ttl: 1h\n    boundCidrs",
        "    ttl: 1h\n    tokenType: batch\n    boundCidrs",
        Comparison,
        &["tokenType is batch, and was default"],
    ),
    // What keeps all of this from being noticed.
    edit(
        "an expectation dropped",
        "  - nobodyBut: []\n    can: delete\n    paths: '*'\n",
        "",
        Comparison,
        &["no longer expected: nobody can delete secret/*"],
    ),
    edit(
        "an expectation weakened",
        "    cannot: read\n",
        "    cannot: delete\n",
        Comparison,
        &["no longer expected: external-secrets/external-secrets of staging cannot read secret/prod/*"],
    ),
    edit(
        "another Vault",
        "clusters:\n  - name: prod",
        "vault: { address: 'https://vault.example.com' }\nclusters:\n  - name: prod",
        Comparison,
        &["Vault: address is https://vault.example.com/, and was the environment's"],
    ),
];

fn rehearsed(config: &str) -> Rehearsal {
    let rehearsal = Rehearsal::of(config, ["--key-type", "ec", "--against", "base.yaml"]);
    rehearsal.with(|command| command.file("base.yaml", BASE))
}

#[test]
fn the_base_is_in_order() {
    let answer = rehearsed(BASE).run().exits(0);
    assert!(!answer.stderr.contains("warning"), "{}", answer.stderr);
    answer.says(&[
        "no service account gains or loses access by a policy",
        "8 expectations kept",
        "compared with base.yaml, 0 gain and 0 lose access, 0 terms to look at",
    ]);
}

#[test]
fn every_dangerous_edit_is_caught_in_the_right_words() {
    let mut missed = Vec::new();
    // A few at a time: each has a server of its own.
    for batch in MUTATIONS.chunks(4) {
        let running = batch.iter().map(|mutation| {
            assert!(BASE.contains(mutation.from), "{}", mutation.what);
            (mutation, rehearsed(&BASE.replacen(mutation.from, mutation.to, 1)).start())
        });
        for (mutation, running) in running.collect::<Vec<_>>() {
            let answer = running.finish();
            missed.extend(miss(mutation, &answer));
        }
    }
    assert!(missed.is_empty(), "{} of {} edits:\n{}", missed.len(), MUTATIONS.len(), missed.join("\n"));
    assert!(MUTATIONS.len() >= 40);
}

/// What is wrong with the answer to an edit.
fn miss(mutation: &Mutation, answer: &command::Answer) -> Option<String> {
    let all = format!("{}\n{}", answer.stdout, answer.stderr);
    let told: Vec<&str> = mutation.words.iter().copied().filter(|words| !all.contains(words)).collect();
    let warned = answer.stderr.contains("warning:");
    let expected = match mutation.by {
        Refusal => answer.code == 64,
        Warning(code) => answer.code == code && warned,
        Failure => answer.code == 1,
        Comparison => answer.code == 0 && !warned,
    };
    (!expected || !told.is_empty()).then(|| {
        let Mutation { what, by, .. } = mutation;
        format!("--- {what}: {by:?}, exit code {}, without the words {told:?}:\n{all}", answer.code)
    })
}
