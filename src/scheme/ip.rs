//! The address of the caller, as the socket or a trusted proxy gives it. It is always there: a caller from elsewhere is
//! not wrong, only not proven by it.

use http::HeaderValue;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::edge::head::Head;
use crate::edge::preface::Preface;
use crate::invalid::Invalid;
use crate::scheme::{Kit, Places, Principal, Rejection, Scene, Scheme};
use crate::units::Network;

/// `[scheme.<name>.ip]`
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The networks and addresses that are proof enough, or names of `[networks]`.
    networks: Vec<Network>,
}

/// The scheme.
#[derive(Debug)]
pub struct Ip {
    networks: Vec<Network>,
    subject: HeaderValue,
}

/// An address on the list.
#[derive(Debug)]
pub struct Listed;

/// The ends of both address families: a network that holds two ends of one holds all of it.
const ENDS: [[&str; 2]; 2] = [["0.0.0.0", "255.255.255.255"], ["::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"]];

impl Scheme for Ip {
    type Settings = Settings;
    type Credential<'a> = Listed;

    fn new(settings: Settings, kit: &Kit<'_>) -> Result<Self, Invalid> {
        let networks = settings.networks;
        if networks.is_empty() {
            return Err(Invalid::new("`networks` is empty, so that nobody would be on the list")
                .hint("write `networks = [\"192.0.2.0/24\"]`"));
        }
        if networks.iter().any(holds_everyone) {
            return Err(Invalid::new("a network of every address proves nothing")
                .hint("where anyone may pass, write `authenticate = \"open\"` in the route"));
        }
        let subject = HeaderValue::try_from(format!("address:{}", kit.name))
            .map_err(|_| Invalid::new("the name of a scheme is written in visible ASCII characters"))?;
        Ok(Self { networks, subject })
    }

    fn places(&self) -> Places {
        Places::default()
    }

    fn read<'a>(&self, head: &Head<'a>, _: &'a Preface) -> Result<Option<Listed>, Rejection> {
        let address = head.client_ip();
        Ok(self.networks.iter().any(|network| network.contains(address)).then_some(Listed))
    }

    fn verify(&self, Listed: Listed, _: &Scene<'_>) -> Result<Principal, Rejection> {
        Ok(Principal::ambient("ip", self.subject.clone()))
    }

    fn ambient(&self) -> bool {
        true
    }
}

fn holds_everyone(network: &Network) -> bool {
    ENDS.iter().any(|ends| {
        ends.iter().all(|end| network.contains(end.parse().expect("the ends of an address family are addresses")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scheme::stage::kit;

    fn build(networks: &str) -> Result<Ip, Invalid> {
        Ip::new(toml::from_str(&format!("networks = {networks}")).unwrap(), &kit("office"))
    }

    #[test]
    fn a_list_must_prove_something() {
        for (networks, hint) in
            [("[]", "192.0.2.0/24"), ("[\"0.0.0.0/0\"]", "open"), ("[\"10.0.0.0/8\", \"::/0\"]", "open")]
        {
            let invalid = build(networks).unwrap_err();
            assert!(invalid.hint.unwrap().contains(hint), "{networks}");
        }
        for networks in ["[\"0.0.0.0/1\"]", "[\"192.0.2.7\"]", "[\"2001:db8::/32\"]"] {
            assert!(build(networks).is_ok(), "{networks}");
        }
    }
}
