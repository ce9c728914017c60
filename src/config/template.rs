//! `{cluster}`, `{each}` and `{accessor}` in names and paths.
//!
//! `{{…}}` belongs to Vault (`{{identity.entity.id}}`) and passes untouched, but for an `{accessor}` in it.

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
    Accessor,
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
    /// In the path of a policy without `each`: what Vault knows of the cluster's mount too.
    Path,
    /// In the path of a policy with `each`.
    PathWithEach,
}

impl Placeholders {
    /// The same for the paths of a policy.
    pub(super) fn of_paths(self) -> Self {
        match self {
            Self::Entry => Self::Path,
            Self::EntryWithEach => Self::PathWithEach,
            other => other,
        }
    }

    fn has_each(self) -> bool {
        matches!(self, Self::EntryWithEach | Self::PathWithEach)
    }

    fn has_accessor(self) -> bool {
        matches!(self, Self::Path | Self::PathWithEach)
    }
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
    #[error("`{{{name}}}` stands inside `{{{{…}}}}`, which Vault fills in")]
    InVaultTemplate { name: String },
    #[error("`{{accessor}}` stands where no path of a policy is")]
    NoAccessor,
    #[error("`{{accessor}}` is not the mount of an alias here")]
    AccessorPlace,
    #[error("`{{accessor:…}}` can't be written")]
    OtherAccessor,
    #[error("`{{{name}}}` is no placeholder inside `{{{{…}}}}`")]
    StrangeInVaultTemplate { name: String },
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
            Self::InVaultTemplate { name } => format!(
                "write `{{{name}}}` outside of it: of placeholders, `{{accessor}}` alone may stand inside, as the mount of an alias"
            ),
            Self::NoAccessor => "use it in the paths of a policy: `read`, `list` and the like, and `path` of a rule".to_owned(),
            Self::AccessorPlace => {
                "inside `{{…}}` write `identity.entity.aliases.{accessor}.name` or `identity.entity.aliases.{accessor}.metadata.KEY`"
                    .to_owned()
            }
            Self::StrangeInVaultTemplate { .. } => {
                "write `{accessor}`, the one that can stand there: the accessor of the cluster's mount".to_owned()
            }
            Self::OtherAccessor => {
                "write `{accessor}`, for the mount of the policy's cluster; the accessor of another mount is written as Vault shows it"
                    .to_owned()
            }
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
                literal.push_str("{{");
                rest = vault_template(inside, scope, &mut literal, &mut parts)?;
                continue;
            }
            let inside = from_brace.strip_prefix('{').ok_or(TemplateError::NotOpened)?;
            let (name, after) = inside.split_once('}').ok_or(TemplateError::NotClosed)?;
            if name.contains('{') {
                return Err(TemplateError::NotClosed);
            }
            let part = match name {
                "cluster" => Part::Cluster,
                "each" if scope.has_each() => Part::Each,
                "each" => return Err(TemplateError::NoEach { scope }),
                "accessor" if scope.has_accessor() => Part::Accessor,
                "accessor" => return Err(TemplateError::NoAccessor),
                _ => return Err(TemplateError::Unknown { name: name.to_owned(), scope }),
            };
            add(part, &mut literal, &mut parts);
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

    /// The text for one cluster and one value of `each`, where it has no `{accessor}`.
    pub(super) fn fill(&self, cluster: &str, each: Option<&str>) -> String {
        self.fill_path(cluster, each, "")
    }

    /// The text for one cluster, one value of `each`, and what stands for the accessor of the cluster's mount.
    pub(super) fn fill_path(&self, cluster: &str, each: Option<&str>, accessor: &str) -> String {
        let mut text = String::new();
        for part in &self.parts {
            text.push_str(match part {
                Part::Literal(literal) => literal,
                Part::Cluster => cluster,
                Part::Each => each.unwrap_or_default(),
                Part::Accessor => accessor,
            });
        }
        text
    }
}

/// Adds a placeholder, and the text before it.
fn add(part: Part, literal: &mut String, parts: &mut Vec<Part>) {
    if !literal.is_empty() {
        parts.push(Part::Literal(std::mem::take(literal)));
    }
    parts.push(part);
}

/// Where what begins with `{{` ends: what Vault fills in may have braces of ours inside, which end nothing.
fn end_of_vault_template(inside: &str) -> Option<usize> {
    let mut at = 0;
    loop {
        at += inside[at..].find(['{', '}'])?;
        let rest = &inside[at..];
        if rest.starts_with("}}") {
            return Some(at);
        }
        let ours = ["{accessor}", "{cluster}", "{each}"].into_iter().find(|ours| rest.starts_with(ours));
        at += ours.map_or(1, str::len);
    }
}

