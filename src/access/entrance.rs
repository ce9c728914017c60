//! A role in Vault as a way in: whom it lets in, and to what.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::who::{Who, let_in_by, lets_in_several};
use crate::model::{HeldRole, JwtRole, KubernetesRole, RoleDocument};
use crate::names::{Owner, PolicyName};
use crate::text::printable_line;

/// Whom a role that Vault holds lets in, and to what.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entrance {
    /// Whom it lets in, in words; empty for nobody.
    #[serde(default)]
    pub lets_in: Vec<String>,
    /// Whether that is, or may be, more than one account.
    #[serde(default)]
    pub more_than_one: bool,
    /// The policies of its logins, `default` apart.
    #[serde(default)]
    pub policies: Vec<String>,
    /// Those of them that are the file's, where that was looked at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub of_the_file: Vec<String>,
    /// Why it could not be read, so that nobody knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unread: Option<String>,
    /// The owner of another file that wrote it, whose business it is whom it lets in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
}

impl Entrance {
    /// That of a CEL role (OpenBao): its program decides about each login, and names the policies too.
    pub fn of_cel() -> Self {
        let unread = Some("that is for the expression of a CEL role to say".to_owned());
        Self { more_than_one: true, unread, ..Self::default() }
    }

    /// That of a role, as far as it could be read.
    pub fn of(role: &HeldRole) -> Self {
        let document = match role {
            HeldRole::Read(document) => document,
            HeldRole::Unread(why) => {
                return Self { more_than_one: true, unread: Some(why.clone()), ..Self::default() };
            }
        };
        let policies = document.token().token_policies.clone();
        if let RoleDocument::Jwt(role) = &**document
            && role.role_type == "oidc"
        {
            let lets_in = vec!["whoever logs in with a browser (role_type oidc)".to_owned()];
            return Self { lets_in, more_than_one: true, policies, ..Self::default() };
        }
        let who = let_in_by(document);
        let token = token_of(document);
        let words = |who: &Who| match (&token, who) {
            (Token::For(audiences), Who::Anyone) => {
                format!("any service account that gets a token for the audience {}", audiences.join(" or "))
            }
            (Token::For(_), who) => who.to_string(),
            (Token::WithoutAudience, who) => format!("{who} with a token that names no audience"),
            (Token::Any, who) => format!("{who} with a token for any audience"),
        };
        let from = match document.token().token_bound_cidrs.as_slice() {
            [] => String::new(),
            addresses => format!(" from {}", addresses.join(" or ")),
        };
        let lets_in = who.iter().map(|who| words(who) + &from).collect();
        Self { lets_in, more_than_one: lets_in_several(&who), policies, ..Self::default() }
    }

    /// The same, with which of its policies are among the file's. A neighbour on a shared mount has policies of its own: who
    /// gives the file's lets somebody in to what the file guards, be it one account.
    #[must_use]
    pub fn beside<'a>(self, policies: impl IntoIterator<Item = &'a PolicyName>) -> Self {
        let own: BTreeSet<String> = policies.into_iter().map(|name| name.as_str().to_ascii_lowercase()).collect();
        let of_the_file =
            self.policies.iter().filter(|name| own.contains(&name.to_ascii_lowercase())).cloned().collect();
        Self { of_the_file, ..self }
    }

    /// The same, written by the owner of another file.
    #[must_use]
    pub fn written_by(self, owner: Option<&Owner>) -> Self {
        Self { owner: owner.cloned(), ..self }
    }

    /// Whether it is worth a look on a mount where others may have roles.
    pub fn is_conspicuous(&self) -> bool {
        self.is_wide() || !self.of_the_file.is_empty()
    }

    /// Whether it lets in more than one account, or nobody knows whom, and no owner answers for it.
    pub fn is_wide(&self) -> bool {
        self.more_than_one && self.owner.is_none()
    }
}

/// What token a role wants.
enum Token {
    /// One for one of these audiences.
    For(Vec<String>),
    /// One that names none, such as the long-lived token of a Secret.
    WithoutAudience,
    /// Any.
    Any,
}

fn token_of(role: &RoleDocument) -> Token {
    match role {
        RoleDocument::Jwt(JwtRole { bound_audiences, .. }) if bound_audiences.is_empty() => Token::WithoutAudience,
        RoleDocument::Jwt(JwtRole { bound_audiences, .. }) => Token::For(bound_audiences.clone()),
        RoleDocument::Kubernetes(KubernetesRole { audience, .. }) if audience.is_empty() => Token::Any,
        RoleDocument::Kubernetes(KubernetesRole { audience, .. }) => Token::For(vec![audience.clone()]),
    }
}

/// How many accounts are told of one role.
const SHOWN: usize = 6;

impl fmt::Display for Entrance {
    /// `lets in team/app; policies p, q`, after whose it is where that is another owner's
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(owner) = &self.owner {
            write!(f, "the owner {owner}'s; ")?;
        }
        if let Some(why) = &self.unread {
            return write!(f, "unknown whom it lets in: {}", printable_line(why));
        }
        match self.lets_in.len() {
            0 => f.write_str("lets in nobody")?,
            count => {
                write!(f, "lets in {}", printable_line(&self.lets_in[..count.min(SHOWN)].join(", ")))?;
                if count > SHOWN {
                    write!(f, " and {} more", count - SHOWN)?;
                }
            }
        }
        let theirs: Vec<&str> =
            self.policies.iter().filter(|name| !self.of_the_file.contains(name)).map(String::as_str).collect();
        match theirs.as_slice() {
            [] if !self.of_the_file.is_empty() => {}
            [] => f.write_str("; no policies but default")?,
            [policy] => write!(f, "; policy {}", printable_line(policy))?,
            policies => write!(f, "; policies {}", printable_line(&policies.join(", ")))?,
        }
        match self.of_the_file.as_slice() {
            [] => Ok(()),
            [policy] => write!(f, "; gives the file's policy {}", printable_line(policy)),
            policies => write!(f, "; gives the file's policies {}", printable_line(&policies.join(", "))),
        }
    }
}
