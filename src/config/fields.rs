//! The fields of the file, as one table: what may stand where, and what it is for.
//!
//! `shape` checks files against it. Whatever else describes the format (a schema, a page of the manual) is made
//! from it too, so that a new field is one row here and one line where its value is used.

mod consumers;

use consumers::{SECRET, STORE};

/// A map with fields of its own: the whole file, a cluster, a role.
#[derive(Debug)]
pub(super) struct Section {
    /// What an error calls it, with its article.
    pub(super) what: &'static str,
    pub(super) fields: &'static [Field],
}

/// A field of a section.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) takes: Takes,
    /// Whether its section makes no sense without it.
    pub(super) required: bool,
    /// What it is for.
    pub(super) about: &'static str,
    /// What Vault and its Terraform provider call it: people paste from there.
    pub(super) also: &'static [&'static str],
}

/// What a field takes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Takes {
    /// Text.
    Text,
    /// A text or a list of texts.
    Texts,
    /// `true` or `false`.
    Flag,
    /// A whole number from 0.
    Count,
    /// A duration: seconds or `2h`.
    Duration,
    /// A duration, or -1 for none.
    Leeway,
    /// One of a few words.
    Word(&'static [&'static str]),
    /// One of a few words, or a section.
    WordOr(&'static [&'static str], &'static Section),
    /// A text, or a section.
    TextOr(&'static Section),
    /// A map of names to a text or a list of texts.
    Claims,
    /// A map of names to text, a flag or a whole number, as a server takes it.
    Settings,
    /// A selector of labels, as kubectl writes it or as the map of a `LabelSelector`.
    Labels,
    /// A section.
    Section(&'static Section),
    /// A list of sections.
    Sections(&'static Section),
}

pub(super) const fn field(name: &'static str, takes: Takes, about: &'static str) -> Field {
    Field { name, takes, required: false, about, also: &[] }
}

impl Field {
    pub(super) const fn required(self) -> Self {
        Self { required: true, ..self }
    }

    pub(super) const fn also(self, also: &'static [&'static str]) -> Self {
        Self { also, ..self }
    }
}

impl Section {
    pub(super) fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.name == name)
    }
}

/// The whole file.
pub(super) static FILE: Section = Section {
    what: "the file",
    fields: &[
        field("owner", Takes::Text, "whose file this is: a name that no other file of the same Vault has")
            .also(&["team", "ownedBy"]),
        field("vault", Takes::Section(&VAULT), "where Vault is; what is missing comes from the environment"),
        field("kv", Takes::TextOr(&KV), "the KV mount that paths are below; `secret` unless set"),
        field("clusters", Takes::Sections(&CLUSTER), "the clusters, each with its auth mount").required(),
        field("policies", Takes::Sections(&POLICY), "the policies"),
        field("roles", Takes::Sections(&ROLE), "the roles"),
        field(
            "stores",
            Takes::Sections(&STORE),
            "the stores of External Secrets that log in as these roles (`render eso`); one for each role unless set",
        ),
        field("secrets", Takes::Sections(&SECRET), "the Secrets that External Secrets is to make from them"),
        field(
            "expect",
            Takes::Sections(&EXPECTATION),
            "who can do what, and who can't: `vaultk8s rehearse` fails where it doesn't hold",
        ),
        field(
            "allow",
            Takes::Sections(&ALLOWANCE),
            "what logins may do beyond their policies, such as what the identity of all of them adds; else that fails verification",
        ),
    ],
};

static KV: Section = Section {
    what: "`kv`",
    fields: &[
        field("mount", Takes::Text, "the path of the KV mount").required().also(&["path"]),
        field(
            "create",
            Takes::Flag,
            "whether it is made, of version 2, where it isn't there; it is never changed nor deleted",
        ),
    ],
};

static VAULT: Section = Section {
    what: "`vault`",
    fields: &[
        field("address", Takes::Text, "the URL of Vault, else `VAULT_ADDR` or `BAO_ADDR`").also(&["addr", "url"]),
        field("caCert", Takes::Text, "a PEM file with the CA of Vault's certificate, else `VAULT_CACERT`"),
        field("namespace", Takes::Text, "the namespace to work in, else `VAULT_NAMESPACE`"),
    ],
};

static CLUSTER: Section = Section {
    what: "a cluster",
    fields: &[
        field("name", Takes::Text, "the name that `{cluster}` stands for").required(),
        field("context", Takes::Text, "a context of the kubeconfig; the current one unless set"),
        field("inCluster", Takes::Flag, "use the service account of the pod that this runs in"),
        field(
            "issuer",
            Takes::Text,
            "the issuer of a cluster that can't be reached from here: with `jwksFile`, or where Vault fetches the keys (`auth.keys`)",
        ),
        field("jwksFile", Takes::Text, "a file with the cluster's JWKS, with `issuer`").also(&["jwks"]),
        field("auth", Takes::Section(&AUTH), "the auth mount of this cluster").required(),
    ],
};

