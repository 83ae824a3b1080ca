//! The listening sockets, and the control thread that accepts on them: opened and closed one by one while the others go on.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::lookout::Seen;
use super::systemd::Inherited;
use crate::clock::Clock;
use crate::edge::connection::ListenerId;
use crate::edge::listener::{self, Listener, Seat};
use crate::edge::overload::Memory;
use crate::forward::key_sets;
use crate::key_set::KeySet;
use crate::world::World;

/// How often it is looked at how much memory the process takes.
const LOOK: Duration = Duration::from_millis(250);

/// What the control thread is asked to do.
pub(super) enum Command {
    /// Accepts on a socket until it is told to stop.
    Accept(TcpListener, ListenerId, (Arc<Semaphore>, Arc<AtomicBool>), CancellationToken),
    /// Takes so many places away, as they become free.
    Narrow(Arc<Semaphore>, usize),
    /// Keeps these keys fresh in the place of those before.
    Tend(Vec<Arc<KeySet>>),
}

/// Every listener there ever was. Its `ListenerId` is its position here.
pub(super) struct Doors {
    all: Vec<Door>,
    control: UnboundedSender<Command>,
    accepting: CancellationToken,
}

struct Door {
    name: Box<str>,
    /// As it is written.
    address: SocketAddr,
    /// As it is bound.
    bound: SocketAddr,
    cap: Arc<Semaphore>,
    /// How many places the cap has.
    most: usize,
    stop: CancellationToken,
    /// Whether it takes connections, for whoever looks: false where it cannot though nobody has closed it.
    up: Arc<AtomicBool>,
    open: bool,
}

/// What another World changes of the doors. Its sockets are bound.
pub(super) struct Plan {
    new: Vec<(Arc<Listener>, TcpListener, SocketAddr)>,
}

impl Doors {
    /// None yet. `accepting` closes all of them.
    pub(super) fn new(control: UnboundedSender<Command>, accepting: CancellationToken) -> Self {
        Self { all: Vec::new(), control, accepting }
    }

    /// Binds what is new in another World, and gives each of its listeners the id that it has or will have. One is the same
    /// by its name and the address that is written; or by its address alone, where it only goes by another name.
    ///
    /// # Errors
    ///
    /// Where the system refuses one of the sockets, none is bound.
    pub(super) fn plan(&self, world: &mut World, inherited: &mut Inherited) -> io::Result<Plan> {
        let mut positions = vec![None; self.all.len()];
        let mut new = Vec::new();
        for (position, listener) in world.listeners.iter().enumerate() {
            let free = |id: &usize| positions[*id].is_none();
            if let Some(id) = self.same(world, listener).filter(free) {
                positions[id] = Some(position);
                continue;
            }
            let socket = inherited.find(listener).map_or_else(|| bind(listener), Ok)?;
            let bound = socket.local_addr()?;
            positions.push(Some(position));
            new.push((Arc::clone(listener), socket, bound));
        }
        world.positions = positions;
        Ok(Plan { new })
    }

    /// The door that a listener has already.
    fn same(&self, world: &World, listener: &Listener) -> Option<usize> {
        let stays = |door: &Door| world.listeners.iter().any(|other| door.is(other));
        let known = self.all.iter().position(|door| door.is(listener));
        known.or_else(|| self.all.iter().position(|door| door.is_at(listener) && !stays(door)))
    }

    /// Closes what is not in this World, whose plan was made before. What it has accepted goes on.
    pub(super) fn close(&mut self, world: &World) {
        for (number, door) in self.all.iter_mut().enumerate() {
            if door.open && !world.has(ListenerId(number)) {
                door.open = false;
                door.stop.cancel();
                tracing::info!(listener = %door.name, "not listening any more");
            }
        }
    }

    /// Opens what is new, and gives the others as many places as this World says. Everyone must know its listeners by now.
    pub(super) fn open(&mut self, plan: Plan, world: &World) {
        for (number, door) in self.all.iter_mut().enumerate().filter(|(_, door)| door.open) {
            let listener = world.listener(ListenerId(number));
            if door.name != listener.name {
                tracing::info!(before = %door.name, listener = %listener.name, "a listener goes by another name");
                door.name.clone_from(&listener.name);
            }
            let most = listener.limits.connections.min(Semaphore::MAX_PERMITS);
            if let Some(more) = most.checked_sub(door.most) {
                door.cap.add_permits(more);
            } else {
                self.control.send(Command::Narrow(Arc::clone(&door.cap), door.most - most)).unwrap_or_default();
            }
            door.most = most;
        }
        for (listener, socket, bound) in plan.new {
            let (id, cap) = (ListenerId(self.all.len()), listener::cap(listener.limits.connections));
            let stop = self.accepting.child_token();
            let up = Arc::new(AtomicBool::new(true));
            let accept = Command::Accept(socket, id, (Arc::clone(&cap), Arc::clone(&up)), stop.clone());
            // A control thread that is gone accepts nothing, whoever asks.
            self.control.send(accept).unwrap_or_default();
            let most = listener.limits.connections.min(Semaphore::MAX_PERMITS);
            let (name, address) = (listener.name.clone(), listener.address);
            tracing::info!(listener = %name, address = %bound, "listening");
            self.all.push(Door { name, address, bound, cap, most, stop, up, open: true });
        }
    }

