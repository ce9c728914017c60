//! What servers, files and tokens say never acts on a terminal: each of their texts is poisoned in turn, and no output has the
//! poison raw, with colours on, at a terminal, and in every format.

mod tape;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lab::Terminal;
use serde_json::{Value, json};

use self::tape::{Asked, Fault, Tape, collect, poison};
use crate::catalogue::setup::{Setup, Shape};
use crate::command::testdata;
use crate::stores;

/// A title for the window, a colour that isn't ours, a C1 control, other directions, what isn't seen, and steps back.
const POISON: &str =
    "\u{1b}]0;owned\u{7}\u{1b}[35m\u{9b}2J\u{202e}\u{2066}\u{200b}\u{ad}\u{feff}\u{e0041}\u{8}\r\u{fdd0}";

/// What may not be seen of it. A terminal's own line ends have a carriage return.
const RAW: [&str; 12] = [
    "\u{1b}]",
    "\u{7}",
    "\u{1b}[35m",
    "\u{9b}",
    "\u{202e}",
    "\u{2066}",
    "\u{200b}",
    "\u{ad}",
    "\u{feff}",
    "\u{e0041}",
    "\u{8}",
    "\u{fdd0}",
];

/// How many texts there are at least: fewer, and the test has lost what it looks at.
const TEXTS: usize = 594;

/// A place to run commands in, between whose servers and them are tapes.
struct Place {
    setup: Setup,
    vault: Tape,
    cluster: Tape,
    home: tempfile::TempDir,
    /// Leaks, by what was poisoned.
    leaks: Mutex<BTreeMap<String, String>>,
    texts: AtomicUsize,
    shown: AtomicUsize,
}

impl Place {
    fn new(kubernetes: bool) -> Self {
        let setup = Setup::new(Shape { kubernetes, store: true, ..Shape::default() });
        let shared = lab::shared();
        let vault = Tape::start(shared.vault_address(), &std::fs::read_to_string(shared.vault_ca()).unwrap());
        let plane = stores::cluster();
        let cluster = Tape::start(plane.server_url(), plane.authority().pem());
        let home = tempfile::tempdir().unwrap();
        let kubeconfig = std::fs::read_to_string(plane.kubeconfig()).unwrap();
        let mut kubeconfig: Value = serde_saphyr::from_str(&kubeconfig).unwrap();
        for entry in kubeconfig["clusters"].as_array_mut().unwrap() {
            entry["cluster"] = json!({ "server": cluster.address() });
        }
        std::fs::write(home.path().join("kubeconfig"), kubeconfig.to_string()).unwrap();
        std::fs::write(home.path().join("ca.pem"), plane.authority().pem()).unwrap();
        let config = std::fs::read_to_string(&setup.file).unwrap();
        // Vault itself asks the cluster, and not over plain http.
        let host = format!("method: kubernetes, host: {}, caCert: ca.pem,", plane.server_url());
        std::fs::write(home.path().join("vaultk8s.yaml"), config.replace("method: kubernetes,", &host)).unwrap();
        let (leaks, texts) = (Mutex::default(), AtomicUsize::new(0));
        Self { setup, vault, cluster, home, leaks, texts, shown: AtomicUsize::new(0) }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(snapbox::cmd::cargo_bin!("vaultk8s"));
        command.args(args).env_clear().current_dir(self.home.path()).env("CLICOLOR_FORCE", "1");
        command.env("HOME", self.home.path()).env("VAULT_ADDR", self.vault.address());
        command.env("VAULT_TOKEN", &self.setup.environment["VAULT_TOKEN"]).env("KUBECONFIG", "kubeconfig");
        command
    }

    /// Keeps what a command is answered.
    fn record(&self, args: &[&str]) {
        self.vault.record();
        self.cluster.record();
        let answer = self.command(args).output().unwrap();
        assert!(answer.status.code().is_some_and(|code| code < 3), "{answer:?}");
        self.vault.replay(None);
        self.cluster.replay(None);
    }

