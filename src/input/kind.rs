//! What a text is in place of what was meant: a Secret's data before it was decoded, a whole object of kubectl's, a token in quotes …
//!
//! Nothing of this is read as what it may have been: of two readings, one is not what somebody meant. It is refused by what it is, with
//! what makes of it what is wanted. Nothing of a text is ever quoted, because it may be a secret.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::error::Error;
use crate::fix::Kubectl;

/// What an input should hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InputKind {
    /// A token or another secret of one word.
    Token,
    /// A JSON Web Key Set, or an OpenID discovery document.
    Document,
    /// Certificates, or a key with one, in PEM form.
    Pem,
    /// The configuration file.
    Configuration,
    /// What this tool wrote itself: a saved plan, a capture.
    OwnDocument,
}

impl InputKind {
    fn in_words(self) -> &'static str {
        match self {
            Self::Token => "a token",
            Self::Document => "a JSON Web Key Set or discovery document",
            Self::Pem => "PEM",
            Self::Configuration => "a configuration",
            Self::OwnDocument => "a document that this tool wrote",
        }
    }

    /// The key under which a Secret or `ConfigMap` usually has it, as a JSON path wants it.
    fn usual_key(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Document => "jwks",
            Self::Pem => r"ca\.crt",
            Self::Configuration => r"vaultk8s\.yaml",
            Self::OwnDocument => r"plan\.json",
        }
    }
}

/// What a text is instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mistaken {
    /// What it is, in words that end a sentence.
    what: String,
    /// What makes of it what is meant.
    remedy: String,
}

impl Mistaken {
    fn new(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { what: what.into(), remedy: remedy.into() }
    }

    /// What is told of it; `origin` is what to call the input.
    pub(crate) fn told_of(self, origin: &str) -> Error {
        Error::usage(format!("{origin} holds {}", self.what)).remedy(self.remedy)
    }
}

/// Looks whether a text is something else than what is meant, as far as that can be told without a doubt.
///
/// # Errors
/// What it is instead.
pub(crate) fn check(text: &str, meant: InputKind) -> Result<(), Mistaken> {
    let text = text.trim();
    let found = object(text, meant)
        .or_else(|| encoded(text, meant))
        .or_else(|| quoted(text, meant))
        .or_else(|| other(text, meant))
        .or_else(|| wrapped(text, meant));
    found.map_or(Ok(()), Err)
}

/// The form of a text that can be told without a doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Jwt,
    VaultToken,
    Certificate,
    PrivateKey,
    PublicKey,
    Pem,
    Json,
    Page,
}

impl Form {
    fn of(text: &str) -> Option<Self> {
        let text = text.trim();
        let head = text.get(..15).unwrap_or(text).to_ascii_lowercase();
        Some(if let Some(block) = text.strip_prefix("-----BEGIN ") {
            match block.split("-----").next().unwrap_or_default() {
                "CERTIFICATE" => Self::Certificate,
                label if label.ends_with("PRIVATE KEY") => Self::PrivateKey,
                label if label.ends_with("PUBLIC KEY") => Self::PublicKey,
                _ => Self::Pem,
            }
        } else if is_jwt(text) {
            Self::Jwt
        } else if text.len() > 20 && ["hvs.", "hvb.", "hvr."].iter().any(|prefix| text.starts_with(prefix)) {
            Self::VaultToken
        } else if head.starts_with("<!doctype") || head.starts_with("<html") {
            Self::Page
        } else if text.starts_with(['{', '[']) && serde_json::from_str::<IgnoredAny>(text).is_ok() {
            Self::Json
        } else {
            return None;
        })
    }

    fn in_words(self) -> &'static str {
        match self {
            Self::Jwt => "a JSON Web Token",
            Self::VaultToken => "a token of Vault",
            Self::Certificate => "a certificate in PEM form",
            Self::PrivateKey => "a private key",
            Self::PublicKey => "a public key in PEM form",
            Self::Pem => "something in PEM form",
            Self::Json => "JSON",
            Self::Page => "a web page, such as that of a login",
        }
    }
}

