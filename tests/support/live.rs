//! `cutover` at work in the background, and what can be awaited meanwhile. Law: nothing sleeps for a guessed time; what
//! is waited for is an event, with a deadline that only a broken program reaches.

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::Value;

use super::project::Project;

/// When an awaited event counts as never coming; generous, because the machine may be busy with other tests.
const NEVER: Duration = Duration::from_secs(120);

/// A `cutover` at work. It leads a process group of its own, as a command at a terminal does.
pub struct Running {
    child: Option<Child>,
    streams: Vec<JoinHandle<()>>,
    said: Arc<Mutex<String>>,
}

impl Project {
    /// Starts `cutover`.
    pub fn start(&self, arguments: &[&str]) -> Running {
        let mut command = self.command(arguments);
        command.process_group(0).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let said = Arc::new(Mutex::new(String::new()));
        let stderr = listen(child.stderr.take().unwrap(), Arc::clone(&said));
        let stdout = listen(child.stdout.take().unwrap(), Arc::clone(&said));
        Running { child: Some(child), streams: vec![stderr, stdout], said }
    }

    /// Lines of a run's journal; none while there is no such run.
    pub fn journal(&self, run: u32) -> Vec<Value> {
        let head = format!("{run:04}-");
        let Ok(entries) = std::fs::read_dir(self.state().join("runs")) else { return Vec::new() };
        let is_it = |name: &str| name.starts_with(&head) && name.ends_with(".jsonl");
        let found = entries.flatten().find(|entry| entry.file_name().to_str().is_some_and(is_it));
        let text = found.map(|entry| std::fs::read_to_string(entry.path()).unwrap()).unwrap_or_default();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Whether the journal of a run holds a line of this kind about this item.
    pub fn has_fact(&self, run: u32, kind: &str, item: &str) -> bool {
        self.journal(run).iter().any(|line| line["kind"] == kind && line["name"] == item)
    }

    /// Waits for a line of a run's journal.
    #[track_caller]
    pub fn await_fact(&self, run: u32, kind: &str, item: &str) {
        until(&format!("`{kind}` of {item} in run {run}"), || self.has_fact(run, kind, item));
    }

    /// Waits until a container of a service is in this state.
    #[track_caller]
    pub fn await_status(&self, service: &str, status: &str) {
        let is_so = || self.containers().get(service).is_some_and(|container| container.status == status);
        until(&format!("{service} to be {status}"), is_so);
    }
}

/// Waits until something is so.
#[track_caller]
pub fn until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + NEVER;
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

impl Running {
    fn pid(&self) -> Pid {
        let id = self.child.as_ref().map(Child::id).unwrap();
        Pid::from_raw(i32::try_from(id).unwrap()).unwrap()
    }

    /// Its process number.
    pub fn id(&self) -> u32 {
        self.child.as_ref().map(Child::id).unwrap()
    }

    /// Sends a signal to the process alone.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Presses Ctrl-C: the terminal tells the whole foreground group.
    pub fn press_ctrl_c(&self) {
        kill_process_group(self.pid(), Signal::INT).unwrap();
    }

    /// Presses it as often, each time only after the one before was heard.
    #[track_caller]
    pub fn press_ctrl_c_twice(&self) {
        self.press_ctrl_c();
        self.await_words("press Ctrl-C once more");
        self.press_ctrl_c();
    }

    /// Waits until it has said something, on either stream.
    #[track_caller]
    pub fn await_words(&self, words: &str) {
        until(&format!("the words {words:?}"), || self.said.lock().unwrap().contains(words));
    }

    /// Waits for a child with these words in its command line; gives its number.
    #[track_caller]
    pub fn await_child(&self, words: &str) -> u32 {
        let mut found = 0;
        let deadline = Instant::now() + NEVER;
        while found == 0 {
            assert!(Instant::now() < deadline, "no child `{words}` was started");
            found = self.children().into_iter().find(|(_, line)| line.contains(words)).map_or(0, |(pid, _)| pid);
            std::thread::sleep(Duration::from_millis(2));
        }
        found
    }

    /// Its children now: number and command line.
    pub fn children(&self) -> Vec<(u32, String)> {
        let parent = self.id();
        let numbers = std::fs::read_dir("/proc").unwrap().flatten();
        let numbers = numbers.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        numbers.filter(|&pid| parent_of(pid) == Some(parent)).map(|pid| (pid, line_of(pid))).collect()
    }

    /// Waits for its end; gives the exit code and both streams.
    #[track_caller]
    pub fn finish(mut self) -> (i32, String) {
        let mut child = self.child.take().unwrap();
        let status = child.wait().unwrap();
        self.streams.drain(..).for_each(|stream| stream.join().unwrap());
        let text = self.said.lock().unwrap().clone();
        (status.code().unwrap_or_else(|| panic!("ended by a signal ({status}):\n{text}")), text)
    }

    /// The same, and wants this exit code.
    #[track_caller]
    pub fn expect(self, code: i32) -> String {
        let (found, text) = self.finish();
        assert_eq!(found, code, "it said:\n{text}");
        text
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

/// Whether a process is there and is not merely waiting to be buried.
pub fn is_alive(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

fn parent_of(pid: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
}

fn line_of(pid: u32) -> String {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&line).replace('\0', " ")
}

fn listen(mut stream: impl Read + Send + 'static, said: Arc<Mutex<String>>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut bytes = [0_u8; 4096];
        while let Ok(count @ 1..) = stream.read(&mut bytes) {
            said.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..count]));
        }
    })
}

/// Wants every one of these in a text, whatever its line breaks.
#[track_caller]
pub fn says(text: &str, words: &[&str]) {
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for word in words {
        assert!(flat.contains(word), "it does not say {word:?}:\n{text}");
    }
}