    /// Has what belongs to a World looked after.
    pub(super) fn tend(&self, world: &World) {
        self.control.send(Command::Tend(world.key_sets.clone())).unwrap_or_default();
    }

    /// Every open listener, for whoever looks.
    pub(super) fn seen(&self) -> Vec<Seen> {
        let seen = |door: &Door| Seen {
            name: door.name.clone(),
            address: door.bound.to_string(),
            up: Arc::clone(&door.up),
            cap: Arc::clone(&door.cap),
            most: door.most,
        };
        self.all.iter().filter(|door| door.open).map(seen).collect()
    }

    /// Every open listener with its address.
    pub(super) fn addresses(&self) -> impl Iterator<Item = (&str, SocketAddr)> {
        self.all.iter().filter(|door| door.open).map(|door| (&*door.name, door.bound))
    }
}

impl Door {
    fn is(&self, listener: &Listener) -> bool {
        self.open && self.name == listener.name && self.address == listener.address
    }

    /// Whether it is bound where the listener would be, whatever that is called. Of port 0, nobody knows where it would be.
    fn is_at(&self, listener: &Listener) -> bool {
        self.open && self.address == listener.address && self.address.port() != 0
    }
}

fn bind(listener: &Listener) -> io::Result<TcpListener> {
    listener::bind(listener.address).map_err(|error| {
        let message = format!("listener `{}` cannot bind {}: {error}", listener.name, listener.address);
        io::Error::new(error.kind(), message)
    })
}

/// What the control thread does, until `stop`.
pub(super) async fn control(
    mut commands: UnboundedReceiver<Command>,
    seats: Vec<Seat>,
    (memory, clock): (Arc<Memory>, Clock),
    stop: CancellationToken,
) {
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut acceptors = JoinSet::new();
    let mut tended: (JoinSet<()>, Vec<Arc<KeySet>>) = (JoinSet::new(), Vec::new());
    loop {
        let command = tokio::select! {
            command = commands.recv() => command,
            Some(_) = acceptors.join_next() => continue,
            _ = looks.tick() => {
                memory.look(resident);
                continue;
            }
            () = stop.cancelled() => None,
        };
        match command {
            None => break,
            Some(Command::Accept(socket, id, (cap, up), closed)) => match tokio::net::TcpListener::from_std(socket) {
                Ok(socket) => {
                    let accepting = listener::accept(socket, id, cap, seats.clone(), closed);
                    acceptors.spawn(async move {
                        accepting.await;
                        up.store(false, Ordering::Relaxed);
                    });
                }
                Err(error) => {
                    up.store(false, Ordering::Relaxed);
                    tracing::error!(%error, "a listening socket cannot be used");
                }
            },
            Some(Command::Narrow(cap, by)) => drop(acceptors.spawn(narrow(cap, by))),
            Some(Command::Tend(key_sets)) => {
                tended.0.shutdown().await;
                // Whoever waits for an attempt that was under way does not wait on.
                tended.1.iter().for_each(|keys| keys.give_up());
                for keys in &key_sets {
                    tended.0.spawn(key_sets::keep(Arc::clone(keys), clock.clone()));
                }
                tended.1 = key_sets;
            }
        }
    }
    drop(seats);
    while acceptors.join_next().await.is_some() {}
}

async fn narrow(cap: Arc<Semaphore>, mut by: usize) {
    while by > 0 {
        let step = u32::try_from(by).unwrap_or(u32::MAX);
        // It is never closed.
        let Ok(places) = cap.acquire_many(step).await else { return };
        places.forget();
        by -= step as usize;
    }
}

/// How many bytes of memory the process takes (proc(5), `VmRSS`), where the system says so.
pub(super) fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_says_how_much_memory_a_process_takes() {
        assert!(resident().is_some_and(|bytes| bytes > 1 << 20));
    }
}
