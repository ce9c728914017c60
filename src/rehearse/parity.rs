//! A stand-in's tokens and reviews beside those of the real kube-apiserver, field by field.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::Method;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value, json};

use super::api::{Answer, Api, now};
use super::signer::{KeyType, Signer};
use super::tokens::{Account, Issuer};
use crate::names::ServiceAccountRef;

const REVIEWS: &str = "/apis/authentication.k8s.io/v1/tokenreviews";

/// A namespace on the real cluster, and a stand-in with the same issuer, audiences and accounts.
struct Both {
    namespace: String,
    api: Api,
}

/// What a stand-in answers.
fn asked(api: &Api, method: &Method, path: &str, bearer: Option<&str>, body: &Value) -> Answer {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(api.answer(method, path, bearer, body.to_string().as_bytes()))
}

/// A token of each.
struct Pair {
    real: String,
    stand_in: String,
}

impl Both {
    fn new() -> Self {
        let lab = lab::shared();
        let namespace = lab.namespace("parity");
        let (url, signer) = (lab.kubernetes_server().to_owned(), Signer::generate(KeyType::Rsa).unwrap());
        let audiences = vec!["https://kubernetes.default.svc.cluster.local".to_owned(), url.clone()];
        let issuer = Issuer { url: url.clone(), audiences, signer };
        let both = Self { namespace, api: Api::new(issuer, url, false, None) };
        for name in ["app", "reviewer", "other"] {
            lab.service_account(&both.namespace, name);
            both.account(name);
        }
        let binding = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": { "name": lab.unique("parity") },
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:auth-delegator" },
            "subjects": [{ "kind": "ServiceAccount", "name": "reviewer", "namespace": both.namespace }],
        });
        let path = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";
        assert_eq!(lab.kubernetes().request(Method::POST, path, Some(&binding)).unwrap().0, 201);
        let path = format!("{path}/reviewer");
        assert!(both.asked(&Method::PATCH, &path, Some(both.api.admin.expose_secret()), &binding).status.is_success());
        both
    }

    fn name(&self, name: &str) -> ServiceAccountRef {
        ServiceAccountRef { namespace: self.namespace.clone(), name: name.to_owned() }
    }

    fn account(&self, name: &str) -> Account {
        self.api.account(&self.name(name))
    }

    fn asked(&self, method: &Method, path: &str, bearer: Option<&str>, body: &Value) -> Answer {
        asked(&self.api, method, path, bearer, body)
    }

    fn token_request(&self, name: &str, audiences: &[&str]) -> (u16, Value, Answer) {
        let path = format!("/api/v1/namespaces/{}/serviceaccounts/{name}/token", self.namespace);
        let body = json!({
            "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
            "spec": { "audiences": audiences, "expirationSeconds": 600 },
        });
        let real = lab::shared().kubernetes().request(Method::POST, &path, Some(&body)).unwrap();
        (real.0, real.1, self.asked(&Method::POST, &path, Some(self.api.admin.expose_secret()), &body))
    }

    fn token(&self, name: &str, audiences: &[&str]) -> Pair {
        let (_, real, stand_in) = self.token_request(name, audiences);
        let token = |answer: &Value| answer["status"]["token"].as_str().unwrap().to_owned();
        Pair { real: token(&real), stand_in: token(&stand_in.body) }
    }

    /// Presents a token to both, by a reviewer of each, and compares the answers.
    #[track_caller]
    fn same_review(&self, what: &str, token: &Pair, reviewer: Option<&Pair>, audiences: &[&str]) -> Value {
        let review = |token: &str| {
            json!({
                "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview",
                "spec": { "token": token, "audiences": audiences },
            })
        };
        let (status, real) = really_reviewed(&review(&token.real), reviewer.map(|pair| pair.real.as_str()));
        let bearer = reviewer.map(|pair| pair.stand_in.as_str());
        let answer = self.asked(&Method::POST, REVIEWS, bearer, &review(&token.stand_in));
        let compared = (answer.status.as_u16(), shape(&answer.body));
        assert_eq!(compared, (status, shape(&real)), "{what}");
        answer.body
    }
}

/// The answer of the real API server.
fn really_reviewed(review: &Value, bearer: Option<&str>) -> (u16, Value) {
    let lab = lab::shared();
    let ca = reqwest::Certificate::from_pem(lab.kubernetes_ca().as_bytes()).unwrap();
    let (url, review) = (format!("{}{REVIEWS}", lab.kubernetes_server()), review.to_string());
    let bearer = bearer.map(str::to_owned);
    crate::reach::install_crypto_provider();
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let client = reqwest::Client::builder().tls_certs_only([ca]).no_proxy().build().unwrap();
        let mut request = client.post(url).header("content-type", "application/json").body(review);
        if let Some(bearer) = bearer {
            request = request.bearer_auth(bearer);
        }
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap())
    })
}

