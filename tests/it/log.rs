//! The log of all tests together, in memory.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, OnceLock};

use tracing_subscriber::EnvFilter;
use vidgate::telemetry::access::Output;

use crate::patience::PATIENCE;

static LOG: OnceLock<Log> = OnceLock::new();

/// A log in memory.
#[derive(Clone, Default)]
pub struct Log(Arc<(Mutex<Vec<u8>>, Condvar)>);

impl Log {
    /// The log, begun by whoever asks first. Other tests write to it as well.
    pub fn shared() -> &'static Self {
        LOG.get_or_init(|| {
            let log = Self::default();
            let writer = log.clone();
            tracing_subscriber::fmt()
                .with_env_filter(EnvFilter::new("warn,vidgate=trace"))
                .with_ansi(false)
                .with_writer(move || writer.clone())
                .try_init()
                .expect("nobody else in these tests starts a log");
            log
        })
    }

    /// All that was written so far.
    pub fn text(&self) -> String {
        text(&self.0.0.lock().expect("no line panics"))
    }

    /// Waits for a line in which all of these stand.
    pub fn await_line(&self, parts: &[&str]) -> String {
        let find = |log: &Vec<u8>| {
            text(log).lines().find(|line| parts.iter().all(|part| line.contains(part))).map(str::to_owned)
        };
        let (lines, written) = &*self.0;
        let lines = lines.lock().expect("no line panics");
        let (lines, _) =
            written.wait_timeout_while(lines, PATIENCE, |log| find(log).is_none()).expect("no line panics");
        find(&lines).unwrap_or_else(|| panic!("no line with {parts:?}"))
    }
}

fn text(log: &[u8]) -> String {
    String::from_utf8(log.to_vec()).expect("a log is text")
}

/// Where gateways of these tests write a line for each request: to the same log, once somebody has asked for it.
pub fn access() -> Output {
    Output::to(|lines| LOG.get().map_or(Ok(()), |log| log.clone().write_all(lines)))
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.0.lock().expect("no line panics").extend_from_slice(bytes);
        self.0.1.notify_all();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
