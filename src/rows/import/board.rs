//! The order of work: rows first of the largest tables, then what comes back, each thing once what it needs is there.
//!
//! Law: a table's work goes in waves; a wave begins when everything of the one before is done. What cannot be shared
//! among workers (building an index) goes before what can (loading rows).

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Result, anyhow};
use tokio::sync::{Notify, Semaphore};

/// Pieces of work that belong together, such as those of one table. `L` is a load of rows, `T` another task.
#[derive(Debug)]
struct Group<T> {
    waves: VecDeque<Vec<T>>,
    /// What was handed out or waits, of the wave that is under way.
    left: usize,
    /// Whether further loads may come.
    is_open: bool,
    /// What makes it come before others: bytes.
    weight: u64,
}

#[derive(Debug)]
struct State<L, T> {
    groups: Vec<Group<T>>,
    loads: VecDeque<(usize, L)>,
    tasks: Vec<(usize, T)>,
    is_abandoned: bool,
}

/// Something to do.
#[derive(Debug)]
pub(crate) enum Job<L, T> {
    /// Rows to load.
    Load(L),
    /// Something else.
    Task(T),
}

/// Hands out work to any number of workers.
#[derive(Debug)]
pub(crate) struct Board<L, T> {
    state: Mutex<State<L, T>>,
    changed: Notify,
    room: Semaphore,
}

impl<L, T> Board<L, T> {
    /// For these groups of waves. Where `is_loading`, each group's waves begin after its loads, which are still to
    /// come; at most `room` of them wait at a time.
    pub fn new(groups: Vec<Vec<Vec<T>>>, is_loading: bool, room: usize) -> Self {
        let group = |waves: Vec<Vec<T>>| Group { waves: waves.into(), left: 0, is_open: is_loading, weight: 0 };
        let groups = groups.into_iter().map(group).collect();
        let state = State { groups, loads: VecDeque::new(), tasks: Vec::new(), is_abandoned: false };
        let board = Self { state: Mutex::new(state), changed: Notify::new(), room: Semaphore::new(room) };
        let count = board.state().groups.len();
        (0..count).for_each(|group| board.advance(group));
        board
    }

    fn state(&self) -> MutexGuard<'_, State<L, T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a load to a group, once there is room.
    pub async fn offer(&self, group: usize, load: L) -> Result<()> {
        let permit = self.room.acquire().await.map_err(|_| anyhow!("the import was given up"))?;
        permit.forget();
        let mut state = self.state();
        state.groups[group].left += 1;
        state.loads.push_back((group, load));
        drop(state);
        self.changed.notify_waiters();
        Ok(())
    }

    /// Says that a group gets no further loads.
    pub fn close(&self, group: usize) {
        self.state().groups[group].is_open = false;
        self.advance(group);
    }

    /// Says how large a group is.
    pub fn weigh(&self, group: usize, bytes: u64) {
        self.state().groups[group].weight += bytes;
    }

    /// Ends every wait: nothing more is handed out.
    pub fn abandon(&self) {
        self.state().is_abandoned = true;
        self.room.close();
        self.changed.notify_waiters();
    }

    /// The next piece of work with its group; none once everything is done.
    pub async fn next(&self) -> Option<(usize, Job<L, T>)> {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            {
                let mut state = self.state();
                if state.is_abandoned {
                    return None;
                }
                let heaviest =
                    (0..state.tasks.len()).max_by_key(|&at| (state.groups[state.tasks[at].0].weight, usize::MAX - at));
                if let Some(at) = heaviest {
                    let (group, task) = state.tasks.remove(at);
                    return Some((group, Job::Task(task)));
                }
                if let Some((group, load)) = state.loads.pop_front() {
                    self.room.add_permits(1);
                    return Some((group, Job::Load(load)));
                }
                if state.groups.iter().all(|group| !group.is_open && group.left == 0 && group.waves.is_empty()) {
                    return None;
                }
            }
            changed.await;
        }
    }

    /// Says that a piece of work of this group is done.
    pub fn done(&self, group: usize) {
        self.state().groups[group].left -= 1;
        self.advance(group);
    }

    /// Begins the next wave if the one before is over.
    fn advance(&self, group: usize) {
        let mut state = self.state();
        let State { groups, tasks, .. } = &mut *state;
        let own = &mut groups[group];
        while own.left == 0 && !own.is_open {
            let Some(wave) = own.waves.pop_front() else { break };
            own.left = wave.len();
            tasks.extend(wave.into_iter().map(|task| (group, task)));
        }
        drop(state);
        self.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn next(board: &Board<u8, &'static str>) -> String {
        match board.next().await {
            Some((group, Job::Load(number))) => format!("{group}:{number}"),
            Some((group, Job::Task(name))) => format!("{group}:{name}"),
            None => "end".into(),
        }
    }

    #[tokio::test]
    async fn a_wave_begins_when_the_one_before_is_done_and_goes_before_loads_of_others() {
        let board = Board::new(vec![vec![vec!["a", "b"], vec![], vec!["c"]], vec![]], true, 8);
        board.offer(0, 1).await.unwrap();
        board.offer(1, 2).await.unwrap();
        board.offer(1, 3).await.unwrap();
        board.close(0);
        assert_eq!(next(&board).await, "0:1");
        board.done(0);
        assert_eq!(next(&board).await, "0:a");
        assert_eq!(next(&board).await, "0:b");
        board.done(0);
        assert_eq!(next(&board).await, "1:2");
        board.done(0);
        assert_eq!(next(&board).await, "0:c");
        assert_eq!(next(&board).await, "1:3");
        board.close(1);
        board.done(1);
        board.done(1);
        board.done(0);
        assert_eq!(next(&board).await, "end");
    }

    #[tokio::test]
    async fn the_heaviest_group_goes_first_and_nothing_is_handed_out_after_the_end() {
        let board = Board::<u8, _>::new(vec![vec![vec!["small"]], vec![vec!["large"]]], false, 1);
        board.weigh(1, 9);
        assert_eq!(next(&board).await, "1:large");
        board.abandon();
        assert_eq!(next(&board).await, "end");
        assert!(board.offer(0, 1).await.is_err());
    }
}
