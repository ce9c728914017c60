//! The fields of what External Secrets is given: `stores` and `secrets`.

use super::{Section, Takes, field};

pub(super) static STORE: Section = Section {
    what: "a store",
    fields: &[
        field("name", Takes::Text, "the name of the store in its cluster").required(),
        field("clusters", Takes::Texts, "the clusters that it is made for; all of them unless set").also(&["cluster"]),
        field("each", Takes::Texts, "values for `{each}`: the entry stands for one store per value"),
        field("role", Takes::Text, "the role that it logs in as").required(),
        field(
            "serviceAccount",
            Takes::Text,
            "the service account that it logs in with, where the role lets in several, as `namespace/name`",
        )
        .also(&["serviceAccountRef"]),
        field(
            "kind",
            Takes::Word(&["ClusterSecretStore", "SecretStore"]),
            "`ClusterSecretStore` unless set, or `SecretStore`, with a `namespace`",
        ),
        field("namespace", Takes::Text, "the namespace of a SecretStore"),
        field(
            "provider",
            Takes::Word(&["vault", "openBao"]),
            "External Secrets' provider; `vault` unless set, which speaks to OpenBao as well",
        ),
        field("server", Takes::Text, "the URL of Vault as the cluster reaches it; `vault.address` unless set"),
        field("kv", Takes::Text, "the KV mount, where the role's policies don't name just one").also(&["path"]),
        field("version", Takes::Word(&["v1", "v2"]), "the version of the KV mount; `v2` unless set"),
        field(
            "caProvider",
            Takes::Section(&CA_PROVIDER),
            "the ConfigMap or Secret with the CA of Vault's certificate; a ConfigMap is written too, from `vault.caCert`",
        ),
        field("caBundle", Takes::Text, "in its place, a PEM file whose certificates stand in the store itself"),
        field(
            "expirationSeconds",
            Takes::Duration,
            "how long the service account's token is asked for (jwt), at least 10m",
        ),
    ],
};

static CA_PROVIDER: Section = Section {
    what: "a `caProvider`",
    fields: &[
        field("kind", Takes::Word(&["ConfigMap", "Secret"]), "`ConfigMap` or `Secret`; `ConfigMap` unless set")
            .also(&["type"]),
        field("name", Takes::Text, "its name").required(),
        field("namespace", Takes::Text, "its namespace; that of the store, where it is a SecretStore"),
        field("key", Takes::Text, "the key in it; `ca.crt` unless set"),
    ],
};

pub(super) static SECRET: Section = Section {
    what: "a secret",
    fields: &[
        field("name", Takes::Text, "the name of the ExternalSecret, and of the Secret that it makes").required(),
        field("namespace", Takes::Text, "their namespace").required(),
        field("clusters", Takes::Texts, "the clusters that it is made for; all of them unless set").also(&["cluster"]),
        field("each", Takes::Texts, "values for `{each}`: the entry stands for one secret per value"),
        field("store", Takes::Text, "the store that it reads from, by its name in this file").required(),
        field("refreshInterval", Takes::Duration, "how often it is read again; 1h unless set"),
        field(
            "data",
            Takes::Claims,
            "the keys of the Secret, each with where its value is: `DB_PASSWORD: k8s/prod/db#password`; without `#` all of a secret as JSON",
        )
        .required(),
        field(
            "deletionPolicy",
            Takes::Word(&["Retain", "Delete", "Merge"]),
            "what becomes of the Secret when what it is made from is gone; External Secrets retains it",
        ),
    ],
};