/// Reads the rest of what begins with `{{`, and answers with what is after it.
fn vault_template<'t>(
    inside: &'t str,
    scope: Placeholders,
    literal: &mut String,
    parts: &mut Vec<Part>,
) -> Result<&'t str, TemplateError> {
    const ACCESSOR: &str = "{accessor}";
    let end = end_of_vault_template(inside).ok_or(TemplateError::VaultTemplateNotClosed)?;
    let (template, after) = inside.split_at(end);
    let name = template.trim();
    if matches!(name, "cluster" | "each" | "accessor") {
        return Err(TemplateError::DoubleBraces { name: name.to_owned() });
    }
    if let Some(name) = ["cluster", "each"].into_iter().find(|name| template.contains(&format!("{{{name}}}"))) {
        return Err(TemplateError::InVaultTemplate { name: name.to_owned() });
    }
    // What stands for the accessor of a mount until that is known is nobody's to write.
    if template.contains("{accessor:") {
        return Err(TemplateError::OtherAccessor);
    }
    let strange = template.split(ACCESSOR).find_map(|piece| piece.split_once('{'));
    if let Some((_, rest)) = strange {
        return Err(TemplateError::StrangeInVaultTemplate {
            name: rest.split('}').next().unwrap_or_default().to_owned(),
        });
    }
    let mut pieces = template.split(ACCESSOR);
    let mut before = pieces.next().unwrap_or_default();
    literal.push_str(before);
    for piece in pieces {
        if !scope.has_accessor() {
            return Err(TemplateError::NoAccessor);
        }
        if before.trim_start() != "identity.entity.aliases." || !piece.starts_with('.') {
            return Err(TemplateError::AccessorPlace);
        }
        add(Part::Accessor, literal, parts);
        literal.push_str(piece);
        before = piece;
    }
    literal.push_str("}}");
    Ok(after.strip_prefix("}}").unwrap_or_default())
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
    fn a_misspelt_accessor_is_refused() {
        for text in ["{{identity.entity.aliases.{accesor}.name}}", "{{identity.entity.aliases.{.name}}", "{{x{}}}"] {
            let refused = Template::parse(text, Placeholders::EntryWithEach).unwrap_err();
            assert!(refused.remedy().contains("`{accessor}`"), "{text}: {refused}");
        }
    }

    #[test]
    fn placeholders_are_ours_and_double_braces_are_vaults() {
        assert_eq!(filled("r-{each}-jwt-{cluster}-read"), "r-api-jwt-prod-read");
        assert_eq!(filled("k8s/{{identity.entity.id}}/{cluster}/*"), "k8s/{{identity.entity.id}}/prod/*");
        assert_eq!(filled("{{identity.entity.metadata.cluster}}"), "{{identity.entity.metadata.cluster}}");
    }

    #[test]
    fn an_accessor_stands_in_paths_and_in_what_vault_fills_in() {
        let filled = |text: &str| {
            Template::parse(text, Placeholders::PathWithEach)
                .map(|template| template.fill_path("prod", Some("api"), "<A>"))
        };
        for (text, expected) in [
            ("a/{accessor}/*", "a/<A>/*"),
            (
                "{each}/{{identity.entity.aliases.{accessor}.metadata.ns}}/{cluster}",
                "api/{{identity.entity.aliases.<A>.metadata.ns}}/prod",
            ),
            (
                "{{ identity.entity.aliases.{accessor}.name }}-{{identity.entity.aliases.{accessor}.id}}",
                "{{ identity.entity.aliases.<A>.name }}-{{identity.entity.aliases.<A>.id}}",
            ),
        ] {
            assert_eq!(filled(text).as_deref(), Ok(expected));
        }
        for (text, expected) in [
            ("{{identity.entity.aliases.{accessor}}}", TemplateError::AccessorPlace),
            ("{{identity.entity.{accessor}.name}}", TemplateError::AccessorPlace),
            ("{{identity.entity.aliases.{accessor}.{accessor}.name}}", TemplateError::AccessorPlace),
            ("{{accessor}}", TemplateError::DoubleBraces { name: "accessor".to_owned() }),
            (
                "{{identity.entity.aliases.{cluster}.name}}",
                TemplateError::InVaultTemplate { name: "cluster".to_owned() },
            ),
            ("{{identity.entity.metadata.{each}}}", TemplateError::InVaultTemplate { name: "each".to_owned() }),
            ("{{identity.entity.aliases.{accessor:jwt-other}.name}}", TemplateError::OtherAccessor),
            ("{{identity.entity.aliases.{accessor}.name", TemplateError::VaultTemplateNotClosed),
        ] {
            assert_eq!(filled(text), Err(expected), "{text}");
        }
        for text in ["p-{accessor}", "p-{{identity.entity.aliases.{accessor}.name}}"] {
            assert_eq!(Template::parse(text, Placeholders::Entry), Err(TemplateError::NoAccessor), "{text}");
        }
    }

    #[test]
    fn what_vault_fills_in_ends_at_the_first_braces_that_are_not_ours() {
        for (inside, end) in [
            ("a}}b}}", Some(1)),
            ("a.{accessor}}}", Some(12)),
            ("{each}{cluster}.b}}", Some(17)),
            ("{other}}}", Some(6)),
            ("a}b}}", Some(3)),
            ("a}", None),
            ("a.{accessor}}", None),
            ("\u{e9}{\u{e9}}}", Some(5)),
        ] {
            assert_eq!(end_of_vault_template(inside), end, "{inside}");
        }
    }

    #[test]
    fn a_long_path_is_read_in_one_go() {
        let text = "{{identity.entity.aliases.{accessor}.name}}/".repeat(100_000);
        let parsed = Template::parse(&text, Placeholders::Path).unwrap();
        assert_eq!(parsed.fill_path("c", None, "{accessor}"), text);
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
