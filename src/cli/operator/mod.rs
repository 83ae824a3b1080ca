//! How commands reach the store. They speak one language, that of the admin API; what differs is who hears it: the
//! gateway that runs ([`remote`]), or, while none does, the file itself ([`local`]), by the same router in this process.

mod call;
mod local;
mod probe;
mod remote;
#[cfg(test)]
pub(super) mod recorder;
mod trust;

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use http::{Response, StatusCode};
use http_body::Body;
use http_body_util::BodyExt;
use serde_json::Value;

pub(super) use self::call::{Call, FieldError, Problem, wipe_all};
use self::local::Local;
#[cfg(test)]
pub(super) use self::local::tests as local_tests;
pub(super) use self::probe::{Probed, probe};
use self::remote::Remote;
use super::Configuration;
use crate::config;

/// How long an answer may be silent. A batch waits for the disk, a backup for a snapshot.
const SILENCE: Duration = Duration::from_mins(2);
/// The longest refusal that is read.
const LONGEST_PROBLEM: usize = 4 << 20;

/// Where the store is, and how to be let in.
#[derive(Args, Debug)]
pub(super) struct Where {
    #[command(flatten)]
    pub(super) configuration: Configuration,
    /// The client certificate for the admin listener (PEM).
    #[arg(long, value_name = "FILE", requires = "admin_key", visible_alias = "admin-cert")]
    pub(super) admin_certificate: Option<PathBuf>,
    /// Its private key (PEM).
    #[arg(long, value_name = "FILE", requires = "admin_certificate")]
    pub(super) admin_key: Option<PathBuf>,
    /// Which of the admin tokens in the configuration to show; the first if left out.
    #[arg(long, value_name = "NAME")]
    pub(super) admin_token: Option<String>,
}

#[cfg(test)]
impl Where {
    /// Nowhere.
    pub(super) fn nowhere() -> Self {
        let configuration = Configuration { config: "none".into() };
        Self { configuration, admin_certificate: None, admin_key: None, admin_token: None }
    }
}

/// Why a command ended without doing what it was asked.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The configuration is wrong; what is, drawn.
    Configuration(String),
    /// The API refused.
    Refused(Problem),
    /// Anything else, each in one sentence without a full stop.
    Plain(Vec<String>),
    /// Nobody reads on.
    LeftAlone,
}

impl Trouble {
    /// One thing went wrong.
    pub(super) fn plain(sentence: impl Into<String>) -> Self {
        Self::Plain(vec![sentence.into()])
    }

    /// Says it, and gives the exit code.
    pub(super) fn tell(self) -> ExitCode {
        if let Self::LeftAlone = self {
            return ExitCode::SUCCESS;
        }
        if let Self::Configuration(drawn) = &self {
            super::complain(drawn);
        }
        for sentence in self.sentences() {
            super::complain(&format!("vidgate: {}\n", visible(&sentence)));
        }
        ExitCode::FAILURE
    }

    /// Each thing that went wrong; nothing where it was drawn already.
    pub(super) fn sentences(self) -> Vec<String> {
        match self {
            Self::Configuration(_) | Self::LeftAlone => Vec::new(),
            Self::Refused(problem) => problem.sentences(),
            Self::Plain(sentences) => sentences,
        }
    }
}

/// What goes wrong with the output.
impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::LeftAlone;
        }
        Self::plain(format!("cannot write the output: {error}"))
    }
}

/// A text that cannot move the cursor of who reads it, or colour their screen.
pub(super) fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_control() { shown.extend(letter.escape_default()) } else { shown.push(letter) }
    }
    shown
}

/// Who carries requests to the store and brings the answers.
pub(super) trait Operator {
    /// Sends a request; a successful answer goes to `sink` piece by piece.
    fn stream(&mut self, call: Call, sink: &mut dyn Write) -> Result<(), Trouble>;

    /// Sends a request; gives the document that answers it, or `null` where there is none.
    fn call(&mut self, call: Call) -> Result<Value, Trouble> {
        let mut body = Vec::new();
        self.stream(call, &mut body)?;
        if body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&body).map_err(|_| Trouble::plain("what answered is not an admin listener of vidgate"))
    }
}

