//! `{cluster}` and `{each}` in names and paths.
//!
//! `{{…}}` belongs to Vault (`{{identity.entity.id}}`) and passes untouched.

use super::diagnostic::Problems;
use super::entry::Located;
use crate::names::ClusterName;

/// A text with placeholders, checked once and filled in often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    Cluster,
    Each,
}

/// Where a template stands, which decides the placeholders it may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Placeholders {
    /// In a cluster and its mount, or at the top of the file: `{cluster}` alone.
    Cluster,
    /// In a policy or role without `each`.
    Entry,
    /// In a policy or role with `each`.
    EntryWithEach,
}

/// A template that was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum TemplateError {
    #[error("`{{{name}}}` is not a placeholder")]
    Unknown { name: String, scope: Placeholders },
    #[error("`{{each}}` has nothing to stand for")]
    NoEach { scope: Placeholders },
    #[error("a `{{` is not closed")]
    NotClosed,
    #[error("a `}}` has no `{{` before it")]
    NotOpened,
    #[error("a `{{{{` is not closed by `}}}}`")]
    VaultTemplateNotClosed,
    #[error("`{{{{{name}}}}}` goes to Vault as it is, and Vault doesn't know it")]
    DoubleBraces { name: String },
}

impl TemplateError {
    /// What to write instead.
    pub(super) fn remedy(&self) -> String {
        match self {
            Self::Unknown { scope: Placeholders::Cluster, .. } => {
                "write `{cluster}`, the one placeholder here; `{{…}}` goes to Vault as it is".to_owned()
            }
            Self::Unknown { .. } => {
                "write `{cluster}` or, in an entry with `each:`, `{each}`; `{{…}}` goes to Vault as it is".to_owned()
            }
            Self::NoEach { scope: Placeholders::Cluster } => {
                "write `{cluster}`: `{each}` exists in policies and roles that have `each:`".to_owned()
            }
            Self::NoEach { .. } => "add `each: [a, b]` to this entry, or write the name out".to_owned(),
            Self::NotClosed | Self::NotOpened => {
                "write placeholders as `{cluster}`; a name can't contain other braces".to_owned()
            }
            Self::DoubleBraces { name } => format!("write `{{{name}}}`, with single braces"),
            Self::VaultTemplateNotClosed => "write Vault's templates as `{{identity.entity.id}}`".to_owned(),
        }
    }
}

impl Template {
    /// A text without placeholders.
    pub(super) fn plain(text: &str) -> Self {
        Self { parts: vec![Part::Literal(text.to_owned())] }
    }

    pub(super) fn parse(text: &str, scope: Placeholders) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(brace) = rest.find(['{', '}']) {
            let (before, from_brace) = rest.split_at(brace);
            literal.push_str(before);
            if let Some(inside) = from_brace.strip_prefix("{{") {
                let end = inside.find("}}").ok_or(TemplateError::VaultTemplateNotClosed)?;
                let name = inside[..end].trim();
                if matches!(name, "cluster" | "each") {
                    return Err(TemplateError::DoubleBraces { name: name.to_owned() });
                }
                let (template, after) = from_brace.split_at(end + 4);
                literal.push_str(template);
                rest = after;
                continue;
            }
            let inside = from_brace.strip_prefix('{').ok_or(TemplateError::NotOpened)?;
            let (name, after) = inside.split_once('}').ok_or(TemplateError::NotClosed)?;
            if name.contains('{') {
                return Err(TemplateError::NotClosed);
            }
            let part = match name {
                "cluster" => Part::Cluster,
                "each" if scope == Placeholders::EntryWithEach => Part::Each,
                "each" => return Err(TemplateError::NoEach { scope }),
                _ => return Err(TemplateError::Unknown { name: name.to_owned(), scope }),
            };
            if !literal.is_empty() {
                parts.push(Part::Literal(std::mem::take(&mut literal)));
            }
            parts.push(part);
            rest = after;
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        Ok(Self { parts })
    }

    /// Reads the template at a place of the file, or reports why it is none.
    pub(super) fn read(text: &Located<String>, scope: Placeholders, problems: &mut Problems) -> Option<Located<Self>> {
        match Self::parse(&text.value, scope) {
            Ok(value) => Some(Located { at: text.at, value }),
            Err(error) => {
                problems.add(text.at, error.to_string(), error.remedy());
                None
            }
        }
    }

