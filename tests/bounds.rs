//! Whatever comes in without end is refused with little memory and at once: files that are none, answers that go on, a byte at a
//! time or all at once.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use vaultk8s::input;

/// The most memory that a refusal may take.
const MEMORY: usize = 64 << 20;

/// The longest that it may take. A second is meant; the rest is for a machine that has much else to do.
const TIME: Duration = Duration::from_secs(6);

const CONFIG: &str = "clusters: [{ name: c, issuer: https://issuer.example, jwksFile: keys.json, auth: { method: jwt, audience: vault } }]\n";

struct Place(TempDir);

/// How a command ended.
struct Ended {
    code: i32,
    stderr: String,
    memory: usize,
    time: Duration,
}

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        place.write("vaultk8s.yaml", CONFIG);
        place.write("keys.json", include_str!("../testdata/jwks/p256.json"));
        assert!(Command::new("mkfifo").arg(place.path("pipe")).status().unwrap().success());
        place
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn run(&self, args: &[&str], variables: &[(&str, &str)], stdin: Stdio) -> Ended {
        let mut command = Command::new(snapbox::cmd::cargo_bin!("vaultk8s"));
        command.args(args).env_clear().env("HOME", self.0.path()).current_dir(self.0.path());
        command.env("VAULT_ADDR", "http://127.0.0.1:1").env("VAULT_TOKEN", "token").env("VAULT_MAX_RETRIES", "0");
        command.envs(variables.iter().copied()).stdin(stdin).stdout(Stdio::null()).stderr(Stdio::piped());
        let started = Instant::now();
        let mut child = command.spawn().unwrap();
        let mut memory = 0;
        let status = loop {
            if let Ok(status) = fs::read_to_string(format!("/proc/{}/status", child.id())) {
                let peak = status
                    .lines()
                    .find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
                memory = memory.max(peak.unwrap_or(0) << 10);
            }
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            if started.elapsed() > Duration::from_secs(60) {
                child.kill().unwrap();
            }
            thread::sleep(Duration::from_millis(2));
        };
        let mut stderr = String::new();
        child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        Ended { code: status.code().unwrap_or(-1), stderr, memory, time: started.elapsed() }
    }
}

impl Ended {
    /// Expects a refusal, in words that say why, and not too dear.
    #[track_caller]
    fn ends_in_refusal(self, what: &str, words: &[&str]) {
        let Self { code, stderr, memory, time } = self;
        assert!(code == 64 || code == 1, "{what}: {code} {stderr}");
        assert!(words.iter().any(|word| stderr.contains(word)), "{what}: none of {words:?} in {stderr}");
        assert!(stderr.len() < 20_000, "{what}: {} bytes of complaint", stderr.len());
        assert!(memory < MEMORY, "{what}: {} MiB", memory >> 20);
        assert!(time < TIME, "{what}: {time:?}");
    }
}

