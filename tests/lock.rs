//! The host's one lock, taken by real processes: who has it is told truly, and looking at it disturbs nobody.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use cutover::journal::Lock;
use cutover::journal::lock::{Held, Holder, LockError, held};

const DIRECTORY: &str = "CUTOVER_TEST_DIRECTORY";
const SINCE: &str = "2026-01-02T03:04:05.000Z";
/// What the second one is told to do.
const WAIT: &str = "nothing was done; `cutover status` tells when it has ended";

/// A process that takes the lock, and does what it is told line by line.
struct Owner {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<std::process::ChildStderr>,
}

impl Owner {
    /// This test binary again. The lock is inherited by children, so no test takes it in its own process while others
    /// beside it start children.
    #[expect(clippy::disallowed_methods, reason = "the child under test is this binary itself")]
    fn begin(directory: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "the_process_that_takes_the_lock", "--ignored", "--test-threads=1", "--nocapture"])
            .env(DIRECTORY, directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let orders = child.stdin.take().unwrap();
        let answers = BufReader::new(child.stderr.take().unwrap());
        Self { child, orders, answers }
    }

    /// Gives an order and waits for its answer.
    fn tell(&mut self, order: &str) -> String {
        writeln!(self.orders, "{order}").unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        answer.trim_end().to_owned()
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn end(self) {
        let Self { mut child, orders, .. } = self;
        drop(orders);
        child.wait().unwrap();
    }
}

#[test]
#[ignore = "it is the process that the other tests start"]
#[expect(clippy::disallowed_methods, reason = "its parent tells it by the environment what it is")]
#[expect(clippy::zombie_processes, reason = "what it leaves at work is to outlive it")]
fn the_process_that_takes_the_lock() {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return };
    let mut lock = None;
    for order in std::io::stdin().lines() {
        let order = order.unwrap();
        let answer = match order.split_once(' ').unwrap_or((&order, "")) {
            ("take", verb) => match Lock::take(Path::new(&directory), verb, SINCE.into()) {
                Ok(taken) => {
                    lock = Some(taken);
                    "taken".to_owned()
                }
                Err(error) => error.to_string(),
            },
            ("say", step) => {
                lock.as_mut().unwrap().say(7, step);
                "said".to_owned()
            }
            ("leave", seconds) => {
                let orphan = Command::new("sleep").arg(seconds).stderr(Stdio::null()).spawn().unwrap();
                orphan.id().to_string()
            }
            ("let", _) => {
                lock = None;
                "free".to_owned()
            }
            other => panic!("{other:?}"),
        };
        writeln!(std::io::stderr(), "{answer}").unwrap();
    }
}

/// Whoever holds the lock, as `status` sees it.
fn seen(directory: &Path) -> Held {
    held(directory).unwrap().expect("the lock is held")
}

