//! What of a mount's configuration nobody names, and which is left as it is: what a jwt mount knows of the provider behind its issuer (of
//! which a server reads back only a part) where a file says nothing of it. Where there are only flags, of a jwt mount its default role
//! too, and of a kubernetes mount what its tokens' issuer and keys should be, unless it is to ask another cluster.

use serde_json::{Value, json};

use super::trust::{self, Replaced};
use crate::desired::{DesiredMount, SaidBy};
use crate::model::{JwtConfig, KubernetesConfig};
use crate::text::printable_line;

/// What no server reads back of it.
const HIDDEN: &str = "gsuite_service_account";

/// What is wanted, with what is there where nothing is said of it, and what is to be told of that.
pub(super) fn kept_of_jwt(
    mount: &DesiredMount,
    wanted: &JwtConfig,
    there: Option<&JwtConfig>,
) -> (JwtConfig, Option<String>) {
    let mut wanted = wanted.clone();
    if let Some(there) = there.filter(|_| mount.keeps_unsaid && wanted.default_role.is_empty()) {
        wanted.default_role.clone_from(&there.default_role);
    }
    // One that is itself a source of keys would be a second one.
    let Some(there) = there.filter(|there| !there.provider_config.is_empty() && !there.is_by_provider()) else {
        return (wanted, None);
    };
    if mount.provider == SaidBy::File || wanted.is_by_provider() {
        return (wanted, None);
    }
    wanted.provider_config.clone_from(&there.provider_config);
    let shown = there.provider_config.get("provider").unwrap_or(&Value::Null);
    let lost = if *shown == json!("gsuite") {
        format!("; a change of the configuration loses {HIDDEN}, which can't be read back, unless the file says it")
    } else {
        String::new()
    };
    let (silence, place) =
        if mount.keeps_unsaid { ("no flag says anything", " of a file") } else { ("the file says nothing", "") };
    let note = format!(
        "auth/{} has a provider_config ({shown}) of which {silence}: it is left as it is; `auth.providerConfig`{place} says it, \
         and `{{}}` takes it away{lost}",
        mount.path
    );
    (wanted, Some(note))
}

/// What is wanted, with what is there where flags say nothing of it, and what is to be told of that. A POST of this configuration resets
/// what it leaves out.
///
/// The issuer and the keys of one cluster's tokens would end every login of another's.
pub(super) fn kept_of_kubernetes(
    mount: &DesiredMount,
    wanted: &KubernetesConfig,
    there: Option<&KubernetesConfig>,
) -> (KubernetesConfig, Option<String>) {
    let mut wanted = wanted.clone();
    let Some(there) = there.filter(|_| mount.keeps_unsaid) else { return (wanted, None) };
    let asks_another = trust::of_kubernetes(there, &wanted)
        .iter()
        .any(|replaced| matches!(replaced, Replaced::Host { .. } | Replaced::Authorities { .. }));
    let mut kept = Vec::new();
    if wanted.issuer.is_empty() && !asks_another {
        wanted.issuer.clone_from(&there.issuer);
        wanted.disable_iss_validation = there.disable_iss_validation;
        kept.extend((!there.issuer.is_empty()).then(|| format!("issuer ({})", printable_line(&there.issuer))));
    }
    if wanted.pem_keys.is_empty() && !asks_another {
        wanted.pem_keys.clone_from(&there.pem_keys);
        kept.extend((!there.pem_keys.is_empty()).then(|| format!("pem_keys ({})", there.pem_keys.len())));
    }
    if there.use_annotations_as_alias_metadata && !wanted.use_annotations_as_alias_metadata {
        wanted.use_annotations_as_alias_metadata = true;
        kept.push("use_annotations_as_alias_metadata".to_owned());
    }
    let note = (!kept.is_empty())
        .then(|| format!("auth/{} keeps what no flag says anything of: {}", mount.path, kept.join(", ")));
    (wanted, note)
}

