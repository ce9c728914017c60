//! The client alone: what was written is read, many times over.
//!
//! Each test has the two nodes for itself, because a standby learns what was committed with the next write or heartbeat: the
//! writes of others would hide how late it is.

use std::future::Future;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use lab::{TwoNodes, Vault, VaultServer};
use secrecy::SecretString;
use serde_json::{Value, json};
use vaultk8s::settings::{Environment, VaultArgs, VaultSettings};
use vaultk8s::vault::{Client, Data, Done, LoginAnswer, Request, VaultError};

use crate::command::Vaultk8s;

/// How often each thing is tried.
const TIMES: usize = 100;

/// Two nodes that nobody else uses meanwhile.
fn quiet_nodes() -> MutexGuard<'static, TwoNodes> {
    static NODES: OnceLock<Mutex<TwoNodes>> = OnceLock::new();
    // A test that failed left nothing behind that another one minds.
    NODES.get_or_init(|| Mutex::new(TwoNodes::start())).lock().unwrap_or_else(PoisonError::into_inner)
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(future)
}

/// A client of its own, as each run of the tool has one, as root.
fn client(server: &VaultServer) -> Client {
    let ca = server.ca().display().to_string();
    let environment = [("VAULT_ADDR", server.address()), ("VAULT_CACERT", &ca), ("VAULT_TOKEN", server.root_token())];
    let environment = Environment::from_pairs(environment);
    Client::new(&VaultSettings::resolve(&VaultArgs::default(), &environment, None).unwrap()).unwrap()
}

fn policy(name: &str, text: &str) -> Request<Done> {
    Request::write(format!("sys/policies/acl/{name}"), json!({ "policy": rule(text) }))
}

fn rule(path: &str) -> String {
    format!("path \"{path}\" {{ capabilities = [\"read\"] }}")
}

async fn text(client: &Client, name: &str) -> Option<String> {
    let read = Request::<Data<Value>>::read(format!("sys/policies/acl/{name}"));
    client.find(&read).await.unwrap().map(|answer| answer.data["policy"].as_str().unwrap().to_owned())
}

/// How often somebody who sends no index, such as the judge, reads something else than was written through a node.
fn stale_without(vault: &Vault) -> usize {
    let name = lab::unique("plain");
    let path = format!("sys/policies/acl/{name}");
    let stale = |at: &usize| {
        let text = rule(&at.to_string());
        vault.write(&path, &json!({ "policy": text }));
        vault.get(&path).1["data"]["policy"] != text.as_str()
    };
    (0..TIMES).filter(stale).count()
}

#[test]
fn what_was_written_is_read() {
    let nodes = quiet_nodes();
    let standby = nodes.standby();
    let without = stale_without(standby.client());
    let stale = run(async {
        let (client, name) = (client(standby), lab::unique("p"));
        let mut stale = 0;
        for at in 0..TIMES {
            client.send(&policy(&name, &at.to_string())).await.unwrap();
            stale += usize::from(text(&client, &name).await != Some(rule(&at.to_string())));
        }
        stale
    });
    assert_eq!(stale, 0, "of {TIMES} answers through a standby, and {without} without the index");
    // HashiCorp's standbys forward everything, so that there it proves nothing.
    assert!(without > 0 || !is_openbao(), "this standby is never late: nothing was proved");
}

fn is_openbao() -> bool {
    lab::shared().vault_program().ends_with("bao")
}

#[test]
fn what_many_wrote_at_once_is_read_by_each_in_any_order() {
    let nodes = quiet_nodes();
    let standby = nodes.standby();
    run(async {
        let client = client(standby);
        let one = async |at: usize| {
            let (client, name) = (client.without_namespace(), lab::unique("p"));
            client.send(&policy(&name, &at.to_string())).await.unwrap();
            usize::from(text(&client, &name).await != Some(rule(&at.to_string())))
        };
        let stale: usize = futures::future::join_all((0..TIMES).map(one)).await.into_iter().sum();
        assert_eq!(stale, 0);
    });
}

