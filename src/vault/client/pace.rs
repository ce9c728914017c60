//! How a run gets along with a server that limits the rate of requests: what is turned away is asked again a little later, and
//! what is asked in the same place meanwhile waits with it.
//!
//! A place is a mount, or an endpoint for logins, because that is what servers set limits for. As long as something gets through there, every
//! request has its turn; where nothing does, all of them are told so.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The first wait, where the server doesn't say how long; each further one in vain is twice as long.
const FIRST: Duration = Duration::from_millis(250);

/// The longest wait, where the server doesn't say how long.
const LONGEST: Duration = Duration::from_secs(5);

/// What the limits of a server make of a run.
pub(super) struct Pace {
    /// How long a request may be turned away, and all that is asked in one place.
    patience: Duration,
    places: Mutex<HashMap<String, Limited>>,
    /// Tells, once, that this run waits.
    tell: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

/// A place where requests are turned away.
#[derive(Debug, Clone, Copy)]
struct Limited {
    /// Since when nothing got through.
    since: Instant,
    /// Until when nothing is tried.
    until: Instant,
    /// How often a wait was in vain.
    waits: u32,
}

impl Pace {
    /// One that has met no limit yet.
    pub(super) fn new(patience: Duration) -> Self {
        Self { patience, places: Mutex::default(), tell: Mutex::default() }
    }

    /// What is called once, when something has to wait.
    pub(super) fn on_wait(&self, tell: impl FnOnce() + Send + 'static) {
        *self.tell.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(tell));
    }

    /// A request to a place.
    pub(super) fn request<'a>(&'a self, namespace: Option<&str>, path: &str) -> Paced<'a> {
        Paced { pace: self, place: place(namespace, path), first: None }
    }

    fn places(&self) -> MutexGuard<'_, HashMap<String, Limited>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What has a limit of its own: a login's path, else the first two segments.
fn place(namespace: Option<&str>, path: &str) -> String {
    let path = if path.starts_with("auth/") && path.ends_with("/login") {
        path
    } else {
        path.match_indices('/').nth(1).map_or(path, |(at, _)| &path[..at])
    };
    format!("{}:{path}", namespace.unwrap_or_default())
}

/// A request, as far as limits go.
pub(super) struct Paced<'a> {
    pace: &'a Pace,
    place: String,
    /// When it was turned away first.
    first: Option<Instant>,
}

