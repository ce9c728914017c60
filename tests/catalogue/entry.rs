//! An entry of the catalogue, and going through a table of them.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::keep::{keep, normalised, told as kept, wanted};
use super::setup::{Setup, Shape, shown};

/// A way in which things break.
pub struct Entry {
    name: &'static str,
    shape: fn() -> Shape,
    fault: fn(&mut Setup),
    first: &'static str,
    also: &'static [&'static str],
    words: &'static [&'static str],
    repair: Repair,
    /// Which of the remedies is the command that is run, where the first is a person's act.
    which: usize,
    patient: bool,
    /// What may rightly be named first until the servers have noticed what changed.
    meanwhile: &'static [&'static str],
}

/// What mends it.
pub enum Repair {
    /// The command that is printed as the remedy of the first cause.
    Printed,
    /// As printed, for each cause in turn until there is none.
    EachPrinted,
    /// The command that stands in the words of the remedy, with what a person puts in place of its blank.
    Filled(&'static str, fn(&Setup) -> String),
    /// What a person does.
    Person(fn(&mut Setup)),
}

/// An entry: what is broken, in what lab, how; and the check that names it, with words of what it says.
pub fn entry(
    name: &'static str,
    shape: fn() -> Shape,
    fault: fn(&mut Setup),
    first: &'static str,
    words: &'static [&'static str],
) -> Entry {
    let (repair, meanwhile) = (Repair::Printed, &[][..]);
    Entry { name, shape, fault, first, also: &[], words, repair, which: 0, patient: false, meanwhile }
}

impl Entry {
    /// With what a person does in place of the printed command.
    pub fn person(self, repair: fn(&mut Setup)) -> Self {
        Self { repair: Repair::Person(repair), ..self }
    }

    /// With the command in the words of the remedy, once a person has filled in what nobody else can know.
    pub fn filled(self, blank: &'static str, with: fn(&Setup) -> String) -> Self {
        Self { repair: Repair::Filled(blank, with), ..self }
    }

    /// With causes that have to be named after the first; each has a command of its own.
    pub fn also(self, also: &'static [&'static str]) -> Self {
        Self { also, repair: Repair::EachPrinted, ..self }
    }

    /// With a command that is printed after what a person may do.
    pub fn second_remedy(self) -> Self {
        Self { which: 1, ..self }
    }

    /// Waits until the servers have noticed what changed: their caches live for a few seconds, and until then all is well.
    pub fn patiently(self) -> Self {
        Self { patient: true, ..self }
    }

    /// The same, where until then one of these is what is wrong.
    pub fn patiently_after(self, meanwhile: &'static [&'static str]) -> Self {
        Self { patient: true, meanwhile, ..self }
    }
}

/// Why a look at the lab was not as it should be.
struct Miss {
    said: String,
    /// The servers may only need more time.
    may_pass: bool,
}

/// How an entry went.
struct Outcome {
    name: &'static str,
    named: Result<(), String>,
    mended: Result<(), String>,
    /// What the run that named it was asked and answered.
    captured: Option<String>,
    seconds: f64,
}

/// Entries at the same time.
const AT_ONCE: usize = 4;

/// The API server remembers for ten seconds whom a token belongs to: looking more often only takes time from the others.
const BETWEEN_LOOKS: Duration = Duration::from_secs(2);

/// Goes through a table, prints how each entry went, and fails with all that did not go as it should.
pub fn run(title: &str, entries: &[Entry]) {
    let (next, outcomes) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE.min(entries.len()) {
            scope.spawn(|| {
                while let Some(entry) = entries.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcome = outcome(entry);
                    outcomes.lock().unwrap().push(outcome);
                }
            });
        }
    });
    let mut outcomes = outcomes.into_inner().unwrap();
    outcomes.sort_by_key(|outcome| entries.iter().position(|entry| entry.name == outcome.name));
    let mut table = format!("{title}: {} entries\n", outcomes.len());
    for Outcome { name, named, mended, seconds, .. } in &outcomes {
        let mark = |result: &Result<(), String>| if result.is_ok() { "yes" } else { "NO" };
        let _ = writeln!(table, "  named {:3} mended {:3} {seconds:5.1} s  {name}", mark(named), mark(mended));
    }
    println!("{table}");
    let failures: Vec<String> = outcomes
        .iter()
        .flat_map(|outcome| [(outcome.name, &outcome.named), (outcome.name, &outcome.mended)])
        .filter_map(|(name, result)| result.as_ref().err().map(|said| format!("--- {name}: {said}")))
        .collect();
    assert!(failures.is_empty(), "{table}\n{}", failures.join("\n"));
    let captured = entries.iter().zip(outcomes).map(|(Entry { name, first, also, words, .. }, outcome)| {
        (kept(name, first, also, words), outcome.captured.unwrap_or_default())
    });
    keep(title, captured.collect());
}