static AUTH: Section = Section {
    what: "`auth`",
    fields: &[
        field("method", Takes::Word(&["jwt", "kubernetes"]), "the auth method: `jwt` or `kubernetes`")
            .required()
            .also(&["type"]),
        field("mount", Takes::Text, "the path of the mount; `jwt-{cluster}` or `kubernetes-{cluster}` unless set")
            .also(&["path", "mount_path", "backend"]),
        field(
            "manage",
            Takes::Flag,
            "whether this file keeps the mount; with `false` another one does, and this one only has roles on it",
        )
        .also(&["managed"]),
        field("description", Takes::Text, "the description of the mount"),
        field(
            "keys",
            Takes::Word(&["pinned", "jwksUrl", "oidcDiscovery"]),
            "where Vault takes the cluster's keys from (jwt); `pinned` unless set",
        )
        .also(&["jwt_validation_pubkeys", "jwks_url", "oidc_discovery_url"]),
        field(
            "jwksUrl",
            Takes::Text,
            "the URL of the JWKS as Vault reaches it (`keys: jwksUrl`); as discovered unless set",
        ),
        field(
            "keyRetention",
            Takes::Duration,
            "how long a pinned key that the cluster no longer publishes is kept; 24h unless set, 0 drops it at once",
        ),
        field(
            "providerConfig",
            Takes::Settings,
            "what the mount is told of the provider behind the issuer (jwt); `provider: kubernetes` lets OpenBao ask its own cluster for the keys, with the credentials of its pod",
        )
        .also(&["provider_config"]),
        field("defaultRole", Takes::Text, "the role of a login that names none (jwt)").also(&["default_role"]),
        field(
            "unsupportedCriticalCertExtensions",
            Takes::Texts,
            "critical extensions of certificates, by their OIDs, that Vault doesn't know and is to pass over where it fetches keys (jwt, Vault alone)",
        )
        .also(&["unsupported_critical_cert_extensions"]),
        field("audience", Takes::Text, "the audience that its roles require").also(&["bound_audiences", "audiences"]),
        field("issuer", Takes::Text, "the issuer of the cluster's tokens; as discovered unless set")
            .also(&["bound_issuer"]),
        field("tune", Takes::Section(&TUNE), "the settings of the mount that decide about its logins; others stay")
            .also(&["config"]),
        field(
            "exclusive",
            Takes::Flag,
            "this file names every role of the mount: others are drift, which `--prune` deletes",
        ),
        field("tokenAudiences", Takes::Texts, "the audiences that consumers request their tokens for"),
        field("host", Takes::Text, "the API server's URL as Vault reaches it (kubernetes)").also(&["kubernetes_host"]),
        field("caCert", Takes::Text, "a PEM file with the API server's CA")
            .also(&["kubernetes_ca_cert", "jwks_ca_pem"]),
        field("reviewer", Takes::Section(&REVIEWER), "the account that reviews tokens for Vault (kubernetes)")
            .also(&["token_reviewer_jwt"]),
        field(
            "annotationsAsMetadata",
            Takes::Flag,
            "give an identity what the annotations `vault.hashicorp.com/alias-metadata-…` of its service account say (kubernetes, Vault alone)",
        )
        .also(&["use_annotations_as_alias_metadata"]),
    ],
};

static TUNE: Section = Section {
    what: "`tune`",
    fields: &[
        field(
            "tokenType",
            Takes::Word(&["default-service", "default-batch", "service", "batch"]),
            "the type of its tokens: for roles that leave it open (`default-…`), or for all",
        )
        .also(&["token_type"]),
        field("defaultLeaseTtl", Takes::Duration, "how long the tokens of roles without `ttl` live; 0 is the server's")
            .also(&["default_lease_ttl"]),
        field("maxLeaseTtl", Takes::Duration, "how long its tokens may live at the most; 0 is the server's")
            .also(&["max_lease_ttl"]),
        field(
            "listingVisibility",
            Takes::Word(&["hidden", "unauth"]),
            "whether anybody may see that it is there (`unauth`), or nobody without a token",
        )
        .also(&["listing_visibility"]),
        field(
            "auditNonHmacRequestKeys",
            Takes::Texts,
            "the fields of requests that stand in the audit log in the clear",
        )
        .also(&["audit_non_hmac_request_keys"]),
        field(
            "auditNonHmacResponseKeys",
            Takes::Texts,
            "the fields of answers that stand in the audit log in the clear",
        )
        .also(&["audit_non_hmac_response_keys"]),
        field("passthroughRequestHeaders", Takes::Texts, "the headers of requests that the method sees")
            .also(&["passthrough_request_headers"]),
        field("allowedResponseHeaders", Takes::Texts, "the headers that the method may answer with")
            .also(&["allowed_response_headers"]),
        field("local", Takes::Flag, "keep it from being replicated; decided when it is enabled"),
        field("sealWrap", Takes::Flag, "wrap what it stores with the seal as well; decided when it is enabled")
            .also(&["seal_wrap"]),
    ],
};

