//! `roles:`.

use std::collections::BTreeMap;

use super::accounts::{Accounts, Reading, without_repeats};
use super::clusters::{Clusters, Slot};
use super::diagnostic::Problems;
use super::entry::{Entry, Located};
use super::expand::{Expansion, Instance};
use super::policies::Policies;
use super::selector::SelectorTemplate;
use super::template::Template;
use super::tokens::{leeways, token_settings};
use super::{AliasNameSource, Method, Position, Role};
use crate::names::{Audience, PolicyName, RoleName};

/// Fields that only one method knows.
const JWT_ONLY: [&str; 7] = [
    "userClaim",
    "boundClaims",
    "claimMappings",
    "groupsClaim",
    "expirationLeeway",
    "notBeforeLeeway",
    "clockSkewLeeway",
];
const KUBERNETES_ONLY: [&str; 2] = ["aliasNameSource", "namespaceSelector"];

/// Where a role of a mount comes from: the place of its entry, and its value of `each`.
type Origins = BTreeMap<(usize, RoleName), (Position, Option<String>)>;

/// Reads the roles; each comes with the index of its cluster.
pub(super) fn read_roles(
    entries: &[Entry],
    clusters: &Clusters,
    policies: &Policies,
    problems: &mut Problems,
) -> Vec<(usize, Role)> {
    let mut roles = Vec::new();
    let mut origins = Origins::new();
    for entry in entries {
        let expansion = Expansion::read(entry, clusters, problems);
        let Some(prepared) = RoleTemplates::read(entry, expansion, problems) else { continue };
        for instance in prepared.expansion.instances() {
            let Some(role) = prepared.build(instance, policies, problems) else { continue };
            if is_new(&role, instance, prepared.expansion.at, &mut origins, problems) {
                roles.push((instance.index, role));
            }
        }
    }
    roles
}

/// Reports a name that the mount has already.
fn is_new(role: &Role, instance: Instance<'_>, at: Position, origins: &mut Origins, problems: &mut Problems) -> bool {
    let each = instance.each.map(str::to_owned);
    let Some((first, value)) = origins.get(&(instance.index, role.name.clone())) else {
        origins.insert((instance.index, role.name.clone()), (role.position, each));
        return true;
    };
    let name = role.name.as_str();
    if *first == role.position {
        let values = [value, &each].map(|each| format!("{:?}", each.as_deref().unwrap_or_default()));
        problems.add(
            at,
            format!("the role {name:?} comes out twice, for the values {} and {} of `each`", values[0], values[1]),
            "choose values that give different names; Vault stores names in lower case",
        );
    } else {
        problems.add(
            at,
            format!(
                "two roles of the cluster {:?} are named {name:?}: here and on {}",
                instance.slot.name.as_str(),
                problems.line(*first, at)
            ),
            "give one of them another name, or name their `clusters`; Vault stores names in lower case",
        );
    }
    false
}

/// An entry whose templates are read and whose settings are the same for all that it stands for.
struct RoleTemplates<'a> {
    entry: &'a Entry,
    expansion: Expansion<'a>,
    service_accounts: Vec<Located<Template>>,
    selector: Option<SelectorTemplate>,
    policies: Vec<Located<Template>>,
    audiences: Option<Vec<Located<Template>>>,
    token_audiences: Option<Vec<Located<Template>>>,
    bound_claims: Vec<(String, Vec<Located<Template>>)>,
    base: Role,
}

