//! The cluster itself: does it answer, does it publish its keys, is its clock right?

use jiff::Timestamp;

use crate::verify::catalogue::{CLOCKS, CLUSTER_ANSWERS, CLUSTER_KEYS};
use crate::verify::facts::cluster::Date;
use crate::verify::facts::{Known, Knows};
use crate::verify::finding::Finding;
use crate::verify::scene::ClusterScene;
use crate::verify::walk::{Row, row};

/// The checks of a cluster itself.
pub(in crate::verify) const ROWS: &[Row<ClusterScene>] =
    &[row!(CLUSTER_ANSWERS, answers), row!(CLUSTER_KEYS, keys), row!(CLOCKS, clocks)];

/// By how much clocks may differ before tokens are refused: the leeway that Vault gives `nbf` and `iat`, in seconds.
const LEEWAY: i64 = 60;
/// By how much they may differ before that is worth a word.
const NOTABLE: i64 = 10;

fn answers(cluster: &ClusterScene) -> Known<Finding> {
    Ok(match &cluster.way {
        None if cluster.is_in_files() => {
            Finding::skipped("it can't be reached from here: its issuer and keys come from files")
        }
        None => match &cluster.issuer {
            Some(issuer) => {
                Finding::skipped(format!("nothing of a cluster is asked: the issuer {issuer} is all there is"))
            }
            None => Finding::skipped("no kubeconfig leads to it; the token that logs in is there already"),
        },
        Some(Err(error)) => Finding::error(error),
        Some(Ok(connection)) => match cluster.version()? {
            Ok(version) => Finding::passed(format!("{} answers, version {version}", connection.server())),
            Err(error) => Finding::error(error).why("the tokens that are presented to Vault come from here"),
        },
    })
}

fn keys(cluster: &ClusterScene) -> Known<Finding> {
    Ok(match cluster.published()? {
        Ok(published) => Finding::passed(format!(
            "issuer {}, {} key{}",
            published.issuer,
            published.keys.len(),
            if published.keys.len() == 1 { "" } else { "s" }
        )),
        Err(error) if cluster.issuer.is_some() => Finding::unseen_because(error),
        Err(_) if cluster.way.is_none() => Finding::skipped("no way leads to it from here"),
        // Not to be allowed to read them is no fault of the cluster's.
        Err(error) if error.is_forbidden() => Finding::unseen_because(error),
        Err(error) => Finding::error(error),
    })
}

fn clocks(cluster: &ClusterScene) -> Known<Finding> {
    let time = cluster.vault.time(format!("the cluster {}", cluster.name))?;
    let (Some(vault), here) = (time.vault, time.here) else {
        return Ok(Finding::skipped("Vault did not tell its time"));
    };
    let theirs = match cluster.connected() {
        Some(_) => *cluster.facts().get(&Date { cluster: cluster.name.clone() })?,
        None => None,
    };
    let shown =
        |seconds: i64| Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |at| at.to_string());
    let compared = |finding: Finding| {
        let finding = finding.with("Vault's clock", shown(vault)).with("this machine's clock", shown(here));
        match theirs {
            Some(theirs) => finding.with("the cluster's clock", shown(theirs)),
            None => finding,
        }
    };
    let apart = theirs.map_or(0, |theirs| (vault - theirs).abs());
    if apart > LEEWAY {
        return Ok(compared(Finding::failed(format!("the clocks of Vault and the cluster are {apart} s apart")))
            .why(
                "a token of the cluster says from when to when it is valid, and Vault judges that by its own clock: beyond \
                 60 s it answers `token is expired`, `token not yet valid` or `issued at (iat)`",
            )
            .to_do("set the clock that is wrong, and let both machines keep time (NTP)"));
    }
    let from_here = (vault - here).abs();
    if apart > NOTABLE || from_here > LEEWAY {
        let seconds = apart.max(from_here);
        return Ok(compared(Finding::warning(format!("clocks are {seconds} s apart"))).to_do(
            "let all machines keep time (NTP): Vault refuses tokens when its clock is 60 s from the cluster's",
        ));
    }
    Ok(Finding::passed(match theirs {
        Some(_) => format!("Vault and the cluster are {apart} s apart"),
        None => format!("Vault and this machine are {from_here} s apart"),
    }))
}