    /// Runs a command that meets poison, and keeps what got through.
    fn try_out(&self, what: &str, mut command: Command) {
        self.texts.fetch_add(1, Ordering::Relaxed);
        let answer = command.stdin(Stdio::null()).output().unwrap();
        let said = String::from_utf8_lossy(&answer.stdout) + String::from_utf8_lossy(&answer.stderr);
        self.look(what, &said);
    }

    fn look(&self, what: &str, said: &str) {
        if said.contains("owned") {
            self.shown.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(line) = said.lines().find(|line| RAW.iter().any(|raw| line.contains(raw))) {
            self.leaks.lock().unwrap().insert(what.to_owned(), format!("{line:?}"));
        }
        // Nor can a text pretend to be a line of ours.
        if let Some(line) = said.lines().find(|line| line.starts_with("FORGED")) {
            self.leaks.lock().unwrap().insert(format!("{what} (line)"), format!("{line:?}"));
        }
        assert!(!said.contains("panicked"), "{what}: {said}");
    }

    /// Poisons each text that the servers say to a command.
    fn servers(&self, args: &[&str]) {
        self.record(args);
        for (server, tape) in [("vault", &self.vault), ("cluster", &self.cluster)] {
            for asked in tape.asked() {
                for (pointer, name, text) in tape.texts(&asked) {
                    let what = format!("{args:?}: {server} {asked:?} {pointer}{}", if name { " (name)" } else { "" });
                    let text = format!("{text}{POISON}\nFORGED");
                    let asked = asked.clone();
                    self.met(
                        tape,
                        &what,
                        args,
                        if name {
                            Fault::Name { asked, pointer, name: text }
                        } else {
                            Fault::Text { asked, pointer, text }
                        },
                    );
                }
                self.refusals(tape, server, &asked, args);
            }
        }
    }

    /// Poisons the words in which a request is refused.
    fn refusals(&self, tape: &Tape, server: &str, asked: &Asked, args: &[&str]) {
        let words = format!("no{POISON}\nFORGED");
        for status in [400, 403, 404, 500] {
            let body = if server == "vault" {
                json!({ "errors": [words] })
            } else {
                json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "message": words, "reason": words, "code": status })
            };
            // What may pass is asked for again and again, which a test hasn't the time for.
            if status == 500 && server == "vault" {
                continue;
            }
            let what = format!("{args:?}: {server} {asked:?} answers {status}");
            self.met(tape, &what, args, Fault::Answer { asked: asked.clone(), status, body: body.to_string() });
        }
    }

    fn met(&self, tape: &Tape, what: &str, args: &[&str], fault: Fault) {
        self.vault.replay(None);
        self.cluster.replay(None);
        tape.replay(Some(fault));
        self.try_out(what, self.command(args));
        self.vault.replay(None);
        self.cluster.replay(None);
    }

    /// Poisons each text of a document that a command reads from a file.
    fn file(&self, file: &str, document: &Value, args: &[&str]) {
        let path = self.home.path().join(file);
        let before = std::fs::read(&path).ok();
        let mut found = BTreeMap::new();
        collect(document, "", &mut found);
        for ((pointer, name), text) in found {
            let mut poisoned = document.clone();
            poison(&mut poisoned, &pointer, name, &format!("{text}{POISON}\nFORGED"));
            std::fs::write(&path, poisoned.to_string()).unwrap();
            self.vault.replay(None);
            self.cluster.replay(None);
            self.try_out(&format!("{args:?}: {file} {pointer}"), self.command(args));
        }
        match before {
            Some(before) => std::fs::write(&path, before).unwrap(),
            None => std::fs::remove_file(&path).unwrap(),
        }
    }

    /// Expects that nothing got through.
    fn holds(&self, texts: usize, seen: usize) {
        let leaks = self.leaks.lock().unwrap();
        let (count, shown) = (self.texts.load(Ordering::Relaxed), self.shown.load(Ordering::Relaxed));
        let told = leaks.iter().fold(String::new(), |mut told, (what, line)| {
            writeln!(told, "{what}\n    {line}").unwrap();
            told
        });
        assert!(leaks.is_empty(), "{} of {count} texts got through ({shown} were shown):\n{told}", leaks.len());
        assert!(count >= texts, "only {count} texts were poisoned");
        // Else they were lost on the way, and nothing was proved.
        assert!(shown >= seen, "only {shown} of {count} were shown at all");
    }
}

