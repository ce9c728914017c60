//! What is asked before anything is changed, and what may be said beforehand. Against a real OpenBao (or Vault) and a real
//! kube-apiserver.

use lab::Mount;
use serde_json::{Value, json};

use crate::command::{self, Answer, Vaultk8s};

const PROMPT: &str = "Only 'yes' will be accepted: ";

/// A file with a mount of its own, and a policy whose name another file may have too.
struct File {
    mount: Mount,
    policy: String,
    config: String,
}

impl File {
    fn new() -> Self {
        Self::with(&lab::shared().unique("p-shared"))
    }

    /// With a policy of this name, which says what only this file says.
    fn with(policy: &str) -> Self {
        let lab = lab::shared();
        let (mount, namespace) = (lab.mount("jwt"), lab.namespace("app"));
        lab.service_account(&namespace, "app");
        let config = format!(
            "clusters:
  - {{ name: lab, context: {context}, auth: {{ method: jwt, mount: {mount}, audience: vault }} }}
{reader}",
            context = lab.context(),
            reader = command::reader(policy, &namespace)
        );
        Self { mount, policy: policy.to_owned(), config }
    }

    fn command(&self, args: &str) -> Vaultk8s {
        Vaultk8s::new(args.split_whitespace()).on_shared().config(&self.config)
    }

    fn run(&self, args: &str) -> Answer {
        self.command(args).run()
    }

    /// What Vault holds under the policy's name.
    fn text(&self) -> String {
        policy(&self.policy)["data"]["policy"].as_str().unwrap_or_default().to_owned()
    }

    /// Whether its mount is there.
    fn is_set_up(&self) -> bool {
        lab::shared().vault().read("sys/auth")["data"].get(format!("{}/", self.mount)).is_some()
    }
}

fn policy(name: &str) -> Value {
    lab::shared().vault().get(&format!("sys/policies/acl/{name}")).1
}

/// Whose it is and whose it would be.
fn both(theirs: &File, ours: &File) -> String {
    format!(
        "it belongs to the configuration of auth/{}, and would belong to the configuration of auth/{}",
        theirs.mount, ours.mount
    )
}

#[test]
fn two_files_with_a_policy_of_one_name_do_not_take_it_from_each_other_unasked() {
    let one = File::new();
    let two = File::with(&one.policy);
    one.run("bootstrap").exits(0);
    let text = one.text();
    for args in ["bootstrap", "bootstrap --yes", "bootstrap --yes --approve delete --approve replace-trust"] {
        two.run(args).exits(1).says(&["! this takes over what somebody else wrote"]).complains(&[
            "No changes made: approval required to take over what somebody else wrote (--approve take-over)",
            &format!("policy {}: {}", one.policy, both(&one, &two)),
            "run again with --approve take-over",
        ]);
        assert_eq!(one.text(), text);
        assert!(!two.is_set_up());
    }
    // The document of the refusal says it too, and a saved plan shows it.
    let refused = two.run("bootstrap -o json").exits(1).json();
    assert!(refused["message"].as_str().unwrap().contains(&both(&one, &two)), "{refused}");
    let plan = two.run("plan -o json").exits(0).json();
    let whose = plan["changes"].as_array().unwrap().iter().find_map(|change| change.get("takesOver"));
    assert_eq!(whose, Some(&json!(both(&one, &two))));

    two.run("bootstrap --approve take-over").exits(0).says(&["1 login verified"]);
    assert_ne!(one.text(), text);
    // Back again it is no less somebody else's.
    one.run("bootstrap --yes").exits(1).complains(&[&both(&two, &one)]);
    one.run("bootstrap --yes --approve take-over").exits(0);
    assert_eq!(one.text(), text);
    one.run("plan --detailed-exitcode").exits(0);
}