impl<'a> RoleTemplates<'a> {
    fn read(entry: &'a Entry, expansion: Expansion<'a>, problems: &mut Problems) -> Option<Self> {
        let service_accounts = expansion.templates(entry.texts("serviceAccounts"), problems);
        let selector = SelectorTemplate::read(entry, &expansion, problems);
        let policies = expansion.templates(entry.texts("policies"), problems);
        let audiences = entry.texts("audience").map(|texts| expansion.templates(Some(texts), problems));
        let token_audiences = entry.texts("tokenAudiences").map(|texts| expansion.templates(Some(texts), problems));
        let bound_claims = bound_claims(entry, &expansion, problems);
        if entry.texts("policies").map_or(!entry.has("policies"), Vec::is_empty) {
            problems.add(
                entry.key("policies").unwrap_or(entry.at),
                "this role has no policies: its tokens could do nothing",
                "add `policies:` with names from this file's `policies`",
            );
        }
        let user_claim = entry.filled("userClaim", problems).map_or("sub", |claim| claim.value.as_str()).to_owned();
        let alias_name_source = entry.text("aliasNameSource").map(|source| match source.value.as_str() {
            "serviceaccount_name" => AliasNameSource::ServiceAccountName,
            _ => AliasNameSource::ServiceAccountUid,
        });
        let base = Role {
            // Name, audience and accounts are those of each instance.
            name: "name".parse().ok()?,
            audiences: Vec::new(),
            position: entry.at,
            service_accounts: Vec::new(),
            account_patterns: Vec::new(),
            labelled: None,
            policies: Vec::new(),
            token_audiences: Vec::new(),
            each_audience_alone: false,
            user_claim,
            bound_claims: BTreeMap::new(),
            claim_mappings: claim_mappings(entry, problems),
            groups_claim: entry.filled("groupsClaim", problems).map(|claim| claim.value.clone()),
            allow_globs: entry.is_set("allowGlobs"),
            alias_name_source,
            token: token_settings(entry, problems),
            leeways: leeways(entry, problems),
        };
        Some(Self {
            entry,
            expansion,
            service_accounts,
            selector,
            policies,
            audiences,
            token_audiences,
            bound_claims,
            base,
        })
    }

    fn build(&self, instance: Instance<'_>, policies: &Policies, problems: &mut Problems) -> Option<Role> {
        let before = problems.count();
        let name = self.expansion.name(instance, problems);
        let policies = self.fill_policies(instance, policies, problems);
        let kubernetes =
            instance.slot.cluster.as_ref().map(|cluster| matches!(cluster.auth.method, Method::Kubernetes(_)));
        let accounts = self.fill_accounts(instance, kubernetes == Some(true), problems);
        // Of a cluster that couldn't be read nothing more is known.
        let kubernetes = kubernetes?;
        self.refuse_fields_of_the_other_method(kubernetes, instance.slot, problems);
        let selector = self.selector.as_ref().filter(|_| kubernetes);
        let labelled = selector.and_then(|selector| selector.fill(instance, accounts.labelled, problems));
        let any_audience = self.any_audience(kubernetes, instance.slot, problems);
        let audiences = if any_audience { Vec::new() } else { self.fill_audiences(instance, kubernetes, problems) };
        let token_audiences = self.fill_token_audiences(instance, &audiences, kubernetes, problems);
        // Of the kubernetes method a role takes one.
        let each_audience_alone =
            audiences.len() > 1 && self.token_audiences.is_none() && instance.slot.defaults.token_audiences.is_none();
        let bound_claims = self
            .bound_claims
            .iter()
            .map(|(claim, values)| (claim.clone(), values.iter().map(|value| instance.fill(&value.value)).collect()))
            .collect();
        if problems.count() > before {
            return None;
        }
        let base = self.base.clone();
        Some(Role {
            name: name?,
            policies,
            service_accounts: accounts.exact,
            account_patterns: accounts.patterns,
            labelled,
            audiences,
            token_audiences,
            each_audience_alone,
            bound_claims,
            ..base
        })
    }

    fn fill_policies(&self, instance: Instance<'_>, policies: &Policies, problems: &mut Problems) -> Vec<PolicyName> {
        let names = self.policies.iter().filter_map(|template| {
            policies.find(&Located { at: template.at, value: instance.fill(&template.value) }, problems)
        });
        without_repeats(names)
    }

    fn refuse_fields_of_the_other_method(&self, kubernetes: bool, slot: &Slot, problems: &mut Problems) {
        let (method, other, fields): (&str, &str, &[&str]) =
            if kubernetes { ("kubernetes", "jwt", &JWT_ONLY) } else { ("jwt", "kubernetes", &KUBERNETES_ONLY) };
        for field in fields {
            if let Some(at) = self.entry.key(field) {
                problems.add(
                    at,
                    format!(
                        "`{field}` belongs to the {other} method; the mount of {:?} uses {method}",
                        slot.name.as_str()
                    ),
                    format!("remove `{field}`, or name under `clusters` those that use {other}"),
                );
            }
        }
    }

