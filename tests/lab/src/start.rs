use std::path::{Path, PathBuf};
use std::thread;

use crate::audit::audited;
use crate::shared::State;
use crate::supervise::Janitor;
use crate::{
    AuditedRequest, ControlPlane, ControlPlaneOptions, Error, Lab, Result, Run, Servers, VaultOptions, VaultServer,
};

/// One Vault and one Kubernetes control plane, which run until this is dropped.
#[derive(Debug)]
pub struct RunningLab {
    lab: Lab,
    state_file: PathBuf,
    // Dropped in this order: the servers, then their folder.
    control_plane: ControlPlane,
    vault: VaultServer,
    _janitor: Janitor,
}

impl RunningLab {
    /// Starts everything at once. `program` is the lab's own, for its `supervise` and `janitor` commands.
    pub fn start(program: &Path, servers: Servers) -> Result<Self> {
        let (run, janitor) = Run::create(program, servers)?;
        let (vault, control_plane) = thread::scope(|scope| {
            let vault = scope.spawn(|| VaultServer::start_in(&run, &VaultOptions::default()));
            let control_plane = ControlPlane::start_in(&run, &ControlPlaneOptions::default());
            (vault.join().unwrap_or_else(|_| Err(Error::new("starting Vault panicked"))), control_plane)
        });
        let (vault, control_plane) = (vault?, control_plane?);
        let (vault_address, root_token, audit_log) = vault.state()?;
        let lab = Lab::new(State {
            run,
            vault_address,
            root_token,
            audit_log,
            kubernetes_server: control_plane.server_url().to_owned(),
            kubernetes_ca: control_plane.authority().pem().to_owned(),
            kubeconfig: control_plane.kubeconfig(),
            admin_token: control_plane.client().admin_token().to_owned(),
        })?;
        let state_file = lab.save()?;
        Ok(Self { lab, state_file, control_plane, vault, _janitor: janitor })
    }

    /// Finds out whether all servers still run.
    ///
    /// # Errors
    /// When one of them has ended.
    pub fn check(&mut self) -> Result<()> {
        self.vault.check()?;
        self.control_plane.check()
    }

    /// The requests to Vault so far: [`VaultServer::requests`].
    pub fn requests(&self) -> Result<Vec<AuditedRequest>> {
        audited(self.lab.vault_audit_log())
    }

    /// The lab, as tests see it.
    pub fn lab(&self) -> &Lab {
        &self.lab
    }

    /// The file that [`STATE_VARIABLE`](crate::STATE_VARIABLE) names to tests. Only its owner can read it.
    pub fn state_file(&self) -> &Path {
        &self.state_file
    }
}
