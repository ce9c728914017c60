use serde_json::json;

use super::super::Data;
use super::super::error::TurnedAwayBy;
use super::*;

fn asked() -> Asked {
    Asked {
        method: http::Method::GET,
        path: "sys/auth".to_owned(),
        address: "https://vault.example:8200".to_owned(),
        namespace: None,
        cli: crate::fix::VaultCli::default(),
    }
}

fn judge(status: u16, body: &str) -> Failure {
    judge_with(status, body, &HeaderMap::new(), true)
}

fn judge_with(status: u16, body: &str, headers: &HeaderMap, with_token: bool) -> Failure {
    let secret = SecretString::from("hvs.ours");
    let refusal = Refusal { status: StatusCode::from_u16(status).unwrap(), headers, body: body.as_bytes() };
    let token = with_token.then_some((&secret, Some("VAULT_TOKEN")));
    refused(&refusal, Box::new(asked()), &[Capability::Read], token)
}

#[test]
fn a_403_tells_a_missing_rule_from_a_token_that_may_be_unknown() {
    // OpenBao 2.7.2 and Vault, the policies say no.
    let failure = judge(403, "{\"errors\":[\"1 error occurred:\\n\\t* permission denied\\n\\n\"]}\n");
    let VaultError::Forbidden { errors, token, .. } = failure.error else { panic!("{:?}", failure.error) };
    assert_eq!((errors, token), (vec!["permission denied".to_owned()], TokenState::Valid { policies: Vec::new() }));

    // OpenBao 2.7.2, a token that is wrong, expired or used up.
    let failure = judge(403, "{\"errors\":[\"permission denied\"]}\n");
    assert!(matches!(failure.error, VaultError::Forbidden { token: TokenState::Unproven, .. }));

    // Vault 1.21, the same.
    let failure = judge(403, r#"{"errors":["2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n"]}"#);
    assert_eq!(
        failure.error.to_string(),
        "Vault at https://vault.example:8200 does not accept the token of VAULT_TOKEN: it is wrong, expired or revoked"
    );

    let failure = judge_with(403, r#"{"errors":["permission denied"]}"#, &HeaderMap::new(), false);
    assert!(matches!(failure.error, VaultError::Forbidden { token: TokenState::Absent, .. }));
    assert_eq!(failure.again, Again::Never);
}

#[test]
fn only_a_404_without_a_reason_means_that_the_thing_is_not_there() {
    for absent in [
        "{\"errors\":[]}\n",
        // A KV secret whose latest version is deleted.
        r#"{"request_id":"1","data":{"data":null,"metadata":{}},"warnings":null}"#,
    ] {
        assert!(judge(404, absent).error.means_absent(), "{absent}");
    }
    assert!(judge(400, r#"{"errors":["No auth engine at jwt/"]}"#).error.means_absent());
    assert!(judge(400, r#"{"errors":["No secret engine mount at kv/"]}"#).error.means_absent());
    for not in [
        "{\"errors\":[\"no handler for route \\\"auth/x/role/y\\\". route entry not found.\"]}",
        "{\"errors\":[\"1 error occurred:\\n\\t* unsupported path\\n\\n\"]}",
        "{\"errors\":[\"namespace not found\"]}",
        "<html>not here</html>",
        "404 page not found",
        r#"{"kind":"Status","code":404}"#,
        "",
    ] {
        assert!(!judge(404, not).error.means_absent(), "{not}");
    }
    assert!(!judge(400, r#"{"errors":["role not found"]}"#).error.means_absent());
}

#[test]
fn what_is_not_vault_is_said_to_be_so() {
    for (status, body, what) in [
        (404, "<html>not here</html>", "an HTML page (404)"),
        (404, r#"{"kind":"Status","code":404}"#, "JSON of another kind (404)"),
        (403, "no", "a text (403)"),
        (401, "", "an empty answer (401)"),
    ] {
        let failure = judge(status, body);
        let VaultError::NotVault { what: said, .. } = failure.error else { panic!("{:?}", failure.error) };
        assert_eq!(said, what);
        assert_eq!(failure.again, Again::Never);
    }
    let failure = judge(400, "Client sent an HTTP request to an HTTPS server.\n");
    assert!(matches!(failure.error, VaultError::Tls { problem: TlsProblem::ServerSpeaksHttps, .. }));
}

#[test]
fn what_may_pass_is_told_from_what_stays() {
    for (status, body, again) in [
        (503, r#"{"errors":["Vault is sealed"]}"#, Again::Never),
        (503, r#"{"errors":["namespace is sealed"]}"#, Again::Never),
        (503, r#"{"errors":["node is not active"]}"#, Again::Always),
        (500, r#"{"errors":["local node not active but active cluster node not found"]}"#, Again::Always),
        (500, r#"{"errors":["1 error occurred:\n\t* internal error\n\n"]}"#, Again::IfIdempotent),
        (412, r#"{"errors":["required index state not present"]}"#, Again::Always),
        (400, r#"{"errors":["failed to persist policy: leadership lost while committing log"]}"#, Again::IfIdempotent),
        (500, r#"{"errors":["1 error occurred:\n\t* node is not the leader\n\n"]}"#, Again::IfIdempotent),
        (502, "<html>Bad Gateway</html>", Again::IfIdempotent),
        (429, r#"{"errors":["request path \"x\": rate limit quota exceeded"]}"#, Again::MoreSlowly),
        (429, "<html>slow down</html>", Again::MoreSlowly),
        (429, r#"{"errors":["request path \"x\": lease count quota exceeded"]}"#, Again::Never),
        (429, r#"{"errors":[]}"#, Again::Always),
        (400, r#"{"errors":["missing role"]}"#, Again::Never),
        (405, r#"{"errors":[]}"#, Again::Never),
    ] {
        assert_eq!(judge(status, body).again, again, "{status} {body}");
    }
    assert!(matches!(judge(503, r#"{"errors":["Vault is sealed"]}"#).error, VaultError::Sealed { .. }));
    assert!(matches!(
        judge(500, r#"{"errors":["local node not active but active cluster node not found"]}"#).error,
        VaultError::Standby { .. }
    ));
    let mut headers = HeaderMap::new();
    headers.insert(RETRY_AFTER, "7".parse().unwrap());
    for body in ["slow down", r#"{"errors":[]}"#] {
        let failure = judge_with(429, body, &headers, true);
        assert_eq!((failure.again, failure.after), (Again::MoreSlowly, Some(Duration::from_secs(7))), "{body}");
    }
    headers.insert(RETRY_AFTER, u64::MAX.to_string().parse().unwrap());
    assert_eq!(judge_with(429, "slow down", &headers, true).after, Some(LONGEST_WAIT));
}

#[test]
fn a_limit_of_what_stands_before_vault_is_one_and_told_as_its_own() {
    for (body, what) in [
        ("<html>slow down</html>", "an HTML page (429)"),
        (r#"{"message":"API rate limit exceeded"}"#, "JSON of another kind (429)"),
        ("", "an empty answer (429)"),
    ] {
        let error = judge(429, body).error;
        assert_eq!(error.limit(), Some(TurnedAwayBy::BeforeVault), "{body}");
        assert!(
            error.to_string().contains("what stands before Vault limits") && error.to_string().contains(what),
            "{error}"
        );
        assert!(error.remedies()[0].contains("before Vault"), "{:?}", error.remedies());
    }
    for (said, limited) in [
        ("request path \"x\": lease count quota exceeded", TurnedAwayBy::Leases),
        ("request path \"x\": rate limit quota exceeded, please wait for its release", TurnedAwayBy::Rate),
    ] {
        let error = judge(429, &json!({ "errors": [said] }).to_string()).error;
        assert_eq!(error.limit(), Some(limited), "{said}");
    }
    assert_eq!(judge(429, r#"{"errors":[]}"#).error.limit(), None);
}

#[test]
fn server_texts_lose_our_token_and_what_a_terminal_obeys() {
    let failure = judge(400, r#"{"errors":["bad hvs.ours given\u001b[31m","x"]}"#);
    assert_eq!(failure.error.errors(), ["bad [token] given[31m", "x"]);
    let failure = judge(400, r#"{"errors":["could not parse 'eyJhbGci.eyJzdWIi.c2ln-_x', eyJ is not one"]}"#);
    assert_eq!(failure.error.errors(), ["could not parse '[token]', eyJ is not one"]);
    let long = json!({ "errors": ["y".repeat(10_000)] }).to_string();
    assert_eq!(judge(400, &long).error.errors()[0].chars().count(), LONGEST + 1);
}

#[test]
fn an_unexpected_answer_is_described_without_its_values() {
    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only its form matters")]
    struct Number {
        secret: u64,
    }
    let wrong = read::<Data<Number>>(&asked(), StatusCode::OK, br#"{"data":{"secret":"hvs.theirs"}}"#).unwrap_err();
    assert!(matches!(wrong, VaultError::Answer { .. }));
    assert!(!wrong.to_string().contains("hvs.theirs") && wrong.to_string().contains("expected u64"), "{wrong}");
    // A text that pretends to be the end of the complaint.
    let sly =
        read::<Data<Number>>(&asked(), StatusCode::OK, br#"{"data":{"secret":", expected hvs.theirs"}}"#).unwrap_err();
    assert!(!sly.to_string().contains("hvs.theirs"), "{sly}");
    let missing = read::<Data<Number>>(&asked(), StatusCode::OK, br#"{"data":{}}"#).unwrap_err();
    assert!(missing.to_string().contains("missing field `secret`"), "{missing}");
    let page = read::<Data<Number>>(&asked(), StatusCode::OK, b"<html>").unwrap_err();
    assert!(matches!(page, VaultError::NotVault { .. }), "{page}");
    let cut = read::<Data<Number>>(&asked(), StatusCode::OK, br#"{"data":{"#).unwrap_err();
    assert!(matches!(cut, VaultError::NotVault { .. }), "{cut}");
    assert!(read::<super::super::Done>(&asked(), StatusCode::NO_CONTENT, b"").is_ok());
    assert_eq!(read::<Option<u8>>(&asked(), StatusCode::OK, b" \n").unwrap(), None);
}