#[test]
fn nothing_that_servers_say_acts_on_a_terminal() {
    let jwt = Place::new(false);
    jwt.servers(&["plan"]);
    jwt.servers(&["verify-role", "--all"]);
    jwt.servers(&["issuer"]);
    jwt.servers(&["jwks"]);
    jwt.servers(&["pem"]);
    jwt.holds(TEXTS, 150);
}

#[test]
fn nothing_that_servers_say_of_a_kubernetes_mount_acts_on_a_terminal() {
    let kubernetes = Place::new(true);
    kubernetes.servers(&["plan", "-o", "yaml"]);
    kubernetes.servers(&["verify-role", "--all"]);
    kubernetes.holds(300, 80);
}

#[test]
fn nothing_that_files_say_acts_on_a_terminal() {
    let place = Place::new(false);
    place.record(&["plan"]);
    let read = |file: &Path| -> Value { serde_saphyr::from_str(&std::fs::read_to_string(file).unwrap()).unwrap() };
    let kubeconfig = read(&place.home.path().join("kubeconfig"));
    place.file("kubeconfig", &kubeconfig, &["plan"]);
    let config = read(&place.home.path().join("vaultk8s.yaml"));
    place.file("vaultk8s.yaml", &config, &["plan"]);
    // Strict readers of YAML want quotes around these.
    let braces = [("{cluster}", "CLUSTER"), ("{each}", "EACH"), ("{{", "TWO"), ("}}", "BRACES")];
    let every = std::fs::read_to_string(testdata("configs/every-field.yaml")).unwrap();
    let every = braces.iter().fold(every, |text, (brace, word)| text.replace(brace, word));
    let every = serde_saphyr::from_str::<Value>(&every).unwrap().to_string();
    let every = braces.iter().fold(every, |text, (brace, word)| text.replace(word, brace));
    let every: Value = serde_json::from_str(&every).unwrap();
    place.file("every.yaml", &every, &["plan", "-f", "every.yaml"]);
    let keys: Value = serde_json::from_str(&lab::shared().kubectl_get_raw("/openid/v1/jwks")).unwrap();
    for command in [["pem", "keys.json"], ["jwks", "keys.json"], ["pem", "-ojson"]] {
        place.file(
            "keys.json",
            &keys,
            if command[1] == "-ojson" { &["pem", "keys.json", "-o", "json"] } else { &command },
        );
    }
    let discovery = json!({ "issuer": "https://issuer.example", "jwks_uri": "https://issuer.example/keys" });
    place.file("discovery.json", &discovery, &["issuer", "discovery.json"]);
    let saved = place.command(&["plan", "--out", "saved.json"]).output().unwrap();
    assert!(saved.status.success(), "{saved:?}");
    let saved = read(&place.home.path().join("saved.json"));
    place.file("saved.json", &saved, &["bootstrap", "--plan", "saved.json"]);
    place.holds(100, 15);
}

