//! A socket between a program and the engine that writes every request down. Law: it changes no byte of either side.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// One request as it came.
#[derive(Clone, Debug)]
pub struct Request {
    /// `GET /v1.41/containers/json HTTP/1.1`, without the protocol.
    pub line: String,
    pub body: String,
}

impl Request {
    /// Whether it only reads, by its method.
    pub fn is_read(&self) -> bool {
        self.line.starts_with("GET ") || self.line.starts_with("HEAD ")
    }
}

/// The socket; it listens until the test ends.
pub struct Recorder {
    path: PathBuf,
    seen: Arc<Mutex<Vec<Request>>>,
}

impl Recorder {
    /// Listens at a path that is not there yet.
    pub fn listen(path: PathBuf) -> Self {
        let listener = UnixListener::bind(&path).unwrap();
        let seen = Arc::<Mutex<Vec<Request>>>::default();
        let notes = Arc::clone(&seen);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let notes = Arc::clone(&notes);
                std::thread::spawn(move || pass(client, &notes));
            }
        });
        Self { path, seen }
    }

    /// What `DOCKER_HOST` has to hold.
    pub fn host(&self) -> String {
        format!("unix://{}", self.path.display())
    }

    /// Everything that was asked since the last call.
    pub fn take(&self) -> Vec<Request> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }
}

/// Where the engine listens.
fn engine() -> PathBuf {
    let host = std::env::var("DOCKER_HOST").unwrap_or_default();
    Path::new(host.strip_prefix("unix://").unwrap_or("/var/run/docker.sock")).to_owned()
}

/// A side that hangs up ends the connection; that is no fault of the recorder.
fn pass(client: UnixStream, notes: &Mutex<Vec<Request>>) {
    let engine = UnixStream::connect(engine()).expect("the engine does not listen");
    let (mut answers, mut back) = (engine.try_clone().unwrap(), client.try_clone().unwrap());
    let answering = std::thread::spawn(move || {
        let _ = std::io::copy(&mut answers, &mut back);
        let _ = back.shutdown(Shutdown::Write);
    });
    let _ = requests(&mut BufReader::new(client), &engine, notes);
    let _ = engine.shutdown(Shutdown::Write);
    let _ = answering.join();
}

fn requests(
    client: &mut BufReader<UnixStream>,
    mut engine: &UnixStream,
    notes: &Mutex<Vec<Request>>,
) -> std::io::Result<()> {
    loop {
        let (head, length, is_chunked, is_raw) = match head(client)? {
            Some(head) => head,
            None => return Ok(()),
        };
        let mut body = vec![0; length];
        client.read_exact(&mut body)?;
        if is_chunked {
            body = chunks(client)?;
        }
        let line = head.lines().next().unwrap_or_default().trim_end_matches(" HTTP/1.1").to_owned();
        // It is written down before the engine hears of it: what was done cannot be missing here.
        notes.lock().unwrap().push(Request { line, body: String::from_utf8_lossy(&body).into_owned() });
        engine.write_all(head.as_bytes())?;
        engine.write_all(&body)?;
        if is_raw {
            std::io::copy(client, &mut engine)?;
            return Ok(());
        }
    }
}

type Head = (String, usize, bool, bool);

/// The head of a request as it came, the length of its body, whether that is in chunks, and whether the rest is no HTTP.
fn head(client: &mut impl BufRead) -> std::io::Result<Option<Head>> {
    let (mut head, mut length, mut is_chunked, mut is_raw) = (String::new(), 0, false, false);
    loop {
        let from = head.len();
        if client.read_line(&mut head)? == 0 {
            return Ok(None);
        }
        let line = head[from..].trim_end().to_ascii_lowercase();
        if line.is_empty() {
            return Ok(Some((head, length, is_chunked, is_raw)));
        }
        let value = line.split_once(':').map(|(_, value)| value.trim()).unwrap_or_default();
        if line.starts_with("content-length:") {
            length = value.parse().unwrap();
        }
        is_chunked |= line.starts_with("transfer-encoding:") && value == "chunked";
        is_raw |= line.starts_with("upgrade:");
    }
}

/// All chunks with their frame.
fn chunks(client: &mut impl BufRead) -> std::io::Result<Vec<u8>> {
    let mut all = Vec::new();
    loop {
        let mut size = String::new();
        client.read_line(&mut size)?;
        let length = usize::from_str_radix(size.trim(), 16).unwrap();
        let from = all.len() + size.len();
        all.extend(size.bytes());
        all.resize(from + length + 2, 0);
        client.read_exact(&mut all[from..])?;
        if length == 0 {
            return Ok(all);
        }
    }
}