static REVIEWER: Section = Section {
    what: "`reviewer`",
    fields: &[
        field("serviceAccount", Takes::Text, "its service account; `vault-auth/vault-auth` unless set"),
        field(
            "token",
            Takes::WordOr(&["secret", "bound", "client", "local"], &REVIEWER_TOKEN),
            "what kind of token it has, or where that is; `secret` unless set, and `local` is that of Vault's own pod",
        ),
        field("secretName", Takes::Text, "the Secret with its long-lived token"),
        field("bindingName", Takes::Text, "its ClusterRoleBinding to `system:auth-delegator`"),
        field("lifetime", Takes::Duration, "how long a bound token is asked for"),
    ],
};

static REVIEWER_TOKEN: Section = Section {
    what: "a `token`",
    fields: &[
        field("file", Takes::Text, "a file with it: any token that the mount's host takes"),
        field("env", Takes::Text, "the variable of the environment that has it"),
    ],
};

static POLICY: Section = Section {
    what: "a policy",
    fields: &[
        field("name", Takes::Text, "the name of the policy").required(),
        field("clusters", Takes::Texts, "the clusters that it is made for; all of them unless set").also(&["cluster"]),
        field("each", Takes::Texts, "values for `{each}`: the entry stands for one policy per value"),
        field("kv", Takes::TextOr(&KV), "the KV mount of its paths, where it isn't the file's"),
        field("read", Takes::Texts, "KV paths whose secrets may be read"),
        field("list", Takes::Texts, "KV paths whose names may be listed"),
        field("write", Takes::Texts, "KV paths whose secrets may be created and updated").also(&["create", "update"]),
        field("delete", Takes::Texts, "KV paths whose secrets may be deleted"),
        field(
            "find",
            Takes::Texts,
            "KV paths whose names and metadata may be looked through, as External Secrets' `dataFrom.find` does",
        ),
        field(
            "push",
            Takes::Texts,
            "KV paths whose secrets and metadata may be written and compared, as External Secrets' `PushSecret` does",
        ),
        field("sign", Takes::Texts, "paths that sign, such as `pki_int/sign/web`"),
        field("creds", Takes::Texts, "paths that give credentials, such as `database/creds/app`")
            .also(&["credentials"]),
        field("encrypt", Takes::Texts, "transit keys that may encrypt, such as `transit/orders`"),
        field("decrypt", Takes::Texts, "transit keys that may decrypt, such as `transit/orders`"),
        field("rules", Takes::Sections(&RULE), "rules written out, for what isn't KV").also(&["rule", "path", "paths"]),
    ],
};

static RULE: Section = Section {
    what: "a rule",
    fields: &[
        field("path", Takes::Text, "the API path, as in a Vault policy").required(),
        field("capabilities", Takes::Texts, "the capabilities, as in a Vault policy").required(),
    ],
};

static ALLOWANCE: Section = Section {
    what: "an allowance",
    fields: &[
        field("path", Takes::Text, "the API path, as in a Vault policy").required().also(&["paths"]),
        field("capabilities", Takes::Texts, "what may be done there, as in a Vault policy").required(),
        field("why", Takes::Text, "why it is meant, for whoever reviews the file")
            .required()
            .also(&["reason", "because", "comment"]),
    ],
};

