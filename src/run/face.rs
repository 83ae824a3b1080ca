//! What a running server tells whoever holds it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::explain::Explaining;
use super::{Reloader, Server};
use crate::forward::leases::Endings;
use crate::gateway::explain::Scenery;
use crate::kept::Outcome;
use crate::limit::Limits;
use crate::store::Store;
use crate::telemetry::access;

impl Server {
    /// What changes its configuration while it runs.
    pub fn reloader(&self) -> &Reloader {
        &self.reloader
    }

    /// Whether requests should be sent here: false as soon as a stop was asked for.
    pub fn readiness(&self) -> &Arc<AtomicBool> {
        &self.ready
    }

    /// Whether every worker comes round. One does so ten times a second; one that has not for ten seconds hangs.
    pub fn is_alive(&self) -> bool {
        self.lookout.is_alive()
    }

    /// Where a listener is bound: with port 0 in the configuration, the one that was free.
    pub fn address(&self, listener: &str) -> Option<SocketAddr> {
        self.addresses().into_iter().find(|(name, _)| &**name == listener).map(|(_, address)| address)
    }

    /// Where the admin API is bound, if the configuration has it.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.lookout.address("admin")
    }

    /// Where anybody may ask whether it lives and is ready, if the configuration has such a listener.
    pub fn monitoring_address(&self) -> Option<SocketAddr> {
        self.lookout.address("monitoring")
    }

    /// Every listener with its address.
    pub fn addresses(&self) -> Vec<(Box<str>, SocketAddr)> {
        self.reloader.running().doors.addresses().map(|(name, address)| (name.into(), address)).collect()
    }

    /// Reads every file of TLS anew, whether it has changed or not, and says what became of each listener and upstream.
    /// Waits for the disk.
    pub fn reload_certificates(&self) -> Vec<Outcome> {
        self.world.load().renew(&self.clock, true)
    }

    /// What a request is explained by that would come now.
    pub fn scenery(&self) -> Scenery {
        Explaining::of(&self.reloader.running(), &self.clock).scenery()
    }

    /// Where the quotas of accounts stand.
    pub fn limits(&self) -> &Arc<Limits> {
        &self.limits
    }

    /// How many open streams were ended because their callers would be let in no longer.
    pub fn endings(&self) -> &Arc<Endings> {
        &self.endings
    }

    /// What becomes of the lines of requests.
    pub fn access(&self) -> &Arc<access::Running> {
        &self.told.0
    }

    /// Where accounts and credentials are changed while all this runs, if the configuration has a store.
    pub fn store(&self) -> Option<&Store> {
        self.store.as_ref()
    }
}