#[test]
fn twenty_fresh_mounts_take_their_configuration_at_once() {
    let (lab, nodes) = (lab::shared(), quiet_nodes());
    let standby = nodes.standby();
    let pem = Vaultk8s::new(["pem"]).stdin(lab.kubectl_get_raw("/openid/v1/jwks")).run().exits(0).stdout;
    run(async {
        let client = client(standby);
        let one = async |_| {
            let mount = lab.unique("jwt");
            let path = format!("auth/{mount}");
            client.send(&Request::<Done>::write(format!("sys/{path}"), json!({ "type": "jwt" }))).await?;
            let keys = json!({ "jwt_validation_pubkeys": [pem], "bound_issuer": mount });
            client.send(&Request::<Done>::write(format!("{path}/config"), keys)).await?;
            let role = json!({ "role_type": "jwt", "user_claim": "sub", "bound_audiences": mount });
            client.send(&Request::<Done>::write(format!("{path}/role/r"), role)).await?;
            let config = client.send(&Request::<Data<Value>>::read(format!("{path}/config"))).await?;
            let role = client.send(&Request::<Data<Value>>::read(format!("{path}/role/r"))).await?;
            assert_eq!(
                (&config.data["bound_issuer"], &role.data["bound_audiences"][0]),
                (&json!(mount), &json!(mount))
            );
            Ok::<_, VaultError>(())
        };
        let failed: Vec<_> =
            futures::future::join_all((0..20).map(one)).await.into_iter().filter_map(Result::err).collect();
        assert!(failed.is_empty(), "{failed:?}");
    });
}

#[test]
fn what_somebody_else_wrote_before_a_run_is_read_by_it() {
    let nodes = quiet_nodes();
    let (active, standby) = (nodes.active(), nodes.standby());
    run(async {
        let name = lab::unique("p");
        let mut stale = 0;
        for at in 0..TIMES {
            // One job writes through the active node, and ends. The next one begins, and comes to the standby.
            client(active).send(&policy(&name, &at.to_string())).await.unwrap();
            stale += usize::from(text(&client(standby), &name).await != Some(rule(&at.to_string())));
        }
        assert_eq!(stale, 0);
    });
}

#[test]
fn tokens_are_known_at_once_may_what_they_may_and_are_gone_at_once() {
    let nodes = quiet_nodes();
    let standby = nodes.standby();
    run(async {
        let (client, name) = (client(standby), lab::unique("p"));
        for at in 0..TIMES {
            let path = format!("secret/data/{at}");
            client.send(&policy(&name, &path)).await.unwrap();
            let create =
                Request::<LoginAnswer>::write("auth/token/create", json!({ "policies": [name], "ttl": "1m" })).once();
            let auth = client.send(&create).await.unwrap().auth;
            let with = client.with_token(auth.client_token);
            let lookup = Request::<Data<Value>>::read("auth/token/lookup-self");
            let known = with.send(&lookup).await.unwrap();
            assert_eq!(known.data["policies"], json!(["default", name]));
            let ask = Request::<Value>::ask("sys/capabilities-self", json!({ "paths": [path] }));
            assert_eq!(with.send(&ask).await.unwrap()[&path], json!(["read"]), "{at}");
            with.send(&Request::<Done>::write("auth/token/revoke-self", json!({})).once()).await.unwrap();
            let error = with.send(&lookup).await.unwrap_err();
            assert!(matches!(error, VaultError::Forbidden { .. } | VaultError::InvalidToken { .. }), "{at}: {error:?}");
        }
    });
}

#[test]
fn a_node_still_speaks_for_itself() {
    let nodes = quiet_nodes();
    let standby = nodes.standby();
    run(async {
        let client = client(standby);
        let said = async |path: &str| client.send(&Request::<Value>::of_the_node(path)).await.unwrap();
        for at in 0..TIMES {
            // After each of these the standby is behind for a moment, and passes on what it is asked with the index.
            client.send(&policy(&lab::unique("p"), &at.to_string())).await.unwrap();
            let (leader, seal) = (said("sys/leader").await, said("sys/seal-status").await);
            assert_eq!((&leader["is_self"], &leader["ha_enabled"]), (&json!(false), &json!(true)), "{leader}");
            assert_eq!((&seal["sealed"], &seal["initialized"]), (&json!(false), &json!(true)), "{seal}");
        }
    });
}

/// A token that may not ask the active node, as a CI job's that the operator's policy wasn't renewed for.
#[test]
fn a_token_that_may_not_ask_the_active_node_is_served_all_the_same() {
    let nodes = quiet_nodes();
    let (active, standby) = (nodes.active(), nodes.standby());
    let name = lab::unique("p");
    let mine = format!("sys/policies/acl/{name}");
    active.client().write(&mine, &json!({ "policy": rule(&mine) }));
    run(async {
        let root = client(standby);
        let create =
            Request::<LoginAnswer>::write("auth/token/create", json!({ "policies": [name], "ttl": "1m" })).once();
        let token: SecretString = root.send(&create).await.unwrap().auth.client_token;
        let client = client(standby).with_token(token);
        assert_eq!(text(&client, &name).await, Some(rule(&mine)));
    });
}
