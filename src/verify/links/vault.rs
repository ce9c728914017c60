//! Vault itself: does it answer, securely, unsealed, with an active node, and to this token?

use crate::vault::{TokenState, VaultError};
use crate::verify::catalogue::{
    VAULT_ACTIVE, VAULT_ANSWERS, VAULT_AUDIT, VAULT_NAMESPACE, VAULT_TLS, VAULT_TOKEN, VAULT_UNSEALED,
};
use crate::verify::facts::vault::{AuditDevices, OperatorToken};
use crate::verify::facts::{Known, Knows};
use crate::verify::finding::Finding;
use crate::verify::scene::VaultScene;
use crate::verify::walk::{Row, row};

/// The checks of Vault itself.
pub(in crate::verify) const ROWS: &[Row<VaultScene>] = &[
    row!(VAULT_ANSWERS, answers),
    row!(VAULT_TLS, tls),
    row!(VAULT_UNSEALED, unsealed),
    row!(VAULT_ACTIVE, active),
    row!(VAULT_TOKEN, token),
    row!(VAULT_NAMESPACE, namespace),
    row!(VAULT_AUDIT, audit),
];

fn answers(vault: &VaultScene) -> Known<Finding> {
    let address = vault.address();
    Ok(match vault.seal()? {
        Ok(status) if status.version.is_empty() => Finding::passed(format!("{address} answers")),
        Ok(status) => Finding::passed(format!("{address} answers, version {}", status.version)),
        // It says something, and what that is is for the next checks.
        Err(
            VaultError::Tls { .. }
            | VaultError::Sealed { .. }
            | VaultError::Uninitialised { .. }
            | VaultError::Standby { .. },
        ) => Finding::passed(format!("{address} answers")),
        Err(error) => of(error).why("without Vault nobody logs in"),
    })
}

fn tls(vault: &VaultScene) -> Known<Finding> {
    Ok(match vault.seal()? {
        Err(error @ VaultError::Tls { .. }) => of(error)
            .why("whoever logs in sends a token to whatever answers here: it must be Vault, and every consumer needs the same CA"),
        Err(VaultError::Unreachable { .. }) => Finding::skipped("nothing answers"),
        _ if vault.url().scheme() == "http" => {
            Finding::warning("plain http: tokens and secrets cross this connection in the clear").to_do(
                "serve Vault over TLS, and name it with https:// here and in every store",
            )
        }
        _ => Finding::passed("the certificate is trusted and has the address's name"),
    })
}

fn unsealed(vault: &VaultScene) -> Known<Finding> {
    let sealed = || {
        Finding::failed("Vault is sealed: it answers nothing else until it is unsealed")
            .why("the server's own message is `Vault is sealed`, for every request")
            .run("unseal it, with as many key shares as it takes", vault.cli().run("operator unseal"))
    };
    let never = || {
        Finding::failed("Vault is not initialised: it is new, or has lost its storage")
            .run("initialise it, keep the keys that this prints, then unseal it", vault.cli().run("operator init"))
    };
    Ok(match vault.seal()? {
        Ok(status) if !status.initialized => never(),
        Ok(status) if status.sealed => sealed(),
        Err(VaultError::Sealed { .. }) => sealed(),
        Err(VaultError::Uninitialised { .. }) => never(),
        _ => Finding::passed("unsealed"),
    })
}

fn active(vault: &VaultScene) -> Known<Finding> {
    let look = |finding: Finding| {
        let status = vault.cli().run("status").shown();
        finding.to_do(format!("look at {status} on each node, and at the log of the one that should be active"))
    };
    let none = |said: String| {
        look(Finding::failed(format!("this node is a standby, and {said}")))
            .why("a standby forwards to the active node what it can't answer itself, logins among it")
            .to_do("or name the address of a node that is active")
    };
    Ok(match vault.leader()? {
        Ok(leader) if !leader.ha_enabled || leader.is_self => Finding::passed("this node is active"),
        Ok(leader) if leader.leader_address.is_empty() => none("no node is active".to_owned()),
        Ok(leader) => match vault.forwards()? {
            Ok(()) => Finding::passed(format!("this node is a standby; it forwards to {}", leader.leader_address)),
            Err(VaultError::Redirected { .. }) => look(
                Finding::failed("this node is a standby, and does not forward requests to the active node")
                    .with("this node", vault.address())
                    .with("the active node, as it says", leader.leader_address.clone())
                    .why("a login is for the active node: a standby that can't reach it answers 307 with that address, and no token is sent there")
                    .to_do(format!("name the active node's address: VAULT_ADDR={}", leader.leader_address)),
            )
            .to_do("or let the standby reach its cluster port (8201)"),
            Err(error) => none(format!("it finds no active node ({error})")),
        },
        Err(error @ VaultError::Standby { .. }) => none(format!("it finds no active node ({error})")),
        Err(VaultError::Sealed { .. }) => Finding::skipped("a sealed Vault does not say"),
        Err(error) => of(error),
    })
}