static ROLE: Section = Section {
    what: "a role",
    fields: &[
        field("name", Takes::Text, "the name of the role").required().also(&["role_name"]),
        field("clusters", Takes::Texts, "the clusters on whose mounts it is made; all of them unless set")
            .also(&["cluster"]),
        field("each", Takes::Texts, "values for `{each}`: the entry stands for one role per value"),
        field("serviceAccounts", Takes::Texts, "who may log in, each as `namespace/name`").also(&[
            "bound_service_account_names",
            "bound_service_account_namespaces",
            "bound_subject",
        ]),
        field(
            "namespaceSelector",
            Takes::Labels,
            "the labels of further namespaces (kubernetes), such as `team=shop`: accounts that `serviceAccounts` names without a namespace may log in from every one that has them, later ones too",
        )
        .also(&["bound_service_account_namespace_selector", "namespaceLabels", "selector"]),
        field("policies", Takes::Texts, "the policies that a login gives").required().also(&["token_policies"]),
        field("ttl", Takes::Duration, "how long the token of a login lives").also(&["token_ttl"]),
        field(
            "audience",
            Takes::Texts,
            "the audience that a token must have, or those one of which it must have (jwt); `auth.audience` unless set",
        )
            .also(&["bound_audiences", "audiences"]),
        field(
            "anyAudience",
            Takes::Flag,
            "take tokens of any audience (kubernetes), also those that are meant for somebody else",
        ),
        field("tokenAudiences", Takes::Texts, "the audiences that the consumer requests its token for"),
        field("userClaim", Takes::Text, "the claim that names the identity (jwt); `sub` unless set"),
        field("boundClaims", Takes::Claims, "further claims and the values that they may have (jwt)"),
        field(
            "claimMappings",
            Takes::Settings,
            "claims that become metadata of the identity, each with the name that it gets there (jwt): `/kubernetes.io/namespace: namespace`",
        )
        .also(&["claim_mappings"]),
        field("groupsClaim", Takes::Text, "the claim that names groups of the identity (jwt)").also(&["groups_claim"]),
        field(
            "aliasNameSource",
            Takes::Word(&["serviceaccount_uid", "serviceaccount_name"]),
            "what names the identity (kubernetes)",
        ),
        field("boundCidrs", Takes::Texts, "the addresses that a login may come from")
            .also(&["token_bound_cidrs", "bound_cidrs"]),
        field("tokenType", Takes::Word(&["default", "service", "batch"]), "the type of the token that a login gives"),
        field("maxTtl", Takes::Duration, "how long the token may live with renewals").also(&["token_max_ttl"]),
        field("explicitMaxTtl", Takes::Duration, "a hard end for the token").also(&["token_explicit_max_ttl"]),
        field("period", Takes::Duration, "makes the token periodic").also(&["token_period"]),
        field("numUses", Takes::Count, "how often the token may be used; 0 is without limit").also(&["token_num_uses"]),
        field("noDefaultPolicy", Takes::Flag, "leave out Vault's policy `default`").also(&["token_no_default_policy"]),
        field(
            "allowGlobs",
            Takes::Flag,
            "values of `boundClaims` (jwt) and `serviceAccounts` (kubernetes) may have `*`",
        )
        .also(&["bound_claims_type"]),
        field("expirationLeeway", Takes::Leeway, "leeway for `exp` (jwt); 0 is the server's default, -1 none"),
        field("notBeforeLeeway", Takes::Leeway, "leeway for `nbf` (jwt); 0 is the server's default, -1 none"),
        field("clockSkewLeeway", Takes::Leeway, "leeway for all clocks (jwt); 0 is the server's default, -1 none"),
    ],
};

static EXPECTATION: Section = Section {
    what: "an expectation",
    fields: &[
        field("serviceAccounts", Takes::Texts, "whom it is about, each as `namespace/name`").also(&[
            "serviceAccount",
            "who",
            "accounts",
        ]),
        field(
            "nobodyBut",
            Takes::Texts,
            "in place of `serviceAccounts`: those who may be able to, when nobody else of any cluster is; `[]` is nobody",
        )
        .also(&["only", "nobody"]),
        field("can", Takes::Texts, "what they can do through some role: `read`, `list`, `sign` and whatever else a policy gives in one word"),
        field("cannot", Takes::Texts, "in place of `can`: what none of them can do through any role"),
        field("paths", Takes::Texts, "the paths that it is about, as policies have them; with a `*` all that the file knows below")
            .also(&["path"]),
        field("apiPaths", Takes::Texts, "API paths that it is about, such as `sys/health`: of what is no secret"),
        field("kv", Takes::Text, "the KV mount of its paths, where it isn't the file's"),
        field("clusters", Takes::Texts, "the clusters whose accounts are meant; all of them unless set. With `nobodyBut` those that are excepted: nobody is nobody of any cluster")
            .also(&["cluster"]),
        field("each", Takes::Texts, "values for `{each}`: the entry stands for one expectation per value"),
    ],
};

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(section: &'static Section, visit: &mut dyn FnMut(&'static Section)) {
        visit(section);
        for field in section.fields {
            if let Takes::Section(inner) | Takes::Sections(inner) = field.takes {
                walk(inner, visit);
            }
        }
    }

    #[test]
    fn names_are_camel_case_and_unique_and_explained() {
        walk(&FILE, &mut |section| {
            let mut names: Vec<_> = section.fields.iter().map(|field| field.name).collect();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), section.fields.len(), "{}", section.what);
            for field in section.fields {
                assert!(field.name.chars().all(|c| c.is_ascii_alphanumeric()), "{}", field.name);
                assert!(!field.about.is_empty() && !field.about.ends_with('.'), "{}", field.name);
                for also in field.also {
                    assert!(section.field(also).is_none(), "{also} is a field itself");
                }
            }
        });
    }
}
