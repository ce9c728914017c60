//! The Kubernetes servers and kubectl, built as Go tool dependencies of pinned versions.

use std::env::consts::{ARCH, OS};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use lab::{Context as _, Error, Result};

use super::{new_folder, run, stamp};
use crate::console::Step;
use crate::workspace;

/// A program that is built from a Go package.
#[derive(Debug)]
pub(super) struct Tool {
    pub(super) name: &'static str,
    package: &'static str,
    /// What Go calls the program that it builds from the package.
    built_as: &'static str,
}

pub(super) const TOOLS: [Tool; 4] = [
    Tool { name: "etcd", package: "go.etcd.io/etcd/server/v3", built_as: "server" },
    Tool { name: "kube-apiserver", package: "k8s.io/kubernetes/cmd/kube-apiserver", built_as: "kube-apiserver" },
    Tool {
        name: "kube-controller-manager",
        package: "k8s.io/kubernetes/cmd/kube-controller-manager",
        built_as: "kube-controller-manager",
    },
    Tool { name: "kubectl", package: "k8s.io/kubernetes/cmd/kubectl", built_as: "kubectl" },
];

impl Tool {
    /// Where it is installed.
    pub(super) fn program(&self) -> PathBuf {
        workspace::servers().join(self.name)
    }
}

/// Builds those of the tools that aren't there in the pinned version.
pub(super) fn ensure(lab: &Path, tools: &[&Tool]) -> Result<()> {
    let read = |name: &str| {
        let path = workspace::pins().join(name);
        fs::read_to_string(&path).context(|| format!("can't read {}", path.display()))
    };
    let (go_mod, go_sum) = (read("go.mod")?, read("go.sum")?);
    let version = version_of(&go_mod, "k8s.io/kubernetes")
        .ok_or_else(|| Error::new("tests/lab/servers/go.mod doesn't require k8s.io/kubernetes"))?;
    let ld_flags = ld_flags(version);
    let made_from = format!("{OS} {ARCH}\n{ld_flags}\n{go_mod}\n{go_sum}");
    let stale: Vec<&&Tool> = tools.iter().filter(|tool| !stamp::is_current(&tool.program(), &made_from)).collect();
    if stale.is_empty() {
        return Ok(());
    }

    let names: Vec<&str> = stale.iter().map(|tool| tool.name).collect();
    let names = names.join(", ");
    let needed = go_mod.lines().find_map(|line| line.strip_prefix("go ")).unwrap_or("1").trim();
    let remedy = format!(
        "install Go {needed} or newer (https://go.dev/dl/), or set KUBEBUILDER_ASSETS to a folder that holds {names}"
    );
    let go_works = Command::new("go").arg("version").output().is_ok_and(|output| output.status.success());
    if !go_works {
        return Err(Error::new(format!("{names} must be built, and Go is missing")).remedy(remedy));
    }

    let mut step = Step::start(&format!("building {names} (the first time takes some minutes)"));
    let folder = new_folder()?;
    let mut build = Command::new("go");
    build
        .current_dir(workspace::pins())
        // Nothing may download another Go, or take part in a workspace of the reader's.
        .env("GOTOOLCHAIN", "local")
        .env("GOWORK", "off")
        .args(["build", "-v", "-trimpath", "-buildvcs=false", "-mod=readonly", "-ldflags", &ld_flags, "-o"])
        .arg(folder.path())
        .args(stale.iter().map(|tool| tool.package));
    run(lab, &mut step, "go build", &build, &folder.path().join("build.log")).map_err(|error| {
        error.remedy(format!("if modules can't be downloaded, check the network and `go env GOPROXY`; or {remedy}"))
    })?;
    for tool in stale {
        stamp::put(&folder.path().join(tool.built_as), &tool.program(), &made_from)?;
    }
    step.done();
    Ok(())
}

/// The version of a module that go.mod requires.
fn version_of<'a>(go_mod: &'a str, module: &str) -> Option<&'a str> {
    go_mod.lines().find_map(|line| {
        let mut words = line.trim().trim_start_matches("require ").split_whitespace();
        (words.next() == Some(module)).then(|| words.next()).flatten().filter(|word| word.starts_with('v'))
    })
}

/// What the linker is told: Kubernetes has its version from here, and answers with it at `/version`.
fn ld_flags(version: &str) -> String {
    let mut numbers = version.trim_start_matches('v').split('.');
    let (major, minor) = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
    let mut flags = "-s -w".to_owned();
    for package in ["k8s.io/component-base/version", "k8s.io/client-go/pkg/version"] {
        for (variable, value) in [("gitVersion", version), ("gitMajor", major), ("gitMinor", minor)] {
            let _ = write!(flags, " -X {package}.{variable}={value}");
        }
        // Not known here, and otherwise a placeholder of git's.
        let _ = write!(flags, " -X {package}.gitCommit= -X {package}.gitTreeState=clean");
    }
    flags
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_comes_from_go_mod() {
        let go_mod = "replace (\n\tk8s.io/kubernetes => ../x\n)\nrequire (\n\tk8s.io/kube v0.1.0\n\tk8s.io/kubernetes v1.36.3 // indirect\n)\n";
        assert_eq!(version_of(go_mod, "k8s.io/kubernetes"), Some("v1.36.3"));
        assert_eq!(version_of("require k8s.io/kubernetes v1.2.3\n", "k8s.io/kubernetes"), Some("v1.2.3"));
        assert_eq!(version_of(go_mod, "k8s.io/api"), None);
    }

    #[test]
    fn the_pinned_go_mod_has_every_tool() {
        let go_mod = fs::read_to_string(workspace::pins().join("go.mod")).unwrap();
        for tool in TOOLS {
            assert!(go_mod.lines().any(|line| line.trim() == tool.package), "{}", tool.package);
        }
        assert!(version_of(&go_mod, "k8s.io/kubernetes").is_some());
    }

    #[test]
    fn the_version_is_stamped() {
        let flags = ld_flags("v1.36.3");
        assert!(flags.contains("-X k8s.io/component-base/version.gitVersion=v1.36.3"), "{flags}");
        assert!(flags.contains("-X k8s.io/client-go/pkg/version.gitMinor=36"), "{flags}");
    }
}
