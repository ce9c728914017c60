//! A role that is there.

use serde::{Deserialize, Serialize};

use super::RoleDocument;

/// A role that is on a mount, as far as it could be read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum HeldRole {
    /// What it says.
    Read(Box<RoleDocument>),
    /// Why nobody knows what it says.
    Unread(String),
}

impl HeldRole {
    /// What it says, where it could be read.
    pub fn document(&self) -> Option<&RoleDocument> {
        match self {
            Self::Read(document) => Some(document),
            Self::Unread(_) => None,
        }
    }
}
