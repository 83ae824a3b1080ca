//! Whose word on the caller's address is taken.

use std::net::IpAddr;

use super::Scene;
use crate::config::report::Report;
use crate::config::rules;
use crate::invalid::Invalid;
use crate::units::Network;

/// Proxies that are more than proxies, or that speak in two ways.
pub(super) fn proxies(scene: &Scene<'_>, report: &mut Report) {
    for entry in scene.proxies.iter().chain(&scene.balancers).chain(&scene.askers) {
        if let Some(wide) = entry.networks.iter().find(|network| is_wide(network)) {
            let invalid = Invalid::new(format!("everyone in {wide} may say who is calling"));
            report.find(&rules::WIDE_PROXIES, entry.place.clone(), invalid);
        }
    }
    for entry in &scene.balancers {
        let trusted = || scene.proxies.iter().flat_map(|proxy| &proxy.networks);
        let twice = entry.networks.iter().find(|own| trusted().any(|other| other.overlaps(own)));
        if let Some(twice) = twice {
            let invalid = Invalid::new(format!("{twice} is in `trusted_proxies` too"));
            report.find(&rules::PROXY_TWICE, entry.place.clone(), invalid);
        }
    }
}

/// Whether nobody has so many proxies: more than 2^16 public addresses, or more than the largest private network.
fn is_wide(network: &Network) -> bool {
    let (first, bits) = network.parts();
    match first {
        IpAddr::V4(first) => bits < 8 || bits < 16 && !first.is_private() && !first.is_loopback(),
        IpAddr::V6(first) => bits < if first.is_unique_local() { 8 } else { 32 },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_wide_where_nobody_has_so_many_proxies() {
        for (network, expected) in [
            ("10.0.0.0/8", false),
            ("10.0.0.0/7", true),
            ("128.0.0.0/1", true),
            ("192.168.0.0/16", false),
            ("172.16.0.0/12", false),
            ("198.51.0.0/16", false),
            ("198.50.0.0/15", true),
            ("203.0.113.7", false),
            ("2001:db8::/32", false),
            ("2000::/3", true),
            ("fd00::/8", false),
            ("fc00::/7", true),
        ] {
            assert_eq!(is_wide(&network.parse().unwrap()), expected, "{network}");
        }
    }
}
