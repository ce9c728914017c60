//! What a stand-in answers where a cluster's API server would: discovery, tokens, token reviews, and the objects that a
//! reviewer needs. No I/O, unless a real cluster is behind it, which then answers for its tokens.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{Method, StatusCode};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::real::RealCluster;
use super::tokens::{Account, Genuine, Issuer, uuid};
use crate::error::Result;
use crate::model::AUTH_DELEGATOR;
use crate::names::{Labels, ServiceAccountRef};

/// The least lifetime of a token that an API server gives, in seconds, and what it gives unasked.
const LEAST_SECONDS: u64 = 600;
const USUAL_SECONDS: u64 = 3600;

const SECRET_OF_ACCOUNT: &str = "kubernetes.io/service-account.name";

/// A cluster's API server, as far as Vault and this tool ask it anything.
pub(super) struct Api {
    pub(super) issuer: Issuer,
    /// Its URL.
    pub(super) server: String,
    /// The token that may do everything here.
    pub(super) admin: SecretString,
    /// Whether every service account may review tokens.
    pub(super) all_review: bool,
    /// The cluster whose tokens they are, where a real one is asked.
    pub(super) real: Option<Arc<RealCluster>>,
    /// The objects by path.
    objects: Mutex<BTreeMap<String, Value>>,
}

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) content_type: &'static str,
    pub(super) body: Value,
}

/// Who asks.
enum User {
    Admin,
    Anonymous,
    Account(ServiceAccountRef),
}

impl Api {
    /// An API server without objects.
    pub(super) fn new(issuer: Issuer, server: String, all_review: bool, real: Option<Arc<RealCluster>>) -> Self {
        let admin = SecretString::from(format!("{:032x}", rand::random::<u128>()));
        Self { issuer, server, admin, all_review, real, objects: Mutex::default() }
    }

