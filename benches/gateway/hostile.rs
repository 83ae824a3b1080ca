//! A crowd that means harm beside requests: a third of it sends heads that never end, a third takes nothing of the answers
//! that it asks for, a third begins uploads and goes silent. Whoever is cut comes again. What that does to the memory of the
//! gateway, and to the requests of others: rounds without the crowd and with it take turns.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use thread_priority::{
    NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy, set_thread_priority_and_policy, thread_native_id,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::time::{interval, sleep};

use crate::house::House;

const KEY: &str = "v3.X9tKpuXq0btatj";
/// Rounds, each with the crowd away and then there; what is told are medians.
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(4);
/// Over how long the crowd comes: as long as a head may take, so that it goes and comes again as steadily.
const SPREAD: Duration = Duration::from_secs(10);
/// What the machine has to close what a crowd leaves behind.
const REST: Duration = Duration::from_secs(2);
/// What is to be held.
const MOST_MEMORY: f64 = 512.0;
const MOST_RATIO: f64 = 2.0;

/// Measures with so many hostile connections, of the first `kinds` of the three.
pub fn run(count: u32, kinds: u32) {
    let most = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: most, maximum: most }).expect("a process may raise it so far");
    let crowd = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .on_thread_start(stand_aside)
        .build()
        .expect("a runtime");
    let upstream = crowd.block_on(async {
        let socket = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = socket.local_addr().expect("it is bound");
        tokio::spawn(serve(socket));
        address
    });
    let house = House::start_with(|_| more(upstream, count), |_| {});
    house.change("POST", "/v1/accounts", r#"{"id":"acme"}"#);
    house.change("POST", "/v1/license-keys", &format!(r#"{{"id":"main","account":"acme","key":"{KEY}"}}"#));
    let key = |_| KEY.to_owned();
    house.relay(Duration::from_secs(2), key);
    let empty = house.memory();
    let (live, target, (calls, called)) = (Arc::new(AtomicUsize::new(0)), house.public, watch::channel(false));
    for number in 0..count {
        let begin = SPREAD * number / count;
        crowd.spawn(mean_harm((target, begin), number % kinds, called.clone(), Arc::clone(&live)));
    }
    let (mut quiet, mut busy, mut ratios, mut memory, mut most) = (Vec::new(), Vec::new(), Vec::new(), 0_f64, 0);
    for _ in 0..ROUNDS {
        let before = house.relay(ROUND, key).p99.as_secs_f64() * 1e6;
        calls.send_replace(true);
        while live.load(Ordering::Relaxed) < count as usize * 9 / 10 {
            thread::sleep(Duration::from_millis(100));
        }
        memory = memory.max(house.memory());
        let beside = house.relay(ROUND, key).p99.as_secs_f64() * 1e6;
        memory = memory.max(house.memory());
        most = most.max(live.load(Ordering::Relaxed));
        calls.send_replace(false);
        while live.load(Ordering::Relaxed) > 0 {
            thread::sleep(Duration::from_millis(100));
        }
        thread::sleep(REST);
        println!("round   quiet {before:.0} us, beside them {beside:.0} us: {:.2} times", beside / before);
        ratios.push(beside / before);
        quiet.push(before);
        busy.push(beside);
    }
    let (before, beside, ratio) = (median(quiet), median(busy), median(ratios));
    println!("connections {most} of {count} that mean harm");
    println!("memory  {empty:.0} MiB before, {memory:.0} MiB at most beside them; to be held: {MOST_MEMORY:.0} MiB");
    println!("p99     quiet {before:.0} us, beside them {beside:.0} us; median of the rounds' ratios {ratio:.2}");
    println!("held    memory: {}, p99: {}", memory < MOST_MEMORY, ratio <= MOST_RATIO);
    crowd.shutdown_background();
}

/// Lets a thread of the crowd leave a core at once to whoever wants it: the crowd belongs to other machines, and on one of few
/// cores its own work would else be measured. With a nice value it would keep a core to the end of its slice, some
/// milliseconds.
fn stand_aside() {
    let policy = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
    set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, policy)
        .unwrap_or_else(|error| println!("the crowd takes cores like all others: {error:?}"));
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_unstable_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// Where the crowd asks for answers without an end, and for ears without one. The listener is the one of all others.
fn more(upstream: SocketAddr, count: u32) -> String {
    format!(
        "[upstream.endless]\nendpoints = [\"http://{upstream}\"]\n[[route]]\nname = \"endless\"\n\
         path = \"/endless/{{*rest}}\"\nauthenticate = \"open\"\nforward = \"endless\"\n\
         [overload]\nmax_memory = \"512 MiB\"\nmax_in_flight = {}\n",
        2 * count.max(1000)
    )
}

/// One of the crowd, for as long as it is called.
async fn mean_harm(
    (target, begin): (SocketAddr, Duration),
    kind: u32,
    mut called: watch::Receiver<bool>,
    live: Arc<AtomicUsize>,
) {
    while called.wait_for(|called| *called).await.is_ok() {
        let mut left = called.clone();
        tokio::select! {
            _ = left.wait_for(|called| !*called) => {}
            () = harm(target, begin, kind, &live) => {}
        }
    }
}

/// Comes when its time has come, and again whenever it is cut.
async fn harm(target: SocketAddr, begin: Duration, kind: u32, live: &AtomicUsize) {
    sleep(begin).await;
    loop {
        if let Some(stream) = connect(target).await {
            let _counted = Counted::among(live);
            match kind {
                0 => never_end_a_head(stream).await,
                1 => take_nothing(stream).await,
                _ => go_silent(stream).await,
            }
        }
        sleep(Duration::from_millis(100)).await;
    }
}

/// One connection of the crowd, for as long as it lasts.
struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    fn among(live: &'a AtomicUsize) -> Self {
        live.fetch_add(1, Ordering::Relaxed);
        Self(live)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn connect(target: SocketAddr) -> Option<TcpStream> {
    let socket = TcpSocket::new_v4().ok()?;
    // Whoever wants to hold others up has little room of their own.
    socket.set_recv_buffer_size(4096).ok()?;
    socket.connect(target).await.ok()
}

async fn never_end_a_head(mut stream: TcpStream) {
    let mut piece: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ";
    // By its own clock: pauses that begin where a byte was late would lead ever more of the crowd to the same instant.
    let mut turns = interval(Duration::from_secs(1));
    turns.tick().await;
    while stream.write_all(piece).await.is_ok() {
        piece = b"a";
        turns.tick().await;
    }
}

async fn take_nothing(mut stream: TcpStream) {
    if stream.write_all(b"GET /endless/answer HTTP/1.1\r\nHost: localhost\r\n\r\n").await.is_ok() {
        // A write that fails says that it was cut: what is read would make room.
        while stream.write_all(b"\r\n").await.is_ok() {
            sleep(Duration::from_secs(1)).await;
        }
    }
}

async fn go_silent(mut stream: TcpStream) {
    let head = b"POST /endless/upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1073741824\r\n\r\n";
    if stream.write_all(head).await.is_ok() && stream.write_all(&vec![0; 64 * 1024]).await.is_ok() {
        stream.read_to_end(&mut Vec::new()).await.unwrap_or_default();
    }
}

/// Answers without an end whoever asks for that, and listens to everybody else without one.
async fn serve(socket: TcpListener) {
    while let Ok((mut stream, _)) = socket.accept().await {
        tokio::spawn(async move {
            let mut space = vec![0; 16 * 1024];
            let read = stream.read(&mut space).await.unwrap_or(0);
            if space[..read].starts_with(b"GET") {
                let head = b"HTTP/1.1 200 OK\r\nContent-Length: 1099511627776\r\n\r\n";
                let mut said: &[u8] = head;
                while stream.write_all(said).await.is_ok() {
                    said = &space;
                }
            }
            while stream.read(&mut space).await.is_ok_and(|read| read > 0) {}
        });
    }
}
