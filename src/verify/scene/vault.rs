//! One Vault.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use url::Url;

use crate::error::{Error, Result};
use crate::fix::VaultCli;
use crate::model::{AuthMount, KvVersion, MountTable, StoredPolicy};
use crate::names::MountPath;
use crate::policy::Policy;
use crate::settings::HandOn;
use crate::vault::{Client, VaultError};
use crate::verify::facts::mount::AuthMounts;
use crate::verify::facts::vault::{
    Clocks, Explained, Forwards, IsOpenBao, Kv, KvMountOf, KvMounts, Leader, LeaderStatus, Mounted, OperatorLookup,
    OperatorToken, PolicyText, Seal, SealStatus, Shown, Time,
};
use crate::verify::facts::{Facts, Known, Knows, Servers};
use crate::verify::finding::Finding;

/// What is said of a Vault before anybody is asked: how it is reached.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct VaultCase {
    #[serde(with = "as_text")]
    address: Url,
    namespace: Option<String>,
    /// The file of its CA, where it is one.
    ca_file: Option<PathBuf>,
    /// What other commands have to be told.
    hand_on: HandOn,
}

/// A URL as its text.
mod as_text {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};
    use url::Url;

    pub(super) fn serialize<S: Serializer>(url: &Url, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(url.as_str())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Url, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl VaultCase {
    /// The Vault of this client.
    fn of(client: &Client) -> Self {
        let absolute = |file: &Path| std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
        Self {
            address: client.address().clone(),
            namespace: client.namespace().map(str::to_owned),
            ca_file: client.ca_file().map(absolute),
            hand_on: client.hand_on().clone(),
        }
    }
}

/// One Vault, as the operator sees it.
pub(crate) struct VaultScene {
    case: VaultCase,
    /// What is known.
    pub(in crate::verify) facts: Facts,
    /// Texts of policies that were read a moment ago.
    texts: BTreeMap<String, String>,
}

impl Knows for VaultScene {
    fn facts(&self) -> &Facts {
        &self.facts
    }
}

impl VaultScene {
    pub(crate) fn new(client: Client) -> Self {
        Self::of(VaultCase::of(&client), Facts::new(Servers::new(client)))
    }

    /// What there is to look at, of this case.
    pub(crate) fn of(case: VaultCase, facts: Facts) -> Self {
        Self { case, facts, texts: BTreeMap::new() }
    }

    /// What was said of it.
    pub(crate) fn case(&self) -> &VaultCase {
        &self.case
    }

    /// The same, with these texts of policies taken for known.
    pub(crate) fn with_policies<'a>(self, texts: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let texts = texts.into_iter().map(|(name, text)| (name.to_owned(), text.to_owned())).collect();
        Self { texts, ..self }
    }

    /// A scene in which a token that Vault doesn't know counts as none: what anybody may ask is still answered, and a
    /// login needs no operator.
    pub(crate) async fn without_dead_token(client: Client) -> Result<Self> {
        let mut scene = Self::new(client);
        let dead = scene.facts.settle(|| {
            let dead = |answer: &Option<Result<OperatorToken, VaultError>>| {
                matches!(answer, Some(Err(VaultError::InvalidToken { .. })))
            };
            Ok(scene.seal()?.is_ok() && dead(scene.facts.get(&OperatorLookup)?))
        });
        if dead.await? {
            // What it said of itself stays known.
            scene.facts.ask_without_token();
        }
        Ok(scene)
    }

    /// What the operator's token says of itself, and why it doesn't; `None` where there is no token.
    pub(crate) fn operator(&self) -> Known<Option<&Result<OperatorToken, VaultError>>> {
        Ok(self.facts.get(&OperatorLookup)?.as_ref())
    }

    /// Vault's address, as people write it.
    pub(crate) fn address(&self) -> &str {
        self.case.address.as_str().trim_end_matches('/')
    }

    /// Vault's address.
    pub(crate) fn url(&self) -> &Url {
        &self.case.address
    }

    /// The namespace that is asked.
    pub(crate) fn namespace(&self) -> Option<&str> {
        self.case.namespace.as_deref()
    }

    /// The file of Vault's CA, where it is one.
    pub(crate) fn ca_file(&self) -> Option<&Path> {
        self.case.ca_file.as_deref()
    }

    /// Vault's own CLI, as it reaches this one from the shell of this run.
    pub(crate) fn cli(&self) -> &VaultCli {
        &self.case.hand_on.cli
    }

    /// The same for the root namespace, where what concerns the whole server is kept.
    pub(crate) fn root_cli(&self) -> VaultCli {
        self.namespace().map_or_else(|| self.cli().clone(), |_| self.cli().in_namespace(""))
    }

    /// The flags of `vaultk8s` that lead to it.
    pub(crate) fn flags(&self) -> &[String] {
        &self.case.hand_on.flags
    }

    /// What Vault said in place of an answer: a refusal, or a limit of rates, is no fault of what was asked about.
    pub(in crate::verify) fn refused(&self, error: &VaultError) -> Known<Finding> {
        let refused = matches!(
            error,
            VaultError::Forbidden { .. } | VaultError::InvalidToken { .. } | VaultError::Rejected { status: 429, .. }
        );
        let error = Error::from(self.facts.get(&Explained::of(error))?.clone());
        Ok(if refused { Finding::unseen_because(&error) } else { Finding::error(&error) })
    }

    /// Whether it is sealed.
    pub(crate) fn seal(&self) -> Known<&Result<SealStatus, VaultError>> {
        self.facts.get(&Seal)
    }

    /// Which node is active.
    pub(crate) fn leader(&self) -> Known<&Result<LeaderStatus, VaultError>> {
        self.facts.get(&Leader)
    }

    /// Whether a standby passes on what only the active node can answer: an error, if it doesn't.
    pub(crate) fn forwards(&self) -> Known<&Result<(), VaultError>> {
        self.facts.get(&Forwards)
    }

    /// Whether the namespace shows anything: an error, if it doesn't.
    pub(crate) fn shown(&self) -> Known<&Result<(), VaultError>> {
        self.facts.get(&Shown)
    }

    /// Whether the rules that this server gives to every token are known here: those of Vault 1 and of OpenBao 2.7, and before.
    pub(crate) fn stock_is_known(&self) -> Known<bool> {
        let Ok(status) = self.seal()? else { return Ok(false) };
        let mut numbers = status.version.split(['.', '-', '+']).map(|number| number.parse::<u64>().ok());
        match (numbers.next().flatten(), numbers.next().flatten()) {
            (Some(0 | 1), _) => Ok(true),
            // Vault counts so too, and says which edition it is.
            (Some(2), Some(..=7)) => self.facts.get(&IsOpenBao).copied(),
            _ => Ok(false),
        }
    }

    /// What Vault's clock and this machine's say, when this is looked at.
    pub(crate) fn time(&self, of: String) -> Known<&Time> {
        self.facts.get(&Clocks { of })
    }

    /// The auth mounts.
    pub(crate) fn auth_mounts(&self) -> Known<&Result<BTreeMap<String, AuthMount>, VaultError>> {
        self.facts.get(&AuthMounts)
    }

    /// A policy with the accessors of the mounts that it is about, as far as mounts can be listed.
    pub(crate) fn with_accessors(&self, policy: &Policy) -> Known<Policy> {
        if policy.accessors().is_empty() {
            return Ok(policy.clone());
        }
        let mounts = self.auth_mounts()?.as_ref().ok();
        let accessor = |mount: &MountPath| mounts?.get(&format!("{mount}/"))?.accessor_word().map(str::to_owned);
        Ok(policy.with_accessors(accessor))
    }

    /// The version of a KV mount.
    pub(crate) fn kv(&self, mount: &MountPath) -> Known<Result<KvVersion, &Error>> {
        Ok(self.facts.get(&Kv { mount: mount.clone() })?.as_ref().copied())
    }

    /// Everything that is mounted; `None` where the token may not list it.
    pub(crate) fn mount_table(&self) -> Known<Option<&MountTable>> {
        Ok(self.facts.get(&Mounted)?.as_ref())
    }

    /// The KV mounts that the token may see; none where it may see none.
    pub(crate) fn kv_mounts(&self) -> Known<&Vec<MountPath>> {
        self.facts.get(&KvMounts)
    }

    /// The KV mount that a path is below, in child namespaces too; `None` where the token sees none.
    pub(crate) fn kv_mount_of(&self, path: &str) -> Known<Option<&MountPath>> {
        Ok(self.facts.get(&KvMountOf { path: path.to_owned() })?.as_ref())
    }

    /// A policy's text; `None` where there is no such policy.
    pub(crate) fn policy_text(&self, name: &str) -> Known<Result<Option<&str>, &VaultError>> {
        if let Some(text) = self.texts.get(&name.to_lowercase()) {
            return Ok(Ok(Some(text)));
        }
        let stored = self.stored_policy(name)?.as_ref();
        Ok(stored.map(|stored| stored.as_ref().map(|stored| stored.policy.as_str())))
    }

    /// A policy with all that the server keeps of it; `None` where there is no such policy.
    pub(crate) fn stored_policy(&self, name: &str) -> Known<&Result<Option<StoredPolicy>, VaultError>> {
        self.facts.get(&PolicyText { name: name.to_lowercase() })
    }

    /// A policy, where it can be read and understood.
    pub(crate) fn policy(&self, name: &str) -> Known<Option<Policy>> {
        Ok(match self.policy_text(name)? {
            Ok(Some(text)) => Policy::parse(text).ok(),
            _ => None,
        })
    }
}
