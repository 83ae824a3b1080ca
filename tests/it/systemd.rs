//! The real binary under what systemd does: sockets are handed over, and it hears how the service stands.

use std::fs;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::patience::PATIENCE;
use crate::processes;
use crate::upstream::Upstream;
use crate::wire::Wire;

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// Ends with the test.
struct Service(Child);

impl Service {
    /// Starts it as systemd would: with this socket as its third file, called `public`.
    fn start(folder: &Path, socket: &TcpListener) -> Self {
        // A process knows its own number only when it runs.
        let script = "exec 3<&0 </dev/null; LISTEN_PID=$$ exec \"$0\" serve --config \"$1\"";
        let socket = OwnedFd::from(socket.try_clone().expect("a socket can be shared"));
        let mut shell = Command::new("sh");
        shell.args(["-c", script, env!("CARGO_BIN_EXE_vidgate")]).arg(folder.join("vidgate.toml"));
        shell.env("LISTEN_FDS", "1").env("LISTEN_FDNAMES", "public");
        shell.env("NOTIFY_SOCKET", folder.join("notify")).env("WATCHDOG_USEC", "200000");
        shell.stdin(Stdio::from(socket)).stdout(Stdio::null()).stderr(Stdio::null());
        Self(processes::start(&mut shell))
    }

    fn signal(&self, name: &str) {
        let sent = processes::run(Command::new("kill").args([name, &self.0.id().to_string()]));
        assert!(sent.status.success());
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.0.kill().unwrap_or_default();
        self.0.wait().expect("it ends");
    }
}

/// Waits until this is said, and gives the whole message.
fn said(notices: &UnixDatagram, what: &str) -> String {
    loop {
        let mut space = [0; 4096];
        let length = notices.recv(&mut space).unwrap_or_else(|error| panic!("waiting for {what}: {error}"));
        let message = String::from_utf8_lossy(&space[..length]).into_owned();
        if message.contains(what) {
            return message;
        }
    }
}

#[test]
fn a_restart_refuses_no_connection_and_a_reload_is_told() {
    let (folder, upstream) = (tempfile::tempdir().expect("a folder"), Upstream::start());
    let socket = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = socket.local_addr().expect("bound");
    let notices = UnixDatagram::bind(folder.path().join("notify")).expect("a socket");
    notices.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    // Nothing could be bound there: what is handed over goes by its name.
    let config = |more: &str, overload: &str| {
        let upstream = upstream.address();
        // However busy the machine is with other tests.
        let text = format!(
            "{more}\n[overload]\nmax_lag = \"24h\"\n{overload}\n[listener.public]\naddress = \"192.0.2.1:80\"\n[upstream.api]\n\
             endpoints = [\"http://{upstream}\"]\n[[route]]\nname = \"all\"\npath = \"/{{*rest}}\"\n\
             authenticate = \"open\"\nforward = \"api\"\n"
        );
        fs::write(folder.path().join("vidgate.toml"), text).expect("written");
    };
    config("", "");
    let mut first = Service::start(folder.path(), &socket);
    said(&notices, "READY=1");
    assert_eq!(Wire::connect(address).ask(GET).status, 200);
    said(&notices, "WATCHDOG=1");
    first.signal("-TERM");
    said(&notices, "STOPPING=1");
    assert!(first.0.wait().expect("it ends").success());

    let mut between = Wire::connect(address);
    between.send(GET);
    let second = Service::start(folder.path(), &socket);
    assert_eq!(between.answer().status, 200, "whoever came in between is answered");
    said(&notices, "READY=1");

    config("workers = 1 # needs a restart", "");
    second.signal("-HUP");
    assert!(said(&notices, "RELOADING=1").contains("MONOTONIC_USEC="));
    said(&notices, "READY=1");
    assert_eq!(Wire::connect(address).ask(GET).status, 200, "it serves as before");
    config("[reload]\nwatch = true", "");
    second.signal("-HUP");
    said(&notices, "RELOADING=1");
    said(&notices, "READY=1");
    config("[reload]\nwatch = true", "max_in_flight = 7");
    said(&notices, "RELOADING=1");
}