#[test]
fn a_file_that_grew_and_a_policy_of_the_same_meaning_are_asked_about_by_nobody() {
    let lab = lab::shared();
    let file = File::new();
    file.run("bootstrap").exits(0);
    let mount = lab.mount("jwt");
    let more = format!(
        "clusters:\n  - {{ name: more, context: {}, auth: {{ method: jwt, mount: {}, audience: vault }} }}\n",
        lab.context(),
        mount
    );
    let grown = file.config.replace("clusters:\n", &more).replace("/*]", "/more/*]");
    let answer = Vaultk8s::new(["bootstrap", "--no-verify"]).on_shared().config(&grown).run();
    answer.exits(0).says(&[&format!("~ policy {}", file.policy)]);
    // The smaller file is another one now.
    file.run("bootstrap").exits(1).complains(&["--approve take-over"]);

    // By hand, but to the same effect.
    let adopting = File::new();
    let rules = |file: &File| {
        let text = file.run("plan -o json").exits(0).json()["changes"].as_array().unwrap().clone();
        let write = text.into_iter().find_map(|change| change["write"].get("policy").cloned()).unwrap();
        write["text"].as_str().unwrap().lines().skip(1).collect::<Vec<_>>().join("\n")
    };
    let by_hand = rules(&adopting);
    lab.vault().write(&format!("sys/policies/acl/{}", adopting.policy), &json!({ "policy": by_hand }));
    adopting.run("bootstrap").exits(0);
    assert_eq!(adopting.text(), by_hand);
}

#[test]
fn a_single_step_takes_nothing_from_a_file_and_nothing_that_is_not_marked() {
    let file = File::new();
    file.run("bootstrap").exits(0);
    let text = file.text();
    let step = |args: &str| {
        let args = format!("policy {} --read elsewhere/* {args}", file.policy);
        Vaultk8s::new(args.split_whitespace()).on_shared().run()
    };
    let words = [
        &format!("the configuration of auth/{}", file.mount)[..],
        "a single step without --owner leaves no mark",
        "--approve take-over",
    ];
    step("").exits(1).complains(&words);
    step("--yes").exits(1).complains(&words);
    step("--dry-run").exits(0).says(&["! this takes over what somebody else wrote"]);
    assert_eq!(file.text(), text);
    step("--approve take-over").exits(0).says(&["1 change made."]);
    assert!(file.text().contains("elsewhere"));

    // Now nobody's mark is on it.
    step("--list elsewhere/*")
        .exits(1)
        .complains(&["whoever wrote it without a mark of vaultk8s", "--approve take-over"]);
    step("").exits(0).says(&["nothing to change"]);
    file.run("bootstrap --yes").exits(1).complains(&["whoever wrote it without a mark of vaultk8s"]);
    file.run("bootstrap --approve take-over").exits(0);
    assert_eq!(file.text(), text);
}

#[test]
fn at_a_terminal_nothing_is_changed_before_somebody_agrees() {
    let file = File::new();
    for answer in ["no\n", "y\n", "\n"] {
        let refused = file.command("bootstrap").at_terminal(|terminal, _| {
            terminal.shows(PROMPT);
            terminal.types(answer).unwrap();
        });
        let refused = refused.exits(1).says(&["Plan:", "4 to create"]);
        let question = format!("Make these 4 changes to {}?", lab::shared().vault().address());
        refused.complains(&[&question, "No changes made: not confirmed"]);
        assert!(!file.is_set_up(), "{answer:?}");
    }
    // Where the plan isn't shown, nobody can agree to it.
    let document = file.command("bootstrap -o json").at_terminal(|_, _| {});
    document.exits(1).complains(&["No changes made: approval required to change anything", "run again with --yes"]);
    assert!(!file.is_set_up());

    let agreed = file.command("bootstrap").at_terminal(|terminal, _| {
        terminal.shows(PROMPT);
        terminal.types("yes\n").unwrap();
    });
    agreed.exits(0).says(&["4 changes made; 1 login verified"]);
    // Nothing to change is nothing to ask about.
    file.command("bootstrap").at_terminal(|_, _| {}).exits(0).keeps_quiet_about(&[PROMPT]);
}

#[test]
fn at_a_terminal_an_interrupt_is_an_answer_too() {
    let file = File::new();
    let answer = file.command("bootstrap").at_terminal(|terminal, process| {
        terminal.shows(PROMPT);
        assert!(std::process::Command::new("kill").args(["-INT", &process.to_string()]).status().unwrap().success());
    });
    answer.exits(130).complains(&["No changes made."]);
    assert!(!file.is_set_up());
}

