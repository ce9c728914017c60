//! How a run gets along with a server that limits the rate of requests: what is turned away is asked again a little later, and
//! what is asked in the same place meanwhile waits with it.
//!
//! A place is a mount, or an endpoint for logins, because that is what servers set limits for. As long as something gets through there, every
//! request has its turn; where nothing does, all of them are told so.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crate::vault::answer::LONGEST_WAIT;

/// The first wait, where the server doesn't say how long; each further one in vain is twice as long.
const FIRST: Duration = Duration::from_millis(250);

/// The longest wait, where the server doesn't say how long.
const LONGEST: Duration = Duration::from_secs(5);

/// How long a request may still be turned away once the run is to end.
const HURRY: Duration = Duration::from_secs(5);

/// What the limits of a server make of a run.
pub(super) struct Pace {
    /// How long a request may be turned away, and all that is asked in one place.
    patience: Duration,
    places: Mutex<HashMap<String, Limited>>,
    /// Since when the run is to end.
    hurries: OnceLock<Instant>,
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
        // No clock holds what a setting may say.
        let patience = patience.min(LONGEST_WAIT);
        Self { patience, places: Mutex::default(), hurries: OnceLock::new(), tell: Mutex::default() }
    }

    /// What is called once, when something has to wait.
    pub(super) fn on_wait(&self, tell: impl FnOnce() + Send + 'static) {
        *self.tell.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(tell));
    }

    /// From now on no request waits for long: whoever runs this waits for the end.
    pub(super) fn hurry(&self) {
        let _since_before = self.hurries.set(Instant::now());
    }

    /// A request to a place.
    pub(super) fn request<'a>(&'a self, namespace: Option<&str>, path: &str) -> Paced<'a> {
        Paced { pace: self, place: place(namespace, path), begun: Instant::now(), first: None }
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
    begun: Instant,
    /// When it was turned away first.
    first: Option<Instant>,
}

impl Paced<'_> {
    /// The same as a part of something that was turned away first at that time.
    pub(super) fn since(self, first: Option<Instant>) -> Self {
        Self { first, ..self }
    }

    /// When it was turned away first.
    pub(super) fn first(&self) -> Option<Instant> {
        self.first
    }

    /// Waits until something may be tried in its place.
    pub(super) async fn turn(&self) {
        while let Some(wait) = self.wait() {
            // The run may be to end meanwhile.
            let wait = wait.min(LONGEST);
            // Those that wait don't come back all at once.
            let jitter = wait.mul_f64(rand::random::<f64>() / 5.0);
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
        let until = self.hurries().map_or(until, |end| until.min(end));
        until.checked_duration_since(Instant::now()).filter(|wait| !wait.is_zero())
    }

    /// When it has no more time, where the run is to end.
    fn hurries(&self) -> Option<Instant> {
        self.pace.hurries.get().map(|since| self.begun.max(*since) + HURRY)
    }

    /// Something got through.
    pub(super) fn passed(&self) {
        self.pace.places().remove(&self.place);
    }

    /// It was turned away; the server may have said for how long. Whether it has another turn.
    pub(super) fn turned_away(&mut self, after: Option<Duration>) -> bool {
        let now = Instant::now();
        let first = *self.first.get_or_insert(now);
        let patience = self.pace.patience;
        {
            let mut places = self.pace.places();
            let new = Limited { since: now, until: now, waits: 0 };
            let limited = places.entry(self.place.clone()).or_insert(new);
            // Whoever waited there last gave up, or was given up, long ago: how it is now, nobody knows.
            if now.saturating_duration_since(limited.until) > patience {
                *limited = new;
            }
            let ends = limited.since.min(first) + patience;
            let ends = self.hurries().map_or(ends, |end| ends.min(end));
            let after = after.unwrap_or_default();
            if now >= ends || now + after > ends {
                // This is when somebody was there last.
                limited.until = limited.until.max(now);
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
    fn where_somebody_gave_up_long_ago_the_next_has_its_time_and_the_parts_of_one_request_share_theirs() {
        let pace = Pace::new(PATIENCE);
        let ago = |seconds| Instant::now().checked_sub(Duration::from_secs(seconds)).unwrap();
        assert!(pace.request(None, "sys/auth").turned_away(None));
        *pace.places().get_mut(":sys/auth").unwrap() = Limited { since: ago(70), until: ago(9), waits: 7 };
        assert!(!pace.request(None, "sys/auth").turned_away(None), "nothing got through until a moment ago");
        assert!(pace.places()[":sys/auth"].until > ago(1), "who gave up was there");
        *pace.places().get_mut(":sys/auth").unwrap() = Limited { since: ago(130), until: ago(61), waits: 7 };
        assert!(pace.request(None, "sys/auth").turned_away(None));
        assert_eq!(pace.places()[":sys/auth"].waits, 1);
        let part = pace.request(None, "sys/ha-status");
        assert!(!part.since(Some(ago(60))).turned_away(None), "another part took all its time");
    }

    #[test]
    fn a_run_that_is_to_end_waits_for_no_more_than_a_moment() {
        let pace = Pace::new(PATIENCE);
        let mut begun = pace.request(None, "sys/auth");
        begun.begun = Instant::now().checked_sub(PATIENCE).unwrap();
        assert!(begun.turned_away(Some(Duration::from_secs(30))));
        assert!(begun.wait().unwrap() > HURRY);
        pace.hurry();
        assert!(begun.wait().unwrap() <= HURRY);
        assert!(begun.turned_away(None) && !begun.turned_away(Some(HURRY * 2)));
        let mut later = pace.request(None, "auth/token/revoke-self");
        assert!(later.turned_away(None));
        // As if all that were a while ago.
        let pace = Pace { hurries: OnceLock::from(Instant::now().checked_sub(HURRY * 2).unwrap()), ..pace };
        let mut late = pace.request(None, "auth/token/revoke-self");
        late.begun = Instant::now().checked_sub(HURRY).unwrap();
        assert!(late.wait().is_none() && !late.turned_away(None));
        assert!(pace.request(None, "auth/token/revoke-self").turned_away(None));
    }

    #[test]
    fn no_patience_is_more_than_a_clock_holds() {
        let pace = Pace::new(Duration::MAX);
        assert!(pace.request(None, "sys/auth").turned_away(Some(LONGEST_WAIT / 2)));
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
