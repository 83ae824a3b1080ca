//! Networks as meant: names of `[networks]` replaced by what they stand for.

use std::cell::RefCell;
use std::collections::BTreeSet;

use super::plain_name;
use crate::config::file::{Named, NetworkOrName, Placed};
use crate::config::nearest;
use crate::config::report::Report;
use crate::config::rules;
use crate::invalid::Invalid;
use crate::units::Network;

/// The networks that have names.
pub(super) struct Networks<'f> {
    written: &'f [Named<Vec<Placed<Network>>>],
    used: RefCell<BTreeSet<&'f str>>,
}

impl<'f> Networks<'f> {
    /// Looks at the names themselves.
    pub(super) fn new(written: &'f [Named<Vec<Placed<Network>>>], report: &mut Report) -> Self {
        for named in written {
            plain_name(&named.name, &[], report);
            if named.name.value.parse::<Network>().is_ok() {
                let invalid = Invalid::new("this is an address: it cannot be a name as well");
                report.error(named.name.place.clone(), invalid);
            }
            if named.table.as_ref().is_some_and(Vec::is_empty) {
                let invalid = Invalid::new("nothing has this name: whatever it is used for would be for nobody");
                report.error(named.name.place.clone(), invalid);
            }
        }
        Self { written, used: RefCell::default() }
    }

    /// What an entry stands for; says what it could have been.
    fn meant(&self, text: &str) -> Result<Vec<Network>, Invalid> {
        let wrong = match text.parse() {
            Ok(network) => return Ok(vec![network]),
            Err(wrong) => wrong,
        };
        if let Some(found) = self.written.iter().find(|named| named.name.value == text) {
            self.used.borrow_mut().insert(&found.name.value);
            // A list that could not be read was blamed already.
            return Ok(found.table.iter().flatten().map(|network| network.value).collect());
        }
        if text.is_empty() || text.contains(['.', ':', '/']) {
            return Err(Invalid::new(wrong));
        }
        let mut invalid = Invalid::new(format!("`{text}` is neither a network nor a name of [networks]"));
        invalid.hint = nearest::hint(text, self.written.iter().map(|named| named.name.value.as_str()));
        Err(invalid)
    }

    /// What a list of proxies stands for. Their word is believed: not everyone may be one of them.
    pub(super) fn proxies(&self, written: &[Placed<NetworkOrName>], report: &mut Report) -> Vec<Network> {
        let mut networks = Vec::new();
        for entry in written {
            match self.meant(&entry.value.0) {
                Ok(own) if own.iter().any(is_everyone) => {
                    let invalid = Invalid::new("every address is a trusted proxy: any caller could claim any address")
                        .hint("list the networks of your own proxies");
                    report.error(entry.place.clone(), invalid);
                }
                Ok(own) => networks.extend(own),
                Err(invalid) => report.error(entry.place.clone(), invalid),
            }
        }
        networks
    }

    /// What one entry stands for, once all entries are known to be right.
    pub(super) fn of(&self, entry: &NetworkOrName) -> Vec<Network> {
        self.meant(&entry.0).unwrap_or_default()
    }

    /// The same for a list that stands in the settings of a scheme.
    pub(super) fn expand(&self, list: &mut toml::Value) -> Result<(), Invalid> {
        let toml::Value::Array(entries) = list else { return Ok(()) };
        let mut expanded = Vec::new();
        for entry in entries.drain(..) {
            match entry.as_str() {
                Some(text) => {
                    expanded.extend(self.meant(text)?.iter().map(|network| toml::Value::String(network.to_string())));
                }
                None => expanded.push(entry),
            }
        }
        *entries = expanded;
        Ok(())
    }

    /// Warns of names that nobody uses.
    pub(super) fn unused(&self, report: &mut Report) {
        let used = self.used.borrow();
        for named in self.written.iter().filter(|named| !used.contains(named.name.value.as_str())) {
            let invalid = Invalid::new(format!("nothing uses the networks `{}`", named.name.value));
            report.find(&rules::UNUSED_NETWORKS, named.name.place.clone(), invalid);
        }
    }
}

/// Whether a network holds addresses that have nothing in common.
fn is_everyone(network: &Network) -> bool {
    [["1.1.1.1", "200.1.1.1"], ["100::1", "fd00::1"]]
        .iter()
        .any(|far_apart| far_apart.iter().all(|address| network.contains(address.parse().expect("an address"))))
}