/// Kills a process and waits until it has let go of everything: a signal that was sent has not yet had its effect.
fn kill(pid: &str) {
    let number = rustix::process::Pid::from_raw(pid.parse().unwrap()).unwrap();
    rustix::process::kill_process(number, rustix::process::Signal::KILL).unwrap();
    // Whoever inherited it may not bury it: a zombie holds nothing any more.
    let is_there = || std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "));
    for _ in 0..6000 {
        if !is_there() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("{pid} does not end");
}

#[test]
fn a_lock_that_was_never_taken_is_free() {
    let directory = tempfile::tempdir().unwrap();
    assert!(held(directory.path()).unwrap().is_none());
}

#[test]
fn a_second_taker_is_told_who_has_the_lock_since_when_and_in_which_step() {
    let directory = tempfile::tempdir().unwrap();
    let mut owner = Owner::begin(directory.path());
    assert_eq!(owner.tell("take deploy"), "taken");
    owner.tell("say start_services");
    let pid = owner.child.id();
    let words = format!(
        "`cutover deploy` (process {pid}, run 7) holds the lock since {SINCE}, in the step start_services; {WAIT}"
    );
    assert_eq!(Owner::begin(directory.path()).tell("take rollback"), words);
    let Held { holder, is_owner_alive, processes } = seen(directory.path());
    assert!(is_owner_alive);
    let Holder { verb, run, step, since, .. } = holder;
    assert_eq!(
        (verb.as_str(), run, step.as_deref(), since.as_str()),
        ("deploy", Some(7), Some("start_services"), SINCE)
    );
    assert_eq!(processes.iter().map(|process| process.pid).collect::<Vec<_>>(), [pid]);
    owner.end();
}

#[test]
fn a_lock_that_was_let_go_is_free_although_its_words_still_stand() {
    let directory = tempfile::tempdir().unwrap();
    let mut owner = Owner::begin(directory.path());
    owner.tell("take deploy");
    assert_eq!(owner.tell("let go"), "free");
    assert!(held(directory.path()).unwrap().is_none());
    assert_eq!(Owner::begin(directory.path()).tell("take rollback"), "taken");
    owner.end();
}

#[test]
fn a_killed_owner_without_children_leaves_the_lock_free() {
    let directory = tempfile::tempdir().unwrap();
    let mut owner = Owner::begin(directory.path());
    owner.tell("take deploy");
    owner.kill();
    assert!(held(directory.path()).unwrap().is_none());
    assert_eq!(Owner::begin(directory.path()).tell("take rollback"), "taken");
}

#[test]
fn what_a_killed_owner_left_at_work_holds_the_lock_and_is_named_until_it_ends() {
    let directory = tempfile::tempdir().unwrap();
    let mut owner = Owner::begin(directory.path());
    owner.tell("take deploy");
    owner.tell("say start_services");
    let pid = owner.child.id();
    let orphan = owner.tell("leave 600");
    owner.kill();
    let words = format!(
        "`cutover deploy` (process {pid}, run 7) was killed, in the step start_services, and what it started is still at \
         work: {orphan} (sleep 600)"
    );
    assert_eq!(seen(directory.path()).words(), words);
    assert!(!seen(directory.path()).is_owner_alive);
    let next = "nothing was done; `cutover resume` ends that and goes on, `cutover rollback` ends it and goes back";
    assert_eq!(Owner::begin(directory.path()).tell("take rollback"), format!("{words}; {next}"));
    kill(&orphan);
    assert_eq!(Owner::begin(directory.path()).tell("take rollback"), "taken");
}

#[test]
fn a_process_that_got_the_number_of_a_killed_owner_is_not_taken_for_it() {
    let directory = tempfile::tempdir().unwrap();
    let mut owner = Owner::begin(directory.path());
    owner.tell("take deploy");
    let orphan = owner.tell("leave 600");
    owner.kill();
    // The number of the owner is now that of a process which began long before it.
    let path = directory.path().join("lock");
    let mut holder: Holder = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    holder.pid = 1;
    std::fs::write(&path, serde_json::to_string(&holder).unwrap() + "\n").unwrap();
    assert!(!seen(directory.path()).is_owner_alive);
    kill(&orphan);
}

#[test]
fn who_only_reads_the_file_is_not_named() {
    let directory = tempfile::tempdir().unwrap();
    let mut owner = Owner::begin(directory.path());
    owner.tell("take deploy");
    let path = directory.path().join("lock");
    #[expect(clippy::disallowed_methods, reason = "a person's `tail -f` beside the run")]
    let mut reader = Command::new("tail").arg("-f").arg(&path).stdout(Stdio::piped()).spawn().unwrap();
    // It has the file open once it shows the first byte.
    let mut shown = reader.stdout.take().unwrap();
    shown.read_exact(&mut [0]).unwrap();
    let pids: Vec<u32> = seen(directory.path()).processes.iter().map(|process| process.pid).collect();
    reader.kill().unwrap();
    reader.wait().unwrap();
    assert_eq!(pids, [owner.child.id()]);
    owner.end();
}

#[test]
fn what_stands_behind_the_first_line_is_the_rest_of_longer_words() {
    let directory = tempfile::tempdir().unwrap();
    let mut owner = Owner::begin(directory.path());
    owner.tell("take deploy");
    let mut file = std::fs::File::options().append(true).open(directory.path().join("lock")).unwrap();
    file.write_all(b"_with_a_long_name\"}\n").unwrap();
    assert!(seen(directory.path()).is_owner_alive);
    owner.end();
}

#[test]
fn words_that_get_shorter_and_longer_never_make_a_living_owner_a_killed_one() {
    let directory = tempfile::tempdir().unwrap();
    let mut owner = Owner::begin(directory.path());
    owner.tell("take deploy");
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                assert!(seen(directory.path()).is_owner_alive);
            }
        });
        for turn in 0..500 {
            owner.tell(if turn % 2 == 0 {
                "say a_step_with_a_very_long_name_that_stands_behind_the_next"
            } else {
                "say b"
            });
        }
        is_over.store(true, Ordering::Relaxed);
    });
    owner.end();
}

#[test]
fn many_who_look_at_the_lock_never_keep_a_taker_from_it() {
    let directory = tempfile::tempdir().unwrap();
    let is_over = AtomicBool::new(false);
    let mut owner = Owner::begin(directory.path());
    owner.tell("take deploy");
    owner.tell("let go");
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    held(directory.path()).unwrap();
                }
            });
        }
        let answers: Vec<String> = (0..50).flat_map(|_| [owner.tell("take deploy"), owner.tell("let go")]).collect();
        is_over.store(true, Ordering::Relaxed);
        assert!(answers.chunks(2).all(|answers| answers == ["taken", "free"]), "{answers:?}");
    });
    owner.end();
}

#[test]
fn of_many_takers_at_once_one_has_the_lock_and_the_others_are_told_its_name() {
    let directory = tempfile::tempdir().unwrap();
    let mut owners: Vec<Owner> = (0..8).map(|_| Owner::begin(directory.path())).collect();
    let answers: Vec<(u32, String)> = std::thread::scope(|scope| {
        let takers: Vec<_> =
            owners.iter_mut().map(|owner| scope.spawn(|| (owner.child.id(), owner.tell("take deploy")))).collect();
        takers.into_iter().map(|taker| taker.join().unwrap()).collect()
    });
    let taken: Vec<u32> = answers.iter().filter(|(_, answer)| answer == "taken").map(|(pid, _)| *pid).collect();
    let [winner] = taken[..] else { panic!("{answers:?}") };
    let words = format!("`cutover deploy` (process {winner}) holds the lock since {SINCE}; {WAIT}");
    assert!(answers.iter().all(|(pid, answer)| *pid == winner || *answer == words), "{answers:?}");
    owners.into_iter().for_each(Owner::end);
}

#[test]
fn a_lock_that_cannot_be_opened_is_named() {
    let error = Lock::take(Path::new("/nowhere/at/all"), "deploy", SINCE.into()).unwrap_err();
    assert!(matches!(error, LockError::Io { .. }));
    assert!(error.to_string().starts_with("cannot open the lock /nowhere/at/all/lock: "), "{error}");
}
