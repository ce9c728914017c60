//! What checks look at: Vault, each cluster, mount and role, as the configuration or the flags have them. What is asked of servers about
//! them is a fact: known, or to be asked first (`facts`).

mod cluster;
mod mount;
mod role;
mod vault;

pub(crate) use cluster::{ClusterCase, ClusterScene, OutOfReach};
pub(crate) use mount::{AllRoles, MountCase, MountScene, key_places};
pub(crate) use role::{RoleCase, RoleScene, TokenFrom, Wanted, read_role};
pub(crate) use vault::{VaultCase, VaultScene};

use serde::{Deserialize, Serialize};

use super::finding::Remedy;
use crate::config::ConfigFiles;
use crate::fix::{Command, vaultk8s, vaultk8s_with};

/// What the run was started from, and so what mends what is wrong in Vault.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Source {
    /// A bootstrap that has just made Vault hold what its file says.
    Bootstrap,
    /// A configuration file: it says how things should be.
    File {
        /// It, of one file or several.
        file: ConfigFiles,
        /// The flags that lead to the clusters and to Vault: `--context`, `NAME`, or none.
        flags: Vec<String>,
    },
    /// Flags: nothing says how things should be but the tokens themselves.
    Flags {
        /// The flags that lead to the cluster and to Vault: `--context`, `NAME`, or none.
        flags: Vec<String>,
    },
}

impl Source {
    /// Whether nothing says how things should be.
    pub(crate) fn is_flags(&self) -> bool {
        matches!(self, Self::Flags { .. })
    }

    /// The command that makes Vault hold what the file says, where there is one.
    pub(crate) fn bootstrap(&self) -> Option<Remedy> {
        let (file, flags) = match self {
            Self::File { file, flags } => (file, flags),
            Self::Bootstrap => {
                let [plan, verify] = ["plan", "verify-role"].map(|words| vaultk8s(words).shown());
                return Some(Remedy {
                    text: format!("look whether somebody else changes it: {plan}; and what {verify} says"),
                    command: None,
                });
            }
            Self::Flags { .. } => return None,
        };
        Some(Remedy {
            text: "the file says otherwise than Vault: let Vault hold what the file says".to_owned(),
            command: Some(vaultk8s_with("bootstrap", file.all(), flags)),
        })
    }

    /// What is to be run once the file was changed.
    pub(crate) fn then_bootstrap(&self) -> String {
        match self {
            Self::File { file, flags } => format!("then run {}", vaultk8s_with("bootstrap", file.all(), flags).shown()),
            Self::Bootstrap | Self::Flags { .. } => "then run this again".to_owned(),
        }
    }

    /// A command of this program that leads to the same Vault and cluster, of a run that was told by flags.
    pub(crate) fn own(&self, words: &'static str) -> Command {
        match self {
            Self::Flags { flags } => vaultk8s(words).args(flags.iter().map(String::as_str)),
            Self::File { file, flags } => vaultk8s_with(words, file.all(), flags),
            Self::Bootstrap => vaultk8s(words),
        }
    }
}