    /// Who may log in.
    fn fill_accounts(&self, instance: Instance<'_>, kubernetes: bool, problems: &mut Problems) -> Accounts {
        let globs = kubernetes && self.base.allow_globs;
        let written = self
            .service_accounts
            .iter()
            .map(|template| Located { at: template.at, value: instance.fill(&template.value) });
        let labelled = kubernetes && self.entry.has("namespaceSelector");
        let accounts = Accounts::read(written, Reading { kubernetes, globs, labelled }, problems);
        let listed =
            self.entry.texts("serviceAccounts").map_or(self.entry.has("serviceAccounts"), |list| !list.is_empty());
        let claims =
            self.entry.claims("boundClaims").map_or(self.entry.has("boundClaims"), |claims| !claims.is_empty());
        if !listed && (kubernetes || !claims) {
            problems.add(
                self.entry.key("serviceAccounts").unwrap_or(self.entry.at),
                "this role says nobody who may log in",
                if kubernetes {
                    "add `serviceAccounts: [namespace/name]`, or a name alone with `namespaceSelector`"
                } else {
                    "add `serviceAccounts: [namespace/name]`, or `boundClaims` for a whole namespace"
                },
            );
        }
        if kubernetes {
            accounts.check_product(self.entry.key("serviceAccounts").unwrap_or(self.entry.at), problems);
        }
        accounts
    }

    /// Whether the role takes tokens of any audience.
    fn any_audience(&self, kubernetes: bool, slot: &Slot, problems: &mut Problems) -> bool {
        let Some(at) = self.entry.key("anyAudience").filter(|_| self.entry.is_set("anyAudience")) else { return false };
        if self.entry.has("audience") {
            problems.add(
                at,
                "`anyAudience: true` and `audience` exclude each other",
                "remove `anyAudience`, and the role requires its audience",
            );
        } else if !kubernetes {
            problems.add(
                at,
                format!(
                    "`anyAudience` can't be used on the jwt mount of {:?}: without an audience to compare with, Vault refuses \
                     every token that has one, and all of a cluster's have",
                    slot.name.as_str()
                ),
                "remove `anyAudience`, and set `audience`, such as `audience: vault`; or name under `clusters` those that use \
                 kubernetes",
            );
        }
        true
    }

    /// The audiences, one of which a token must have; none only where that was reported.
    fn fill_audiences(&self, instance: Instance<'_>, kubernetes: bool, problems: &mut Problems) -> Vec<Audience> {
        if let Some(templates) = &self.audiences {
            let at = self.entry.key("audience").unwrap_or(self.entry.at);
            if templates.is_empty() && self.entry.texts("audience").is_some_and(Vec::is_empty) {
                problems.add(
                    at,
                    "`audience` is empty: no token could log in",
                    "write the audience, such as `audience: vault`, or remove the line for that of `auth`",
                );
            } else if templates.len() > 1 && kubernetes {
                problems.add(
                    at,
                    format!(
                        "a role of a kubernetes mount, as that of {:?}, takes one audience",
                        instance.slot.name.as_str()
                    ),
                    "write one, or a role for each of them",
                );
            }
            return without_repeats(
                templates
                    .iter()
                    .filter_map(|template| problems.accept(template.at, instance.fill(&template.value).parse())),
            );
        }
        let defaults = &instance.slot.defaults;
        if !defaults.has_audience && !self.entry.has("audience") {
            problems.add(
                defaults.auth,
                format!("the cluster {:?} has no `audience`, and not all of its roles have one", instance.slot.name.as_str()),
                "add `audience` under `auth`, such as `audience: vault`: a role without one would take tokens that are meant \
                 for others",
            );
        }
        // Without a usable one something was reported.
        defaults.audience.iter().cloned().collect()
    }

