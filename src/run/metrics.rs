//! Looks at everything that is measured, at the moment when somebody asks. Locks are held for moments, and no request
//! waits for more than that.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::lookout::{Facts, Lookout};
use crate::clock::UnixTime;
use crate::edge::connection::ListenerId;
use crate::edge::tls::Keeper;
use crate::edge::vitals::Overload;
use crate::forward::standing::Condition;
use crate::key_set::{KeySet, Source};
use crate::limit::failures::Counted;
use crate::scheme::Lapse;
use crate::store::Store;
use crate::telemetry::log;
use crate::telemetry::metrics::families as of;
use crate::telemetry::metrics::{Sheet, Workers, process};
use crate::world::World;

impl Lookout {
    /// Everything, as it is now.
    pub(super) fn sheet(&self) -> Sheet {
        let (world, facts) = (self.world.load_full(), self.facts.load_full());
        let mut sheet = Sheet::new();
        if let Some(counted) = &self.counted {
            requests(&mut sheet, counted);
            streams(&mut sheet, counted);
            handshakes(&mut sheet, counted, &world);
        }
        for lapse in Lapse::ALL {
            sheet.count(&of::STREAMS_ENDED, &[lapse.name()], self.endings.of(lapse));
        }
        listeners(&mut sheet, &facts);
        let keepers = world.listeners.iter().filter_map(|listener| Some((&*listener.name, listener.tls.as_ref()?)));
        for (listener, keeper) in keepers.chain(world.admin_tls.as_ref().map(|keeper| ("admin", keeper))) {
            certificates(&mut sheet, listener, keeper);
        }
        self.tell_limits(&mut sheet);
        self.tell_upstreams(&mut sheet, &world);
        self.tell_existing(&mut sheet, &world);
        self.tell_workers(&mut sheet);
        self.tell_configuration(&mut sheet, &facts);
        process::tell(&mut sheet);
        sheet.number(&of::PROCESS_START, &[], self.started.0);
        sheet
    }

    fn tell_limits(&self, sheet: &mut Sheet) {
        for own in self.limits.standings() {
            let decisions = [("admitted", own.admitted), ("refused", own.refused), ("would_refuse", own.would_refuse)];
            for (decision, count) in decisions {
                sheet.count(&of::LIMIT_DECISIONS, &[&own.limit, decision], count);
            }
            sheet.number(&of::LIMIT_CALLERS, &[&own.limit], own.callers);
            sheet.count(&of::LIMIT_SHARED, &[&own.limit], own.shared);
        }
        for own in self.guards.standings() {
            for (by, Counted { all, held }) in [("address", own.addresses), ("identifier", own.identifiers)] {
                sheet.number(&of::GUARD_COUNTED, &[&own.limit, by], all);
                sheet.number(&of::GUARD_HELD, &[&own.limit, by], held);
            }
            sheet.count(&of::GUARD_REFUSALS, &[&own.limit], own.refused);
        }
    }

    fn tell_upstreams(&self, sheet: &mut Sheet, world: &World) {
        for own in self.fleet.standings(&world.upstreams) {
            for (url, condition) in &own.endpoints {
                for state in Condition::NAMES {
                    let is = f64::from(u8::from(condition.name() == state));
                    sheet.gauge(&of::ENDPOINT_STATE, &[&own.upstream, url, state], is);
                }
            }
        }
        let figures = self.fleet.figures();
        let endpoints = figures.iter().map(|own| own.endpoints.len()).sum();
        let mut connections = self.counted.as_ref().map(|counted| counted.connections(endpoints)).into_iter().flatten();
        for own in &figures {
            let upstream = &*own.upstream;
            sheet.number(&of::UPSTREAM_IN_FLIGHT, &[upstream], own.in_flight);
            sheet.number(&of::UPSTREAM_WAITING, &[upstream], own.waiting);
            sheet.count(&of::RETRIES, &[upstream], own.retries);
            for endpoint in &own.endpoints {
                let url = &*endpoint.url;
                sheet.number(&of::ENDPOINT_IN_FLIGHT, &[upstream, url], endpoint.in_flight);
                sheet.count(&of::EJECTIONS, &[upstream, url], endpoint.ejections);
                sheet.count(&of::HEALTH_CHECKS, &[upstream, url, "passed"], endpoint.passed);
                sheet.count(&of::HEALTH_CHECKS, &[upstream, url, "failed"], endpoint.failed);
                if let Some((busy, idle)) = connections.next() {
                    sheet.number(&of::UPSTREAM_CONNECTIONS, &[upstream, url, "busy"], busy);
                    sheet.number(&of::UPSTREAM_CONNECTIONS, &[upstream, url, "idle"], idle);
                }
            }
        }
    }

