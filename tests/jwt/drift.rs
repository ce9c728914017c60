//! Every field that the server reads back: changed by hand, found by `plan`, mended by `bootstrap`, and in order again.

use lab::Mount;
use serde_json::{Map, Value, json};

use crate::command::Vaultk8s;

/// A mount with one role on the shared servers.
struct Fixture {
    mount: Mount,
    config: String,
}

impl Fixture {
    fn bootstrapped() -> Self {
        let lab = lab::shared();
        let (mount, policy, namespace) = (lab.mount("jwt-drift"), lab.unique("p-drift"), lab.namespace("drift"));
        lab.service_account(&namespace, "app");
        let context = lab.context();
        let auth = format!("{{ method: jwt, mount: {mount}, audience: vault }}");
        let config = format!(
            "clusters: [{{ name: lab, context: {context}, auth: {auth} }}]
policies: [{{ name: {policy}, read: [drift/*] }}]
roles: [{{ name: r, serviceAccounts: [{namespace}/app], policies: [{policy}], ttl: 10m }}]
"
        );
        let fixture = Self { mount, config };
        fixture.run(&["bootstrap"]).exits(0);
        fixture
    }

    fn run(&self, args: &[&str]) -> crate::command::Answer {
        Vaultk8s::new(args.iter().copied()).on_shared().config(&self.config).run()
    }

    /// What a document holds, without what is unset: Go writes that in several ways.
    fn held(&self, what: &str) -> Map<String, Value> {
        let data = lab::shared().vault().read(&format!("auth/{}/{what}", self.mount))["data"].clone();
        let Value::Object(fields) = data else { panic!("{data}") };
        let unset = |value: &Value| value.is_null() || *value == json!([]) || *value == json!({});
        fields.into_iter().filter(|(_, value)| !unset(value)).collect()
    }

    /// Finds and mends what was just done by hand, and holds afterwards what it held before.
    fn mends(&self, what: &str, field: &str, healthy: &Map<String, Value>) {
        self.run(&["plan", "--detailed-exitcode"]).exits(2).says(&["0 to create, 1 to change", field]);
        self.run(&["bootstrap", "--yes"]).exits(0).says(&["1 change made; 1 login verified"]);
        self.run(&["plan", "--detailed-exitcode"]).exits(0).says(&["No changes."]);
        assert_eq!(self.held(what), *healthy, "{field}");
    }
}

/// The fields that the server reads back of a document, those that it leaves out where they are unset included.
fn readable(fixture: &Fixture, what: &str) -> Vec<String> {
    let data = &lab::shared().vault().read(&format!("auth/{}/{what}", fixture.mount))["data"];
    data.as_object().unwrap().keys().cloned().collect()
}

#[test]
fn every_field_of_a_role() {
    let fixture = Fixture::bootstrapped();
    let healthy = fixture.held("role/r");
    for field in readable(&fixture, "role/r") {
        let value = match field.as_str() {
            "allowed_redirect_uris" => json!(["https://elsewhere.example/callback"]),
            "bound_audiences" => json!(["vault", "other"]),
            "bound_claims" => json!({ "sub": ["system:serviceaccount:other:other", healthy["bound_claims"]["sub"]] }),
            "bound_claims_type" => json!("glob"),
            "bound_subject" => json!("somebody"),
            "callback_mode" => json!("direct"),
            "claim_mappings" => json!({ "sub": "subject" }),
            "clock_skew_leeway" | "expiration_leeway" | "not_before_leeway" => json!(3600),
            "groups_claim" => json!("groups"),
            "max_age" | "token_period" | "token_max_ttl" | "token_explicit_max_ttl" | "token_ttl" => json!(7200),
            "oauth2_metadata" => json!(["access_token"]),
            "oidc_scopes" => json!(["email"]),
            "role_type" => json!("oidc"),
            "token_bound_cidrs" => json!(["10.0.0.0/8"]),
            "token_num_uses" => json!(7),
            "token_policies" => json!(["default", "other"]),
            "token_type" => json!("batch"),
            "user_claim" => json!("iss"),
            "oidc_disable_confirmation"
            | "token_no_default_policy"
            | "token_policies_template_claims"
            | "token_strictly_bind_ip"
            | "user_claim_json_pointer"
            | "verbose_oidc_logging" => json!(true),
            // Deprecated names that HashiCorp Vault reads back beside those with `token_`.
            "policies" | "ttl" | "max_ttl" | "period" | "num_uses" | "bound_cidrs" => continue,
            other => panic!("the server reads back {other}, which this test doesn't know"),
        };
        let mut by_hand = json!({ "role_type": "jwt", "user_claim": "sub" });
        if field == "role_type" {
            by_hand["allowed_redirect_uris"] = json!(["https://elsewhere.example/callback"]);
        }
        by_hand[&field] = value;
        lab::shared().vault().write(&format!("auth/{}/role/r", fixture.mount), &by_hand);
        fixture.mends("role/r", &field, &healthy);
    }
}

#[test]
fn every_field_of_a_configuration() {
    let fixture = Fixture::bootstrapped();
    let healthy = fixture.held("config");
    let ca = lab::shared().kubernetes_ca();
    for field in readable(&fixture, "config") {
        let value = match field.as_str() {
            "bound_issuer" => json!("https://elsewhere.example"),
            "default_role" => json!("r"),
            "jwks_ca_pem" | "oidc_discovery_ca_pem" => json!(ca),
            "jwt_supported_algs" => json!(["RS256", "PS256"]),
            "jwt_validation_pubkeys" => {
                let other = include_str!("../../testdata/jwks/p384.pem");
                json!([healthy["jwt_validation_pubkeys"][0], other])
            }
            "namespace_in_state" => json!(false),
            "oidc_response_mode" => json!("query"),
            "oidc_response_types" => json!(["code"]),
            "override_allowed_server_names" => json!(["elsewhere.example"]),
            // What the file says nothing of is left: see `public_issuer`.
            // Other sources of keys exclude the pinned ones, and a client belongs to them: see `fetched_keys`.
            // `status` is the server's own.
            "provider_config" | "jwks_url" | "oidc_discovery_url" | "oidc_client_id" | "jwks_pairs" | "status" => {
                continue;
            }
            other => panic!("the server reads back {other}, which this test doesn't know"),
        };
        let mut by_hand = Value::Object(healthy.clone());
        by_hand[&field] = value;
        lab::shared().vault().write(&format!("auth/{}/config", fixture.mount), &by_hand);
        fixture.mends("config", &field, &healthy);
    }
}