fn outcome(entry: &Entry) -> Outcome {
    let begun = Instant::now();
    let captured = Mutex::new(None);
    let stages = Mutex::new((Err("was not come to".to_owned()), Err("was not come to".to_owned())));
    let ended = catch_unwind(AssertUnwindSafe(|| {
        let mut setup = healthy(entry);
        (entry.fault)(&mut setup);
        let (named, causes) = until_good(entry, || name(entry, &setup));
        let (causes, capture) = causes;
        *captured.lock().unwrap() = Some(normalised(&capture, &setup));
        stages.lock().unwrap().0 = named;
        if wanted().is_some() {
            stages.lock().unwrap().1 = Ok(());
            return;
        }
        let mended = mend(entry, &mut setup, causes);
        let healthy = || (in_order(&setup).map_err(|said| Miss { said, may_pass: true }), ());
        let mended = mended.and_then(|()| until_good(entry, healthy).0);
        stages.lock().unwrap().1 = mended;
    }));
    let (mut named, mut mended) = stages.into_inner().unwrap();
    if let Err(panic) = ended {
        let words = panic.downcast_ref::<String>().cloned();
        let words = words.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default();
        *if named.is_ok() { &mut mended } else { &mut named } = Err(words);
    }
    let captured = captured.into_inner().unwrap();
    Outcome { name: entry.name, named, mended, captured, seconds: begun.elapsed().as_secs_f64() }
}

/// A lab in which nothing is wrong. Labs of one shape are made in the same way, so the first of them answers for all.
fn healthy(entry: &Entry) -> Setup {
    static PROVED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let setup = Setup::new((entry.shape)());
    if !PROVED.lock().unwrap().contains(&setup.shape) {
        let found = in_order(&setup);
        assert!(found.is_ok(), "the lab was not healthy to begin with: {}", found.unwrap_err());
        PROVED.lock().unwrap().insert(setup.shape.clone());
    }
    setup
}

/// Tries again for a while, where the servers may need it.
fn until_good<T>(entry: &Entry, mut attempt: impl FnMut() -> (Result<(), Miss>, T)) -> (Result<(), String>, T) {
    let deadline = Instant::now() + Duration::from_secs(if entry.patient { 20 } else { 0 });
    loop {
        match attempt() {
            (Err(Miss { may_pass: true, .. }), _) if Instant::now() < deadline => {
                std::thread::sleep(BETWEEN_LOOKS);
            }
            (result, more) => return (result.map_err(|miss| miss.said), more),
        }
    }
}

/// Whether `verify-role` names what is broken. What is still healthy is named once the servers have noticed; what is named
/// wrongly does not get better.
fn name(entry: &Entry, setup: &Setup) -> (Result<(), Miss>, (Value, String)) {
    let (code, capture, said, all) = setup.verify_and_capture();
    let causes = said["causes"].clone();
    let ids = causes.as_array().map(Vec::as_slice).unwrap_or_default().iter().map(|cause| &cause["id"]);
    let ids: Vec<&str> = ids.filter_map(Value::as_str).collect();
    let first = compared(&causes[0]);
    let missing: Vec<&&str> = entry.words.iter().filter(|word| !first.contains(**word)).collect();
    let failed = causes[0]["status"] == "failed";
    let good = ids.first() == Some(&entry.first)
        && entry.also.iter().all(|id| ids.contains(id))
        && missing.is_empty()
        && code == i32::from(failed);
    if good {
        return (Ok(()), (causes, capture));
    }
    let found = if ids.is_empty() { all } else { told(&causes) };
    let said = format!("exit {code}, {} expected, words missing: {missing:?}; found:\n{found}", entry.first);
    let healthy = causes.as_array().is_some_and(Vec::is_empty);
    let may_pass = healthy || ids.first().is_some_and(|first| entry.meanwhile.contains(first));
    (Err(Miss { said, may_pass }), (causes, capture))
}