    fn tell_existing(&self, sheet: &mut Sheet, world: &World) {
        sheet.number(&of::ACCOUNTS, &[], world.directory.accounts());
        for (kind, count) in world.directory.census() {
            sheet.number(&of::CREDENTIALS, &[kind.name()], count);
        }
        if let Some(store) = &self.store {
            stored(sheet, store);
        }
        key_sets(sheet, &world.key_sets);
    }

    fn tell_workers(&self, sheet: &mut Sheet) {
        sheet.number(&of::WORKERS, &[], self.workers.len());
        for (number, (vitals, connections)) in self.workers.iter().enumerate() {
            let worker = number.to_string();
            sheet.gauge(&of::WORKER_LAG, &[&worker], seconds(vitals.lag()));
            sheet.gauge(&of::WORKER_SILENCE, &[&worker], seconds(vitals.silence()));
            sheet.number(&of::WORKER_CONNECTIONS, &[&worker], connections.load(Ordering::Relaxed));
            sheet.number(&of::WORKER_REQUESTS, &[&worker], vitals.in_flight());
            for reason in [Overload::Memory, Overload::Lag, Overload::InFlight] {
                let is = f64::from(u8::from(vitals.overload() == Some(reason)));
                sheet.gauge(&of::WORKER_OVERLOAD, &[&worker, reason.name()], is);
            }
        }
        if let Some(most) = self.memory.most() {
            sheet.number(&of::MAX_MEMORY, &[], most);
        }
        sheet.count(&of::LOG_DROPPED, &["events"], log::dropped());
        if let Some(access) = &self.access {
            sheet.count(&of::LOG_DROPPED, &["access"], access.dropped());
        }
        for (outcome, count) in self.spans.outcomes() {
            sheet.count(&of::SPANS, &[outcome], count);
        }
    }

    fn tell_configuration(&self, sheet: &mut Sheet, facts: &Facts) {
        sheet.number(&of::BUILD, &[env!("CARGO_PKG_VERSION")], 1_u64);
        sheet.number(&of::GENERATION, &[], facts.generation);
        sheet.number(&of::LOADED, &[], facts.loaded.0);
        let ok = self.last_reload.load().as_ref().is_none_or(|last| last.ok);
        sheet.number(&of::RELOAD_OK, &[], u64::from(ok));
        for (outcome, count) in ["succeeded", "failed"].into_iter().zip(&self.reloads) {
            sheet.count(&of::RELOADS, &[outcome], count.load(Ordering::Relaxed));
        }
    }
}

fn requests(sheet: &mut Sheet, counted: &Workers) {
    for (route, own) in counted.requests() {
        for (scheme, outcome, count) in own.requests() {
            sheet.count(&of::REQUESTS, &[&route, scheme, outcome], count);
        }
        for (class, count) in own.classes() {
            sheet.count(&of::RESPONSES, &[&route, class], count);
        }
        for (cause, count) in own.causes() {
            sheet.count(&of::REFUSALS, &[&route, cause], count);
        }
        sheet.times(&of::REQUEST_DURATION, &[&route], &own.total);
        sheet.times(&of::UPSTREAM_DURATION, &[&route], &own.upstream);
        sheet.count(&of::REQUEST_BYTES, &[&route], own.received);
        sheet.count(&of::RESPONSE_BYTES, &[&route], own.sent);
    }
}

fn streams(sheet: &mut Sheet, counted: &Workers) {
    let (streams, tunnels) = counted.streams();
    sheet.number(&of::STREAMS, &["stream"], streams);
    sheet.number(&of::STREAMS, &["tunnel"], tunnels);
}

fn handshakes(sheet: &mut Sheet, counted: &Workers, world: &World) {
    for (number, position) in world.positions.iter().enumerate() {
        let Some(listener) = position.map(|position| &world.listeners[position]) else { continue };
        if listener.tls.is_none() {
            continue;
        }
        for (handshake, count) in counted.handshakes(ListenerId(number)) {
            let [version, outcome] = handshake.labels();
            sheet.count(&of::HANDSHAKES, &[&listener.name, version, outcome], count);
        }
    }
}