    /// What the consumer asks `TokenRequest` for.
    fn fill_token_audiences(
        &self,
        instance: Instance<'_>,
        audiences: &[Audience],
        kubernetes: bool,
        problems: &mut Problems,
    ) -> Vec<Audience> {
        let own = self.token_audiences.as_ref().map(|templates| {
            without_repeats(
                templates
                    .iter()
                    .filter_map(|template| problems.accept(template.at, instance.fill(&template.value).parse())),
            )
        });
        let explicit = own.or_else(|| instance.slot.defaults.token_audiences.clone());
        // Without one, any will do.
        if audiences.is_empty() {
            return explicit.unwrap_or_default();
        }
        match explicit {
            None if kubernetes => Vec::new(),
            None => audiences.to_vec(),
            // An empty list is a choice too: the API server's own audience.
            Some(asked) if asked.is_empty() || asked.iter().any(|asked| audiences.contains(asked)) => asked,
            Some(asked) => {
                let words = |audiences: &[Audience]| {
                    audiences.iter().map(|audience| format!("{:?}", audience.as_str())).collect::<Vec<_>>()
                };
                problems.add(
                    self.entry.key("tokenAudiences").or_else(|| self.entry.key("audience")).unwrap_or(self.entry.at),
                    format!(
                        "no login can work: tokens are requested for {}, and the role requires {}",
                        words(&asked).join(", "),
                        words(audiences).join(" or ")
                    ),
                    format!("add {} to `tokenAudiences`, or change `audience`", words(audiences).join(" or ")),
                );
                asked
            }
        }
    }
}

/// Reads `claimMappings`; what the server would refuse is refused here, with its reason.
fn claim_mappings(entry: &Entry, problems: &mut Problems) -> BTreeMap<String, String> {
    let mut mappings: BTreeMap<String, String> = BTreeMap::new();
    for (claim, name) in entry.settings("claimMappings").into_iter().flatten() {
        let Some(text) = name.as_str().filter(|text| !text.is_empty()) else {
            problems.add(
                claim.at,
                format!("the claim `{}` gets no name", claim.value),
                "write the name that it gets, in quotes where it is a number",
            );
            continue;
        };
        if text == "role" {
            problems.add(
                claim.at,
                "the name `role` is the server's own, which has the role there",
                "give it another name",
            );
        } else if let Some((other, _)) = mappings.iter().find(|(_, name)| *name == text) {
            problems.add(
                claim.at,
                format!("the claims `{other}` and `{}` both become {text:?}", claim.value),
                "give each its own name",
            );
        }
        if claim.value.contains('/') && !claim.value.starts_with('/') {
            problems.warn(
                claim.at,
                format!(
                    "`{0}` is a claim with a slash in its name: what is inside of another claim begins with a slash",
                    claim.value
                ),
                format!("write `/{}`, if that is meant", claim.value),
            );
        }
        mappings.insert(claim.value.clone(), text.to_owned());
    }
    mappings
}

/// Reads `boundClaims`.
fn bound_claims(
    entry: &Entry,
    expansion: &Expansion<'_>,
    problems: &mut Problems,
) -> Vec<(String, Vec<Located<Template>>)> {
    let globs = entry.is_set("allowGlobs");
    let mut claims = Vec::new();
    let mut uses_globs = entry.texts("serviceAccounts").into_iter().flatten().any(|text| text.value.contains('*'));
    for (claim, values) in entry.claims("boundClaims").into_iter().flatten() {
        if claim.value.is_empty() || claim.value.chars().any(char::is_control) {
            problems.add(
                claim.at,
                format!("{:?} is not the name of a claim", claim.value),
                "write a claim, such as `iss`, or a JSON pointer to one, such as `/kubernetes.io/namespace`",
            );
        }
        if claim.value == "sub" && entry.has("serviceAccounts") {
            problems.add(
                claim.at,
                "`boundClaims` and `serviceAccounts` both say what `sub` must be",
                "keep one of them: `serviceAccounts` where each account can be named",
            );
        }
        if values.is_empty() {
            problems.add(
                claim.at,
                format!("the claim `{}` has no values: nobody could log in", claim.value),
                "write the values that it may have, or remove it",
            );
        }
        for value in values {
            let has_glob = value.value.contains('*');
            uses_globs |= has_glob;
            if has_glob && !globs {
                problems.add(
                    value.at,
                    format!("{:?} has a `*`, which without `allowGlobs` stands for itself", value.value),
                    "write the values out, or add `allowGlobs: true` to this role if it may let in whatever matches",
                );
            }
        }
        claims.push((claim.value.clone(), expansion.templates(Some(values), problems)));
    }
    // Beside claims alone it says that whoever has them is meant.
    let by_claims = !claims.is_empty() && !entry.has("serviceAccounts");
    if let (true, false, Some(at)) = (globs, uses_globs || by_claims, entry.key("allowGlobs")) {
        problems.warn(
            at,
            "`allowGlobs` has no effect: neither `serviceAccounts` nor a value of `boundClaims` has a `*`",
            "remove it",
        );
    }
    claims
}
