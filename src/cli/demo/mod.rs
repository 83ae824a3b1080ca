//! `vidgate demo`: a gateway in front of made-up video APIs, with throw-away certificates and credentials, and a curl
//! line for everything it accepts and refuses. Nothing here is needed to run a gateway.

mod cases;
mod config;
mod credentials;
mod curl;
#[cfg(test)]
mod explained;
mod folder;
mod ground;
mod json;
mod once;
mod page;
mod pki;
mod stock;
mod upstream;
mod vendor;

use std::borrow::Cow;
use std::fs;
use std::future::poll_fn;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::task::Poll;

use tokio::signal::unix::{Signal, SignalKind, signal};

use self::ground::Ground;
use super::store::init::NotMade;
use crate::store::Refused;

/// What can be asked of the demo.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Run every printed line once, compare the answers with what is expected, and exit: 0 if all agree
    #[arg(long)]
    once: bool,
    /// Write addresses, credentials and paths to FILE as JSON, once the gateway serves
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Runs the demo until it is interrupted or, with `--once`, has been through all lines.
pub fn run(Args { once, json }: Args) -> ExitCode {
    match demonstrate(once, json.as_deref()) {
        Ok(code) => code,
        // The reader of our output has gone (`vidgate demo | head`): nobody is left to tell.
        Err(Trouble::Io(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(trouble) => {
            let _ = writeln!(anstream::stderr(), "vidgate demo: {trouble}");
            ExitCode::FAILURE
        }
    }
}

fn demonstrate(once: bool, file: Option<&Path>) -> Result<ExitCode, Trouble> {
    if let Some(program) = once.then(once::missing).flatten() {
        return Err(Trouble::Missing(program));
    }
    if let Some(path) = file {
        json::clear(path).map_err(|error| Trouble::Json(path.to_owned(), error))?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // Heard from here on, before there is a folder: whatever ends the demo, the folder is removed.
    let mut interruption = runtime.block_on(async { Interruption::listen() })?;
    let (ground, facts) = Ground::start()?;
    let cases = cases::all(&facts);
    if let Some(path) = file {
        json::write(path, &json::describe(&facts)).map_err(|error| Trouble::Json(path.to_owned(), error))?;
    }
    let code = runtime.block_on(async {
        if once {
            let agree = interruption.or(move || once::run(&cases, anstream::stdout().lock())).await?;
            return Ok(agree.map_or(ExitCode::from(INTERRUPTED), |agree| ExitCode::from(u8::from(!agree))));
        }
        if interruption.or(move || page::print(&facts, &cases, anstream::stdout().lock())).await?.is_some() {
            interruption.heard().await;
        }
        Ok(ExitCode::SUCCESS)
    });
    ground.stop();
    runtime.shutdown_background();
    code
}

/// The signals that end the demo.
struct Interruption {
    signals: Vec<Signal>,
}

impl Interruption {
    fn listen() -> io::Result<Self> {
        let mut kinds = vec![SignalKind::interrupt(), SignalKind::terminate()];
        // To listen would undo what `nohup` did for us.
        if !hangup_is_ignored() {
            kinds.push(SignalKind::hangup());
        }
        Ok(Self { signals: kinds.into_iter().map(signal).collect::<io::Result<_>>()? })
    }

    async fn heard(&mut self) {
        poll_fn(|cx| {
            let any = self.signals.iter_mut().any(|signal| signal.poll_recv(cx).is_ready());
            if any { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Does the work on a thread of its own, since it may be stuck on a terminal that nobody reads; `None` if the demo
    /// was interrupted before it was done.
    async fn or<T: Send + 'static>(
        &mut self,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> io::Result<Option<T>> {
        tokio::select! {
            () = self.heard() => Ok(None),
            done = tokio::task::spawn_blocking(work) => done.map_err(io::Error::other)?.map(Some),
        }
    }
}

/// Whether this process was started deaf to the end of its terminal, as far as the system tells (`SigIgn` of proc(5): a
/// mask whose lowest bit is SIGHUP).
fn hangup_is_ignored() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}

/// What a shell reports of a program that Ctrl-C has ended.
const INTERRUPTED: u8 = 130;

/// Why the demo cannot run.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    /// A socket, a thread, a file of the temporary folder, or the output.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// `--once` without a program that it runs.
    #[error("`--once` runs {0}, and there is no {0} on this machine; install it, or leave `--once` out")]
    Missing(&'static str),
    /// The file of `--json`.
    #[error("{} cannot be written: {}", .0.display(), .1)]
    Json(PathBuf, io::Error),
    /// The demo's own configuration is refused, which is a defect of ours.
    #[error("the demo's own configuration does not load\n{0}")]
    Config(String),
    /// The store cannot be made.
    #[error(transparent)]
    NotMade(#[from] NotMade),
    /// The store does not take what the demo puts into it, which is a defect of ours.
    #[error("the demo's store refuses: {0}")]
    Refused(#[from] Refused),
    /// A certificate or a key.
    #[error("a certificate cannot be made: {0}")]
    Certificate(#[from] rcgen::Error),
    /// The pair to which keys are encrypted.
    #[error("{0}")]
    Pair(Cow<'static, str>),
    /// A token.
    #[error("a token cannot be signed: {0}")]
    Token(#[from] jsonwebtoken::errors::Error),
    /// The system's clock says a time that no calendar has.
    #[error("the clock is out of range: {0}")]
    Clock(#[from] jiff::Error),
    /// The system has no randomness to give.
    #[error("no randomness: {0}")]
    Random(#[from] getrandom::Error),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::demo::cases::Story;
    use crate::cli::demo::vendor::Vendor;

    #[test]
    fn every_line_is_answered_as_it_says() {
        if let Some(program) = once::missing() {
            eprintln!("skipped: there is no {program} on this machine");
            return;
        }
        let (ground, facts) = Ground::start().unwrap();
        let cases = cases::all(&facts);
        let mut table = Vec::new();
        let all_agree = once::run(&cases, &mut table).unwrap();
        assert!(all_agree, "{}", String::from_utf8_lossy(&table));
        for story in Story::ALL {
            assert!(cases.iter().any(|case| case.told == Some(story)), "{story:?}");
        }
        for vendor in Vendor::ALL {
            let some = |accepted| cases.iter().any(|case| case.vendor == vendor && case.accepted == accepted);
            assert!(some(false) && some(true), "{vendor:?}");
        }
        let stories: Vec<_> = cases.into_iter().filter(|case| case.told.is_some()).collect();
        let told_again = once::run(&stories, &mut table).unwrap();
        ground.stop();
        assert!(told_again, "{}", String::from_utf8_lossy(&table));
    }
}
