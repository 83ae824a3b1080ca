//! Ports that stay a test's own, also while nobody listens there: tests run beside one another, and what is free belongs
//! to whoever comes next.

use std::net::{SocketAddr, TcpListener, TcpStream};

use socket2::{Domain, Socket, Type};

use crate::patience::until;

/// A port at which nobody listens unless the test has somebody listen: the kernel refuses who connects. It is bound with
/// `SO_REUSEADDR`, so that a listener with the same can be bound over it, again and again, and it is chosen for nobody else.
pub struct Reserved {
    _socket: Socket,
    address: SocketAddr,
}

impl Reserved {
    /// Any that is free.
    pub fn new() -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket.set_reuse_address(true).expect("it can be set");
        socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("a port is free");
        let address = socket.local_addr().ok().and_then(|address| address.as_socket());
        Self { _socket: socket, address: address.expect("a bound socket has an address") }
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Listens there.
    pub fn listen(&self) -> TcpListener {
        TcpListener::bind(self.address).expect("it is ours")
    }

    /// Returns once nobody listens there any more.
    pub fn await_silence(&self) {
        until("a port at which nobody listens", || TcpStream::connect(self.address).is_err());
    }
}
