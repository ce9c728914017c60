//! `docs/ci.md`: its script is run as it stands, and what its jobs run is what it takes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use vaultk8s::config::Config;

use crate::command;
use crate::fixture::Fixture;

const PAGE: &str = include_str!("../docs/ci.md");

/// The blocks of a language.
fn blocks(language: &str) -> Vec<&'static str> {
    let fence = format!("```{language}\n");
    PAGE.split(&fence).skip(1).map(|rest| rest.split("```\n").next().unwrap()).collect()
}

/// A repository with the script, whose branch `main` has a configuration.
struct Repository {
    folder: tempfile::TempDir,
}

impl Repository {
    fn new(config: &str) -> Self {
        let repository = Self { folder: tempfile::tempdir().unwrap() };
        fs::create_dir(repository.path().join(".ci")).unwrap();
        fs::write(repository.path().join(".ci/vault-trust.sh"), blocks("sh")[0]).unwrap();
        repository.git("init --quiet --initial-branch=main");
        repository.write(config);
        repository.git("add .");
        repository.git("commit --quiet -m main");
        repository
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn write(&self, config: &str) {
        fs::write(self.path().join("vaultk8s.yaml"), config).unwrap();
    }

    fn git(&self, line: &str) {
        let who = ["-c", "user.name=ci", "-c", "user.email=ci@example.internal"];
        let mut git = Command::new("git");
        git.args(who).args(line.split_whitespace()).current_dir(self.path());
        let output = git.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null").output().unwrap();
        assert!(output.status.success(), "git {line}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Runs a job of the script, without anything of this machine but its programs.
    fn job(&self, job: &str) -> Command {
        let mut shell = Command::new("sh");
        let program = PathBuf::from(snapbox::cmd::cargo_bin!("vaultk8s"));
        let path = std::env::var_os("PATH").unwrap_or_default();
        let programs = std::env::join_paths(
            [program.parent().unwrap().to_owned()].into_iter().chain(std::env::split_paths(&path)),
        );
        shell.arg(".ci/vault-trust.sh").args(job.split_whitespace()).current_dir(self.path()).env_clear();
        shell.env("PATH", programs.unwrap()).env("HOME", self.path()).env("VAULTK8S_BASE", "main");
        shell
    }

    fn file(&self, name: &str) -> String {
        fs::read_to_string(self.path().join(name)).unwrap()
    }
}

#[track_caller]
fn ends(mut job: Command, code: i32) -> String {
    let Output { status, stdout, stderr } = job.output().unwrap();
    let all = format!("{}\n{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert_eq!(status.code(), Some(code), "{all}");
    all
}

#[test]
fn a_pull_request_is_rehearsed_against_its_base_and_without_credentials() {
    let config = include_str!("../testdata/configs/talos.yaml");
    let repository = Repository::new(config);
    let rehearse = || {
        let mut job = repository.job("rehearse");
        job.env("VAULTK8S_VAULT_BIN", lab::shared().vault_program());
        job
    };
    repository.write(&config.replace("read: k8s/{cluster}/*", "read: k8s/*"));
    let said = ends(rehearse(), 0);
    assert!(said.contains("gains read secret/k8s/*"), "{said}");
    assert!(repository.file("rehearsal.md").contains("### Compared with vaultk8s-base/vaultk8s.yaml"));
    assert!(repository.file("rehearsal.xml").contains("<testsuites name=\"vaultk8s rehearse\""));
    // A file that the base does not have.
    let mut alone = rehearse();
    alone.env("VAULTK8S_BASE", "nowhere");
    assert!(!ends(alone, 0).contains("Compared with"));
    assert!(ends(repository.job("rehears"), 64).contains("usage:"));
}

#[test]
fn a_pull_request_that_changes_a_key_file_alone_is_told_what_it_changes() {
    let set: serde_json::Value = serde_json::from_str(include_str!("../testdata/jwks/mixed.json")).unwrap();
    let keys = |count: usize| serde_json::json!({ "keys": set["keys"].as_array().unwrap()[..count] }).to_string();
    let repository = Repository::new("");
    fs::create_dir(repository.path().join("keys")).unwrap();
    fs::write(repository.path().join("keys/prod.json"), keys(1)).unwrap();
    repository.write(
        "clusters:
  - { name: prod, issuer: 'https://prod.example.internal', jwksFile: keys/prod.json, auth: { method: jwt, audience: vault } }
policies: [{ name: p, read: [app/*] }]
roles: [{ name: r, serviceAccounts: [app/app], policies: [p], ttl: 1h }]
",
    );
    repository.git("add .");
    repository.git("commit --quiet -m keys");
    let rehearse = || {
        let mut job = repository.job("rehearse");
        job.env("VAULTK8S_VAULT_BIN", lab::shared().vault_program());
        ends(job, 0)
    };
    assert!(rehearse().contains("0 terms to look at"));
    fs::write(repository.path().join("keys/prod.json"), keys(2)).unwrap();
    let said = rehearse();
    assert!(said.contains("keys in jwksFile is ") && said.contains(": looser"), "{said}");
    assert!(repository.file("rehearsal.md").contains("keys in jwksFile"));
}

#[test]
fn the_jobs_run_when_a_file_changes_that_decides_about_trust() {
    let yaml = blocks("yaml");
    let [github, gitlab] = [yaml[0], yaml[1]].map(|text| serde_saphyr::from_str::<serde_json::Value>(text).unwrap());
    let lists = [
        &github["on"]["pull_request"]["paths"],
        &github["on"]["push"]["paths"],
        &gitlab["rehearse"]["rules"][0]["changes"],
        &gitlab["plan"]["rules"][0]["changes"],
    ];
    for list in lists {
        let list: Vec<&str> = list.as_array().unwrap().iter().map(|path| path.as_str().unwrap()).collect();
        assert!(list.contains(&"vaultk8s.yaml"), "{list:?}");
        assert!(["keys/", "certs/"].iter().all(|folder| list.iter().any(|path| path.starts_with(folder))), "{list:?}");
    }
}

#[test]
fn the_other_jobs_plan_bootstrap_and_find_drift_with_a_login_of_their_own() {
    let (lab, fixture) = (lab::shared(), Fixture::new());
    let (operator, approle) = (lab.unique("operator"), lab.mount("approle"));
    let repository = Repository::new(&fixture.config);
    let policy = command::Vaultk8s::new(["render", "operator-policy"]).config(&fixture.config).run().exits(0).stdout;
    let write = |path: &str, body: serde_json::Value| lab.vault().post(path, &body).1;
    write(&format!("sys/policies/acl/{operator}"), serde_json::json!({ "policy": policy }));
    write(&format!("sys/auth/{approle}"), serde_json::json!({ "type": "approle" }));
    let role = format!("auth/{approle}/role/ci");
    write(&role, serde_json::json!({ "token_policies": operator, "token_ttl": "10m" }));
    write(&format!("{role}/role-id"), serde_json::json!({ "role_id": approle }));
    let secret = write(&format!("{role}/secret-id"), serde_json::json!({}));
    fs::write(repository.path().join("secret-id"), secret["data"]["secret_id"].as_str().unwrap()).unwrap();
    let job = |line: &str| {
        let mut job = repository.job(line);
        job.env("VAULT_ADDR", lab.vault().address()).env("VAULT_CACERT", lab.vault_ca());
        job.env("KUBECONFIG", lab.kubeconfig()).env("VAULTK8S_LOGIN", "approle").env("VAULTK8S_LOGIN_MOUNT", &approle);
        job.env("VAULTK8S_LOGIN_ROLE_ID", &approle).env("VAULTK8S_LOGIN_SECRET_ID_FILE", "secret-id");
        job
    };
    assert!(ends(job("plan"), 0).contains("to create"));
    assert!(ends(job("bootstrap lab"), 0).contains("1 login verified"));
    ends(job("drift"), 0);
    assert!(repository.file("verification.xml").contains("<testsuites name=\"vaultk8s verify-role\""));
    let (mount, policy) = (&fixture.mount, &fixture.policy);
    lab.vault().write(
        &format!("sys/policies/acl/{policy}"),
        &serde_json::json!({ "policy": "path \"x\" { capabilities = [\"read\"] }" }),
    );
    let said = ends(job("drift"), 1);
    assert!(said.contains("to change") && said.contains("✗"), "{said}");
    lab.vault().write(
        &format!("auth/{mount}/role/extra"),
        &serde_json::json!({
            "role_type": "jwt", "user_claim": "sub", "bound_audiences": "x", "bound_subject": "x",
        }),
    );
    // What somebody wrote over it is theirs until a person says otherwise.
    let said = ends(job("bootstrap lab"), 1);
    assert!(said.contains(policy) && said.contains("--approve take-over"), "{said}");
    let person = command::Vaultk8s::new(["bootstrap", "--approve", "take-over"]).on_shared();
    person.config(&fixture.config).run().exits(0).says(&["1 change made"]);
    ends(job("bootstrap lab"), 0);
    ends(job("drift"), 0);
    // A role that lets in every service account is a warning on a mount that others share, and not green on one that the
    // file claims: the policy that was rendered is enough to see whom it lets in.
    let open = serde_json::json!({ "role_type": "jwt", "user_claim": "sub", "bound_audiences": "vault" });
    lab.vault().write(&format!("auth/{mount}/role/extra"), &serde_json::json!({ "bound_subject": "", "user_claim": "sub", "role_type": "jwt", "bound_audiences": "vault" }));
    let said = ends(job("drift"), 0);
    assert!(said.contains("any service account that gets a token for the audience vault"), "{said}");
    lab.vault().delete(&format!("auth/{mount}/role/extra"));
    let claimed = fixture.config.replace("audience: vault,", "audience: vault, exclusive: true,");
    repository.write(&claimed);
    ends(job("drift"), 0);
    lab.vault().write(&format!("auth/{mount}/role/open"), &open);
    for line in ["bootstrap lab", "drift"] {
        let said = ends(job(line), 1);
        assert!(said.contains("role/open") && said.contains("any service account that gets a token"), "{said}");
    }
    let report = repository.file("verification.xml");
    assert!(report.contains("VK304") && report.contains("open"), "{report}");
    lab.vault().delete(&format!("auth/{mount}/role/open"));
    ends(job("drift"), 0);
}

#[test]
fn the_jobs_are_yaml_and_run_what_the_script_takes() {
    let yaml = blocks("yaml");
    let [github, gitlab, expect] = yaml[..] else { panic!("{} blocks", yaml.len()) };
    for pipeline in [github, gitlab] {
        let jobs: serde_json::Value = serde_saphyr::from_str(pipeline).unwrap();
        assert!(jobs.is_object());
    }
    let lines = [github, gitlab].into_iter().chain(blocks("sh").into_iter().skip(1)).flat_map(str::lines);
    let jobs: Vec<&str> = lines.filter_map(|line| line.split(".ci/vault-trust.sh ").nth(1)).collect();
    assert_eq!(jobs.len(), 12, "{jobs:?}");
    for job in jobs {
        let word = job.split_whitespace().next().unwrap();
        assert!(["rehearse", "plan", "bootstrap", "drift"].contains(&word), "{job}");
    }
    let config = format!("{}\n{expect}", include_str!("../testdata/configs/talos.yaml"));
    assert_eq!(Config::parse(&config, Path::new("test.yaml")).unwrap().expectations.len(), 5);
}
