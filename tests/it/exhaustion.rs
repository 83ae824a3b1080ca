//! The real process where the operating system gives no more, and what it keeps for itself: whoever is connected is served,
//! and once there is room again so is everybody else.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::house::open;
use crate::patience::until;
use crate::ports::Reserved;
use crate::processes;
use crate::upstream::Upstream;
use crate::wire::Wire;

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
/// The workers, the listener and the runtimes take some twenty of them.
const MOST_FILES: usize = 64;

/// A gateway with one plain listener and an open route; killed when it goes.
struct Process {
    child: Child,
    address: SocketAddr,
    _port: Reserved,
    _folder: TempDir,
}

impl Process {
    fn start(upstream: &Upstream, limits: &str) -> Self {
        let folder = TempDir::new().expect("a folder");
        let port = Reserved::new();
        let address = port.address();
        let text = open(upstream, "").replacen("127.0.0.1:0", &address.to_string(), 1);
        // However busy the machine is with other tests.
        let text = format!("workers = 2\n{text}\n[overload]\nmax_lag = \"24h\"\n");
        fs::write(folder.path().join("vidgate.toml"), text).expect("written");
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("{limits} exec \"$0\" serve"), env!("CARGO_BIN_EXE_vidgate")]);
        shell.current_dir(folder.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let process = Self { child: processes::start(&mut shell), address, _port: port, _folder: folder };
        until("a gateway that is up", || TcpStream::connect(address).is_ok());
        process
    }

    /// A connection, once it has been answered on.
    fn answered(&self) -> Option<TcpStream> {
        let mut stream = TcpStream::connect(self.address).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(1))).ok()?;
        stream.write_all(GET.as_bytes()).ok()?;
        let mut begin = [0; 12];
        stream.read_exact(&mut begin).ok()?;
        begin.starts_with(b"HTTP/1.1 ").then_some(stream)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn who_is_connected_is_served_while_no_file_is_left_and_everybody_is_afterwards() {
    let upstream = Upstream::start();
    let process = Process::start(&upstream, &format!("ulimit -n {MOST_FILES};"));
    let mut early = Wire::connect(process.address);
    assert_eq!(early.ask(GET).status, 200);
    // More than it has room for: those beyond it wait in the queue of the kernel.
    let crowd: Vec<TcpStream> =
        (0..2 * MOST_FILES).map(|_| TcpStream::connect(process.address).expect("the kernel accepts")).collect();
    let files = || fs::read_dir(format!("/proc/{}/fd", process.child.id())).map_or(0, Iterator::count);
    until("as many files as there may be", || files() >= MOST_FILES);
    for _ in 0..3 {
        assert_eq!(early.ask(GET).status, 200, "with a connection to the upstream that was kept");
    }
    assert!(process.answered().is_none(), "somebody new is let in though no file is left");
    drop(crowd);
    until("somebody new who is served, now that there is room again", || process.answered().is_some());
    assert_eq!(early.ask(GET).status, 200);
}

#[cfg(target_os = "linux")]
#[test]
fn a_crash_leaves_no_memory_behind() {
    let process = Process::start(&Upstream::start(), "ulimit -c unlimited;");
    let limits = fs::read_to_string(format!("/proc/{}/limits", process.child.id())).expect("it runs");
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).expect("a limit of that name");
    let figures: Vec<&str> = core["Max core file size".len()..].split_whitespace().collect();
    assert_eq!(figures[..2], ["0", "0"], "{core}");
}

#[cfg(target_os = "linux")]
#[test]
fn memory_comes_in_small_pages() {
    let process = Process::start(&Upstream::start(), "");
    let status = fs::read_to_string(format!("/proc/{}/status", process.child.id())).expect("it runs");
    let huge = status.lines().find_map(|line| line.strip_prefix("THP_enabled:")).map(str::trim);
    assert_eq!(huge, Some("0"), "{status}");
}