fn listeners(sheet: &mut Sheet, facts: &Facts) {
    for door in &facts.doors {
        sheet.number(&of::CONNECTIONS, &[&door.name], door.connections());
        sheet.number(&of::MAX_CONNECTIONS, &[&door.name], door.most);
    }
}

fn certificates(sheet: &mut Sheet, listener: &str, keeper: &Keeper) {
    let present = keeper.present();
    for own in &present.own {
        sheet.gauge(&of::CERTIFICATE_EXPIRY, &[listener, &own.file.to_string_lossy()], instant(own.not_after));
    }
    for list in present.revocation_lists() {
        sheet.gauge(&of::CRL_THIS_UPDATE, &[listener, &list.issuer], instant(list.this_update));
        sheet.gauge(&of::CRL_NEXT_UPDATE, &[listener, &list.issuer], instant(list.next_update));
    }
}

fn stored(sheet: &mut Sheet, store: &Store) {
    let standing = store.standing();
    sheet.number(&of::STORE_ENTRIES, &[], standing.entries);
    sheet.number(&of::STORE_BYTES, &[], standing.file_bytes);
    sheet.number(&of::STORE_QUEUE, &[], standing.queue);
    sheet.number(&of::STORE_READ_ONLY, &[], u64::from(standing.read_only));
    sheet.gauge(&of::STORE_SILENCE, &[], seconds(store.silence()));
    sheet.times(&of::STORE_COMMITS, &[], &store.commits());
}

/// Sets of one source are one: what differs between them may be no more than how often they are fetched.
fn key_sets(sheet: &mut Sheet, all: &[Arc<KeySet>]) {
    let mut seen: Vec<&Source> = Vec::new();
    for keys in all {
        let is_new = |source: &&Source| !seen.iter().any(|before| before.is_there_too(source));
        let Some(own) = keys.source().filter(is_new) else { continue };
        // What tells two addresses apart may be in their queries, which are secret: then it is a number.
        let alike = seen.iter().filter(|before| before.shown() == own.shown()).count();
        let source = if alike == 0 { own.shown() } else { format!("{}#{}", own.shown(), alike + 1) };
        let told = keys.told();
        sheet.count(&of::KEY_SET_FETCHES, &[&source, "succeeded"], told.succeeded);
        sheet.count(&of::KEY_SET_FETCHES, &[&source, "failed"], told.failed);
        sheet.number(&of::KEY_SET_AGE, &[&source], told.last_success.map_or(0, |UnixTime(seconds)| seconds));
        sheet.number(&of::KEY_SET_EXPIRY, &[&source], keys.good_until().map_or(0, |UnixTime(seconds)| seconds));
        sheet.number(&of::KEY_SET_KEYS, &[&source], keys.len());
        seen.push(own);
    }
}

fn seconds(time: Duration) -> f64 {
    time.as_secs_f64()
}

/// Seconds since the epoch.
#[expect(clippy::cast_precision_loss, reason = "exact for as long as certificates last")]
fn instant(seconds: i64) -> f64 {
    seconds as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::metrics::page;

    #[test]
    fn sources_that_differ_in_what_is_secret_are_told_apart_without_it() {
        let set = |url: &'static str, authorities: Option<&[u8]>, refresh: u64| {
            let hour = Duration::from_hours(1);
            Arc::new(KeySet::at(Source {
                url: http::Uri::from_static(url),
                authorities: authorities.map(Into::into),
                refresh: Duration::from_secs(refresh),
                cool_down: hour,
                max_age: hour,
            }))
        };
        let mut sheet = Sheet::new();
        let all = [
            set("https://login.example.test/keys?p=hunter1", None, 60),
            set("https://login.example.test/keys?p=hunter2", None, 60),
            set("https://login.example.test/keys?p=hunter1", None, 90),
            set("https://login.example.test/keys?p=hunter1", Some(b"own"), 60),
            set("https://login.example.test/others", None, 60),
        ];
        key_sets(&mut sheet, &all);
        let (_, text) = page(sheet, None);
        let keys = text.lines().filter_map(|line| line.strip_prefix("vidgate_key_set_keys{source=\""));
        let mut sources: Vec<&str> = keys.filter_map(|rest| rest.split('"').next()).collect();
        sources.sort_unstable();
        let first = "https://login.example.test/keys";
        assert_eq!(sources, [first, &format!("{first}#2"), &format!("{first}#3"), "https://login.example.test/others"]);
        assert!(!text.contains("hunter"), "{text}");
    }
}
