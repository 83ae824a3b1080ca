//! Hosts whose pages may use something. A host stands for itself and for its subdomains; names are compared label by
//! label, without regard to case (vendors 3.1).

use crate::invalid::Invalid;

/// A list of authorised hosts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hosts(Box<[Box<str>]>);

impl Hosts {
    /// The list of these names, in their ASCII form (IDNA). A name may begin with `*.`, which says nothing more.
    pub fn new<T: AsRef<str>>(names: impl IntoIterator<Item = T>) -> Result<Self, Invalid> {
        names.into_iter().map(|name| host(name.as_ref())).collect::<Result<_, _>>().map(Self)
    }

    /// Whether there is none: no page is kept out.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|host| &**host)
    }

    /// Whether `host`, in its ASCII form and in lower case, is one of them or a subdomain of one.
    pub fn allows(&self, host: &str) -> bool {
        self.0.iter().any(|own| match host.strip_suffix(&**own) {
            Some("") => true,
            Some(rest) => rest.ends_with('.'),
            None => false,
        })
    }
}

fn host(name: &str) -> Result<Box<str>, Invalid> {
    let bare = name.strip_prefix("*.").unwrap_or(name);
    let bare = bare.strip_suffix('.').unwrap_or(bare);
    match url::Host::parse(bare) {
        Ok(host) if !bare.is_empty() => Ok(host.to_string().into_boxed_str()),
        _ => Err(Invalid::new(format!("`{}` is not the name of a host", name.escape_debug()))
            .hint("write it without scheme, port and path: \"example.com\"")),
    }
}