/// What a cause says of this fault: titles, reasons and remedies are there whatever was found.
fn compared(cause: &Value) -> String {
    let evidence = cause["evidence"].as_array().map(Vec::as_slice).unwrap_or_default();
    let said = std::iter::once(&cause["detail"]).chain(evidence.iter().map(|evidence| &evidence["value"]));
    said.filter_map(Value::as_str).collect::<Vec<_>>().join("\n")
}

/// The causes, briefly.
fn told(causes: &Value) -> String {
    let mut text = String::new();
    for cause in causes.as_array().map(Vec::as_slice).unwrap_or_default() {
        let _ = writeln!(text, "    {} {}", cause["id"], cause["detail"]);
        let _ = writeln!(text, "      {} {}", cause["evidence"], cause["remedies"]);
    }
    text
}

fn mend(entry: &Entry, setup: &mut Setup, causes: Value) -> Result<(), String> {
    match entry.repair {
        Repair::Person(repair) => {
            repair(setup);
            Ok(())
        }
        Repair::Printed => run_remedy(setup, &causes[0], entry.which),
        Repair::Filled(blank, with) => {
            let remedies = causes[0]["remedies"].as_array().map(Vec::as_slice).unwrap_or_default();
            let texts = remedies.iter().filter_map(|remedy| remedy["text"].as_str());
            let mut commands = texts.flat_map(|text| text.split('`').skip(1).step_by(2));
            match commands.find(|command| command.contains(blank)) {
                Some(command) => run_command(setup, &command.replace(blank, &with(setup))),
                None => Err(format!("no remedy has a command with {blank}: {}", causes[0]["remedies"])),
            }
        }
        Repair::EachPrinted => {
            let mut causes = causes;
            for _ in 0..=entry.also.len() {
                if causes[0].is_null() {
                    return Ok(());
                }
                run_remedy(setup, &causes[0], entry.which)?;
                causes = setup.verify().1["causes"].clone();
            }
            Ok(())
        }
    }
}

/// Runs the first remedy of what `verify-role` says now, which has to be this: what a person reads after a first step.
pub fn run_printed(setup: &Setup, id: &str) {
    let (_, said, all) = setup.verify();
    assert_eq!(said["causes"][0]["id"], id, "{all}");
    run_remedy(setup, &said["causes"][0], 0).unwrap();
}

/// Runs a remedy of a cause as it is printed; of those that ask, with the answer.
fn run_remedy(setup: &Setup, cause: &Value, which: usize) -> Result<(), String> {
    match cause["remedies"][which]["command"].as_str() {
        Some(command) => run_command(setup, command),
        None => Err(format!("remedy {which} is no command: {}", cause["remedies"])),
    }
}

fn run_command(setup: &Setup, command: &str) -> Result<(), String> {
    let asks = ["vaultk8s bootstrap", "vaultk8s auth"].iter().any(|start| command.starts_with(start));
    let command = if asks { format!("{command} --yes --approve take-over") } else { command.to_owned() };
    let answer = setup.shell(&command);
    // A bootstrap fails for what it doesn't mend as well; whether this is mended is seen next.
    if answer.status.success() || command.starts_with("vaultk8s bootstrap") {
        return Ok(());
    }
    Err(format!("the remedy `{command}` failed:\n{}", shown(&answer)))
}

/// Whether `verify-role` finds nothing, nothing to look at either.
fn in_order(setup: &Setup) -> Result<(), String> {
    let (code, said, all) = setup.verify();
    let clean = said["causes"].as_array().is_some_and(Vec::is_empty);
    if code == 0 && clean {
        return Ok(());
    }
    let found = told(&said["causes"]);
    Err(format!("exit {code}: {}", if found.is_empty() { all } else { found }))
}