/// Three parts in the alphabet of a JWT, the first of which is a JSON object.
fn is_jwt(text: &str) -> bool {
    let mut parts = text.split('.');
    let (Some(header), Some(_), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    let is_part = |part: &str| part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    text.split('.').all(is_part) && URL_SAFE_NO_PAD.decode(header).is_ok_and(|json| json.first() == Some(&b'{'))
}

/// A whole object of kubectl's, in JSON or YAML.
fn object(text: &str, meant: InputKind) -> Option<Mistaken> {
    let (version, kind) = if text.starts_with('{') {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Head {
            api_version: String,
            kind: String,
        }
        let Head { api_version, kind } = serde_json::from_str(text).ok()?;
        (api_version, kind)
    } else {
        let member = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
            let value = line.split_once(" #").map_or(line, |(value, _)| value).trim().trim_matches(['"', '\'']);
            (!value.is_empty()).then(|| value.to_owned())
        };
        (member("apiVersion")?, member("kind")?)
    };
    let is_name = |name: &str| name.len() < 64 && name.chars().all(|c| c.is_ascii_alphanumeric());
    if version.starts_with("vaultk8s/") || !is_name(&kind) {
        return None;
    }
    let key = meant.usual_key();
    let get = |words: &'static str| Kubectl::default().run(words).arg(&format!("jsonpath={{.data.{key}}}")).shown();
    Some(match kind.as_str() {
        "Secret" => Mistaken::new(
            "a whole Secret of Kubernetes, in which each value is base64",
            format!("take the value alone, and decode it (`base64 -d`): {}", get("get secret NAME -o")),
        ),
        "ConfigMap" => Mistaken::new(
            "a whole ConfigMap of Kubernetes",
            format!("take the value alone: {}", get("get configmap NAME -o")),
        ),
        "TokenRequest" | "ExecCredential" => Mistaken::new(
            format!("a whole {kind} of Kubernetes"),
            "take its `status.token` alone, such as with `jq -r .status.token`",
        ),
        "Config" => Mistaken::new("a kubeconfig", "name it with --kubeconfig, and here what is asked for"),
        kind if kind.ends_with("List") => Mistaken::new(
            format!("a {kind} of Kubernetes, where one value is meant"),
            format!("name one object, and take its value alone: {}", get("get … NAME -o")),
        ),
        kind => Mistaken::new(
            format!("an object of Kubernetes ({kind}), not {}", meant.in_words()),
            "take out of it what is meant",
        ),
    })
}

/// What a Secret's data have in them, copied as it is.
fn encoded(text: &str, meant: InputKind) -> Option<Mistaken> {
    let in_alphabet = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '-' | '_' | '=');
    if text.len() < 16 || !text.chars().all(|c| in_alphabet(c) || c.is_ascii_whitespace()) {
        return None;
    }
    let packed: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    let decoded =
        [&STANDARD, &STANDARD_NO_PAD, &URL_SAFE, &URL_SAFE_NO_PAD].iter().find_map(|by| by.decode(&packed).ok());
    let inner = String::from_utf8(decoded?).ok()?;
    // A token that is opaque may well be base64 of something: Grafana's API keys are of JSON.
    let is_told = |form: &Form| meant != InputKind::Token || matches!(form, Form::Jwt | Form::VaultToken);
    let form = object(inner.trim(), meant).map(|_| "an object of Kubernetes");
    let form = form.or_else(|| Form::of(&inner).filter(is_told).map(Form::in_words));
    let form = form.or_else(|| {
        let looks_like_one =
            meant == InputKind::Configuration && inner.lines().any(|line| line.starts_with("clusters:"));
        looks_like_one.then_some("a configuration")
    });
    Some(Mistaken::new(format!("base64 of {}, as the data of a Secret are", form?), "decode it first: `base64 -d`"))
}

/// What is in quotes, or has its line breaks written out.
fn quoted(text: &str, meant: InputKind) -> Option<Mistaken> {
    let inner = ['"', '\''].iter().find_map(|quote| text.strip_prefix(*quote)?.strip_suffix(*quote));
    if let Some(inner) = inner {
        let form = Form::of(inner).map(Form::in_words);
        let form = form.or((meant == InputKind::Token && !inner.is_empty()).then_some("a token"))?;
        return Some(Mistaken::new(
            format!("{form} in quotes"),
            "take the quotes away: `jq -r` and `-o jsonpath=…` print without",
        ));
    }
    let written_out = text.starts_with("-----BEGIN ") && text.contains("\\n") && !text.contains('\n');
    written_out.then(|| {
        Mistaken::new(
            r"PEM whose line breaks are written as \n",
            r"make line breaks of them: `printf '%b'` prints them so",
        )
    })
}

