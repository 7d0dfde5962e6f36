//! A writer for stdout and stderr: whoever stopped reading does not stop a run.

use std::io::{self, ErrorKind, Write};

/// Writes on; once the reader is gone, everything goes nowhere without an error.
#[derive(Debug)]
pub struct Patient<W> {
    inner: W,
    is_closed: bool,
}

impl<W: Write> Patient<W> {
    /// Wraps a stream.
    pub fn new(inner: W) -> Self {
        Self { inner, is_closed: false }
    }

    /// Writes a text and flushes it.
    ///
    /// # Errors
    /// When the text could not be written although somebody reads: a full disk, for instance.
    pub fn put(&mut self, text: &str) -> io::Result<()> {
        self.write_all(text.as_bytes())?;
        self.flush()
    }

    fn bear<T>(&mut self, result: io::Result<T>, instead: T) -> io::Result<T> {
        match result {
            Err(error) if is_gone(&error) => {
                self.is_closed = true;
                Ok(instead)
            }
            result => result,
        }
    }
}

/// The pipe has no reader (`BrokenPipe`), the descriptor was closed before we began (`EBADF`), or the terminal hung up
/// (`EIO`).
fn is_gone(error: &io::Error) -> bool {
    let code = error.raw_os_error();
    error.kind() == ErrorKind::BrokenPipe
        || code == Some(rustix::io::Errno::BADF.raw_os_error())
        || code == Some(rustix::io::Errno::IO.raw_os_error())
}

impl<W: Write> Write for Patient<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.is_closed {
            return Ok(bytes.len());
        }
        let result = self.inner.write(bytes);
        self.bear(result, bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.is_closed {
            return Ok(());
        }
        let result = self.inner.flush();
        self.bear(result, ())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A stream that nobody reads.
    #[derive(Clone, Copy, Debug)]
    pub(crate) struct Closed;

    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Err(ErrorKind::BrokenPipe.into())
        }
    }

    #[test]
    fn a_reader_that_left_is_no_error() {
        let mut out = Patient::new(Closed);
        out.put("one\n").unwrap();
        out.put("two\n").unwrap();
    }

    #[test]
    fn a_full_disk_is_one() {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        assert_eq!(Patient::new(full).put("x").unwrap_err().kind(), ErrorKind::StorageFull);
    }
}
