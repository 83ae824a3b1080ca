//! An endpoint that is killed under load: GETs at a fixed rate over three endpoints, one of which goes with all of its
//! connections. How many requests fail, and when the last of them did.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::house::{Connection, House, RELAYED, wait_until};

/// Connections of callers.
const CALLERS: u32 = 32;
/// Rounds of each kind.
const ROUNDS: usize = 3;

/// Measures rounds of so many seconds, with retries and without.
pub fn run(seconds: u64) {
    for (name, retry) in [("with retries", "retry = {}"), ("without", "")] {
        for round in 1..=ROUNDS {
            let failures = measure(Duration::from_secs(seconds), retry);
            let all = RELAYED * u32::try_from(seconds).expect("seconds");
            let mut line = format!("{name}, round {round}: {} of {all} failed", failures.len());
            if let Some(last) = failures.iter().max() {
                write!(line, ", the last one {} ms after the kill", last.as_millis()).expect("a text takes it");
            }
            println!(
                "{line} ({:.3} %)",
                f64::from(u32::try_from(failures.len()).unwrap_or(u32::MAX)) * 100.0 / f64::from(all)
            );
        }
    }
}

/// One round; when after the kill each failed request was sent.
fn measure(time: Duration, retry: &str) -> Vec<Duration> {
    let endpoints = [(); 3].map(|()| Endpoint::start());
    let urls = endpoints.each_ref().map(|endpoint| format!("\"http://{}\"", endpoint.address)).join(", ");
    let more = format!(
        "[upstream.three]\nendpoints = [{urls}]\n{retry}\n\
         [[route]]\nname = \"three\"\npath = \"/three\"\nauthenticate = \"open\"\nforward = \"three\"\n"
    );
    let house = House::start_with(|_| more, |_| {});
    let killed = Mutex::new(None::<Instant>);
    let each = u32::try_from(time.as_secs()).expect("seconds") * RELAYED / CALLERS;
    let pace = Duration::from_secs(1) * CALLERS / RELAYED;
    let failed: Vec<Instant> = thread::scope(|scope| {
        let callers: Vec<_> = (0..CALLERS)
            .map(|caller| {
                let house = &house;
                scope.spawn(move || {
                    let mut connection = Connection::to(house.public);
                    let started = house.clock.now() + pace * caller / CALLERS;
                    let asked = |turn| {
                        wait_until(&house.clock, started + pace * turn);
                        let sent = house.clock.now();
                        let status = connection.ask("GET /three HTTP/1.1\r\nhost: localhost\r\n\r\n");
                        (status != 200).then_some(sent)
                    };
                    (0..each).filter_map(asked).collect::<Vec<_>>()
                })
            })
            .collect();
        thread::sleep(time / 3);
        *killed.lock().expect("nobody panics") = Some(house.clock.now());
        endpoints[1].kill();
        callers.into_iter().flat_map(|caller| caller.join().expect("it ends well")).collect()
    });
    let killed = killed.into_inner().expect("nobody panics").expect("it was killed");
    failed.into_iter().map(|sent| sent.saturating_duration_since(killed)).collect()
}

/// An endpoint that answers everything with a few bytes, until it is killed.
struct Endpoint {
    address: SocketAddr,
    dead: Arc<AtomicBool>,
    connections: Arc<Mutex<Vec<TcpStream>>>,
}

impl Endpoint {
    fn start() -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = socket.local_addr().expect("it is bound");
        let (dead, connections) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let endpoint = Self { address, dead: Arc::clone(&dead), connections: Arc::clone(&connections) };
        thread::spawn(move || {
            for stream in socket.incoming().flatten() {
                if dead.load(Ordering::SeqCst) {
                    return;
                }
                stream.set_nodelay(true).ok();
                connections.lock().expect("nobody panics").push(stream.try_clone().expect("a socket"));
                thread::spawn(move || answer_all(stream));
            }
        });
        endpoint
    }

    /// Nobody listens any more, and every connection ends.
    fn kill(&self) {
        self.dead.store(true, Ordering::SeqCst);
        // The listening socket goes with the thread that has it.
        TcpStream::connect(self.address).ok();
        for stream in self.connections.lock().expect("nobody panics").drain(..) {
            stream.shutdown(Shutdown::Both).ok();
        }
    }
}

fn answer_all(mut stream: TcpStream) {
    let (mut seen, mut space) = (Vec::new(), [0; 4096]);
    while let Ok(read @ 1..) = stream.read(&mut space) {
        seen.extend_from_slice(&space[..read]);
        while let Some(end) = seen.windows(4).position(|window| window == b"\r\n\r\n") {
            seen.drain(..end + 4);
            if stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").is_err() {
                return;
            }
        }
    }
}
