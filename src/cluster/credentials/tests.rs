use kube::config::AuthProviderConfig;

use super::*;

fn user(yaml: &str) -> AuthInfo {
    serde_saphyr::from_str(yaml).unwrap()
}

async fn said(yaml: &str) -> String {
    match KubeCredentials::of(&user(yaml), &[], &Kubectl::default()).await {
        Ok(credentials) => match credentials.header().await {
            Ok(Some(value)) => value.to_str().unwrap().to_owned(),
            Ok(None) => "nothing".to_owned(),
            Err(fault) => fault.to_string(),
        },
        Err(fault) => fault.to_string(),
    }
}

#[tokio::test]
async fn what_counts_is_what_counts_to_kubectl() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let (held, empty) = (file("held", "filed\n"), file("empty", "\n"));
    let missing = folder.path().join("missing").display().to_string();
    for (yaml, words) in [
        ("{}".to_owned(), "nothing"),
        ("{ token: t }".to_owned(), "Bearer t"),
        (format!("{{ tokenFile: {held} }}"), "Bearer filed"),
        (format!("{{ token: t, tokenFile: {held} }}"), "Bearer filed"),
        (format!("{{ token: t, tokenFile: {missing} }}"), "Bearer t"),
        (format!("{{ token: t, tokenFile: {empty} }}"), "Bearer t"),
        (format!("{{ tokenFile: {missing} }}"), "could not be read"),
        (format!("{{ tokenFile: {empty} }}"), "is empty"),
        (r#"{ token: "t\n" }"#.to_owned(), "can't be sent"),
        ("{ username: us, password: pw }".to_owned(), "Basic dXM6cHc="),
        ("{ username: us }".to_owned(), "Basic dXM6"),
        ("{ password: pw }".to_owned(), "without a `username`"),
        // Of no use beside something else, and in nobody's way.
        (
            "{ password: pw, exec: { apiVersion: client.authentication.k8s.io/v1, command: /nowhere, interactiveMode: Never } }".to_owned(),
            "is not installed",
        ),
        ("{ username: us, token: t }".to_owned(), "only one of them"),
        (format!("{{ password: pw, tokenFile: {held} }}"), "only one of them"),
        ("{ as-groups: [g] }".to_owned(), "without `as`"),
        ("{ as: u, as-groups: [g], token: t }".to_owned(), "Bearer t"),
        ("{ client-key: k }".to_owned(), "nothing"),
        ("{ client-certificate: c, client-certificate-data: c }".to_owned(), "both `client-certificate` and"),
        ("{ client-certificate-data: Yw== }".to_owned(), "without a `client-key`"),
        ("{ client-certificate-data: \"!\" }".to_owned(), "is not base64"),
        (format!("{{ client-certificate: {missing} }}"), "of `client-certificate` could not be read"),
        ("{ auth-provider: { name: gcp } }".to_owned(), "gone from kubectl"),
        ("{ token: t, auth-provider: { name: azure } }".to_owned(), "gone from kubectl"),
        ("{ auth-provider: { name: other } }".to_owned(), "which nobody knows"),
        ("{ auth-provider: { name: oidc, config: { client-id: i } } }".to_owned(), "no `idp-issuer-url`"),
    ] {
        let told = said(&yaml).await;
        assert!(told.contains(words), "{yaml}: {told}");
    }
}

#[tokio::test]
async fn a_program_is_run_only_where_nothing_else_counts() {
    let plugin =
        "exec: { apiVersion: client.authentication.k8s.io/v1, command: /nowhere/plugin, interactiveMode: Never }";
    for (others, words) in [
        ("", "is not installed"),
        ("token: t, ", "Bearer t"),
        ("username: u, ", "Basic dTo="),
        ("auth-provider: { name: oidc }, ", "only one"),
    ] {
        let told = said(&format!("{{ {others}{plugin} }}")).await;
        assert!(told.contains(words), "{others}: {told}");
    }
    for (exec, words) in [
        (plugin.replace("/v1", "/v1alpha1"), "v1alpha1, which is unknown to kubectl"),
        (plugin.replace(", interactiveMode: Never", ""), "no `interactiveMode`"),
        (plugin.replace("/v1", "/v1beta1").replace(", interactiveMode: Never", ""), "is not installed"),
        (plugin.replace("command: /nowhere/plugin, ", ""), "no `command`"),
        (plugin.replace("apiVersion: client.authentication.k8s.io/v1, ", ""), "no `apiVersion`"),
        (plugin.replace("Never", "Never, env: [{ value: x }]"), "has no name"),
    ] {
        let told = said(&format!("{{ {exec} }}")).await;
        assert!(told.contains(words), "{exec}: {told}");
    }
}

#[test]
fn a_token_of_a_provider_counts_while_it_lives() {
    let token = |end: i64| {
        let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(format!(r#"{{"exp":{end}}}"#));
        format!("h.{claims}.s")
    };
    let provider = |fields: &[(&str, String)]| AuthProviderConfig {
        name: "oidc".to_owned(),
        config: fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
        ..AuthProviderConfig::default()
    };
    let kubectl = Kubectl::in_context("c");
    assert!(provider::token(&provider(&[("id-token", token(4_000_000_000))]), &kubectl).is_ok());
    let ended = provider(&[("id-token", token(1)), ("refresh-token", "r".to_owned())]);
    let fault = provider::token(&ended, &kubectl).unwrap_err();
    assert!(
        fault.to_string().contains("has expired") && fault.known_remedy().unwrap().contains("kubectl --context c get"),
        "{fault:?}"
    );
    assert!(provider::token(&provider(&[]), &kubectl).unwrap_err().to_string().contains("is missing"));
}