    /// A service account; it is made if it isn't there.
    pub(super) fn account(&self, name: &ServiceAccountRef) -> Account {
        let ServiceAccountRef { namespace, name: account } = name;
        self.merge(&format!("/api/v1/namespaces/{namespace}"), &json!({ "kind": "Namespace", "apiVersion": "v1" }));
        let object = self.merge(
            &format!("/api/v1/namespaces/{namespace}/serviceaccounts/{account}"),
            &json!({ "kind": "ServiceAccount", "apiVersion": "v1" }),
        );
        let uid = object["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
        Account { name: name.clone(), uid }
    }

    /// Gives a namespace labels; it is made if it isn't there.
    pub(super) fn label(&self, namespace: &str, labels: &Labels) {
        let object = json!({ "kind": "Namespace", "apiVersion": "v1", "metadata": { "labels": labels } });
        self.merge(&format!("/api/v1/namespaces/{namespace}"), &object);
    }

    /// The labels of a namespace.
    pub(super) fn labels(&self, namespace: &str) -> Labels {
        let object = self.get(&format!("/api/v1/namespaces/{namespace}")).unwrap_or_default();
        serde_json::from_value(object["metadata"]["labels"].clone()).unwrap_or_default()
    }

    /// Answers a request; `bearer` is its token.
    pub(super) async fn answer(&self, method: &Method, path: &str, bearer: Option<&str>, body: &[u8]) -> Answer {
        let Some(user) = self.authenticated(bearer).await else {
            return failure(StatusCode::UNAUTHORIZED, "Unauthorized", "Unauthorized", None);
        };
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        match (method, &segments[..]) {
            // Open to everybody here, so that a Vault that fetches keys finds them.
            (&Method::GET, [".well-known", "openid-configuration"]) => ok(self.discovery()),
            (&Method::GET, ["openid", "v1", "jwks"]) => {
                Answer { content_type: "application/jwk-set+json", ..ok(self.jwks()) }
            }
            (&Method::GET, ["version"]) => ok(json!({ "gitVersion": "v1.36.3" })),
            (&Method::POST, ["apis", "authentication.k8s.io", "v1", "tokenreviews"]) => self.review(&user, &body).await,
            (&Method::POST, ["api", "v1", "namespaces", namespace, "serviceaccounts", name, "token"]) => {
                let name = ServiceAccountRef { namespace: (*namespace).to_owned(), name: (*name).to_owned() };
                match user {
                    User::Admin => self.token_request(&name, &body),
                    _ => forbidden(&user, "create", "serviceaccounts/token", ""),
                }
            }
            // As a role by labels has Vault ask.
            (&Method::GET, ["api", "v1", "namespaces", name]) => match &user {
                User::Account(account) if !self.may_get_namespaces(account) => {
                    forbidden(&user, "get", "namespaces", "")
                }
                User::Anonymous => forbidden(&user, "get", "namespaces", ""),
                User::Admin | User::Account(_) => self.get(path).map_or_else(|| missing("", "namespaces", name), ok),
            },
            (&Method::POST, [.., "clusterrolebindings"]) if matches!(user, User::Admin) => self.create(path, &body),
            (&Method::GET | &Method::PATCH, _) if matches!(user, User::Admin) => {
                self.object(method, path, &segments, &body)
            }
            _ => forbidden(&user, "access", "these objects", ""),
        }
    }

    /// Who presents a token: `None` where it is none of this cluster's for its API server.
    async fn authenticated(&self, bearer: Option<&str>) -> Option<User> {
        let Some(token) = bearer else { return Some(User::Anonymous) };
        if token == self.admin.expose_secret() {
            return Some(User::Admin);
        }
        if let Ok(genuine) = self.check(token, &self.issuer.audiences) {
            return Some(User::Account(genuine.account.name));
        }
        // A token that logs in reviews itself, where there is no reviewer.
        let review = self.real.as_ref()?.review(&json!({ "metadata": {}, "spec": { "token": token } })).await.ok()?;
        let subject = review.pointer("/status/user/username").and_then(Value::as_str)?;
        ServiceAccountRef::from_subject(subject).map(User::Account)
    }

    fn check(&self, token: &str, audiences: &[String]) -> Result<Genuine, Option<String>> {
        self.issuer.check(token, audiences, now(), |name| self.existing(name))
    }

    fn existing(&self, name: &ServiceAccountRef) -> Option<Account> {
        let object = self.get(&format!("/api/v1/namespaces/{}/serviceaccounts/{}", name.namespace, name.name))?;
        Some(Account { name: name.clone(), uid: object["metadata"]["uid"].as_str()?.to_owned() })
    }

    fn jwks(&self) -> Value {
        let own = || json!({ "keys": [self.issuer.signer.jwk()] });
        self.real.as_ref().map_or_else(own, |real| real.jwks.clone())
    }

    fn discovery(&self) -> Value {
        json!({
            "issuer": self.real.as_ref().map_or(self.issuer.url.as_str(), |real| real.issuer.as_str()),
            "jwks_uri": format!("{}/openid/v1/jwks", self.server),
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [self.issuer.signer.algorithm()],
        })
    }

    async fn review(&self, user: &User, body: &Value) -> Answer {
        let may = match user {
            User::Admin => true,
            User::Anonymous => false,
            User::Account(account) => self.all_review || self.may_review(account),
        };
        if !may {
            return forbidden(user, "create", "tokenreviews", "authentication.k8s.io");
        }
        let token = body["spec"]["token"].as_str().unwrap_or_default();
        if token.is_empty() {
            let said = "token is required for TokenReview in authentication";
            return failure(StatusCode::BAD_REQUEST, "BadRequest", said, None);
        }
        if let Some(real) = &self.real {
            return match real.review(body).await {
                Ok(review) => created(review),
                Err(error) => {
                    let said = format!("the cluster did not review the token: {error}");
                    failure(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", &said, None)
                }
            };
        }
        let asked: Vec<String> = serde_json::from_value(body["spec"]["audiences"].clone()).unwrap_or_default();
        let mut spec = json!({ "token": token });
        if !asked.is_empty() {
            spec["audiences"] = asked.clone().into();
        }
        let wanted = if asked.is_empty() { &self.issuer.audiences } else { &asked };
        let status = match self.check(token, wanted) {
            Ok(genuine) => reviewed(&genuine),
            Err(None) => json!({ "user": {}, "error": "invalid bearer token" }),
            Err(Some(said)) => json!({ "user": {}, "error": format!("[invalid bearer token, {said}]") }),
        };
        created(json!({
            "kind": "TokenReview",
            "apiVersion": "authentication.k8s.io/v1",
            "metadata": {},
            "spec": spec,
            "status": status,
        }))
    }

    /// Whether a binding lets an account review tokens.
    fn may_review(&self, account: &ServiceAccountRef) -> bool {
        self.is_bound(account, |role| role == AUTH_DELEGATOR)
    }

    /// Whether a binding lets an account get namespaces.
    fn may_get_namespaces(&self, account: &ServiceAccountRef) -> bool {
        let gives = |role: &str| {
            let role = self.get(&format!("/apis/rbac.authorization.k8s.io/v1/clusterroles/{role}"));
            let rules = role.as_ref().and_then(|role| role["rules"].as_array()).cloned().unwrap_or_default();
            let has = |list: &Value, word: &str| list.as_array().is_some_and(|list| list.iter().any(|own| own == word));
            rules.iter().any(|rule| has(&rule["resources"], "namespaces") && has(&rule["verbs"], "get"))
        };
        let roles: Vec<String> = {
            let objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
            let bound = objects.values().filter_map(|object| object["roleRef"]["name"].as_str().map(str::to_owned));
            bound.collect()
        };
        roles.iter().any(|role| gives(role) && self.is_bound(account, |bound| bound == role))
    }

    /// Whether a binding gives an account such a role.
    fn is_bound(&self, account: &ServiceAccountRef, is_role: impl Fn(&str) -> bool) -> bool {
        let objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
        objects.values().any(|object| {
            object["kind"] == "ClusterRoleBinding"
                && object["roleRef"]["name"].as_str().is_some_and(&is_role)
                && object["subjects"].as_array().into_iter().flatten().any(|subject| {
                    subject["kind"] == "ServiceAccount"
                        && subject["name"] == account.name.as_str()
                        && subject["namespace"] == account.namespace.as_str()
                })
        })
    }

    fn token_request(&self, name: &ServiceAccountRef, body: &Value) -> Answer {
        let Some(account) = self.existing(name) else {
            return missing("", "serviceaccounts", &name.name);
        };
        let seconds = body["spec"]["expirationSeconds"].as_u64().unwrap_or(USUAL_SECONDS).max(LEAST_SECONDS);
        let asked: Vec<String> = serde_json::from_value(body["spec"]["audiences"].clone()).unwrap_or_default();
        let audiences = if asked.is_empty() { &self.issuer.audiences } else { &asked };
        let now = now();
        let Ok(token) = self.issuer.bound(&account, audiences, now, seconds) else {
            return failure(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", "the token could not be signed", None);
        };
        created(json!({
            "kind": "TokenRequest",
            "apiVersion": "authentication.k8s.io/v1",
            "metadata": {
                "name": name.name, "namespace": name.namespace, "uid": account.uid, "creationTimestamp": moment(now),
            },
            "spec": { "audiences": audiences, "expirationSeconds": seconds, "boundObjectRef": null },
            "status": { "token": token.expose_secret(), "expirationTimestamp": moment(now + seconds) },
        }))
    }

    fn object(&self, method: &Method, path: &str, segments: &[&str], body: &Value) -> Answer {
        let [.., resource, name] = segments else { return missing("", "objects", path) };
        if *method == Method::GET {
            let group = if let ["apis", group, ..] = segments { group } else { "" };
            return self.get(path).map_or_else(|| missing(group, resource, name), ok);
        }
        let mut applied = body.clone();
        if *resource == "secrets"
            && let Some(data) = self.filled(path, body, name)
        {
            applied["data"] = data;
        }
        ok(self.merge(path, &applied))
    }

    /// Makes an object, which must not be there.
    fn create(&self, path: &str, body: &Value) -> Answer {
        let name = body["metadata"]["name"].as_str().unwrap_or_default();
        let path = format!("{path}/{name}");
        if self.get(&path).is_some() {
            return failure(StatusCode::CONFLICT, "AlreadyExists", &format!("{name:?} already exists"), None);
        }
        created(self.merge(&path, body))
    }

    /// What the controller manager would put into the Secret of a service account.
    fn filled(&self, path: &str, body: &Value, name: &str) -> Option<Value> {
        let namespace = path.split('/').nth(4)?.to_owned();
        let account = body["metadata"]["annotations"][SECRET_OF_ACCOUNT].as_str()?.to_owned();
        let account = self.existing(&ServiceAccountRef { namespace, name: account })?;
        let token = self.issuer.long_lived(&account, name).ok()?;
        Some(json!({ "token": STANDARD.encode(token.expose_secret()) }))
    }

    fn get(&self, path: &str) -> Option<Value> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner).get(path).cloned()
    }

    /// Makes or changes an object.
    fn merge(&self, path: &str, change: &Value) -> Value {
        let mut objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
        let object = objects.entry(path.to_owned()).or_insert_with(|| {
            let segments: Vec<&str> = path.split('/').collect();
            let mut metadata = json!({
                "name": segments.last(), "uid": uuid(), "resourceVersion": "1", "creationTimestamp": moment(now()),
            });
            if let ["", "api", "v1", "namespaces", namespace, _, _] = segments[..] {
                metadata["namespace"] = namespace.into();
            }
            json!({ "metadata": metadata })
        });
        merge(object, change);
        object.clone()
    }
}

/// Lays one document over another (RFC 7396, without deletions).
fn merge(object: &mut Value, change: &Value) {
    match (object, change) {
        (Value::Object(fields), Value::Object(changes)) => {
            for (name, change) in changes {
                merge(fields.entry(name.clone()).or_insert(Value::Null), change);
            }
        }
        (object, change) => *object = change.clone(),
    }
}

fn reviewed(genuine: &Genuine) -> Value {
    let name = &genuine.account.name;
    let mut user = json!({
        "username": name.subject(),
        "uid": genuine.account.uid,
        "groups": ["system:serviceaccounts", format!("system:serviceaccounts:{}", name.namespace), "system:authenticated"],
    });
    if let Some(id) = &genuine.id {
        user["extra"] = json!({ "authentication.kubernetes.io/credential-id": [format!("JTI={id}")] });
    }
    json!({ "authenticated": true, "user": user, "audiences": genuine.audiences })
}

fn ok(body: Value) -> Answer {
    Answer { status: StatusCode::OK, content_type: "application/json", body }
}

fn created(body: Value) -> Answer {
    Answer { status: StatusCode::CREATED, ..ok(body) }
}

fn missing(group: &str, resource: &str, name: &str) -> Answer {
    let (kind, mut details) = (resource, json!({ "name": name, "kind": resource }));
    let kind = if group.is_empty() {
        kind.to_owned()
    } else {
        details["group"] = group.into();
        format!("{kind}.{group}")
    };
    failure(StatusCode::NOT_FOUND, "NotFound", &format!("{kind} {name:?} not found"), Some(details))
}

fn forbidden(user: &User, verb: &str, resource: &str, group: &str) -> Answer {
    let who = match user {
        User::Admin => "admin".to_owned(),
        User::Anonymous => "system:anonymous".to_owned(),
        User::Account(account) => account.subject(),
    };
    let what = if group.is_empty() { resource.to_owned() } else { format!("{resource}.{group}") };
    let said = format!(
        "{what} is forbidden: User {who:?} cannot {verb} resource {resource:?} in API group {group:?} at the cluster scope"
    );
    failure(StatusCode::FORBIDDEN, "Forbidden", &said, Some(json!({ "group": group, "kind": resource })))
}

/// A `Status`.
fn failure(status: StatusCode, reason: &str, message: &str, details: Option<Value>) -> Answer {
    let mut body = json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        "code": status.as_u16(),
    });
    if let Some(details) = details {
        body["details"] = details;
    }
    Answer { status, ..ok(body) }
}

fn moment(seconds: u64) -> String {
    let at = i64::try_from(seconds).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    at.unwrap_or(Timestamp::MAX).to_string()
}

/// Now, in seconds since 1970.
pub(super) fn now() -> u64 {
    u64::try_from(Timestamp::now().as_second()).unwrap_or_default()
}