#[test]
fn who_said_yes_beforehand_or_saved_the_plan_is_not_asked_again() {
    let file = File::new();
    let folder = tempfile::tempdir().unwrap();
    let plan = folder.path().join("plan.json");
    file.run(&format!("plan --out {}", plan.display())).exits(0);
    let applied = file.command(&format!("bootstrap --plan {}", plan.display())).at_terminal(|_, _| {});
    applied.exits(0).says(&["4 changes made"]).keeps_quiet_about(&[PROMPT]);
    let other = File::new();
    other.command("bootstrap --yes").at_terminal(|_, _| {}).exits(0).keeps_quiet_about(&[PROMPT]);

    // What is somebody else's is asked about even so, in one question, and named.
    let theirs = File::with(&file.policy);
    let asked = theirs.command("bootstrap --yes").at_terminal(|terminal, _| {
        terminal.shows(PROMPT);
        terminal.types("yes\n").unwrap();
    });
    asked.exits(0).complains(&["This takes over what somebody else wrote:", &both(&file, &theirs)]);
    // Of the small commands, the same.
    let step = format!("policy {} --read elsewhere/*", file.policy);
    let asked = file.command(&step).at_terminal(|terminal, _| {
        terminal.shows(PROMPT);
        terminal.types("no\n").unwrap();
    });
    asked.exits(1).complains(&["This takes over", "Make this change to https://", "No changes made: not confirmed"]);
    assert!(!file.text().contains("elsewhere"));
}

#[test]
fn a_dry_run_is_the_plan() {
    let file = File::new();
    for more in ["", "--prune", "-o yaml", "--cluster lab"] {
        let dry =
            file.command(&format!("bootstrap --dry-run --yes --no-verify {more}")).at_terminal(|_, _| {}).exits(0);
        let plan = file.command(&format!("plan {more}")).at_terminal(|_, _| {}).exits(0);
        // But for the time of it, which the digest is of too.
        let timeless = |answer: &Answer| -> String {
            let is_time = |line: &&str| {
                ["madeAt:", "digest:", "first seen ", "first-seen="].iter().any(|time| line.contains(time))
            };
            answer.stdout.lines().filter(|line| !is_time(line)).collect::<Vec<_>>().join("\n")
        };
        assert_eq!(timeless(&dry), timeless(&plan));
        assert_eq!(dry.stderr, plan.stderr);
        assert!(dry.stdout.contains(&file.policy) && !file.is_set_up());
    }
    file.run("bootstrap --dry-run --plan plan.json").exits(64);
}

/// A question may stand open for an hour.
#[test]
fn what_others_wrote_while_the_question_stood_is_left_as_it_is() {
    let one = File::new();
    let two = File::with(&one.policy);
    let refused = two.command("bootstrap").at_terminal(|terminal, _| {
        terminal.shows(PROMPT);
        one.run("bootstrap").exits(0);
        terminal.types("yes\n").unwrap();
    });
    refused.exits(1).complains(&["No changes made: what was shown is not so any more", &one.policy]);
    assert!(!two.is_set_up());
    assert!(one.text().contains(&*one.mount), "{}", one.text());
}

/// What was typed before a question is shown is no answer to it.
#[test]
fn what_was_typed_ahead_answers_no_question() {
    let file = File::new();
    let refused = file.command("bootstrap").at_terminal(|terminal, _| {
        terminal.types("yes\n").unwrap();
        terminal.shows(PROMPT);
        std::thread::sleep(std::time::Duration::from_millis(500));
        assert!(!file.is_set_up(), "the answer came before the question");
        terminal.types("no\n").unwrap();
    });
    refused.exits(1).complains(&["No changes made: not confirmed"]);
    assert!(!file.is_set_up());
}

#[test]
fn a_plan_is_saved_in_place_of_nothing_but_a_saved_plan() {
    let file = File::new();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let plan = path("plan.json");
    file.run(&format!("plan --out {plan}")).exits(0);
    // Anew, and in place of an empty file, as `mktemp` makes one.
    file.run(&format!("plan --out {plan}")).exits(0);
    std::fs::write(path("empty"), "").unwrap();
    file.run(&format!("plan --out {}", path("empty"))).exits(0);
    for text in ["not a plan\n", "{}", r#"{ "apiVersion": "v1", "kind": "Config" }"#, r#"{ "kind": "Plan" }"#] {
        std::fs::write(path("theirs"), text).unwrap();
        let refused = file.run(&format!("plan --out {}", path("theirs"))).exits(64);
        refused.complains(&["theirs", "no saved plan", "--out"]);
        assert_eq!(std::fs::read_to_string(path("theirs")).unwrap(), text);
    }
    let config = path("vaultk8s.yaml");
    std::fs::write(&config, &file.config).unwrap();
    let refused = file.run(&format!("plan -f {config} --out {}/./vaultk8s.yaml", folder.path().display())).exits(64);
    refused.complains(&["is the configuration itself", "--out"]);
    assert_eq!(std::fs::read_to_string(&config).unwrap(), file.config);
}
