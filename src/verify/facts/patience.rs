//! Logins at a `kubernetes` mount through a standby that hasn't heard of the mount's CA yet.
//!
//! A standby that answers by itself reads a mount's configuration anew for each login, but takes its CA only every 30 s. Until
//! then it can't trust the API server, and refuses with a bare `permission denied` what the active node lets in.

use std::time::{Duration, Instant};

use tokio::sync::OnceCell;

use super::vault::LeaderStatus;
use crate::vault::{Client, LoginAnswer, LoginAuth, Request, VaultError};
use crate::verify::links::login::bare;

/// How long a standby may take: its own 30 s, and some for the login.
const LATEST: Duration = Duration::from_secs(33);

/// How long a run waits for a standby: once for all of its logins, so that many refused ones take no longer than one.
#[derive(Debug, Default)]
pub(in crate::verify) struct Patience(OnceCell<Instant>);

impl Patience {
    /// Logs in again and again, while a standby refuses that may not have the CA yet. `answer` is that of the first login.
    pub(in crate::verify) async fn log_in(
        &self,
        client: &Client,
        request: &Request<LoginAnswer>,
        mut answer: Result<LoginAuth, VaultError>,
    ) -> Result<LoginAuth, VaultError> {
        while matches!(&answer, Err(error @ VaultError::Forbidden { .. }) if bare(error)) && is_standby(client).await {
            let until = *self.0.get_or_init(async || Instant::now() + LATEST).await;
            if Instant::now() >= until {
                break;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
            answer = client.log_in(request).await;
        }
        answer
    }
}

/// Whether the node that answers now stands by: behind a load balancer it may be another one each time.
async fn is_standby(client: &Client) -> bool {
    let client = client.without_token().without_namespace();
    let leader = client.send(&Request::<LeaderStatus>::of_the_node("sys/leader")).await;
    leader.is_ok_and(|leader| leader.ha_enabled && !leader.is_self)
}