fn token(vault: &VaultScene) -> Known<Finding> {
    let Some(operator) = vault.operator()? else {
        return Ok(Finding::skipped("there is no operator's token: what only an operator may read is not looked at")
            .to_do(format!(
                "log in with {}, or set VAULT_TOKEN, to see mount, role and policies as well",
                vault.cli().run("login").shown()
            )));
    };
    Ok(match operator {
        Ok(OperatorToken { num_uses, .. }) if *num_uses > 0 => Finding::warning(format!(
            "the token could be used {num_uses} more times when this began, and this looks at more"
        ))
        .why("every request is a use; what is looked at after the last is refused like by a token that is wrong")
        .to_do("take a token that may be used without limit, for as long as it lives"),
        Ok(OperatorToken { display_name, ttl, policies, .. }) => {
            let left = if *ttl > 0 { format!(", for another {ttl} s") } else { String::new() };
            Finding::passed(format!("{display_name} with {}{left}", policies.join(", ")))
        }
        Err(VaultError::Forbidden { token: TokenState::Valid { .. }, .. }) => {
            Finding::passed("valid; it may not look itself up")
        }
        Err(error @ (VaultError::Forbidden { .. } | VaultError::InvalidToken { .. })) => of(error).why(
            "this is the token of who runs this, not of the role; consumers don't need it, and what it would show is \
             not looked at",
        ),
        Err(VaultError::NotFound { .. }) => Finding::skipped("the namespace has nothing to look it up with"),
        Err(error) => of(error),
    })
}

fn namespace(vault: &VaultScene) -> Known<Finding> {
    let Some(name) = vault.namespace() else { return Ok(Finding::passed("the root namespace")) };
    Ok(match vault.shown()? {
        Ok(()) | Err(VaultError::Forbidden { .. }) => Finding::passed(format!("the namespace {name} answers")),
        Err(error @ VaultError::NotFound { .. }) => of(error)
            .with("the namespace that is asked for", name)
            .why("mounts, roles and policies of one namespace are not seen in another: everything looks as if it were missing"),
        Err(error @ VaultError::NoNamespaces { .. }) => {
            of(error).why("what was set up for the namespace is in the root, beside what is there for others")
        }
        Err(error) => of(error),
    })
}

fn audit(vault: &VaultScene) -> Known<Finding> {
    if vault.operator()?.is_none() {
        return Ok(Finding::skipped("there is no operator's token that could look"));
    }
    Ok(match vault.facts().get(&AuditDevices)? {
        None => Finding::unseen("whether there is one is not seen with this token (sys/audit, read and sudo)"),
        Some(devices) if devices.is_empty() => Finding::warning(
            "there is no audit device: nothing keeps who logged in and who read which secret",
        )
        .why("without its log a leak can't be traced, and the cause of a bare `permission denied` is harder to find")
        .to_do(format!(
            "enable one: {}; where the server takes none by its API (OpenBao), an `audit` stanza in its configuration",
            vault.root_cli().run("audit enable file file_path=…").shown()
        )),
        Some(devices) => {
            Finding::passed(devices.keys().map(|path| path.trim_end_matches('/')).collect::<Vec<_>>().join(", "))
        }
    })
}

/// A failure with what the error says.
fn of(error: &VaultError) -> Finding {
    let said = error.to_string();
    let detail = match std::error::Error::source(error) {
        Some(cause) => format!("{said}: {cause}"),
        None => said,
    };
    error.remedies().into_iter().fold(Finding::failed(detail), Finding::to_do)
}
