use super::*;

fn exec(script: &str) -> ExecConfig {
    ExecConfig {
        api_version: Some(VERSIONS[0].to_owned()),
        command: Some("/bin/sh".to_owned()),
        args: Some(vec!["-c".to_owned(), script.to_owned()]),
        interactive_mode: Some(ExecInteractiveMode::Never),
        ..ExecConfig::default()
    }
}

const QUICK: Bounds = Bounds { is_interactive: false, time: Duration::from_millis(1500) };

async fn said(exec: &ExecConfig) -> String {
    match run(exec, &[], &QUICK).await {
        Ok(given) => {
            format!("{}{}", given.token.map_or("", |_| "a token"), given.identity.map_or("", |_| "a certificate"))
        }
        Err(fault) => fault.to_string(),
    }
}

/// What prints a credential with these fields of its status.
fn printing(status: &str) -> String {
    let version = VERSIONS[0];
    format!("printf %s '{{\"kind\":\"ExecCredential\",\"apiVersion\":\"{version}\",\"status\":{status}}}'")
}

#[tokio::test]
async fn each_way_to_give_nothing_has_a_name() {
    for (script, words) in [
        (&*printing(r#"{"token":"t"}"#), "a token"),
        (
            "printf 'kind: ExecCredential\\napiVersion: client.authentication.k8s.io/v1\\nstatus: { token: t }\\n'",
            "a token",
        ),
        (&printing(r#"{"token":"t","expirationTimestamp":"soon"}"#), "that is no time"),
        (&printing(r#"{"token":""}"#), "gave neither a token nor a client certificate"),
        (&printing(r#"{"clientKeyData":"k"}"#), "without its certificate"),
        (&printing(r#"{"clientKeyData":"k","clientCertificateData":"c"}"#), "its client certificate is not PEM"),
        (&printing("null"), "without a `status`"),
        (
            &printing(r#"{"token":"t"}"#).replace("k8s.io/v1", "k8s.io/v1beta1"),
            "client.authentication.k8s.io/v1beta1, and the kubeconfig says",
        ),
        (&printing(r#"{"token":"t"}"#).replace("ExecCredential", "Secret"), "did not print an ExecCredential"),
        ("echo garbage", "did not print an ExecCredential"),
        ("echo 'log in again' >&2; exit 7", "failed (exit status: 7): log in again"),
        ("kill -9 $$", "(signal: 9"),
        ("sleep 30 & exit 3", "does not end within"),
        ("sleep 30", "does not end within"),
        ("cat /dev/zero", "it has more than 1 MiB"),
        // What is left behind may hold the other end of its stderr.
        (&format!("sleep 30 >/dev/null & {}", printing(r#"{"token":"t"}"#)), "a token"),
    ] {
        let told = said(&exec(script)).await;
        assert!(told.contains(words), "{script}: {told}");
    }
    let missing = ExecConfig {
        command: Some("/nowhere/plugin".to_owned()),
        install_hint: Some("get it\nthere".to_owned()),
        ..exec("")
    };
    let fault = run(&missing, &[], &QUICK).await.err().unwrap();
    assert!(fault.to_string().contains("/nowhere/plugin is not installed"), "{fault}");
    assert!(fault.known_remedy().unwrap().contains("get it; there"), "{fault:?}");
}

#[tokio::test]
async fn what_has_ended_is_asked_for_again() {
    let folder = tempfile::tempdir().unwrap();
    let counted = folder.path().join("runs");
    let script = format!(
        "echo >> {}; {}",
        counted.display(),
        printing(r#"{"token":"t","expirationTimestamp":"2020-01-01T00:00:00Z"}"#)
    );
    let plugin = Plugin::start(exec(&script), &[]).await.unwrap();
    assert!(plugin.token().await.unwrap().is_some());
    assert_eq!(std::fs::read_to_string(&counted).unwrap().lines().count(), 2);
    let lasting = Plugin::start(exec(&script.replace("2020", "2999")), &[]).await.unwrap();
    assert!(lasting.token().await.unwrap().is_some());
    assert_eq!(std::fs::read_to_string(&counted).unwrap().lines().count(), 3);
}

#[tokio::test]
async fn one_at_a_time_asks_the_person_at_the_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let alone = folder.path().join("alone");
    let (mark, given) = (alone.display(), printing(r#"{"token":"t"}"#));
    let plugin = exec(&format!("mkdir {mark} || exit 9; sleep 0.3; rmdir {mark}; {given}"));
    let bounds = Bounds { is_interactive: true, time: Duration::from_secs(20) };
    let both = futures::future::join(run(&plugin, &[], &bounds), run(&plugin, &[], &bounds)).await;
    assert!(both.0.is_ok() && both.1.is_ok(), "{:?} {:?}", both.0.err(), both.1.err());
}
