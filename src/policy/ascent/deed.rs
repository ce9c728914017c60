//! What a login can do that gives itself more.

use std::fmt;

/// What a login can do that gives itself more, the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Deed {
    /// Policies decide about everything, its own among them.
    Policies,
    /// A denial is gone with its policy.
    Denials,
    /// Whoever writes a role, or a user, says which policies its logins get.
    Roles,
    /// Keys, issuers and hosts that a mount trusts.
    Trust,
    /// What other roles and users log in with.
    Credentials,
    /// A token of its own, which doesn't end with the login; or one of a token role.
    Tokens,
    /// Policies come with entities and groups too.
    Identities,
    /// New auth methods, which let in whom they like.
    Methods,
    /// What a path means, and how a mount treats its logins.
    Mounts,
    /// The end of a mount, and of all that it holds.
    Unmounts,
    /// Namespaces, with all that is in them.
    Namespaces,
    /// The storage itself, past all policies.
    Storage,
    /// Another storage in place of this one.
    Snapshots,
    /// Programs that the server runs.
    Plugins,
    /// Root tokens and keys.
    Root,
    /// The end of the service.
    Seal,
    /// `sudo`, wherever it is granted.
    Sudo,
}

impl fmt::Display for Deed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Policies => "write policies",
            Self::Denials => "delete policies that deny it something",
            Self::Roles => "write roles and users of auth methods",
            Self::Trust => "say whom auth methods trust",
            Self::Credentials => "get what other roles log in with",
            Self::Tokens => "make tokens that outlive it",
            Self::Identities => "change identities and their policies",
            Self::Methods => "set up auth methods",
            Self::Mounts => "mount and tune engines and auth methods",
            Self::Unmounts => "remove mounts with all that they hold",
            Self::Namespaces => "make namespaces",
            Self::Storage => "reach into the storage itself",
            Self::Snapshots => "replace all that is stored",
            Self::Plugins => "register plugins",
            Self::Root => "take part in making root tokens and keys",
            Self::Seal => "seal the server",
            Self::Sudo => "reach protected paths (sudo)",
        })
    }
}
