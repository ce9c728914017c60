use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::supervise::Janitor;
use crate::{Authority, Context, Result};

/// The programs of the servers, and of their clients.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Servers {
    /// `bao` or `vault`.
    pub vault: PathBuf,
    /// `etcd`.
    pub etcd: PathBuf,
    /// `kube-apiserver`.
    pub kube_apiserver: PathBuf,
    /// `kube-controller-manager`.
    pub kube_controller_manager: PathBuf,
    /// `kubectl`.
    pub kubectl: PathBuf,
}

/// One run of the lab: its folder under the system's temporary one, and what every server in it is started with.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Run {
    folder: PathBuf,
    servers: Servers,
    vault_authority: Authority,
}

impl Run {
    /// A folder for a new run, and the janitor that removes it when this process lets go of it or dies.
    ///
    /// `lab` is the lab's own program. It is copied, because a run may rebuild it.
    pub fn create(lab: &Path, servers: Servers) -> Result<(Self, Janitor)> {
        let folder = tempfile::Builder::new()
            .prefix("vaultk8s-lab-")
            .permissions(fs::Permissions::from_mode(0o700))
            .tempdir()
            .context(|| "can't make a temporary folder".to_owned())?
            .keep();
        let run = Self { folder, servers, vault_authority: Authority::new("lab vault CA")? };
        let prepare = || -> std::io::Result<()> {
            fs::copy(lab, run.supervisor())?;
            fs::set_permissions(run.supervisor(), fs::Permissions::from_mode(0o700))?;
            fs::File::create(run.alive())?;
            Ok(())
        };
        let janitor = prepare().context(|| format!("can't prepare {}", run.folder.display())).and_then(|()| {
            run.write("vault-ca.pem", run.vault_authority.pem())?;
            Janitor::hire(&run)
        });
        match janitor {
            Ok(janitor) => Ok((run, janitor)),
            Err(error) => {
                // Nobody else will: the janitor isn't there. The first error is the one worth telling.
                let _ = fs::remove_dir_all(&run.folder);
                Err(error)
            }
        }
    }

    /// The run's folder. It goes away with the run, so keep nothing there.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The programs that it runs.
    pub fn servers(&self) -> &Servers {
        &self.servers
    }

    /// The authority that the run's Vault servers have their certificates from.
    pub fn vault_authority(&self) -> &Authority {
        &self.vault_authority
    }

    /// Its certificate in a file, PEM: `VAULT_CACERT`.
    pub fn vault_ca(&self) -> PathBuf {
        self.folder.join("vault-ca.pem")
    }

    /// The lab's own program, as it was when the run began.
    pub fn supervisor(&self) -> PathBuf {
        self.folder.join("lab")
    }

    /// Every supervisor holds a shared lock on this file while it lives.
    pub(crate) fn alive(&self) -> PathBuf {
        self.folder.join("alive")
    }

    /// Writes a file of the run that only its owner can read.
    pub(crate) fn write(&self, name: &str, content: &str) -> Result<PathBuf> {
        let path = self.folder.join(name);
        write_private(&path, content)?;
        Ok(path)
    }

    /// A new folder of the run's for one server. It goes away when dropped, and at the end of the run at the latest.
    pub(crate) fn subfolder(&self, prefix: &str) -> Result<tempfile::TempDir> {
        tempfile::Builder::new()
            .prefix(&format!("{prefix}-"))
            .tempdir_in(&self.folder)
            .context(|| format!("can't make a folder in {}", self.folder.display()))
    }
}

/// Creates or replaces a file that only its owner can read.
pub(crate) fn write_private(path: &Path, content: &str) -> Result<()> {
    let write = || -> std::io::Result<()> {
        let mut options = fs::OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(path)?;
        file.write_all(content.as_bytes())
    };
    write().context(|| format!("can't write {}", path.display()))
}
