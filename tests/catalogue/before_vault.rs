//! What stands before Vault, and changes what it sees or takes: quotas that stop logins, and a load balancer's address.

use lab::Balancer;
use serde_json::{Value, json};

use super::entry::{Entry, entry, run};
use super::setup::{Setup, Shape, jwt};

fn kubernetes() -> Shape {
    Shape { kubernetes: true, ..jwt() }
}

fn from_here(shape: Shape) -> Shape {
    Shape { role: ", boundCidrs: [127.0.0.1]", ..shape }
}

/// One request an hour, of all at the mount or of the logins as a role.
fn quota(setup: &mut Setup, fields: Value) {
    let mut quota = json!({ "path": format!("auth/{}", setup.mount), "rate": 1, "interval": 3600 });
    for (name, value) in fields.as_object().unwrap() {
        quota[name] = value.clone();
    }
    setup.vault().write(&format!("sys/quotas/rate-limit/{}", setup.policy), &quota);
    // Whoever waits for a minute sees the same.
    setup.environment.insert("VAULT_CLIENT_TIMEOUT", "2s".to_owned());
}

fn of_the_mount(setup: &mut Setup) {
    quota(setup, json!({}));
    // Somebody else uses up what there is.
    setup.vault().login(&setup.mount, "r-app", "nobody's");
}

fn of_the_role(setup: &mut Setup) {
    quota(setup, json!({ "role": "r-app" }));
}

fn nobody_may_look(setup: &mut Setup) {
    of_the_mount(setup);
    setup.write_policy(&format!("{}-reader", setup.policy), "path \"auth/*\" { capabilities = [\"read\"] }");
    let body = json!({ "policies": [format!("{}-reader", setup.policy)] });
    let token = setup.vault().write("auth/token/create", &body)["auth"]["client_token"].as_str().unwrap().to_owned();
    setup.environment.insert("VAULT_TOKEN", token);
}

fn no_quota(setup: &mut Setup) {
    setup.vault().delete(&format!("sys/quotas/rate-limit/{}", setup.policy));
    setup.environment.insert("VAULT_TOKEN", lab::shared().root_token().to_owned());
}

fn more(_: &Setup) -> String {
    "rate=1000".to_owned()
}

/// Vault sees another address than that of who logs in.
fn balancer(setup: &mut Setup) {
    let balancer = Balancer::start(lab::shared().vault_address());
    setup.environment.insert("VAULT_ADDR", balancer.url().to_owned());
    setup.others.push(Box::new(balancer));
}

/// Logs in past it.
fn past_the_balancer(setup: &mut Setup) {
    setup.environment.insert("VAULT_ADDR", lab::shared().vault_address().to_owned());
}

#[test]
fn what_stands_before_vault_is_named() {
    const STOPS: &[&str] =
        &["a quota of Vault stops logins at auth/", "none gets through", "1 request in 3600 s for auth/"];
    const ADDRESS: &[&str] = &["permission denied", "only from 127.0.0.1", "X-Forwarded-For"];
    let seen = |name, shape| -> Entry { entry(name, shape, balancer, "VK431", ADDRESS).person(past_the_balancer) };
    run(
        "what stands before Vault",
        &[
            entry("a quota of the mount", jwt, of_the_mount, "VK431", STOPS).filled("rate=…", more),
            entry("a quota of the mount (kubernetes)", kubernetes, of_the_mount, "VK431", STOPS).person(no_quota),
            entry(
                "a quota of the role's logins",
                jwt,
                of_the_role,
                "VK432",
                &["the first login got through", "1 request in 3600 s for logins as r-app"],
            )
            .filled("rate=…", more),
            entry(
                "a quota that may not be read",
                jwt,
                nobody_may_look,
                "VK431",
                &["a quota of Vault stops logins at auth/", "can't be read with this token"],
            )
            .person(no_quota),
            seen("a load balancer's address", || from_here(jwt())),
            seen("a load balancer's address (kubernetes)", || from_here(kubernetes())),
        ],
    );
}