impl Paced<'_> {
    /// Waits until something may be tried in its place.
    pub(super) async fn turn(&self) {
        while let Some(wait) = self.wait() {
            // Those that wait don't come back all at once.
            let jitter = wait.min(LONGEST).mul_f64(rand::random::<f64>() / 5.0);
            tokio::time::sleep(wait + jitter).await;
        }
    }

    /// Whether nothing may be tried in its place now.
    pub(super) fn waits(&self) -> bool {
        self.wait().is_some()
    }

    /// How long nothing may be tried in its place.
    fn wait(&self) -> Option<Duration> {
        let until = self.pace.places().get(&self.place)?.until;
        until.checked_duration_since(Instant::now()).filter(|wait| !wait.is_zero())
    }

    /// Something got through.
    pub(super) fn passed(&self) {
        self.pace.places().remove(&self.place);
    }

    /// It was turned away; the server may have said for how long. Whether it has another turn.
    pub(super) fn turned_away(&mut self, after: Option<Duration>) -> bool {
        let now = Instant::now();
        let first = *self.first.get_or_insert(now);
        {
            let mut places = self.pace.places();
            let limited = places.entry(self.place.clone()).or_insert(Limited { since: now, until: now, waits: 0 });
            let ends = limited.since.min(first) + self.pace.patience;
            let after = after.unwrap_or_default();
            if now >= ends || now + after > ends {
                return false;
            }
            // What was under way together with the first is no further wait in vain.
            let wait = if now < limited.until {
                after
            } else {
                limited.waits += 1;
                after.max(FIRST.saturating_mul(1 << (limited.waits - 1).min(5)).min(LONGEST))
            };
            limited.until = limited.until.max(now + wait).min(ends);
        }
        let tell = self.pace.tell.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(tell) = tell {
            tell();
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    fn until(pace: &Pace, mount: &str) -> Option<Duration> {
        pace.places().get(mount).map(|limited| limited.until.saturating_duration_since(Instant::now()))
    }

    #[test]
    fn what_has_a_limit_of_its_own_is_a_place() {
        for (path, expected) in [
            ("auth/jwt/login", ":auth/jwt/login"),
            ("auth/team/jwt/login", ":auth/team/jwt/login"),
            ("auth/jwt/role/app", ":auth/jwt"),
            ("auth/token/login", ":auth/token/login"),
            ("sys/policies/acl/a", ":sys/policies"),
            ("sys/auth", ":sys/auth"),
            ("secret/data/login", ":secret/data"),
        ] {
            assert_eq!(place(None, path), expected);
        }
        assert_eq!(place(Some("team"), "sys/auth"), "team:sys/auth");
    }

    #[test]
    fn a_place_waits_longer_from_one_wait_in_vain_to_the_next_and_not_for_what_was_under_way_together() {
        let pace = Pace::new(PATIENCE);
        let mut one = pace.request(None, "sys/auth");
        assert!(one.turned_away(None));
        let first = until(&pace, ":sys/auth").unwrap();
        assert!(first <= FIRST);
        let mut other = pace.request(None, "sys/auth");
        assert!(other.turned_away(None) && until(&pace, ":sys/auth").unwrap() <= first);
        // Once that is over.
        for (waits, at_most) in [(2, FIRST * 2), (3, FIRST * 4), (9, LONGEST)] {
            let mut places = pace.places();
            let limited = places.get_mut(":sys/auth").unwrap();
            (limited.until, limited.waits) = (Instant::now(), waits - 1);
            drop(places);
            assert!(one.turned_away(None));
            let waits = until(&pace, ":sys/auth").unwrap();
            assert!(waits <= at_most && waits > at_most / 2, "{waits:?} of {at_most:?}");
        }
        // What the server says counts where it is longer, and another place is free.
        assert!(other.turned_away(Some(Duration::from_secs(30))));
        assert!(until(&pace, ":sys/auth").unwrap() > Duration::from_secs(29));
        assert_eq!(until(&pace, ":secret/data"), None);
        one.passed();
        assert_eq!(until(&pace, ":sys/auth"), None);
    }

    #[test]
    fn patience_ends_and_then_nobody_waits() {
        let mut impatient = Pace::new(Duration::ZERO);
        assert!(!impatient.request(None, "sys/auth").turned_away(None));
        impatient.patience = PATIENCE;
        let long = Some(PATIENCE + Duration::from_secs(1));
        assert!(!impatient.request(None, "sys/mounts").turned_away(long), "a server wants to be left alone for longer");
        let pace = Pace::new(PATIENCE);
        assert!(pace.request(None, "sys/auth").turned_away(None));
        pace.places().get_mut(":sys/auth").unwrap().since = Instant::now().checked_sub(PATIENCE).unwrap();
        assert!(!pace.request(None, "sys/auth").turned_away(None), "nothing got through for too long");
        assert!(pace.request(None, "sys/mounts").turned_away(None));
        // One that is always overtaken by others has no turn without end either.
        let mut unlucky = pace.request(None, "sys/mounts");
        unlucky.first = Instant::now().checked_sub(PATIENCE);
        assert!(!unlucky.turned_away(None));
    }

    #[test]
    fn it_is_told_once_that_something_waits() {
        let pace = Pace::new(PATIENCE);
        let (sender, told) = std::sync::mpsc::channel();
        pace.on_wait(move || sender.send(()).unwrap());
        for path in ["sys/auth", "sys/auth", "sys/mounts"] {
            assert!(pace.request(None, path).turned_away(None));
        }
        assert_eq!(told.iter().count(), 1);
    }
}