#[test]
fn what_is_no_file_is_refused_wherever_a_file_is_read() {
    let place = Place::new();
    let kubeconfig = |field: &str, file: &str| {
        let (cluster, user) = if field == "certificate-authority" {
            (format!(", {field}: {file}"), String::new())
        } else {
            (String::new(), format!("{field}: {file}"))
        };
        format!(
            "{{ current-context: c, contexts: [{{ name: c, context: {{ cluster: c, user: u }} }}], \
             clusters: [{{ name: c, cluster: {{ server: \"https://127.0.0.1:1\"{cluster} }} }}], users: [{{ name: u, user: {{ {user} }} }}] }}"
        )
    };
    fs::create_dir(place.path("empty")).unwrap();
    for (file, words) in [
        ("/dev/zero", &["has more than", "is no file", "characters", "not there", "holds no"][..]),
        ("pipe", &["nobody writes to it", "is no file", "not there"]),
        (".", &["is a directory", "is no file", "not there", "has no .yaml or .yml file"]),
    ] {
        let absolute = if file == "pipe" { place.path("pipe").display().to_string() } else { file.to_owned() };
        let run = |args: &[&str], variables: &[(&str, &str)]| {
            place.run(args, variables, Stdio::null()).ends_in_refusal(&format!("{args:?} {variables:?} {file}"), words);
        };
        // A folder is a configuration, and this one has none.
        let folder = if file == "." { "empty" } else { file };
        run(&["plan", "-f", folder], &[]);
        run(&["bootstrap", "--plan", file], &[]);
        run(&["plan", "--token-file", file], &[]);
        run(&["pem", file], &[]);
        run(&["jwks", file], &[]);
        run(&["issuer", file], &[]);
        run(&["login", "--mount", "m", "--role", "r", "--jwt-file", file], &[]);
        run(&["plan", "--kubeconfig", file], &[]);
        run(&["plan"], &[("VAULT_CACERT", file), ("VAULT_ADDR", "https://127.0.0.1:1")]);
        run(&["plan", "--ca-cert", file], &[("VAULT_ADDR", "https://127.0.0.1:1")]);
        run(&["plan", "--login", "jwt", "--login-mount", "m", "--login-role", "r", "--login-jwt-file", file], &[]);
        place.write("config.yaml", &CONFIG.replace("keys.json", file));
        run(&["plan", "-f", "config.yaml"], &[]);
        for field in ["certificate-authority", "client-certificate", "client-key", "tokenFile"] {
            place.write("kubeconfig", &kubeconfig(field, &absolute));
            run(&["pem", "--kubeconfig", "kubeconfig"], &[]);
        }
    }
    let zero = fs::File::open("/dev/zero").unwrap();
    place.run(&["pem"], &[], zero.into()).ends_in_refusal("standard input", &["has more than 4 MiB"]);
}

#[test]
fn a_file_that_is_too_large_is_refused_by_its_limit() {
    let place = Place::new();
    for (limit, args) in [
        (input::CONFIGURATION, &["plan", "-f", "large"][..]),
        (input::PLAN, &["bootstrap", "--plan", "large"]),
        (input::DOCUMENT, &["pem", "large"]),
        (input::SECRET, &["plan", "--token-file", "large"]),
    ] {
        fs::write(place.path("large"), vec![b'a'; limit.bytes + 1]).unwrap();
        let words = format!("has more than {limit}");
        place.run(args, &[], Stdio::null()).ends_in_refusal(limit.what, &[&words]);
    }
    // Small to read, and large to hold.
    place.write("many.json", &format!("{{\"keys\":[{}{{}}]}}", "{},".repeat(1_000_000)));
    place
        .run(&["pem", "many.json"], &[], Stdio::null())
        .ends_in_refusal("many keys", &["values, which no key set has"]);
    place.write("some.json", &format!("{{\"keys\":[{}{{}}]}}", "{},".repeat(50_000)));
    place.run(&["pem", "some.json"], &[], Stdio::null()).ends_in_refusal("refused keys", &["and 49991 more"]);
    place.write("deep.json", &"[".repeat(1_000_000));
    place.run(&["pem", "deep.json"], &[], Stdio::null()).ends_in_refusal("deep", &["JSON", "values"]);
    place.write("deep.yaml", &"[".repeat(1_000_000));
    place
        .run(&["plan", "-f", "deep.yaml"], &[], Stdio::null())
        .ends_in_refusal("deep YAML", &["line 1", ":1:", "deep"]);
    let laughs = (0..20).fold("a0: &a0 [x]\n".to_owned(), |text, number| {
        format!("{text}a{}: &a{} [{}]\n", number + 1, number + 1, vec![format!("*a{number}"); 10].join(","))
    });
    place.write("laughs.yaml", &laughs);
    place.run(&["plan", "-f", "laughs.yaml"], &[], Stdio::null()).ends_in_refusal("laughs", &["laughs.yaml"]);
}

/// What a server answers with.
#[derive(Clone, Copy, Debug)]
enum Flood {
    /// Without end, and without saying how long it is.
    Endless,
    /// As much as it says, which is too much.
    Announced,
    /// Empty objects.
    Values,
    /// A byte now and then.
    Drip,
    /// Headers without end.
    Headers,
}

