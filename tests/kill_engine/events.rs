//! What the engine did to a project's containers, as it tells it while it happens. Law: nothing is asked for afterwards.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// `create`, `start`, `die`, `destroy` and so on.
    pub action: String,
    /// The container's name.
    pub name: String,
    /// With which code it ended.
    pub code: Option<String>,
}

/// The events of one project, from the moment this value is made.
pub struct Events {
    child: Child,
    heard: Arc<Mutex<Vec<Event>>>,
}

impl Events {
    pub fn of(project: &str) -> Self {
        let filter = format!("label=com.docker.compose.project={project}");
        let mut child = Command::new("docker")
            .args(["events", "--format", "{{json .}}", "--filter", &filter, "--filter", "type=container"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let list = Arc::clone(&heard);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let event: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
                let text = |pointer: &str| event.pointer(pointer).and_then(|value| value.as_str()).map(str::to_owned);
                let (Some(action), Some(name)) = (text("/Action"), text("/Actor/Attributes/name")) else { continue };
                list.lock().unwrap().push(Event { action, name, code: text("/Actor/Attributes/exitCode") });
            }
        });
        Self { child, heard }
    }

    /// How many have come so far.
    pub fn mark(&self) -> usize {
        self.heard.lock().unwrap().len()
    }

    /// How often something happened since a mark.
    pub fn count(&self, since: usize, is_it: impl Fn(&Event) -> bool) -> usize {
        self.heard.lock().unwrap()[since..].iter().filter(|event| is_it(event)).count()
    }

    /// Waits until something happened since a mark; the engine tells a moment after it did.
    pub fn wait(&self, since: usize, patience: Duration, is_it: impl Fn(&Event) -> bool) -> bool {
        let begun = Instant::now();
        while begun.elapsed() < patience {
            if self.count(since, &is_it) > 0 {
                return true;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        false
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        let ended = self.child.kill().and_then(|()| self.child.wait());
        assert!(ended.is_ok() || std::thread::panicking(), "the listener could not be ended: {ended:?}");
    }
}
