//! What the configuration says of the ways to the store.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::Trouble;
use crate::secret::Secret;
use crate::store::{Master, Settings};

/// The ways to the store.
#[derive(Debug, Default)]
pub(in crate::cli) struct Access {
    /// The admin listener of the gateway, if it has one.
    pub(in crate::cli) admin: Option<Admin>,
    /// The file.
    pub(in crate::cli) store: Option<Kept>,
}

/// The admin listener.
#[derive(Debug)]
pub(in crate::cli) struct Admin {
    /// Where it listens.
    pub(in crate::cli) address: SocketAddr,
    /// How it is entered.
    pub(in crate::cli) entrance: Entrance,
}

/// How the admin listener is entered.
#[derive(Debug)]
pub(in crate::cli) enum Entrance {
    /// On this machine alone, in clear, with one of these tokens, by name.
    Token(Vec<(String, Secret)>),
    /// By TLS, with a client certificate; this is the file of the server's own.
    Certificate(PathBuf),
}

/// The file of the store.
#[derive(Debug)]
pub(in crate::cli) struct Kept {
    /// Where it is.
    pub(in crate::cli) settings: Settings,
    /// What opens it.
    pub(in crate::cli) master: Master,
}

impl Access {
    /// Reads them from the configuration file at `path`.
    pub(in crate::cli) fn read(path: &Path) -> Result<Self, Trouble> {
        crate::config::load(path).map_err(|report| Trouble::Configuration(report.render(true)))?;
        Ok(Self::default())
    }
}
