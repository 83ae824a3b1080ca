//! Where secrets and files come in: the only place that reads the environment, and the only one that opens the files
//! that the configuration names (but for TLS, whose files are read where they are used).

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::invalid::Invalid;
use crate::secret::{Secret, SecretSource};

/// Larger than any key, token or configuration of ours; a device or a log named by mistake is not read to its end.
const LARGEST_FILE: u64 = 16 << 20;

/// The folder at which relative paths start.
#[derive(Debug)]
pub(super) struct Source {
    base: PathBuf,
}

impl Source {
    /// Relative paths start at `base`.
    pub(super) fn new(base: &Path) -> Self {
        Self { base: base.to_owned() }
    }

    /// The path that is meant.
    pub(super) fn path(&self, written: &Path) -> PathBuf {
        self.base.join(written)
    }

    /// A mistake that names files by where they are, with the names by which they are written: the folder of the
    /// configuration goes without saying.
    pub(super) fn as_written(&self, invalid: Invalid) -> Invalid {
        let base = self.base.join("").display().to_string();
        if base.is_empty() {
            return invalid;
        }
        Invalid { message: invalid.message.replace(&base, "").into(), ..invalid }
    }

    /// The content of a file that must hold something.
    pub(super) fn file(&self, written: &Path) -> Result<Zeroizing<Vec<u8>>, Invalid> {
        let bytes = read(&self.path(written)).map_err(|error| unreadable(written, &error))?;
        if bytes.is_empty() {
            return Err(Invalid::new(format!("`{}` is empty", written.display())));
        }
        Ok(bytes)
    }

    /// The secret from where its setting says it is. Never empty.
    pub(super) fn secret(&self, source: &SecretSource) -> Result<Secret, Invalid> {
        let bytes = match source {
            SecretSource::File(path) => without_line_break(&self.file(path)?).to_vec(),
            SecretSource::Env(name) => environment(name)?.into_bytes(),
            SecretSource::Literal(secret) => secret.expose().to_vec(),
        };
        let secret = Secret::new(bytes);
        if secret.expose().is_empty() {
            return Err(match source {
                SecretSource::File(path) => Invalid::new(format!("`{}` holds no secret", path.display())),
                SecretSource::Env(name) => Invalid::new(format!("the environment variable `{name}` is empty")),
                SecretSource::Literal(_) => Invalid::new("a secret is not empty"),
            });
        }
        Ok(secret)
    }

    /// Whether a file is there that whoever runs this may not read.
    pub(super) fn is_kept_from_us(&self, written: &Path) -> bool {
        File::open(self.path(written)).is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
    }

    /// Says so if others than the owner and their group may read a file that holds a secret.
    pub(super) fn exposure(&self, written: &Path) -> Option<Invalid> {
        exposed(&self.path(written)).then(|| {
            Invalid::new(format!("anyone on this machine may read `{}`", written.display()))
                .hint(format!("chmod o-rwx {}", written.display()))
        })
    }
}

/// The text of the configuration itself.
pub(super) fn configuration(path: &Path) -> Result<String, Invalid> {
    let bytes = read(path).map_err(|error| {
        let invalid = Invalid::new(format!("cannot read the configuration: {}", plain(&error)));
        if error.kind() == io::ErrorKind::PermissionDenied {
            invalid.hint(NOT_ALLOWED)
        } else if error.kind() == io::ErrorKind::NotFound {
            invalid.hint("name it with --config; the package has it at /etc/vidgate/vidgate.toml")
        } else {
            invalid
        }
    })?;
    String::from_utf8(bytes.to_vec()).map_err(|error| {
        Invalid::new(format!("the configuration is not UTF-8 from byte {} on", error.utf8_error().valid_up_to()))
    })
}

fn read(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::new());
    let file = File::open(path)?;
    // The whole length at once: a buffer that grows would leave unwiped copies of the secret behind.
    bytes.reserve_exact(usize::try_from(file.metadata()?.len().min(LARGEST_FILE)).unwrap_or(0) + 1);
    if file.take(LARGEST_FILE + 1).read_to_end(&mut bytes)? as u64 > LARGEST_FILE {
        return Err(io::Error::other("it is larger than 16 MiB"));
    }
    Ok(bytes)
}

/// Said of a file that is there, and not for whoever runs this.
const NOT_ALLOWED: &str = "the file is there: run this as the user that the gateway runs as, or as root";