    /// Whether the text differs from one value of `each` to the next.
    pub(super) fn uses_each(&self) -> bool {
        self.parts.contains(&Part::Each)
    }

    /// Whether the text differs from one cluster to the next.
    pub(super) fn uses_cluster(&self) -> bool {
        self.parts.contains(&Part::Cluster)
    }

    /// The text for one cluster and one value of `each`.
    pub(super) fn fill(&self, cluster: &str, each: Option<&str>) -> String {
        let mut text = String::new();
        for part in &self.parts {
            text.push_str(match part {
                Part::Literal(literal) => literal,
                Part::Cluster => cluster,
                Part::Each => each.unwrap_or_default(),
            });
        }
        text
    }
}

/// Fills in a text of a cluster: each of them may have `{cluster}`.
pub(super) fn filled_for(
    written: Option<&Located<String>>,
    cluster: &ClusterName,
    problems: &mut Problems,
) -> Option<Located<String>> {
    let written = written?;
    let template = Template::read(written, Placeholders::Cluster, problems)?;
    Some(Located { at: template.at, value: template.value.fill(cluster.as_str(), None) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn filled(text: &str) -> String {
        Template::parse(text, Placeholders::EntryWithEach).unwrap().fill("prod", Some("api"))
    }

    #[test]
    fn placeholders_are_ours_and_double_braces_are_vaults() {
        assert_eq!(filled("r-{each}-jwt-{cluster}-read"), "r-api-jwt-prod-read");
        assert_eq!(filled("k8s/{{identity.entity.id}}/{cluster}/*"), "k8s/{{identity.entity.id}}/prod/*");
        assert_eq!(filled("{{identity.entity.metadata.cluster}}"), "{{identity.entity.metadata.cluster}}");
    }

    #[test]
    fn other_braces_are_refused() {
        use TemplateError as E;
        let refused = |text, scope| Template::parse(text, scope).unwrap_err();
        let unknown = |scope| E::Unknown { name: "namespace".to_owned(), scope };
        assert_eq!(refused("a-{namespace}", Placeholders::Entry), unknown(Placeholders::Entry));
        assert_eq!(refused("a-{each}", Placeholders::Entry), E::NoEach { scope: Placeholders::Entry });
        assert_eq!(refused("a-{each}", Placeholders::Cluster), E::NoEach { scope: Placeholders::Cluster });
        assert_eq!(refused("a-{cluster", Placeholders::Entry), E::NotClosed);
        assert_eq!(refused("a-{clus{cluster}", Placeholders::Entry), E::NotClosed);
        assert_eq!(refused("a-cluster}", Placeholders::Entry), E::NotOpened);
        assert_eq!(refused("a-{{identity", Placeholders::Entry), E::VaultTemplateNotClosed);
        assert_eq!(refused("a-{{identity}", Placeholders::Entry), E::VaultTemplateNotClosed);
        assert_eq!(refused("a-{{ each }}", Placeholders::Entry), E::DoubleBraces { name: "each".to_owned() });
        assert!(matches!(refused("{}", Placeholders::Entry), E::Unknown { .. }));
        assert!(matches!(refused("{ cluster }", Placeholders::Entry), E::Unknown { .. }));
    }

    proptest! {
        #[test]
        fn any_text_is_judged_without_panic(text in "[{}a-z\u{e9}/ ]*") {
            if let Ok(template) = Template::parse(&text, Placeholders::EntryWithEach) {
                template.fill("c", Some("e"));
            }
        }

        #[test]
        fn text_without_braces_stays_as_it_is(text in "[^{}]*") {
            prop_assert_eq!(filled(&text), text);
        }

        /// What is filled in is never read as a template again.
        #[test]
        fn values_are_not_templates(value in "\\PC*") {
            let template = Template::parse("<{each}>", Placeholders::EntryWithEach).unwrap();
            prop_assert_eq!(template.fill("{each}", Some(&value)), format!("<{value}>"));
        }

        #[test]
        fn parts_come_in_order(parts in prop::collection::vec(0_usize..4, 0..12)) {
            let written: String =
                parts.iter().map(|part| ["{cluster}", "{each}", "x-", "{{identity.entity.id}}"][*part]).collect();
            let expected: String =
                parts.iter().map(|part| ["prod", "api", "x-", "{{identity.entity.id}}"][*part]).collect();
            prop_assert_eq!(filled(&written), expected);
        }
    }
}
