//! How many requests are under way at once: as many as somebody said, and fewer while the server turns some away.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{Semaphore, SemaphorePermit};

/// After so many answers one request more may be under way.
const RISE: usize = 16;

/// The slots of requests.
pub(super) struct Slots {
    semaphore: Semaphore,
    most: usize,
    width: Mutex<Width>,
}

/// How many there are.
#[derive(Debug)]
struct Width {
    /// Those that there are.
    now: usize,
    /// Those that there should be: what is more ends once it is free.
    wanted: usize,
    /// How often there were fewer of them, from one time to the next.
    falls: u64,
    /// The answers since.
    answers: usize,
}

/// One that is taken; free again when dropped.
pub(super) struct Slot<'a> {
    slots: &'a Slots,
    permit: Option<SemaphorePermit<'a>>,
    /// How often there had been fewer when it was taken.
    falls: u64,
}

impl Slots {
    /// So many at most.
    pub(super) fn new(most: usize) -> Self {
        let most = most.min(Semaphore::MAX_PERMITS);
        let width = Width { now: most, wanted: most, falls: 0, answers: 0 };
        Self { semaphore: Semaphore::new(most), most, width: Mutex::new(width) }
    }

    /// Takes one, once one is free.
    pub(super) async fn take(&self) -> Slot<'_> {
        // Nobody closes it, so that there is always one to come.
        let permit = self.semaphore.acquire().await.ok();
        Slot { slots: self, permit, falls: self.width().falls }
    }

    fn width(&self) -> MutexGuard<'_, Width> {
        self.width.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot<'_> {
    /// The server took the request.
    pub(super) fn answered(&self) {
        let mut width = self.slots.width();
        if width.wanted == self.slots.most {
            return;
        }
        width.answers += 1;
        if width.answers >= RISE {
            width.answers = 0;
            width.wanted += 1;
            if width.now < width.wanted {
                width.now += 1;
                self.slots.semaphore.add_permits(1);
            }
        }
    }

    /// The server turned the request away, because there were too many: half of those that are under way are enough from now on. Those that
    /// were sent before that was known say nothing new.
    pub(super) fn turned_away(&self) {
        let mut width = self.slots.width();
        if self.falls != width.falls {
            return;
        }
        let under_way = width.now.saturating_sub(self.slots.semaphore.available_permits());
        width.falls += 1;
        width.answers = 0;
        width.wanted = (under_way / 2).max(1);
        let beyond = width.now.saturating_sub(width.wanted);
        width.now -= self.slots.semaphore.forget_permits(beyond);
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        let mut width = self.slots.width();
        if width.now > width.wanted
            && let Some(permit) = self.permit.take()
        {
            permit.forget();
            width.now -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    /// How many can be taken at once.
    fn free(slots: &Slots) -> usize {
        let mut taken = Vec::new();
        while let Some(slot) = slots.take().now_or_never() {
            taken.push(slot);
        }
        taken.len()
    }

    #[test]
    fn half_as_many_after_each_wave_and_one_at_least() {
        let slots = Slots::new(8);
        for left in [4, 2, 1, 1] {
            let wave: Vec<Slot<'_>> = std::iter::from_fn(|| slots.take().now_or_never()).collect();
            wave.iter().for_each(Slot::turned_away);
            assert!(slots.take().now_or_never().is_none(), "all are taken");
            drop(wave);
            assert_eq!(free(&slots), left);
        }
    }

    #[test]
    fn as_many_again_in_the_end_and_never_more() {
        let slots = Slots::new(3);
        let only = slots.take().now_or_never().unwrap();
        only.turned_away();
        drop(only);
        assert_eq!(free(&slots), 1);
        for (answers, width) in [(RISE - 1, 1), (1, 2), (RISE, 3), (10 * RISE, 3)] {
            for _ in 0..answers {
                slots.take().now_or_never().unwrap().answered();
            }
            assert_eq!(free(&slots), width);
        }
    }

    #[test]
    fn without_a_bound_half_of_those_under_way_are_enough() {
        let slots = Slots::new(Semaphore::MAX_PERMITS);
        let wave: Vec<Slot<'_>> = (0..6).map(|_| slots.take().now_or_never().unwrap()).collect();
        wave[0].turned_away();
        drop(wave);
        assert_eq!(free(&slots), 3);
    }
}