/// A server that floods whoever asks. Its thread ends with the test.
fn server(flood: Flood) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // Whoever asked has gone away.
            thread::spawn(move || drop(answer(stream, flood)));
        }
    });
    address
}

fn answer(mut stream: TcpStream, flood: Flood) -> std::io::Result<()> {
    let mut asked = [0; 4096];
    while !asked.windows(4).any(|end| end == b"\r\n\r\n") {
        if stream.read(&mut asked)? == 0 {
            return Ok(());
        }
    }
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n")?;
    match flood {
        Flood::Headers => {
            for number in 0.. {
                stream.write_all(format!("x-{number}: {}\r\n", "a".repeat(1000)).as_bytes())?;
            }
        }
        Flood::Announced => stream.write_all(b"Content-Length: 4000000000\r\n\r\n")?,
        _ => stream.write_all(b"\r\n")?,
    }
    match flood {
        Flood::Values => stream.write_all(format!("{{\"data\":[{}{{}}]}}", "{},".repeat(5_000_000)).as_bytes()),
        Flood::Drip => loop {
            stream.write_all(b" ")?;
            thread::sleep(Duration::from_millis(100));
        },
        _ => {
            stream.write_all(b"{\"errors\":[\"")?;
            loop {
                stream.write_all(&[b'a'; 8192])?;
            }
        }
    }
}

#[test]
fn an_answer_of_vault_without_end_ends_in_refusal() {
    let place = Place::new();
    for flood in [Flood::Endless, Flood::Announced, Flood::Values, Flood::Drip, Flood::Headers] {
        let address = server(flood);
        let variables = [("VAULT_ADDR", address.as_str()), ("VAULT_CLIENT_TIMEOUT", "1")];
        let words = [
            "has more than 16 MiB",
            "values, which no answer",
            "no answer came in time",
            "connection",
            "look like Vault",
        ];
        for args in [
            &["plan"][..],
            &["verify-role", "r", "--mount", "m"],
            &["login", "--mount", "m", "--role", "r", "--jwt-file", "jwt"],
        ] {
            place.write("jwt", "a.b.c");
            let ended = place.run(args, &variables, Stdio::null());
            // What was found is on stdout there.
            if args[0] == "verify-role" {
                assert!(
                    ended.code != 0 && ended.memory < MEMORY && ended.time < 4 * TIME,
                    "{flood:?} {} {:?}",
                    ended.memory >> 20,
                    ended.time
                );
            } else {
                ended.ends_in_refusal(&format!("{flood:?} {args:?}"), &words);
            }
        }
    }
}

#[test]
fn an_answer_of_a_cluster_without_end_ends_in_refusal() {
    let place = Place::new();
    for flood in [Flood::Endless, Flood::Announced, Flood::Values, Flood::Headers] {
        let address = server(flood);
        place.write(
            "kubeconfig",
            &format!(
                "{{ current-context: c, contexts: [{{ name: c, context: {{ cluster: c, user: u }} }}], clusters: [{{ name: c, cluster: \
                 {{ server: \"{address}\" }} }}], users: [{{ name: u, user: {{ token: t }} }}] }}"
            ),
        );
        for args in [["pem", "--kubeconfig", "kubeconfig"], ["issuer", "--kubeconfig", "kubeconfig"]] {
            let ended = place.run(&args, &[], Stdio::null());
            ended.ends_in_refusal(
                &format!("{flood:?} {args:?}"),
                &["has more than 16 MiB", "values, which no answer", "the connection broke off"],
            );
        }
    }
}

/// The table of the documentation says what holds.
#[test]
fn every_limit_is_documented() {
    let page = include_str!("../docs/limits.md");
    for limit in input::LIMITS {
        let row = format!("| {limit} |");
        assert!(page.lines().any(|line| line.contains(limit.what) && line.contains(&row)), "{} {row}", limit.what);
    }
}
