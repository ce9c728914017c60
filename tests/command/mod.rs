//! Running `vaultk8s` as a user would, apart from whoever runs the tests: an empty environment, a home of its own, no
//! terminal.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use lab::{Lab, Terminal, Vault, VaultServer};

/// A command line about to be run.
pub struct Vaultk8s {
    command: Command,
    stdin: Option<String>,
    home: tempfile::TempDir,
    hidden: Vec<(String, &'static str)>,
}

/// What it answered.
pub struct Answer {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Vaultk8s {
    /// A command line without any environment.
    pub fn new<'a>(args: impl IntoIterator<Item = &'a str>) -> Self {
        let home = tempfile::tempdir().unwrap();
        let mut command = Command::new(snapbox::cmd::cargo_bin!("vaultk8s"));
        command.args(args).env_clear().env("HOME", home.path()).env("PATH", "").current_dir(home.path());
        Self { command, stdin: None, home, hidden: Vec::new() }
    }

    /// With an environment variable.
    pub fn env(mut self, name: &str, value: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Without an environment variable.
    pub fn without(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    /// With more arguments.
    pub fn args<'a>(mut self, args: impl IntoIterator<Item = &'a str>) -> Self {
        self.command.args(args);
        self
    }

    /// With text on standard input, in place of nothing.
    pub fn stdin(mut self, text: impl Into<String>) -> Self {
        self.stdin = Some(text.into());
        self
    }

    /// With a configuration file `vaultk8s.yaml` in the working directory.
    pub fn config(self, text: &str) -> Self {
        self.file("vaultk8s.yaml", text)
    }

    /// With a file of that name in the working directory.
    pub fn file(self, name: &str, text: &str) -> Self {
        std::fs::write(self.home.path().join(name), text).unwrap();
        self
    }

    /// With a file of that name in the working directory, which need not be text.
    pub fn bytes(self, name: &str, bytes: &[u8]) -> Self {
        std::fs::write(self.home.path().join(name), bytes).unwrap();
        self
    }

    /// With a folder in the working directory.
    pub fn folder(self, name: &str) -> Self {
        std::fs::create_dir_all(self.home.path().join(name)).unwrap();
        self
    }

    /// As somebody who is logged in to this Vault, and who has the shared cluster's kubeconfig.
    pub fn on(self, vault: &VaultServer) -> Self {
        let shared = lab::shared();
        self.on_vault(vault.client(), &vault.ca(), vault.root_token()).env("KUBECONFIG", shared.kubeconfig())
    }

    /// As somebody who is logged in to the shared Vault, and who has the shared cluster's kubeconfig.
    pub fn on_shared(self) -> Self {
        let lab = lab::shared();
        self.on_vault(lab.vault(), &lab.vault_ca(), lab.root_token()).env("KUBECONFIG", lab.kubeconfig())
    }

    fn on_vault(mut self, vault: &Vault, ca: &Path, token: &str) -> Self {
        self.hidden.push((vault.address().to_owned(), "[VAULT]"));
        self.hidden.push((lab::shared().kubernetes_server().to_owned(), "[ISSUER]"));
        self.env("VAULT_ADDR", vault.address()).env("VAULT_CACERT", ca).env("VAULT_TOKEN", token)
    }

    /// Shows everything as it is.
    pub fn unhidden(mut self) -> Self {
        self.hidden.clear();
        self
    }

    /// Runs it.
    pub fn run(self) -> Answer {
        self.start().finish()
    }

    /// Runs it at a terminal, where a person does this, who knows its process id. What it shows there is told as its stderr.
    pub fn at_terminal(mut self, person: impl FnOnce(&mut Terminal, u32)) -> Answer {
        let mut terminal = Terminal::open().unwrap();
        self.command.stdin(terminal.line().unwrap()).stdout(Stdio::piped()).stderr(terminal.line().unwrap());
        let child = self.command.spawn().unwrap();
        // It has the terminal too.
        drop(self.command);
        person(&mut terminal, child.id());
        let shown = terminal.all();
        let answer = Running { child, home: self.home, hidden: self.hidden }.finish();
        Answer { stderr: shown, ..answer }
    }

    /// Starts it.
    pub fn start(mut self) -> Running {
        self.command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // A command that reads nothing may be gone already.
        let _not_read = stdin.write_all(self.stdin.take().unwrap_or_default().as_bytes());
        Running { child, home: self.home, hidden: self.hidden }
    }
}

/// A command that is running.
pub struct Running {
    child: Child,
    home: tempfile::TempDir,
    hidden: Vec<(String, &'static str)>,
}

impl Running {
    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Ends it at once, as the loss of its machine does.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Stops reading what it prints, and waits for its exit code.
    pub fn ignore(mut self) -> Option<i32> {
        drop(self.child.stdout.take());
        self.child.wait().unwrap().code()
    }

    /// Waits for its end.
    pub fn finish(mut self) -> Answer {
        let Output { status, stdout, stderr } = self.child.wait_with_output().unwrap();
        let home = self.home.path().display().to_string();
        self.hidden.push((home, "[HOME]"));
        let text = |bytes: Vec<u8>| {
            let text = String::from_utf8(bytes).unwrap();
            self.hidden.iter().fold(text, |text, (value, name)| text.replace(value, name))
        };
        Answer { code: status.code().unwrap_or(-1), stdout: text(stdout), stderr: text(stderr) }
    }
}

impl Answer {
    /// Expects an exit code, and shows everything when it is another.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// Expects words on stderr.
    #[track_caller]
    pub fn complains(self, words: &[&str]) -> Self {
        for word in words {
            assert!(self.stderr.contains(word), "no {word:?} in stderr:\n{}", self.stderr);
        }
        self
    }

    /// Expects words on stdout.
    #[track_caller]
    pub fn says(self, words: &[&str]) -> Self {
        for word in words {
            assert!(self.stdout.contains(word), "no {word:?} in stdout:\n{}", self.stdout);
        }
        self
    }

    /// Expects that words are not on stderr.
    #[track_caller]
    pub fn keeps_quiet_about(self, words: &[&str]) -> Self {
        for word in words {
            assert!(!self.stderr.contains(word), "{word:?} is in stderr:\n{}", self.stderr);
        }
        self
    }

    /// The one JSON document on stdout.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in stdout:\n{}", self.stdout))
    }
}

/// A file of `testdata/`.
pub fn testdata(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(path)
}

/// The lines of a configuration for a role that reads what is below its namespace's name, and its policy.
pub fn reader(policy: &str, namespace: &str) -> String {
    format!(
        "policies:
  - name: {policy}
    read: [{namespace}/*]
    list: [{namespace}/*]
roles:
  - name: r-app
    serviceAccounts: [{namespace}/app]
    policies: [{policy}]
    ttl: 10m
"
    )
}

/// The service account of the seeds, `external-secrets/external-secrets`, in the shared cluster.
pub fn external_secrets(lab: &Lab) {
    lab.kubernetes().create_namespace("external-secrets").unwrap();
    lab.kubernetes().create_service_account("external-secrets", "external-secrets").unwrap();
}
