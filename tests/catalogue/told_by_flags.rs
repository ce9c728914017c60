//! Vault is named by flags or by the configuration file alone, and not by the environment: what is printed as the remedy has
//! to reach it all the same.

use serde_json::json;

use super::entry::{entry, run};
use super::setup::{Setup, flags, jwt};

/// Takes Vault's address and CA out of the environment.
fn forgotten(setup: &mut Setup) -> (String, String) {
    let mut take = |name| setup.environment.remove(name).unwrap();
    (take("VAULT_ADDR"), take("VAULT_CACERT"))
}

fn by_flags(setup: &mut Setup) {
    let (address, ca) = forgotten(setup);
    setup.args.extend(["--address".to_owned(), address, "--ca-cert".to_owned(), ca]);
}

fn by_file(setup: &mut Setup) {
    let (address, ca) = forgotten(setup);
    let text = std::fs::read_to_string(&setup.file).unwrap();
    let vault = format!("vault: {{ address: \"{address}\", caCert: \"{ca}\" }}\n");
    std::fs::write(&setup.file, vault + &text).unwrap();
}

fn slash(setup: &mut Setup) {
    setup.mount_config(json!({ "bound_issuer": format!("{}/", setup.cluster().server()) }));
}

fn no_audience(setup: &mut Setup) {
    setup.role(json!({ "bound_audiences": [] }));
}

fn disabled(setup: &mut Setup) {
    super::identity::disable(setup);
}

fn deleted(setup: &mut Setup) {
    setup.vault().delete(&format!("{}/data/{}/db", setup.kv, setup.namespace));
}

/// A fault, once Vault is known only in one way.
macro_rules! known {
    ($known:ident, $fault:ident) => {
        |setup| {
            $known(setup);
            $fault(setup);
        }
    };
}

#[test]
fn the_remedies_reach_vault() {
    run(
        "Vault is not in the environment",
        &[
            entry("issuer with a slash, by --address", flags, known!(by_flags, slash), "VK312", &["slash"]),
            entry("no audience, by --address", flags, known!(by_flags, no_audience), "VK411", &["no audience"]),
            entry("identity disabled, by --address", flags, known!(by_flags, disabled), "VK431", &["disabled"]),
            entry("secret deleted, by --address", flags, known!(by_flags, deleted), "VK601", &["deleted"]),
            entry("issuer with a slash, by the file", jwt, known!(by_file, slash), "VK312", &["slash"]),
            entry("identity disabled, by the file", jwt, known!(by_file, disabled), "VK431", &["disabled"]),
            entry("secret deleted, by the file", jwt, known!(by_file, deleted), "VK601", &["deleted"]),
        ],
    );
}
