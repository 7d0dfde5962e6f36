//! A file that gives its contents only when something was said: so that it is seen what is told while others wait for it.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

/// A pipe in the place of a file.
pub struct SlowFile {
    path: PathBuf,
    contents: Vec<u8>,
    told: Mutex<Sender<String>>,
    heard: Receiver<String>,
}

impl SlowFile {
    /// Takes the place of a file that can be read once.
    pub fn instead_of(path: &Path) -> Self {
        let contents = std::fs::read(path).unwrap();
        std::fs::remove_file(path).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
        let (told, heard) = channel();
        Self { path: path.to_owned(), contents, told: Mutex::new(told), heard }
    }

    /// What takes lines, and what gives the contents once one of them has these words; gives that line.
    pub fn after(self, words: &'static str) -> (impl Fn(String) + Sync, std::thread::JoinHandle<String>) {
        let Self { path, contents, told, heard } = self;
        let give = std::thread::spawn(move || {
            let line = loop {
                let line = heard.recv_timeout(Duration::from_secs(60)).expect("nothing was said while others waited");
                if line.contains(words) {
                    break line;
                }
            };
            std::fs::write(path, contents).unwrap();
            line
        });
        // Whoever listened has heard enough.
        (move |line| drop(told.lock().unwrap().send(line)), give)
    }
}