/// A document with a word in place of what differs from one account, token and moment to the next.
fn shape(document: &Value) -> Value {
    match document {
        Value::Object(fields) => {
            let keep = fields.iter().filter(|(name, _)| name.as_str() != "managedFields");
            let one = |(name, value): (&String, &Value)| {
                let varies = matches!(
                    name.as_str(),
                    "token"
                        | "uid"
                        | "jti"
                        | "exp"
                        | "iat"
                        | "nbf"
                        | "kid"
                        | "creationTimestamp"
                        | "expirationTimestamp"
                        | "authentication.kubernetes.io/credential-id"
                );
                let value = if varies { format!("({})", kind(value)).into() } else { shape(value) };
                (name.clone(), value)
            };
            // The order of fields means nothing in JSON; here it would.
            let mut sorted: Vec<(String, Value)> = keep.map(one).collect();
            sorted.sort_by(|a, b| a.0.cmp(&b.0));
            Value::Object(Map::from_iter(sorted))
        }
        Value::Array(list) => list.iter().map(shape).collect(),
        Value::String(text) => text
            .split_inclusive(['(', ')'])
            .map(|part| if part.len() == 37 && part.ends_with(')') { "uuid)" } else { part })
            .collect::<String>()
            .into(),
        other => other.clone(),
    }
}

/// What kind of value it is, with the form of those that have one.
fn kind(value: &Value) -> String {
    match value {
        Value::Number(_) => "number".to_owned(),
        Value::String(text) if text.len() == 36 && text.matches('-').count() == 4 => "uuid".to_owned(),
        Value::String(text) if text.ends_with('Z') && text.len() == 20 => "time".to_owned(),
        Value::String(text) if text.matches('.').count() == 2 => "jwt".to_owned(),
        Value::Array(list) => list.iter().map(|item| item.as_str().unwrap_or_default()[..4].to_owned()).collect(),
        _ => "text".to_owned(),
    }
}

/// Header and claims.
fn parts(token: &str) -> Vec<Value> {
    let decoded = |part: &str| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
    token.split('.').take(2).map(decoded).collect()
}

#[test]
fn tokens_have_the_claims_of_real_ones() {
    let both = Both::new();
    for audiences in [&["vault"][..], &["a", "b"], &[]] {
        let (status, real, stand_in) = both.token_request("app", audiences);
        assert_eq!((stand_in.status.as_u16(), shape(&stand_in.body)), (status, shape(&real)), "{audiences:?}");
        let token = |answer: &Value| parts(answer["status"]["token"].as_str().unwrap());
        let (real, stand_in) = (token(&real), token(&stand_in.body));
        let shapes = |parts: &[Value]| parts.iter().map(shape).collect::<Vec<_>>();
        assert_eq!(shapes(&stand_in), shapes(&real), "{audiences:?}");
        for parts in [&real, &stand_in] {
            let time = |claim: &str| parts[1][claim].as_u64().unwrap();
            assert_eq!((time("exp") - time("iat"), time("nbf")), (600, time("iat")));
        }
    }
    let (status, real, stand_in) = both.token_request("nobody", &[]);
    assert_eq!((stand_in.status.as_u16(), shape(&stand_in.body)), (status, shape(&real)));
}

#[test]
fn reviews_are_answered_as_really() {
    let both = Both::new();
    let (vault, own) = (both.token("app", &["vault", "more"]), both.token("app", &[]));
    let (reviewer, other) = (both.token("reviewer", &[]), both.token("other", &[]));
    let word = |text: &str| Pair { real: text.to_owned(), stand_in: text.to_owned() };

    let accepted = both.same_review("good", &vault, Some(&reviewer), &["vault"]);
    assert_eq!(accepted["status"]["authenticated"], true);
    both.same_review("one of several audiences", &vault, Some(&reviewer), &["x", "more", "vault"]);
    both.same_review("the API server's own", &own, Some(&reviewer), &[]);
    both.same_review("itself", &own, Some(&own), &[]);
    both.same_review("another audience", &vault, Some(&reviewer), &["other"]);
    both.same_review("not for the API server", &vault, Some(&reviewer), &[]);

    both.same_review("no delegator", &vault, Some(&other), &["vault"]);
    both.same_review("an unknown reviewer", &vault, Some(&word("nonsense")), &["vault"]);
    both.same_review("a reviewer of another audience", &vault, Some(&vault), &["vault"]);
    both.same_review("nobody", &vault, None, &["vault"]);

    for text in ["garbage", "a.b.c", ""] {
        both.same_review(text, &word(text), Some(&reviewer), &["vault"]);
    }
}