/// What is there, with what the server hides taken to be as the file says.
pub(super) fn as_far_as_shown(there: &JwtConfig, wanted: &JwtConfig) -> JwtConfig {
    let mut there = there.clone();
    let same = there.provider_config.get("provider") == wanted.provider_config.get("provider");
    if let (true, Some(hidden)) = (same, wanted.provider_config.get(HIDDEN)) {
        there.provider_config.entry(HIDDEN.to_owned()).or_insert_with(|| hidden.clone());
    }
    there
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(provider: &Value) -> JwtConfig {
        serde_json::from_value(json!({ "provider_config": provider })).unwrap()
    }

    fn mount(provider: SaidBy) -> DesiredMount {
        serde_json::from_value(json!({
            "cluster": "c", "path": "jwt", "method": "jwt", "managed": true, "description": null,
            "tune": { "settings": {}, "fixed": {} }, "exclusive": false, "config": null, "provider": provider,
            "keys": [], "key_retention": 0, "reviewer": null, "roles": []
        }))
        .unwrap()
    }

    #[test]
    fn what_the_file_says_nothing_of_is_left_unless_it_is_a_source_of_keys() {
        let (azure, kubernetes) =
            (config(&json!({ "provider": "azure" })), config(&json!({ "provider": "kubernetes" })));
        let unsaid = config(&json!({}));
        let (after, note) = kept_of_jwt(&mount(SaidBy::Mount), &unsaid, Some(&azure));
        assert_eq!(after, azure);
        assert!(note.unwrap().contains("auth.providerConfig"));
        assert_eq!(kept_of_jwt(&mount(SaidBy::File), &unsaid, Some(&azure)), (unsaid.clone(), None));
        assert_eq!(kept_of_jwt(&mount(SaidBy::Mount), &unsaid, Some(&kubernetes)), (unsaid.clone(), None));
        assert_eq!(kept_of_jwt(&mount(SaidBy::Mount), &kubernetes, Some(&azure)), (kubernetes, None));
    }

    #[test]
    fn flags_leave_what_they_do_not_name() {
        let by_flags = DesiredMount { keeps_unsaid: true, ..mount(SaidBy::Mount) };
        let there = JwtConfig { default_role: "everyone".to_owned(), ..JwtConfig::default() };
        let (wanted, note) = kept_of_jwt(&by_flags, &JwtConfig::default(), Some(&there));
        assert_eq!((wanted.default_role.as_str(), note), ("everyone", None));
        assert_eq!(kept_of_jwt(&mount(SaidBy::Mount), &JwtConfig::default(), Some(&there)).0.default_role, "");

        let there = KubernetesConfig {
            issuer: "https://issuer".to_owned(),
            pem_keys: vec!["a key".to_owned()],
            use_annotations_as_alias_metadata: true,
            ..KubernetesConfig::default()
        };
        let wanted = KubernetesConfig { disable_iss_validation: true, ..KubernetesConfig::default() };
        let (kept, note) = kept_of_kubernetes(&by_flags, &wanted, Some(&there));
        assert_eq!(kept, there);
        let note = note.unwrap();
        for said in ["issuer (https://issuer)", "pem_keys (1)", "use_annotations_as_alias_metadata"] {
            assert!(note.contains(said), "{note}");
        }
        assert_eq!(kept_of_kubernetes(&mount(SaidBy::Mount), &wanted, Some(&there)), (wanted, None));
        let named = KubernetesConfig { issuer: "https://other".to_owned(), ..KubernetesConfig::default() };
        let (kept, _) = kept_of_kubernetes(&by_flags, &named, Some(&there));
        assert_eq!((kept.issuer.as_str(), kept.disable_iss_validation), ("https://other", false));
    }

    #[test]
    fn flags_for_another_cluster_do_not_keep_the_keys_of_the_one_before() {
        let by_flags = DesiredMount { keeps_unsaid: true, ..mount(SaidBy::Mount) };
        let of_host = |host: &str| KubernetesConfig { kubernetes_host: host.to_owned(), ..KubernetesConfig::default() };
        let there = KubernetesConfig {
            issuer: "https://issuer".to_owned(),
            pem_keys: vec!["a key".to_owned()],
            ..of_host("https://one")
        };
        let other = KubernetesConfig { disable_iss_validation: true, ..of_host("https://two") };
        assert_eq!(kept_of_kubernetes(&by_flags, &other, Some(&there)), (other, None));
        let (same, note) = kept_of_kubernetes(&by_flags, &of_host("https://one"), Some(&there));
        assert_eq!(same, there);
        assert!(note.is_some());
    }

    #[test]
    fn what_is_hidden_is_no_drift() {
        let wanted = config(&json!({ "provider": "gsuite", HIDDEN: "/etc/key.json", "fetch_groups": true }));
        let shown = config(&json!({ "provider": "gsuite", "fetch_groups": true }));
        assert_eq!(as_far_as_shown(&shown, &wanted), wanted);
        assert_ne!(as_far_as_shown(&config(&json!({})), &wanted), wanted);
    }
}