#[test]
fn nothing_that_tokens_arguments_and_the_environment_say_acts_on_a_terminal() {
    let place = Place::new(false);
    place.record(&["verify-role", "r-app"]);
    let token = |header: &Value, claims: &Value| {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        format!("{}.{}.{}", part(header), part(claims), URL_SAFE_NO_PAD.encode("signature"))
    };
    let header = json!({ "alg": "RS256", "kid": "key", "typ": "JWT" });
    let claims = json!({
        "iss": "https://issuer.example", "sub": "system:serviceaccount:app:app", "aud": ["vault"], "exp": 4_000_000_000_u64,
        "iat": 1_700_000_000, "jti": "id",
        "kubernetes.io": { "namespace": "app", "serviceaccount": { "name": "app", "uid": "uid" }, "pod": { "name": "pod", "uid": "uid" } }
    });
    let whole = json!({ "header": header, "claims": claims });
    let mut found = BTreeMap::new();
    collect(&whole, "", &mut found);
    for ((pointer, name), text) in found {
        let mut poisoned = whole.clone();
        poison(&mut poisoned, &pointer, name, &format!("{text}{POISON}\nFORGED"));
        std::fs::write(place.home.path().join("jwt"), token(&poisoned["header"], &poisoned["claims"])).unwrap();
        let login = ["login", "--mount", "jwt", "--role", "r-app", "--jwt-file", "jwt"];
        let verify = ["verify-role", "r-app", "--token-file", "jwt"];
        for args in [&login[..], &verify] {
            place.try_out(&format!("{args:?}: token {pointer}"), place.command(args));
        }
    }
    let text = format!("x{POISON}\nFORGED");
    for name in [
        "VAULT_ADDR",
        "VAULT_TOKEN",
        "VAULT_NAMESPACE",
        "VAULT_CACERT",
        "VAULT_CAPATH",
        "VAULT_CLIENT_TIMEOUT",
        "VAULT_SKIP_VERIFY",
        "VAULT_TLS_SERVER_NAME",
        "BAO_ADDR",
        "KUBECONFIG",
        "HOME",
        "HTTPS_PROXY",
        "VAULTK8S_LOGIN_JWT",
        "VAULTK8S_LOGIN_ROLE",
        "VAULTK8S_LOGIN_MOUNT",
        "VAULTK8S_LOGIN_METHOD",
    ] {
        let mut command = place.command(&["plan"]);
        command.env(name, &text);
        place.try_out(&format!("variable {name}"), command);
    }
    for args in [
        &["plan", "-f", &text][..],
        &[&text],
        &["plan", &text],
        &["plan", "--cluster", &text],
        &["verify-role", &text],
        &["verify-role", "r-app", "--mount", &text],
        &["verify-role", "r-app", "--path", &text],
        &["plan", "--context", &text],
        &["plan", "--address", &text],
        &["plan", "--namespace", &text],
        &["plan", "--ca-cert", &text],
        &["plan", "-o", &text],
        &["pem", &text],
        &["man", &text],
        &["policy", &text, "--read", "x"],
        &["policy", "x", "--read", &text],
        &["rehearse", "--report", &text],
        &["init", "--context", &text],
        &["bootstrap", "--plan", &text],
        &["login", "--mount", &text, "--role", "r", "--jwt-file", "jwt"],
    ] {
        place.try_out(&format!("arguments {args:?}"), place.command(args));
    }
    place.holds(60, 15);
}

/// Where a person is asked to agree, and sees how far the work is.
#[test]
fn nothing_acts_on_a_terminal_that_a_person_agrees_at() {
    let place = Place::new(true);
    let before = std::fs::read_to_string(place.home.path().join("vaultk8s.yaml")).unwrap();
    let config = before.replace("ttl: 10m", "ttl: 20m");
    std::fs::write(place.home.path().join("vaultk8s.yaml"), &config).unwrap();
    place.record(&["plan"]);
    for asked in place.vault.asked() {
        for (pointer, name, text) in place.vault.texts(&asked) {
            let text = format!("{text}{POISON}\nFORGED");
            let what = format!("at a terminal: {asked:?} {pointer}");
            place.cluster.replay(None);
            place.vault.replay(Some(if name {
                Fault::Name { asked: asked.clone(), pointer, name: text }
            } else {
                Fault::Text { asked: asked.clone(), pointer, text }
            }));
            let mut terminal = Terminal::open().unwrap();
            let mut command = place.command(&["bootstrap"]);
            command.stdin(terminal.line().unwrap()).stdout(terminal.line().unwrap()).stderr(terminal.line().unwrap());
            let mut child = command.spawn().unwrap();
            drop(command);
            if terminal.shows_at_last("will be accepted: ") {
                terminal.types("no\n").unwrap();
            }
            let said = terminal.all();
            child.wait().unwrap();
            place.texts.fetch_add(1, Ordering::Relaxed);
            place.look(&what, &said);
        }
    }
    place.holds(100, 10);
}