/// Something else altogether.
fn other(text: &str, meant: InputKind) -> Option<Mistaken> {
    let json = matches!(meant, InputKind::Document | InputKind::Configuration | InputKind::OwnDocument)
        && text.starts_with(['{', '[']);
    // What it lacks is said by who reads it.
    if json {
        return None;
    }
    let form = Form::of(text)?;
    let is_meant = match meant {
        InputKind::Token => matches!(form, Form::Jwt | Form::VaultToken),
        InputKind::Pem => matches!(form, Form::Certificate | Form::PrivateKey | Form::PublicKey | Form::Pem),
        InputKind::Document | InputKind::Configuration | InputKind::OwnDocument => false,
    };
    if is_meant {
        return None;
    }
    let published = || Kubectl::default().run("get --raw /openid/v1/jwks").shown();
    let remedy = match (meant, form) {
        (InputKind::Document, Form::Certificate | Form::PublicKey) => {
            format!("write the key set as the cluster publishes it: {}", published())
        }
        (InputKind::Document, Form::PrivateKey) => {
            format!("keep it to yourself; what is meant is the key set that {} prints", published())
        }
        (_, Form::Page) => "look at what was saved: whoever answered wanted a login, or has no such page".to_owned(),
        _ => "name another file, with what is asked for".to_owned(),
    };
    Some(Mistaken::new(format!("{}, not {}", form.in_words(), meant.in_words()), remedy))
}