#[test]
fn tokens_that_are_none_any_more_are_refused_as_really() {
    let both = Both::new();
    let lab = lab::shared();
    let reviewer = both.token("reviewer", &[]);

    // A key that calls itself the cluster's.
    let genuine = both.token("app", &["vault"]);
    let foreign = Signer::generate(KeyType::Rsa).unwrap();
    let signed = both.api.issuer.signed_by(&foreign, &both.account("app"), &["vault".into()], now(), 600).unwrap();
    let mut changed = genuine.real.clone();
    let at = changed.rfind('.').unwrap() + 1;
    let letter = if changed[at..].starts_with('A') { "B" } else { "A" };
    changed.replace_range(at..=at, letter);
    let foreign = Pair { real: changed, stand_in: signed.expose_secret().to_owned() };
    both.same_review("a foreign key", &foreign, Some(&reviewer), &["vault"]);

    // An account that was deleted: in the stand-in, one that is not there.
    lab.service_account(&both.namespace, "gone");
    let real = lab.token(&both.namespace, "gone", &["vault"], 600);
    let path = format!("/api/v1/namespaces/{}/serviceaccounts/gone", both.namespace);
    assert_eq!(lab.kubernetes().request(Method::DELETE, &path, None).unwrap().0, 200);
    let nobody = Account { name: both.name("gone"), uid: super::tokens::uuid() };
    let token = |account: &Account, at: u64, seconds| -> SecretString {
        both.api.issuer.bound(account, &["vault".to_owned()], at, seconds).unwrap()
    };
    let gone = Pair { real, stand_in: token(&nobody, now(), 600).expose_secret().to_owned() };
    both.same_review("a deleted account", &gone, Some(&reviewer), &["vault"]);

    // One of the same name that is another.
    lab.service_account(&both.namespace, "gone");
    both.account("gone");
    let review = both.same_review("a new account", &gone, Some(&reviewer), &["vault"]);
    let said = review["status"]["error"].as_str().unwrap();
    assert!(said.contains("does not match claim"), "{said}");
}

#[test]
fn a_real_cluster_takes_a_token_that_was_signed_here_for_its_own() {
    let key = lab::ServiceAccountKey::generate(lab::KeyKind::Rsa2048).unwrap();
    let pem: String = key.private_pem().lines().filter(|line| !line.starts_with("-----")).collect();
    let options = lab::ControlPlaneOptions { keys: vec![key], controller_manager: false, ..Default::default() };
    let cluster = lab::ControlPlane::start(&options);
    cluster.client().create_namespace("app").unwrap();
    cluster.client().create_service_account("app", "app").unwrap();
    let signer = Signer::of_rsa(&STANDARD.decode(pem).unwrap()).unwrap();
    let issuer = Issuer { url: cluster.server_url().to_owned(), audiences: Vec::new(), signer };
    let api = Api::new(issuer, String::new(), true, None);
    let path = "/api/v1/namespaces/app/serviceaccounts/app";
    let (_, real) = cluster.client().request(Method::GET, path, None).unwrap();
    let uid = json!({ "metadata": { "uid": real["metadata"]["uid"] } });
    let name = ServiceAccountRef { namespace: "app".to_owned(), name: "app".to_owned() };
    api.account(&name);
    let admin = Some(api.admin.expose_secret());
    assert!(asked(&api, &Method::PATCH, path, admin, &uid).status.is_success());
    for (what, at, accepted) in [("now", now(), true), ("an hour ago", now() - 3600, false)] {
        let token = api.issuer.bound(&api.account(&name), &["vault".to_owned()], at, 600).unwrap();
        let review = json!({
            "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview",
            "spec": { "token": token.expose_secret(), "audiences": ["vault"] },
        });
        let (status, real) = cluster.client().request(Method::POST, REVIEWS, Some(&review)).unwrap();
        let stand_in = asked(&api, &Method::POST, REVIEWS, admin, &review);
        assert_eq!((stand_in.status.as_u16(), shape(&stand_in.body)), (status, shape(&real)), "{what}");
        assert_eq!(real["status"]["authenticated"] == true, accepted, "{what}: {real}");
        // The user, uid and token name as well, which `shape` leaves out.
        assert_eq!(stand_in.body["status"], real["status"], "{what}");
    }
}
