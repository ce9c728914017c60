use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::vault::answered;
use crate::{Error, Result, Run, VaultOptions, VaultServer, shared};

/// Two nodes of one Vault with integrated storage, as people run it: one is active, the other stands by and answers reads
/// from its own copy where the server does that. Both end when dropped.
///
/// Which of them is active may change: by [`TwoNodes::step_down`], and by whatever a test does to a node.
#[derive(Debug)]
pub struct TwoNodes {
    nodes: [VaultServer; 2],
}

impl TwoNodes {
    /// Starts both, for a test or a suite of its own, which change places only when they are made to.
    ///
    /// # Panics
    /// When they can't be started, or there is no lab.
    pub fn start() -> Self {
        answered(Self::start_in(shared().run(), &VaultOptions { patience: 3, ..VaultOptions::default() }))
    }

    /// Starts both, for a test that makes them change places, as quickly as they can.
    ///
    /// # Panics
    /// When they can't be started, or there is no lab.
    pub fn start_restless() -> Self {
        answered(Self::start_in(shared().run(), &VaultOptions::default()))
    }

    /// Starts both as other options say, with integrated storage.
    ///
    /// # Panics
    /// When they can't be started, or there is no lab.
    pub fn start_with(options: &VaultOptions) -> Self {
        answered(Self::start_in(shared().run(), options))
    }

    fn start_in(run: &Run, options: &VaultOptions) -> Result<Self> {
        // An audit log takes as long to write as the standby to catch up, and would hide that it is late.
        let options = VaultOptions { persistent: true, audit: false, ..options.clone() };
        let first = VaultServer::start_in(run, &options)?;
        let second = first.try_start_standby()?;
        Ok(Self { nodes: [first, second] })
    }

    /// The node that is active.
    ///
    /// # Panics
    /// When none is.
    pub fn active(&self) -> &VaultServer {
        &self.nodes[answered(self.settled())]
    }

    /// The node that stands by.
    ///
    /// # Panics
    /// When none is active.
    pub fn standby(&self) -> &VaultServer {
        &self.nodes[1 - answered(self.settled())]
    }

    /// Both nodes, in the order in which they were started.
    pub fn nodes(&self) -> &[VaultServer; 2] {
        &self.nodes
    }

    /// Both nodes, to stop and to restart them.
    pub fn nodes_mut(&mut self) -> &mut [VaultServer; 2] {
        &mut self.nodes
    }

    /// Lets the active node give up that place, and doesn't wait until one of them has it.
    ///
    /// # Panics
    /// When no node answers.
    pub fn step_down(&self) {
        // Refused by a node that is none, and that is what the other one is for.
        for node in &self.nodes {
            let (_, said) = node.client().get("sys/leader");
            if said["is_self"] == true {
                node.client().put("sys/step-down", &json!({}));
                return;
            }
        }
    }

    /// Waits until one node is active and the other one forwards to it, and answers which is active.
    fn settled(&self) -> Result<usize> {
        let started = Instant::now();
        loop {
            if let Some(active) = self.look()? {
                return Ok(active);
            }
            if started.elapsed() > Duration::from_secs(30) {
                return Err(Error::new("no node of the two is active after 30 s"));
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn look(&self) -> Result<Option<usize>> {
        let ask = |node: usize, path| self.nodes[node].client().request(reqwest::Method::GET, path, None);
        for active in [0, 1] {
            if ask(active, "sys/leader")?.1["is_self"] == true {
                // It answers what only the active node can, and passes on what it is asked instead.
                let both = [active, 1 - active].map(|node| ask(node, "sys/ha-status"));
                return Ok(both
                    .into_iter()
                    .all(|answer| answer.is_ok_and(|(status, _)| status == 200))
                    .then_some(active));
            }
        }
        Ok(None)
    }
}