/// What a terminal or an editor broke into lines, or made one line of.
fn wrapped(text: &str, meant: InputKind) -> Option<Mistaken> {
    let joined = || text.split_ascii_whitespace().collect::<String>();
    match meant {
        InputKind::Token if text.contains(char::is_whitespace) => Form::of(&joined()).map(|form| {
            Mistaken::new(
                format!("{} with line breaks or spaces in it", form.in_words()),
                r"make one line of it: `tr -d '\n '`",
            )
        }),
        InputKind::Pem if text.starts_with("-----BEGIN ") && text.contains("-----END ") && !text.contains('\n') => {
            Some(Mistaken::new(
                "PEM on one line",
                "write it with its line breaks: `openssl x509 -in FILE` prints a certificate so",
            ))
        }
        InputKind::Document | InputKind::OwnDocument
            if text.starts_with('{') && serde_json::from_str::<IgnoredAny>(text).is_err() =>
        {
            let whole: String = text.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
            serde_json::from_str::<IgnoredAny>(&whole).is_ok().then(|| {
                Mistaken::new("JSON with line breaks in the middle of its values", r"take them out: `tr -d '\r\n'`")
            })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JWT: &str = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ2ZXJ5c2VjcmV0In0.c2lnbmF0dXJl";
    const PEM: &str = "-----BEGIN CERTIFICATE-----\nMIIBverysecret\n-----END CERTIFICATE-----\n";
    const JWKS: &str = r#"{"keys":[{"kty":"RSA","kid":"verysecret","n":"AQAB","e":"AQAB"}]}"#;

    /// The inputs that take each kind as it is, and in the ways that mean the same.
    #[test]
    fn what_is_meant_is_taken() {
        for (text, meant) in [
            (JWT.to_owned(), InputKind::Token),
            (format!("  {JWT}\r\n"), InputKind::Token),
            ("hvs.CAESIverysecretverysecret".to_owned(), InputKind::Token),
            ("kubeconfig-u-7f2k:q9w8e7r6t5z4".to_owned(), InputKind::Token),
            // A word that happens to be base64 of something, and of no form.
            ("c29tZSBvcGFxdWUgdG9rZW4gdGhhdCBpcyBub3RoaW5n".to_owned(), InputKind::Token),
            // As Grafana's API keys are.
            (STANDARD.encode(r#"{"k":"verysecret","n":"name","id":1}"#), InputKind::Token),
            (URL_SAFE_NO_PAD.encode(r#"["verysecret"]"#), InputKind::Token),
            (PEM.to_owned(), InputKind::Pem),
            (PEM.replace('\n', "\r\n"), InputKind::Pem),
            (format!("subject=CN=x\n{PEM}"), InputKind::Pem),
            (PEM.replace("CERTIFICATE", "PRIVATE KEY"), InputKind::Pem),
            (JWKS.to_owned(), InputKind::Document),
            (JWKS.replace(',', ",\r\n"), InputKind::Document),
            ("clusters:\n  - name: kind\n".to_owned(), InputKind::Configuration),
            (r#"{"clusters":[]}"#.to_owned(), InputKind::Configuration),
            (r#"{"apiVersion":"vaultk8s/v1alpha1","kind":"Plan"}"#.to_owned(), InputKind::OwnDocument),
            (String::new(), InputKind::Document),
        ] {
            assert_eq!(check(&text, meant), Ok(()), "{meant:?}: {text}");
        }
    }

    #[test]
    fn what_is_something_else_is_refused_by_what_it_is_and_quoted_nowhere() {
        let base64 = |text: &str| STANDARD.encode(text);
        let folded = |text: &str| {
            text.as_bytes().chunks(20).map(|part| String::from_utf8_lossy(part).into_owned() + "\n").collect::<String>()
        };
        let secret = format!("apiVersion: v1\nkind: Secret\ndata:\n  token: {}\n", base64(JWT));
        let object =
            |kind: &str| format!(r#"{{"apiVersion":"v1","kind":"{kind}","items":[],"data":{{"x":"verysecret"}}}}"#);
        for (text, meant, what, remedy) in [
            (base64(PEM), InputKind::Pem, "base64 of a certificate", "base64 -d"),
            (folded(&base64(PEM)), InputKind::Pem, "base64 of a certificate", "base64 -d"),
            (base64(JWT), InputKind::Token, "base64 of a JSON Web Token", "base64 -d"),
            (folded(&base64(JWT)), InputKind::Token, "base64 of a JSON Web Token", "base64 -d"),
            (URL_SAFE_NO_PAD.encode(JWT), InputKind::Token, "base64 of a JSON Web Token", "base64 -d"),
            (base64("hvs.CAESIverysecretverysecret"), InputKind::Token, "base64 of a token of Vault", "base64 -d"),
            (base64(JWKS), InputKind::Document, "base64 of JSON", "base64 -d"),
            (base64("kv: secret\nclusters: []\n"), InputKind::Configuration, "base64 of a configuration", "base64 -d"),
            (base64(&secret), InputKind::Token, "base64 of an object of Kubernetes", "base64 -d"),
            (base64(&object("TokenRequest")), InputKind::Token, "base64 of an object of Kubernetes", "base64 -d"),
            (format!("\"{JWT}\""), InputKind::Token, "a JSON Web Token in quotes", "jq -r"),
            ("'hvs.verysecret'".to_owned(), InputKind::Token, "a token in quotes", "jq -r"),
            (format!("'{PEM}'"), InputKind::Pem, "a certificate in PEM form in quotes", "jq -r"),
            (PEM.replace('\n', "\\n"), InputKind::Pem, r"line breaks are written as \n", "printf"),
            (PEM.replace('\n', " "), InputKind::Pem, "PEM on one line", "openssl x509"),
            (folded(JWT), InputKind::Token, "a JSON Web Token with line breaks", "tr -d"),
            (folded(JWKS), InputKind::Document, "JSON with line breaks in the middle", "tr -d"),
            (secret.clone(), InputKind::Token, "a whole Secret", r"{.data.token}"),
            (object("Secret"), InputKind::Pem, "a whole Secret", r".data.ca\.crt"),
            (object("ConfigMap"), InputKind::Pem, "a whole ConfigMap", r".data.ca\.crt"),
            (object("ConfigMap"), InputKind::Configuration, "a whole ConfigMap", r"vaultk8s\.yaml"),
            (object("List"), InputKind::Token, "a List of Kubernetes", "one object"),
            (object("SecretList"), InputKind::Pem, "a SecretList of Kubernetes", "one object"),
            (object("TokenRequest"), InputKind::Token, "a whole TokenRequest", ".status.token"),
            (object("Config"), InputKind::Configuration, "a kubeconfig", "--kubeconfig"),
            (object("Pod"), InputKind::Document, "an object of Kubernetes (Pod)", "take out of it"),
            (
                PEM.to_owned(),
                InputKind::Document,
                "a certificate in PEM form, not a JSON Web Key Set",
                "/openid/v1/jwks",
            ),
            (
                PEM.replace("CERTIFICATE", "RSA PRIVATE KEY"),
                InputKind::Document,
                "a private key",
                "keep it to yourself",
            ),
            (JWT.to_owned(), InputKind::Document, "a JSON Web Token, not", "another file"),
            (JWT.to_owned(), InputKind::Pem, "a JSON Web Token, not PEM", "another file"),
            (JWKS.to_owned(), InputKind::Pem, "JSON, not PEM", "another file"),
            (JWKS.to_owned(), InputKind::Token, "JSON, not a token", "another file"),
            (PEM.to_owned(), InputKind::Token, "a certificate in PEM form, not a token", "another file"),
            ("<!DOCTYPE html><html>verysecret".to_owned(), InputKind::Document, "a web page", "wanted a login"),
        ] {
            let error = match check(&text, meant) {
                Err(mistaken) => mistaken.told_of("x"),
                Ok(()) => panic!("{meant:?} takes {text}"),
            };
            assert!(error.to_string().contains(what), "{what}: {error}");
            let remedies = error.remedies().concat();
            assert!(remedies.contains(remedy), "{what}: {remedies}");
            assert!(!format!("{error:?}").contains("verysecret"), "{error:?}");
        }
    }
}