fn unreadable(written: &Path, error: &io::Error) -> Invalid {
    let invalid = Invalid::new(format!("cannot read `{}`: {}", written.display(), plain(error)));
    if error.kind() == io::ErrorKind::PermissionDenied {
        return invalid.hint(NOT_ALLOWED);
    }
    if written.is_relative() {
        return invalid.hint("a relative path starts at the folder of the configuration file");
    }
    invalid
}

/// The error; the most common one without the number that the operating system gives it.
fn plain(error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::NotFound { "there is no such file".to_owned() } else { error.to_string() }
}

#[expect(clippy::disallowed_methods, reason = "this is the place that the lint points to")]
fn environment(name: &str) -> Result<String, Invalid> {
    std::env::var(name).map_err(|error| match error {
        std::env::VarError::NotPresent => Invalid::new(format!("the environment variable `{name}` is not set"))
            .hint(format!("set it for the process that reads this: export {name}=…")),
        std::env::VarError::NotUnicode(_) => Invalid::new(format!("the environment variable `{name}` is not UTF-8")),
    })
}

/// Editors and `echo` end a file with one line break; any further one belongs to the secret.
fn without_line_break(bytes: &[u8]) -> &[u8] {
    let Some(rest) = bytes.strip_suffix(b"\n") else { return bytes };
    rest.strip_suffix(b"\r").unwrap_or(rest)
}

#[cfg(unix)]
fn exposed(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o004 != 0)
}

#[cfg(not(unix))]
fn exposed(_: &Path) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder_with(content: &[u8]) -> (tempfile::TempDir, Source) {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("secret"), content).unwrap();
        let source = Source::new(folder.path());
        (folder, source)
    }

    #[test]
    fn a_file_that_is_kept_from_us_is_not_said_to_be_elsewhere() {
        let denied = unreadable(Path::new("master.key"), &io::Error::from(io::ErrorKind::PermissionDenied));
        assert_eq!(denied.hint.as_deref(), Some(NOT_ALLOWED));
        let missing = unreadable(Path::new("master.key"), &io::Error::from(io::ErrorKind::NotFound));
        assert!(missing.hint.is_some_and(|hint| hint.contains("a relative path")));
        let missing = configuration(Path::new("/nowhere/vidgate.toml")).unwrap_err();
        assert!(missing.hint.is_some_and(|hint| hint.contains("--config")));
    }

    #[test]
    fn exactly_one_final_line_break_is_taken_off() {
        for (content, expected) in [
            (&b"key"[..], &b"key"[..]),
            (b"key\n", b"key"),
            (b"key\r\n", b"key"),
            (b"key\n\n", b"key\n"),
            (b"key \n", b"key "),
            (b"key\r", b"key\r"),
        ] {
            let (_folder, source) = folder_with(content);
            let secret = source.secret(&SecretSource::File("secret".into())).unwrap();
            assert_eq!(secret.expose(), expected);
        }
    }

    #[test]
    fn an_empty_secret_is_refused_wherever_it_comes_from() {
        for content in [&b""[..], b"\n", b"\r\n"] {
            let (_folder, source) = folder_with(content);
            assert!(source.secret(&SecretSource::File("secret".into())).is_err(), "{content:?}");
        }
        let source = Source::new(Path::new("."));
        assert!(source.secret(&SecretSource::Literal(Secret::new(Vec::new()))).is_err());
    }

    #[test]
    fn an_unresolved_secret_is_a_mistake_and_never_a_literal() {
        let source = Source::new(Path::new("."));
        let missing = source.secret(&SecretSource::Env("VIDGATE_TEST_NOWHERE_SET".into())).unwrap_err();
        assert_eq!(missing.message, "the environment variable `VIDGATE_TEST_NOWHERE_SET` is not set");
        let missing = source.secret(&SecretSource::File("no/such/file".into())).unwrap_err();
        assert_eq!(missing.message, "cannot read `no/such/file`: there is no such file");
        assert!(source.secret(&SecretSource::Env("CARGO_MANIFEST_DIR".into())).is_ok());
    }

    #[cfg(unix)]
    #[test]
    fn a_secret_that_others_may_read_is_noticed() {
        use std::os::unix::fs::PermissionsExt;
        let (folder, source) = folder_with(b"key");
        for (mode, noticed) in [(0o600, false), (0o640, false), (0o644, true), (0o604, true)] {
            fs::set_permissions(folder.path().join("secret"), fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(source.exposure(Path::new("secret")).is_some(), noticed, "{mode:o}");
        }
    }
}
