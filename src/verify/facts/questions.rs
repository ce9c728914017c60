//! All questions: a row each, with the name that captures have for it, which never changes its meaning.

use serde_json::Value;

use super::query::{Answer, Named, Query};
use super::{cluster, login, mount, network, stores, vault};

/// Reads an answer as a capture has it.
pub(super) type Reader = fn(Value) -> Result<Box<dyn Answer>, serde_json::Error>;

fn read<Q: Query>(answer: Value) -> Result<Box<dyn Answer>, serde_json::Error> {
    serde_json::from_value::<Q::Answer>(answer).map(|answer| Box::new(answer) as Box<dyn Answer>)
}

/// Names questions, and says how their answers are read.
macro_rules! questions {
    ($($name:literal = $question:ty;)*) => {
        $(impl Named for $question { const NAME: &'static str = $name; })*
        /// How the answers to each question are read, by its name.
        pub(super) const ALL: &[(&str, Reader)] = &[$(($name, read::<$question>)),*];
    };
}

questions! {
    "seal" = vault::Seal;
    "leader" = vault::Leader;
    "forwards" = vault::Forwards;
    "is-openbao" = vault::IsOpenBao;
    "clocks" = vault::Clocks;
    "operator" = vault::OperatorLookup;
    "explained" = vault::Explained;
    "shown" = vault::Shown;
    "audit-devices" = vault::AuditDevices;
    "quotas" = vault::Quotas;
    "policy-text" = vault::PolicyText;
    "kv" = vault::Kv;
    "kv-mounts" = vault::KvMounts;
    "kv-mount-of" = vault::KvMountOf;
    "mounted" = vault::Mounted;
    "second-factor-of" = vault::SecondFactorOf;
    "entity-of" = vault::EntityOf;
    "auth-mounts" = mount::AuthMounts;
    "visible-mount" = mount::VisibleMount;
    "method-by-config" = mount::MethodByConfig;
    "mount-config" = mount::MountConfig;
    "longest-lease" = mount::LongestLease;
    "role" = mount::OneRole;
    "role-names" = mount::RoleNames;
    "has-role" = mount::HasRole;
    "other-roles" = mount::OtherRoles;
    "cel-roles" = mount::CelRoles;
    "inventories" = mount::OthersInventories;
    "version" = cluster::Version;
    "publishes" = cluster::Publishes;
    "root-ca" = cluster::RootCa;
    "date" = cluster::Date;
    "account-uid" = cluster::AccountUid;
    "namespace-labels" = cluster::NamespaceLabels;
    "namespaces" = cluster::Namespaces;
    "accounts" = cluster::Accounts;
    "reviewers-objects" = cluster::ReviewersObjects;
    "delegated-reviewers" = cluster::DelegatedReviewers;
    "accounts-of-vaults-pods" = cluster::AccountsOfVaultsPods;
    "may" = cluster::May;
    "who-am-i" = cluster::WhoAmI;
    "deployments" = cluster::Deployments;
    "secret-keys" = cluster::SecretKeys;
    "token" = login::Token;
    "login" = login::Login;
    "login-again" = login::LoginAgain;
    "capabilities" = login::Capabilities;
    "own-rules" = login::OwnRules;
    "looks-itself-up" = login::LooksItselfUp;
    "kv-as" = login::KvAs;
    "kv-in-child" = login::KvInChild;
    "own-entity" = login::OwnEntity;
    "secret" = login::Secret;
    "reviewers-token" = login::ReviewersToken;
    "review" = login::Review;
    "knows-reviewer" = login::KnowsReviewer;
    "strangers-login" = login::StrangersLogin;
    "end-of-login" = login::EndOfLogin;
    "at-key-url" = network::AtKeyUrl;
    "keys-served" = network::KeysServed;
    "connects" = network::Connects;
    "vault-at" = network::VaultAt;
    "own-address" = network::OwnAddress;
    "what-is-installed" = stores::WhatIsInstalled;
    "leads-to-role" = stores::LeadsToRole;
    "held" = stores::Held;
    "held-anywhere" = stores::HeldAnywhere;
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_question_has_a_name_of_its_own() {
        let names: BTreeSet<&str> = ALL.iter().map(|(name, _)| *name).collect();
        assert_eq!(names.len(), ALL.len());
    }
}
