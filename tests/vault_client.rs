//! The one place that sends requests to Vault: against servers that misbehave on purpose, and against the real one.

mod consistency;
mod faults;
mod rates;
mod real_server;
mod roles;
mod tls;

use std::future::Future;

use vaultk8s::error::Result;
use vaultk8s::settings::{Environment, VaultArgs, VaultSettings};
use vaultk8s::vault::{Client, Data, Request};

/// What `vaultk8s` sees of these environment variables and nothing else.
pub fn settings(environment: &[(&str, &str)]) -> Result<VaultSettings> {
    let environment = Environment::from_pairs(environment.iter().copied());
    VaultSettings::resolve(&VaultArgs::default(), &environment, None)
}

/// A client with these environment variables and no others.
pub fn client(environment: &[(&str, &str)]) -> Client {
    Client::new(&settings(environment).unwrap()).unwrap()
}

/// Runs one future, as `main` would.
pub fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// A read whose answer may be anything in Vault's envelope.
pub fn read(path: &str) -> Request<Data<serde_json::Value>> {
    Request::read(path)
}
