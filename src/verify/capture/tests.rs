//! All checks on all captures of the catalogue of faults, without any server: each names its entry's fault first.

use std::path::Path;

use serde_json::Value;

use super::*;

/// The captures of a table, each with what its entry says of it.
pub(super) fn entries(file: &Path) -> Vec<(Value, String)> {
    let table: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let whole = |entry: &Value| {
        let mut capture = entry["capture"].clone();
        let numbers = capture["answers"].as_array().unwrap().iter();
        let answers =
            numbers.map(|number| table["answers"][usize::try_from(number.as_u64().unwrap()).unwrap()].clone());
        capture["answers"] = answers.collect::<Vec<_>>().into();
        (entry["told"].clone(), capture.to_string())
    };
    table["entries"].as_array().unwrap().iter().map(whole).collect()
}

/// The texts of a list.
fn texts(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

/// What is wrong with what a capture tells.
async fn misses(told: &Value, capture: &str) -> Result<(), String> {
    let name = told["entry"].as_str().unwrap();
    let capture = Capture::read(capture, name).map_err(|error| error.to_string())?;
    let diagnosis = capture.diagnose(None, 1, &Interrupt::default(), &Progress::hidden()).await;
    let ids: Vec<&str> = diagnosis.causes.iter().map(|cause| cause.result.check.id.as_str()).collect();
    let Some(first) = diagnosis.causes.first() else { return Err(format!("{name}: nothing is found")) };
    let finding = &first.result.finding;
    let said = finding.evidence.iter().fold(finding.detail.clone(), |said, evidence| said + "\n" + &evidence.value);
    let missing: Vec<&str> = texts(&told["words"]).into_iter().filter(|word| !said.contains(word)).collect();
    let named = ids[0] == told["first"] && texts(&told["also"]).iter().all(|id| ids.contains(id));
    if named && missing.is_empty() { Ok(()) } else { Err(format!("{name}: {ids:?}, {missing:?} missing in:\n{said}")) }
}

#[tokio::test]
async fn every_fault_of_the_catalogue_is_named_from_its_capture() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/captures");
    let (mut count, mut wrong) = (0, Vec::new());
    for file in std::fs::read_dir(folder).unwrap() {
        for (told, capture) in entries(&file.unwrap().path()) {
            count += 1;
            wrong.extend(misses(&told, &capture).await.err());
        }
    }
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(count > 300, "{count}");
}
