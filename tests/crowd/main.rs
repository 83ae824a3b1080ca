//! Ten thousand connections that mean harm, against a gateway in a process of its own: its memory has a ceiling, and once
//! they are gone everybody is served. A program of its own, since both ends of so many leave other tests no files.

#![cfg(target_os = "linux")]
#![expect(unreachable_pub, reason = "a binary of tests exports nothing; `pub` is what its modules share")]

use std::fs;
use std::io::{Read, Write};
use std::net::{self, SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime::Runtime;
use tokio::sync::watch::{Receiver, channel};

#[path = "../it/patience.rs"]
mod patience;

use patience::{PATIENCE, until};

const CROWD: usize = 10_000;
/// So many come at once.
const WAVE: usize = 100;
/// Of either end: a connection of the crowd, and one to the upstream for two of three.
const FILES: u64 = 18_000;
/// What the gateway may take before it refuses.
const CEILING: u64 = 64 << 20;
/// What connections take besides, also those of whoever is refused and leaves: 15 KiB each in an unoptimised build. Without a
/// ceiling this crowd takes 390 MiB.
const MOST: u64 = CEILING + CROWD as u64 * (20 << 10);
/// What an upload begins with.
static PIECE: [u8; 64 << 10] = [0; 64 << 10];
const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

/// A gateway, killed when it goes.
struct Gateway {
    child: Child,
    address: SocketAddr,
    _folder: TempDir,
}

impl Gateway {
    fn start(upstream: SocketAddr) -> Self {
        let folder = TempDir::new().expect("a folder");
        // Free from here on: no other test runs beside this program.
        let address = net::TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr()).expect("a free port");
        // However busy the machine is, only memory is to be short.
        let config = format!(
            "workers = 2\n[listener.public]\naddress = \"{address}\"\nmax_connections = {}\n\
             [upstream.api]\nendpoints = [\"http://{upstream}\"]\n\
             [[route]]\nname = \"all\"\npath = \"/{{*rest}}\"\nauthenticate = \"open\"\nforward = \"api\"\n\
             [overload]\nmax_lag = \"24h\"\nmax_memory = \"{} MiB\"\n",
            2 * CROWD,
            CEILING >> 20
        );
        fs::write(folder.path().join("vidgate.toml"), config).expect("written");
        let mut command = Command::new(env!("CARGO_BIN_EXE_vidgate"));
        command.arg("serve").current_dir(folder.path());
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let gateway = Self { child: child.expect("it runs"), address, _folder: folder };
        until("a gateway that is up", || TcpStream::connect(address).is_ok());
        gateway
    }

    /// The status that an honest caller gets, who comes anew.
    fn ask(&self) -> u16 {
        let mut stream = TcpStream::connect(self.address).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        stream.write_all(GET.as_bytes()).expect("sent");
        let mut begin = [0; 12];
        stream.read_exact(&mut begin).expect("an answer");
        str::from_utf8(&begin[9..]).expect("a status").parse().expect("a number")
    }

    /// The most memory that it ever took, in bytes.
    fn most_memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("proc(5)");
        line.trim().trim_end_matches("kB").trim().parse::<u64>().expect("a number") << 10
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An upstream that answers `/endless` without an end, takes what is sent to it without one, and says `ok` to all else.
async fn serve(socket: TcpListener) {
    while let Ok((mut stream, _)) = socket.accept().await {
        tokio::spawn(async move {
            let mut space = vec![0; 4096];
            let read = stream.read(&mut space).await.unwrap_or(0);
            if space[..read].starts_with(b"GET /endless") {
                let mut said: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 1099511627776\r\n\r\n";
                while stream.write_all(said).await.is_ok() {
                    said = &space;
                }
            } else if space[..read].starts_with(b"GET") {
                let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
                stream.write_all(answer).await.unwrap_or_default();
            } else {
                while stream.read(&mut space).await.is_ok_and(|read| read > 0) {}
            }
        });
    }
}

/// One of the crowd, who stays until all are called back: with a head that never ends, an answer that nobody takes, or an
/// upload that falls silent.
async fn mean_harm(gateway: SocketAddr, number: usize, there: Arc<AtomicUsize>, mut over: Receiver<bool>) {
    let socket = TcpSocket::new_v4().expect("a socket");
    // Whoever wants to hold others up has little room of their own.
    socket.set_recv_buffer_size(4096).expect("a socket");
    let mut stream = socket.connect(gateway).await.expect("it listens");
    let (head, body): (&str, &[u8]) = match number % 3 {
        0 => ("GET / HTTP/1.1\r\nHost: a\r\nX-Slow: a", &[]),
        1 => ("GET /endless HTTP/1.1\r\nHost: a\r\n\r\n", &[]),
        _ => ("POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 1073741824\r\n\r\n", &PIECE),
    };
    let harm = async {
        // Whoever was refused is cut while they write.
        if stream.write_all(head.as_bytes()).await.is_ok() {
            stream.write_all(body).await.unwrap_or_default();
        }
        there.fetch_add(1, Ordering::Relaxed);
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = harm => {}
        _ = over.wait_for(|over| *over) => {}
    }
}

#[test]
fn ten_thousand_who_mean_harm_find_a_ceiling_and_leave_everybody_served() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let most = maximum.unwrap_or(u64::MAX);
    assert!(most >= FILES, "this test takes {FILES} files, and a process may have {most}");
    let files = current.unwrap_or(u64::MAX).max(FILES);
    setrlimit(Resource::Nofile, Rlimit { current: Some(files), maximum }).expect("it may be raised so far");
    let runtime = Runtime::new().expect("a runtime");
    let upstream = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a free port");
    let gateway = Gateway::start(upstream.local_addr().expect("it is bound"));
    runtime.spawn(serve(upstream));
    assert_eq!(gateway.ask(), 200);
    let ((end, over), there) = (channel(false), Arc::<AtomicUsize>::default());
    // Not all at the same instant: between two looks at its memory, everybody would be let in.
    for wave in 1..=CROWD / WAVE {
        for number in (wave - 1) * WAVE..wave * WAVE {
            runtime.spawn(mean_harm(gateway.address, number, Arc::clone(&there), over.clone()));
        }
        until("all who came", || there.load(Ordering::Relaxed) == wave * WAVE);
    }
    until("a ceiling", || gateway.ask() == 503);
    for _ in 0..1000 {
        let status = gateway.ask();
        assert!([200, 503].contains(&status), "{status}");
    }
    end.send_replace(true);
    until("a gateway that has room again", || gateway.ask() == 200);
    let most = gateway.most_memory();
    assert!((CEILING..MOST).contains(&most), "{} MiB", most >> 20);
    runtime.shutdown_timeout(Duration::ZERO);
}
