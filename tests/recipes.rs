//! `docs/recipes.md`: each platform has a section of the same form, and each configuration in it does on a real server what it says.

use serde_json::Value;

use crate::command::Vaultk8s;

const PAGE: &str = include_str!("../docs/recipes.md");

/// The platforms, in the order of the page.
const PLATFORMS: [&str; 8] = ["EKS", "GKE", "AKS", "OpenShift", "k3s", "RKE2 and Rancher", "Talos", "kubeadm"];

/// What is said of each, in this order.
const SAID: [&str; 6] =
    ["- **Issuer**: ", "- **Keys**: ", "- **API server**: ", "- **Rotation**: ", "- **Pitfalls**: ", "**Documented**:"];

/// The sections of the page, each with its title.
fn sections() -> Vec<(&'static str, &'static str)> {
    PAGE.split("\n## ").skip(1).map(|section| section.split_once('\n').unwrap()).collect()
}

/// The configurations in a section.
fn blocks(section: &'static str) -> impl Iterator<Item = &'static str> {
    section.split("```yaml\n").skip(1).map(|rest| rest.split("```\n").next().unwrap())
}

#[test]
fn every_platform_has_a_section_of_the_same_form_and_a_row() {
    let titles: Vec<&str> = sections().iter().map(|(title, _)| *title).collect();
    assert_eq!(titles[..PLATFORMS.len()], PLATFORMS);
    for (title, text) in &sections()[..PLATFORMS.len()] {
        let mut rest = *text;
        for what in SAID {
            let found = rest.find(&format!("\n{what}"));
            let at = found.unwrap_or_else(|| panic!("{title} has no {what:?}, or it stands elsewhere"));
            rest = &rest[at + what.len()..];
        }
        // Of the vendor's pages.
        assert!(rest.contains("](https://"), "{title} doesn't say where it is documented");
        assert!(blocks(text).count() > 0, "{title} has no configuration");
        assert!(PAGE.contains(&format!("| [{title}](#")), "the table has no row of {title}");
    }
}

#[test]
fn every_block_of_the_page_can_be_rehearsed() {
    let mut rehearsed = 0;
    for (title, text) in sections() {
        for (number, block) in blocks(text).enumerate() {
            let rehearsal = Vaultk8s::new(["rehearse", "-o", "json", "--key-type", "ec"]).config(block);
            let answer = rehearsal.env("VAULTK8S_VAULT_BIN", lab::shared().vault_program()).run();
            let what = format!("configuration {} of {title}: {}{}", number + 1, answer.stdout, answer.stderr);
            assert_eq!(answer.code, 0, "{what}");
            let report = answer.json();
            assert_eq!(report["success"], true, "{what}");
            for cluster in report["clusters"].as_array().unwrap() {
                assert_eq!(cluster["access"].as_array().unwrap().len(), 1, "{what}");
                assert_eq!(cluster["notTried"], Value::Null, "{what}");
                let refusals = cluster["refusals"].as_array().unwrap();
                assert!(refusals.len() > 3 && refusals.iter().all(|refusal| refusal["status"] == "refused"), "{what}");
            }
            // What no rehearsal can show, such as whether Vault reaches an issuer.
            let fetched = block.contains("keys: oidcDiscovery");
            let assumptions = report["assumptions"].as_array().unwrap();
            let told = |words: &str| assumptions.iter().any(|told| told.as_str().unwrap().contains(words));
            assert_eq!(told("Vault reaches the URL of its keys"), fetched, "{what}");
            assert_eq!(told("another reviewer stands in"), block.contains("token: "), "{what}");
            assert_eq!(told("OpenBao's pod reaches"), block.contains("providerConfig: "), "{what}");
            rehearsed += 1;
        }
    }
    assert!(rehearsed > PLATFORMS.len());
}

#[test]
fn what_is_played_is_played_by_a_test() {
    let (_, text) = sections().into_iter().find(|(title, _)| *title == "What was tried").unwrap();
    let rows: Vec<&str> = text.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
    assert!(rows.len() > 10);
    // Which tests there are is for `reliability.rs` to say.
    assert_eq!(rows.into_iter().filter(|row| !row.contains("::")).collect::<Vec<_>>(), Vec::<&str>::new());
}
