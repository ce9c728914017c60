//! One cluster.

use std::ops::Deref;
use std::sync::Arc;

use k8s_openapi::api::authorization::v1::ResourceAttributes;
use serde::{Deserialize, Serialize};

use super::VaultScene;
use crate::cluster::{Connection, Way};
use crate::error::Result;
use crate::fix::Kubectl;
use crate::keys::{Authorities, VerificationKey};
use crate::names::{ClusterName, ServiceAccountRef};
use crate::verify::facts::cluster::{May, Published, Publishes, RootCa, Version};
use crate::verify::facts::installed::Installed;
use crate::verify::facts::stores::WhatIsInstalled;
use crate::verify::facts::{Facts, Known, Knows};

/// What is said of a cluster before anybody is asked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct ClusterCase {
    /// What the configuration calls it.
    pub(crate) name: ClusterName,
    /// The way to it; `None` for a cluster that can't be reached, whose issuer and keys come from files.
    pub(crate) way: Option<Result<Way>>,
    /// Issuer and keys from files, or of an issuer that is all there is.
    files: Option<Result<Published>>,
    /// That issuer: no cluster is asked.
    #[serde(default)]
    pub(crate) issuer: Option<String>,
}

/// A cluster that isn't asked, and what is known of it all the same.
pub(crate) enum OutOfReach {
    /// Its issuer and keys come from files.
    Files { issuer: String, keys: Vec<VerificationKey> },
    /// Its issuer is all that there is; its keys, where they can be read from here.
    Issuer { issuer: String, keys: Result<Vec<VerificationKey>> },
}

/// One cluster.
pub(crate) struct ClusterScene {
    /// The Vault whose clock is compared.
    pub(crate) vault: Arc<VaultScene>,
    case: ClusterCase,
}

impl Deref for ClusterScene {
    type Target = ClusterCase;

    fn deref(&self) -> &ClusterCase {
        &self.case
    }
}

impl Knows for ClusterScene {
    fn facts(&self) -> &Facts {
        &self.vault.facts
    }
}

impl ClusterScene {
    pub(crate) fn new(
        vault: Arc<VaultScene>,
        name: ClusterName,
        connection: Option<Result<Connection>>,
        unasked: Option<OutOfReach>,
    ) -> Self {
        let way = connection.map(|connection| {
            let connection = connection?;
            let way = connection.way().clone();
            if let Some(servers) = vault.facts.servers() {
                servers.reach(&name, connection);
            }
            Ok(way)
        });
        let published = |issuer: String, keys| Published { issuer, keys, jwks_uri: None };
        let (files, issuer) = match unasked {
            None => (None, None),
            Some(OutOfReach::Files { issuer, keys }) => (Some(Ok(published(issuer, keys))), None),
            Some(OutOfReach::Issuer { issuer, keys }) => {
                (Some(keys.map(|keys| published(issuer.clone(), keys))), Some(issuer))
            }
        };
        Self::of(vault, ClusterCase { name, way, files, issuer })
    }

    /// What there is to look at, of this case.
    pub(crate) fn of(vault: Arc<VaultScene>, case: ClusterCase) -> Self {
        Self { vault, case }
    }

    /// What was said of it.
    pub(crate) fn case(&self) -> &ClusterCase {
        &self.case
    }

    /// Whether its issuer and keys come from files.
    pub(crate) fn is_in_files(&self) -> bool {
        self.files.is_some() && self.issuer.is_none()
    }

    /// The way to it, where there is one.
    pub(crate) fn connected(&self) -> Option<&Way> {
        self.way.as_ref()?.as_ref().ok()
    }

    /// kubectl, as it reaches it whichever context is the current one.
    pub(crate) fn kubectl(&self) -> Kubectl {
        self.connected().map(Way::kubectl).unwrap_or_default()
    }

    /// The CA by which its pods know its API server, where it publishes that and it may be read: the kubeconfig may name
    /// another, of something in between.
    pub(crate) fn root_ca(&self) -> Known<Option<&Authorities>> {
        Ok(self.facts().get(&RootCa { cluster: self.name.clone() })?.as_ref())
    }

    /// Its version, which shows that it answers.
    pub(crate) fn version(&self) -> Known<&Result<String>> {
        self.facts().get(&Version { cluster: self.name.clone() })
    }

    /// What there is of External Secrets in it; `None` where it can't be reached.
    pub(crate) fn external_secrets(&self) -> Known<Option<&Result<Option<Installed>>>> {
        if self.connected().is_none() || self.version()?.is_err() {
            return Ok(None);
        }
        self.facts().get(&WhatIsInstalled { cluster: self.name.clone() }).map(Some)
    }

    /// Whether a service account may do something; `None` where nobody says.
    pub(crate) fn may(&self, account: &ServiceAccountRef, what: ResourceAttributes) -> Known<Option<bool>> {
        if self.connected().is_none() {
            return Ok(None);
        }
        self.facts().get(&May { cluster: self.name.clone(), account: account.clone(), what }).copied()
    }

    /// Issuer and keys as it publishes them, or as files say.
    pub(crate) fn published(&self) -> Known<&Result<Published>> {
        match &self.files {
            Some(published) => Ok(published),
            None => self.facts().get(&Publishes { cluster: self.name.clone() }),
        }
    }
}
