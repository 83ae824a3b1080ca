//! Quantities as operators write them: durations (`10s`), sizes (`32 KiB`), networks (`10.0.0.0/8`), hosts.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use jiff::SpanRelativeTo;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};

/// Whether the host of an address, in brackets or without, is this machine itself.
pub fn is_this_machine(host: &str) -> bool {
    let plain = host.trim_start_matches('[').trim_end_matches(']');
    plain == "localhost" || plain.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// A length of time: `"10s"`, `"1m 30s"`, `"250ms"`. Never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

impl Span {
    /// So many seconds.
    pub const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // A day is 24 hours here: nobody's calendar is asked.
        let read = |text: &str| text.parse::<jiff::Span>()?.to_duration(SpanRelativeTo::days_are_24_hours());
        let signed = read(text)
            .map_err(|_| format!("`{text}` is not a duration; write it as \"10s\", \"1m 30s\" or \"250ms\""))?;
        match Duration::try_from(signed) {
            Ok(duration) if !duration.is_zero() => Ok(Self(duration)),
            Ok(_) | Err(_) => Err("a duration here is longer than nothing".to_owned()),
        }
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Span {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "description": "A duration such as \"10s\", \"1m 30s\", \"250ms\".", "examples": ["10s"] })
    }
}

/// A number of bytes: `"32 KiB"`, `"1 MB"`, or a plain number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

impl Size {
    /// So many binary kilobytes.
    pub const fn kib(kib: u64) -> Self {
        Self(kib * 1024)
    }

    /// The size in memory, as large as this machine can hold at most.
    pub fn bytes(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "a size such as \"32 KiB\", \"1 MB\" or a number of bytes")]
        enum Written {
            Bytes(u64),
            Text(String),
        }
        match Written::deserialize(deserializer)? {
            Written::Bytes(bytes) => Ok(Self(bytes)),
            Written::Text(text) => text.parse::<bytesize::ByteSize>().map(|size| Self(size.0)).map_err(|_| {
                serde::de::Error::custom(format!(
                    "`{text}` is not a size; write it as \"32 KiB\", \"1 MB\" or a number of bytes"
                ))
            }),
        }
    }
}

impl JsonSchema for Size {
    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "description": "A size such as \"32 KiB\" or a number of bytes.", "type": ["string", "integer"], "examples": ["32 KiB"] })
    }
}

/// A part of a whole: `"50%"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Percent(pub u32);

impl FromStr for Percent {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = text.strip_suffix('%').and_then(|digits| digits.trim_end().parse().ok());
        let number = number.filter(|number| (1..=100).contains(number));
        number.map(Self).ok_or_else(|| format!("`{text}` is not a part of a whole; write it as \"50%\", 1 to 100"))
    }
}

impl<'de> Deserialize<'de> for Percent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Percent {
    fn schema_name() -> Cow<'static, str> {
        "Percent".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "description": "A part of a whole, 1 % to 100 %.", "examples": ["50%"] })
    }
}

/// A network (`10.0.0.0/8`, `2001:db8::/32`) or a single address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network(ipnet::IpNet);

impl Network {
    /// Whether `address` lies inside. An IPv4-mapped IPv6 address counts as its IPv4 (RFC 4291 §2.5.5.2).
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }

    /// Its first address, and how many bits all of its addresses share.
    pub fn parts(&self) -> (IpAddr, u8) {
        (self.0.network(), self.0.prefix_len())
    }

    /// Whether some address lies in both.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.0.contains(&other.0) || other.0.contains(&self.0)
    }
}

impl fmt::Display for Network {
    /// As people write it: a single address without the length of its prefix.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.prefix_len() == self.0.max_prefix_len() { self.0.addr().fmt(f) } else { self.0.fmt(f) }
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let network = match text.parse::<ipnet::IpNet>() {
            Ok(network) => network,
            Err(_) => text
                .parse::<IpAddr>()
                .map(ipnet::IpNet::from)
                .map_err(|_| format!("`{text}` is not a network; write it as \"10.0.0.0/8\" or \"192.0.2.7\""))?,
        };
        if network.trunc() != network {
            return Err(format!("`{text}` has bits set outside its prefix; did you mean \"{}\"?", network.trunc()));
        }
        if let ipnet::IpNet::V6(v6) = network
            && v6.addr().to_ipv4_mapped().is_some()
        {
            return Err(format!("`{text}` is an IPv4-mapped address; write the IPv4 address itself"));
        }
        Ok(Self(network))
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Network {
    fn schema_name() -> Cow<'static, str> {
        "Network".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "description": "A network or an address.", "examples": ["10.0.0.0/8", "192.0.2.7"] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct Holder<T> {
        value: T,
    }

    fn read<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, toml::de::Error> {
        toml::from_str::<Holder<T>>(&format!("value = {text}")).map(|holder| holder.value)
    }

    #[test]
    fn durations_are_read_as_people_write_them() {
        assert_eq!(read::<Span>("\"1m 30s\"").unwrap(), Span::seconds(90));
        assert_eq!(read::<Span>("\"250ms\"").unwrap().0, Duration::from_millis(250));
        assert_eq!(read::<Span>("\"365d\"").unwrap(), Span::seconds(365 * 24 * 60 * 60));
        for wrong in ["\"5 parsecs\"", "\"1 year\"", "\"1mo\"", "\"0s\"", "\"-1s\"", "\"\"", "10"] {
            assert!(read::<Span>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_are_read_with_and_without_units() {
        assert_eq!(read::<Size>("\"32 KiB\"").unwrap(), Size::kib(32));
        assert_eq!(read::<Size>("1000").unwrap(), Size(1000));
        for wrong in ["\"32 parsecs\"", "-1", "\"\""] {
            assert!(read::<Size>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn parts_of_a_whole_are_read_as_percent() {
        assert_eq!(read::<Percent>("\"50%\"").unwrap(), Percent(50));
        assert_eq!(read::<Percent>("\"100 %\"").unwrap(), Percent(100));
        for wrong in ["\"0%\"", "\"101%\"", "\"50\"", "\"%\"", "\"-1%\"", "0.5"] {
            assert!(read::<Percent>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_mapped_address_lies_in_the_network_of_its_ipv4() {
        let network: Network = "10.0.0.0/8".parse().unwrap();
        assert!(network.contains("::ffff:10.1.2.3".parse().unwrap()));
        assert!(!network.contains("11.0.0.1".parse().unwrap()));
    }

    #[test]
    fn a_network_with_host_bits_is_a_mistake() {
        assert!("10.0.0.1/8".parse::<Network>().unwrap_err().contains("10.0.0.0/8"));
        assert!("300.0.0.1".parse::<Network>().is_err());
        assert!("::ffff:10.0.0.0/104".parse::<Network>().is_err());
    }
}