/// Finds out whom to ask: the gateway if it runs and can be managed, else the file.
pub(super) fn connect(place: &Where) -> Result<Box<dyn Operator>, Trouble> {
    let path = &place.configuration.config;
    let ways = config::ways(path).map_err(|report| Trouble::Configuration(report.render(true)))?;
    if let Some(entrance) = &ways.admin
        && let Some(remote) = Remote::reach(entrance, place)?
    {
        return Ok(Box::new(remote));
    }
    Ok(Box::new(Local::open(path, &ways)?))
}

/// What was found where the gateway of a configuration would listen.
pub(super) enum Reached {
    /// The gateway.
    Gateway(Box<dyn Operator>),
    /// Nobody, at this address.
    Nobody(SocketAddr),
}

impl Reached {
    /// The gateway, if it is there.
    pub(super) fn gateway(self) -> Option<Box<dyn Operator>> {
        match self {
            Self::Gateway(gateway) => Some(gateway),
            Self::Nobody(_) => None,
        }
    }
}

/// Finds the gateway that runs, and leaves the file alone. It must have an admin listener.
pub(super) fn reach(place: &Where) -> Result<Reached, Trouble> {
    let ways = config::ways(&place.configuration.config);
    let ways = ways.map_err(|report| Trouble::Configuration(report.render(true)))?;
    let Some(entrance) = &ways.admin else {
        return Err(Trouble::plain("the configuration has no [admin]: nobody there could be asked"));
    };
    Ok(match Remote::reach(entrance, place)? {
        Some(remote) => Reached::Gateway(Box::new(remote)),
        None => Reached::Nobody(remote::dialled(entrance.address)),
    })
}

/// The gateway that runs, where the configuration has an admin listener and it is there.
pub(super) fn running(place: &Where) -> Result<Option<Box<dyn Operator>>, Trouble> {
    let ways = config::ways(&place.configuration.config);
    let ways = ways.map_err(|report| Trouble::Configuration(report.render(true)))?;
    if ways.admin.is_some() { reach(place).map(Reached::gateway) } else { Ok(None) }
}

/// Does what a command asks of the store, and says what went wrong.
pub(super) fn operate(place: &Where, command: impl FnOnce(&mut dyn Operator) -> Result<(), Trouble>) -> ExitCode {
    match connect(place).and_then(|mut operator| command(&mut *operator)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => trouble.tell(),
    }
}

/// The same for what only a gateway that runs can tell. Where nobody could ask it, `otherwise` says what else helps.
pub(super) fn operate_gateway(
    place: &Where,
    otherwise: &str,
    command: impl FnOnce(&mut dyn Operator) -> Result<(), Trouble>,
) -> ExitCode {
    match config::ways(&place.configuration.config) {
        Ok(ways) if ways.admin.is_none() && ways.store.is_none() => Trouble::plain(format!(
            "no gateway can be asked: the configuration has no [admin], and that needs [store]; {otherwise}"
        ))
        .tell(),
        _ => operate(place, command),
    }
}

/// The runtime that carries one request at a time.
fn runtime() -> Result<tokio::runtime::Runtime, Trouble> {
    let built = tokio::runtime::Builder::new_current_thread().enable_all().build();
    built.map_err(|error| Trouble::plain(format!("cannot start: {error}")))
}

/// Takes an answer in.
async fn take<B>(response: Response<B>, sink: &mut dyn Write) -> Result<(), Trouble>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let status = response.status();
    let mut body = response.into_body();
    let mut refusal = Vec::new();
    loop {
        let frame = match tokio::time::timeout(SILENCE, body.frame()).await {
            Err(_) => return Err(Trouble::plain("the gateway fell silent in the middle of its answer")),
            Ok(None) => break,
            Ok(Some(Err(error))) => return Err(Trouble::plain(format!("the answer broke off: {error}"))),
            Ok(Some(Ok(frame))) => frame,
        };
        let Ok(bytes) = frame.into_data() else { continue };
        if status.is_success() {
            sink.write_all(&bytes)?;
        } else if refusal.len() + bytes.len() <= LONGEST_PROBLEM {
            refusal.extend_from_slice(&bytes);
        }
    }
    judged(status, &refusal)
}

fn judged(status: StatusCode, refusal: &[u8]) -> Result<(), Trouble> {
    if status.is_success() { Ok(()) } else { Err(Trouble::Refused(Problem::read(status, refusal))) }
}
