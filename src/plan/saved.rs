//! A saved plan, compared with the plan that would be made now.

use std::collections::BTreeMap;

use super::{Change, Object, Plan};

impl Plan {
    /// In what the plan that would be made now differs from this one, a sentence each; nothing where they are the same.
    ///
    /// Every change is compared with all that it shows and sends, so this covers the configuration, the clusters' facts
    /// and what Vault holds, as far as any of them matters to the plan.
    pub fn differences(&self, now: &Self) -> Vec<String> {
        let mut differences = Vec::new();
        if self.address != now.address {
            differences.push(format!("it is for {}, and this is {}", self.address, now.address));
        }
        if self.namespace != now.namespace {
            differences.push(format!("it is for the namespace {:?}, and this is {:?}", self.namespace, now.namespace));
        }
        // One that failed already had nothing in this plan either.
        for failed in
            now.failed_clusters.iter().filter(|now| self.failed_clusters.iter().all(|f| f.cluster != now.cluster))
        {
            differences.push(format!("cluster {} can't be read now: {}", failed.cluster, failed.failure.error));
        }
        for fetched in now.fetched_keys.iter().filter(|fetched| !self.fetched_keys.contains(fetched)) {
            differences.push(format!("there is now {}", fetched.in_words()));
        }
        let by_object = |plan: &Self| -> BTreeMap<Object, Change> {
            plan.changes.iter().map(|change| (change.object.clone(), change.lasting())).collect()
        };
        let (before, after) = (by_object(self), by_object(now));
        for (object, change) in &before {
            match after.get(object) {
                None => differences.push(format!("{object} needs no change any more, or is out of the configuration")),
                Some(now) if now != change => differences.push(otherwise(change, now)),
                Some(_) => {}
            }
        }
        for object in after.keys().filter(|object| !before.contains_key(object)) {
            differences.push(format!("{object} has to be changed too"));
        }
        if differences.is_empty() && (self.unchanged != now.unchanged || self.changes.len() != now.changes.len()) {
            let count = |plan: &Self| plan.unchanged + plan.changes.len();
            differences.push(format!("it was made for {} objects, and there are {} now", count(self), count(now)));
        }
        differences
    }
}

/// What is no longer as it was about one change.
fn otherwise(saved: &Change, now: &Change) -> String {
    let mut fields: Vec<&str> = Vec::new();
    for field in saved.fields.iter().chain(&now.fields) {
        if (!saved.fields.contains(field) || !now.fields.contains(field)) && !fields.contains(&field.field.as_str()) {
            fields.push(&field.field);
        }
    }
    if fields.is_empty() {
        return format!("{} would be written otherwise", saved.object);
    }
    format!("{} differs in {}", saved.object, fields.join(", "))
}

#[cfg(test)]
mod tests {
    use crate::names::StoredName;
    use crate::plan::Write;
    use crate::plan::document::tests::plan;

    #[test]
    fn what_differs_is_named() {
        assert!(plan().differences(&plan()).is_empty());
        let mut now = plan();
        now.namespace = "team".to_owned();
        now.changes[0].fields[0].before = Some("by hand".into());
        let said = plan().differences(&now).join("\n");
        assert!(said.contains("namespace") && said.contains("policy p differs in policy"), "{said}");
        // A document that was edited: it shows the same and would send something else.
        let mut edited = plan();
        edited.changes[0].write = Write::DeletePolicy { name: StoredName::new("p"), was: String::new() };
        assert_eq!(edited.differences(&plan()), ["policy p would be written otherwise"]);
        now = plan();
        now.changes.clear();
        now.unchanged = 1;
        assert!(plan().differences(&now)[0].contains("no change any more"));
    }
}
