//! What systemd hands over and wants to hear: listening sockets that outlive a restart, and how the service stands. Without
//! it, nothing comes of any of this.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use listenfd::ListenFd;
use sd_notify::NotifyState;

use crate::edge::listener::Listener;

/// Sockets that were handed over (`sd_listen_fds(3)`), and are not in use yet.
#[derive(Debug, Default)]
pub(super) struct Inherited(Vec<Socket>);

#[derive(Debug)]
struct Socket {
    /// As `FileDescriptorName=` has it.
    name: String,
    address: SocketAddr,
    listening: TcpListener,
}

impl Inherited {
    /// All of them. To be called once.
    ///
    /// # Errors
    ///
    /// What was handed over is no TCP socket that listens, or the environment does not say what it should.
    pub(super) fn take() -> io::Result<Self> {
        let names: Vec<String> = sd_notify::listen_fds_with_names()?.map(|(_, name)| name).collect();
        let mut handed_over = ListenFd::from_env();
        let mut all = Vec::new();
        for (number, name) in names.into_iter().enumerate() {
            let Some(socket) = handed_over.take_tcp_listener(number)? else { continue };
            socket.set_nonblocking(true)?;
            all.push(Socket { name, address: socket.local_addr()?, listening: socket });
        }
        Ok(Self(all))
    }

    /// The socket of a listener: the one of its name, or else the one that is bound where it should be.
    pub(super) fn find(&mut self, listener: &Listener) -> Option<TcpListener> {
        let by_name = self.0.iter().position(|own| *own.name == *listener.name);
        let found = by_name.or_else(|| self.0.iter().position(|own| own.address == listener.address))?;
        Some(self.0.remove(found).listening)
    }

    /// Tells of those that nobody has a use for; they are closed.
    pub(super) fn tell(self) {
        for Socket { name, address, .. } in self.0 {
            tracing::warn!(name, %address, "this socket was handed over, and no listener has its name or its address");
        }
    }
}

/// Everything listens.
pub(super) fn ready() {
    notify(&[NotifyState::Ready, NotifyState::Status("serving")]);
}

/// The configuration is being read anew; what comes of it is said by [`ready`].
pub(super) fn reloading() {
    // systemd tells by it that this is about the reload it has asked for.
    let now = NotifyState::monotonic_usec_now().ok();
    let mut said = vec![NotifyState::Reloading];
    said.extend(now);
    notify(&said);
}

/// The service is about to end.
pub(super) fn stopping() {
    notify(&[NotifyState::Stopping, NotifyState::Status("draining")]);
}

/// The service lives.
pub(super) fn alive() {
    notify(&[NotifyState::Watchdog]);
}

/// How often that is to be said, if anybody waits for it: twice in the time after which systemd would act.
pub(super) fn pulse() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|period| period / 2)
}

fn notify(said: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(said) {
        tracing::warn!(%error, "systemd was not told how the service stands");
    }
}
