//! Keeps an eye on the files of TLS: what changes is read anew, and a certificate that is about to end is told of in time.

use std::sync::Arc;

use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::clock::{Clock, UnixTime};
use crate::world::World;

/// How often it is said that a certificate is about to end, in seconds.
const DAILY: u64 = 24 * 3600;

/// Looks at the files every so often, for ever. `present` is the World of that moment.
pub(super) async fn watch(present: impl Fn() -> Arc<World>, clock: Clock) {
    // What there was to say at the start was said with the configuration.
    let mut said = clock.unix();
    loop {
        sleep(present().look).await;
        let (world, clock) = (present(), clock.clone());
        // Aside: a disk that hangs shall not keep anybody from being accepted.
        let looked = spawn_blocking(move || {
            let now = clock.unix();
            if world.renew(&clock, false).iter().any(|outcome| outcome.result.is_ok()) {
                tell(&world, now);
            }
            if now.0 >= said.0.saturating_add(DAILY) { warn(&world, now) } else { said }
        });
        said = looked.await.unwrap_or(said);
    }
}

/// Says when the certificates end that listeners show.
pub(super) fn tell(world: &World, now: UnixTime) {
    for (listener, own) in world.own_certificates() {
        tracing::info!(%listener, file = %own.file.display(), days_left = own.days_left(now), "a certificate is shown");
    }
}

fn warn(world: &World, now: UnixTime) -> UnixTime {
    for (listener, own) in world.own_certificates().into_iter().filter(|(_, own)| own.untimely(now).is_some()) {
        let (file, days_left) = (own.file.display(), own.days_left(now));
        tracing::warn!(%listener, %file, days_left, "this certificate, or one behind it, is to be renewed");
    }
    now
}
