//! What is asked of servers without credentials: as Vault, or a store, would find them.

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::{Query, Servers};
use crate::cluster::{Obstacle, served_keys, try_key_url};
use crate::input::{self, Unread, read_body};
use crate::keys::{Authorities, VerificationKey};
use crate::model::{KeyPlace, ServedKeys};
use crate::names::ClusterName;
use crate::reach::Reach;
use crate::verify::facts::review::{Connecting, connect};
use crate::verify::facts::roots::{self, NoAnswer};

/// How long a server is given to accept a connection, and to answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// What is at a URL at which Vault looks for keys.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct AtKeyUrl {
    pub(crate) url: String,
    /// The CA of that server in PEM, where one is named.
    pub(crate) ca: Option<String>,
    /// Whose keys they should be.
    pub(crate) cluster: ClusterName,
}

impl Query for AtKeyUrl {
    type Answer = Result<String, Obstacle>;

    async fn ask(&self, servers: &Servers) -> Self::Answer {
        let environment = servers.proxies();
        try_key_url(&self.url, self.ca.as_deref(), servers.from(&self.cluster, &environment)).await
    }
}

/// The keys that Vault fetches from these places, against those that a cluster publishes.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct KeysServed {
    /// Each with the CA of that server in PEM, where one is named.
    pub(crate) places: Vec<(KeyPlace, Option<String>)>,
    pub(crate) cluster: ClusterName,
    /// The keys that it publishes.
    #[serde(skip)]
    pub(crate) published: Vec<VerificationKey>,
}

impl Query for KeysServed {
    type Answer = Result<ServedKeys, Obstacle>;

    async fn ask(&self, servers: &Servers) -> Self::Answer {
        let environment = servers.proxies();
        let from = servers.from(&self.cluster, &environment);
        let mut all = Vec::new();
        for (place, ca) in &self.places {
            match served_keys(place, ca.as_deref(), from, &self.published).await {
                Ok(served) => all.push(served),
                Err(obstacle) => return Err(obstacle),
            }
        }
        Ok(ServedKeys::together(all))
    }
}

/// Whether a host has a certificate of nothing but these authorities (PEM).
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Connects {
    pub(crate) host: String,
    pub(crate) ca: String,
}

impl Query for Connects {
    type Answer = Result<(), Connecting>;

    async fn ask(&self, servers: &Servers) -> Self::Answer {
        connect(&self.host, &self.ca, servers.proxies_to(&self.host)).await
    }
}

/// The id of the Vault at an address, as it says to anybody, to who trusts these authorities (PEM), or the system's.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct VaultAt {
    pub(crate) address: String,
    pub(crate) ca: Option<String>,
}

impl Query for VaultAt {
    type Answer = Result<String, NoAnswer>;

    async fn ask(&self, servers: &Servers) -> Self::Answer {
        let authorities = self.ca.as_deref().map(|ca| Authorities::parse(ca).unwrap_or_default());
        let trust = roots::trust(authorities.as_ref(), "the store's CA");
        let reach = Reach::new(trust, servers.vault.proxies().clone(), TIMEOUT, TIMEOUT);
        let health = format!("{}/v1/sys/health", self.address.trim_end_matches('/'));
        let answer = roots::get(&reach, &health).await.map_err(|failure| NoAnswer::of(&failure))?;
        let body = match read_body(answer.into_body(), input::DOCUMENT).await {
            Ok(body) => body,
            Err(Unread::Lost(error)) => return Err(NoAnswer::of(&error)),
            // It came through TLS all the same.
            Err(Unread::TooMuch(_)) => Vec::new(),
        };
        // Any answer came through TLS, also one that isn't Vault's.
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        Ok(body["cluster_id"].as_str().unwrap_or_default().to_owned())
    }
}

/// The address that this machine has on its way to Vault. Nothing is sent.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct OwnAddress;

impl Query for OwnAddress {
    type Answer = Option<std::net::IpAddr>;

    async fn ask(&self, servers: &Servers) -> Self::Answer {
        let vault = servers.vault.address().socket_addrs(|| None).ok()?.into_iter().next()?;
        let socket = std::net::UdpSocket::bind(if vault.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" }).ok()?;
        socket.connect(vault).ok()?;
        socket.local_addr().ok().map(|address| address.ip())
    }
}
