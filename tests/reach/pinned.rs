//! A server's own certificate in place of a CA, from the file to the login.

use crate::command::Vaultk8s;
use crate::kubernetes_fixture::Fixture;
use crate::vault_client::run;

/// The certificate with which the shared API server answers, PEM.
fn own_certificate() -> String {
    use base64::Engine as _;
    let lab = lab::shared();
    let ca = reqwest::Certificate::from_pem(lab.kubernetes_ca().as_bytes()).unwrap();
    let client = reqwest::Client::builder().tls_certs_only([ca]).tls_info(true).no_proxy().build().unwrap();
    let answer = run(client.get(format!("{}/version", lab.kubernetes_server())).send()).unwrap();
    let der = answer.extensions().get::<reqwest::tls::TlsInfo>().unwrap().peer_certificate().unwrap().to_vec();
    let lines = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<&str> = lines.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

#[test]
fn an_api_servers_own_certificate_will_do_for_vault_and_here() {
    use base64::Engine as _;
    vaultk8s::reach::install_crypto_provider();
    let (lab, leaf) = (lab::shared(), own_certificate());
    let fixture = Fixture::new("token: secret", "      caCert: leaf.pem");
    let encode = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    let kubeconfig = std::fs::read_to_string(lab.kubeconfig()).unwrap();
    let kubeconfig = kubeconfig.replace(&encode(lab.kubernetes_ca()), &encode(&leaf));
    let with = |args: &[&'static str]| {
        let command = Vaultk8s::new(args.iter().copied()).on_shared().config(&fixture.config);
        command.file("leaf.pem", &leaf).file("kubeconfig", &kubeconfig).env("KUBECONFIG", "kubeconfig")
    };
    with(&["bootstrap", "--yes"]).run().exits(0).says(&["✓ VK321"]);
    assert!(fixture.logs_in());
    with(&["verify-role", "--all", "-f", "vaultk8s.yaml"]).run().exits(0).says(&["✓ VK321"]);
}
