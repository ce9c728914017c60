//! What the templates of a path are filled in from, of the aliases of an identity.

/// The metadata that a kubernetes mount gives each alias.
pub const KUBERNETES_METADATA: [&str; 4] =
    ["service_account_name", "service_account_namespace", "service_account_secret_name", "service_account_uid"];

/// A part of an alias, as a template names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OfAlias<'a> {
    /// The accessor of the alias's mount, or the [symbol](super::accessor_symbol) that stands for it.
    pub accessor: &'a str,
    /// `name`, or `metadata.KEY`.
    pub part: &'a str,
}

impl<'a> OfAlias<'a> {
    /// The key, where it is of the alias's metadata.
    pub fn metadata(&self) -> Option<&'a str> {
        self.part.strip_prefix("metadata.")
    }
}

/// The parts of aliases that a path is filled in from.
pub fn of_aliases(path: &str) -> impl Iterator<Item = OfAlias<'_>> {
    let templates = path.split("{{").skip(1).filter_map(|rest| Some(rest.split_once("}}")?.0.trim()));
    let of_alias = templates.filter_map(|template| template.strip_prefix("identity.entity.aliases."));
    of_alias.filter_map(|rest| {
        // A symbol has the mount's path in it, which may have dots.
        let symbol = if rest.starts_with('{') { rest.find('}')? } else { 0 };
        let (accessor, part) = rest.split_at(symbol + rest[symbol..].find('.')?);
        Some(OfAlias { accessor, part: &part[1..] })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::accessor_symbol;

    #[test]
    fn parts_of_aliases_are_found_in_templates_alone() {
        let path = "a/{{ identity.entity.aliases.acc_1.metadata.a.b }}/{{identity.entity.id}}/{{identity.entity.aliases.acc_2.name}}";
        let found: Vec<OfAlias<'_>> = of_aliases(path).collect();
        assert_eq!(
            found,
            [OfAlias { accessor: "acc_1", part: "metadata.a.b" }, OfAlias { accessor: "acc_2", part: "name" }]
        );
        assert_eq!(found.iter().map(OfAlias::metadata).collect::<Vec<_>>(), [Some("a.b"), None]);
        for path in ["identity.entity.aliases.acc.name", "{{identity.entity.aliases.acc}}", "{{identity.entity.name}}"]
        {
            assert_eq!(of_aliases(path).count(), 0, "{path}");
        }
    }

    #[test]
    fn a_symbol_stands_where_an_accessor_does() {
        for mount in ["team/jwt", "jwt.prod/a.b"] {
            let symbol = accessor_symbol(&mount.parse().unwrap());
            let path = format!("{{{{identity.entity.aliases.{symbol}.metadata.ns}}}}/*");
            assert_eq!(of_aliases(&path).collect::<Vec<_>>(), [OfAlias { accessor: &symbol, part: "metadata.ns" }]);
        }
    }
}
