//! The command `vidgate serve`: a server, and what asks it to change or to stop.

use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

use super::reload::reload_and_tell;
use super::systemd::{self, Inherited};
use super::watch::Watch;
use super::{Failure, Options, Server, certificates};
use crate::clock::Clock;
use crate::config;
use crate::store::Purpose;
use crate::telemetry;
use crate::telemetry::access::Output;

/// How often the file is looked at, where that is wanted.
const LOOK: Duration = Duration::from_secs(2);

/// What a signal asks for.
enum Asked {
    /// To stop.
    Stop,
    /// To read the configuration anew.
    Reload,
}

/// Serves a configuration until a signal asks to stop: the command `vidgate serve`.
pub fn serve(path: &Path) -> Result<ExitCode, Failure> {
    // First of all: it changes the environment, which threads may read.
    let inherited = Inherited::take().map_err(Failure::Start)?;
    let loaded = config::load(path, Purpose::Serve).map_err(Failure::Configuration)?;
    let log = telemetry::log::start(&loaded.log);
    for warning in loaded.warnings.sentences() {
        tracing::warn!("{warning}");
    }
    let workers = loaded.workers.unwrap_or_else(|| thread::available_parallelism().map_or(1, Into::into));
    // Heard from now on, so that none is missed while the listeners open.
    let asked = signals().map_err(Failure::Start)?;
    let watch = Watch::new(path);
    let options = Options { workers, clock: Clock::system(), output: Output::standard() };
    let server = Server::begin(loaded, &options, None, inherited).map_err(Failure::Start)?;
    certificates::tell(&server.world.load(), server.clock.unix());
    if let Some(address) = server.admin_address() {
        tracing::info!(%address, "the admin API is listening");
    }
    systemd::ready();
    attend(&server, watch, &asked);
    systemd::stopping();
    tracing::info!("draining; a second signal ends it at once");
    let finished = server.drain_unless(|| {
        // Whoever waits for this shall not take the end for a failure.
        if systemd::pulse().is_some() {
            systemd::alive();
        }
        matches!(asked.try_recv(), Ok(Asked::Stop))
    });
    tracing::info!(finished, "stopped");
    drop(log);
    Ok(if finished { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Does what is asked for until that is to stop.
fn attend(server: &Server, mut watch: Watch, asked: &Receiver<Asked>) {
    let (pulse, mut until_look) = (systemd::pulse(), LOOK);
    loop {
        let pause = pulse.map_or(until_look, |pulse| pulse.min(until_look));
        match asked.recv_timeout(pause) {
            Ok(Asked::Reload) => reload_and_tell(server.reloader(), "SIGHUP"),
            Err(RecvTimeoutError::Timeout) => {
                // Where a worker hangs, systemd shall end all of it.
                if pulse.is_some() && server.is_alive() {
                    systemd::alive();
                }
                until_look -= pause;
                if !until_look.is_zero() {
                    continue;
                }
                until_look = LOOK;
                if server.reloader().watches() && watch.has_changed() {
                    reload_and_tell(server.reloader(), "the file has changed");
                }
            }
            // Whoever hears no signals any more cannot be told to stop either.
            Ok(Asked::Stop) | Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// What signals ask for from now on.
fn signals() -> io::Result<Receiver<Asked>> {
    let (say, asked) = channel();
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let (mut terminate, mut interrupt, mut hangup) = {
        let _inside = runtime.enter();
        let of = |kind| signal(kind);
        (of(SignalKind::terminate())?, of(SignalKind::interrupt())?, of(SignalKind::hangup())?)
    };
    thread::Builder::new().name("vidgate-signals".to_owned()).spawn(move || {
        runtime.block_on(async {
            loop {
                let what = tokio::select! {
                    _ = terminate.recv() => Asked::Stop,
                    _ = interrupt.recv() => Asked::Stop,
                    _ = hangup.recv() => Asked::Reload,
                };
                if say.send(what).is_err() {
                    return;
                }
            }
        });
    })?;
    Ok(asked)
}

/// Returns when SIGTERM or SIGINT arrives.
pub fn wait_for_stop() -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        Ok(())
    })
}
