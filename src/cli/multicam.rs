//! `vidgate multicam key`: the RSA pair to which clients of Multicam encrypt their keys. Its public half is printed as the
//! vendor's interface shows it; the pair lies in a file for its owner alone, and none is ever replaced.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::manage;
use super::operator::Trouble;
use super::transfer::NewFile;
use crate::endpoint::token::{PublicKey, generate};

/// What can be done for Multicam.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make a pair of keys, or show the public one.
    #[command(after_help = "Example: vidgate multicam key show multicam.key")]
    Key {
        #[command(subcommand)]
        what: Key,
    },
}

/// What can be done with a pair.
#[derive(Debug, Subcommand)]
pub(super) enum Key {
    /// Make a pair, and print its public key.
    #[command(
        after_help = "Example: vidgate multicam key new multicam.key\n\nThen add to the configuration: [endpoint.token] with keys = [{ key = { file = \"multicam.key\" } }]"
    )]
    New(Pair),
    /// Print the public key of a pair: SPKI in base64, in one line.
    #[command(after_help = "Example: vidgate multicam key show multicam.key")]
    Show(Pair),
    /// Make the pair that comes next, and print its public key and how both are good for a time.
    #[command(
        after_help = "Example: vidgate multicam key rotate multicam.key --to multicam-2.key\n\nBoth open until the old one is taken out of the configuration: hand out the new public key in between."
    )]
    Rotate(Rotation),
}

/// A pair.
#[derive(Args, Debug)]
pub(super) struct Pair {
    /// The file of the pair (PKCS#8 in PEM)
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// A pair, and the next one.
#[derive(Args, Debug)]
pub(super) struct Rotation {
    /// The file of the pair that is in use
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The file of the next one
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
}

impl Command {
    /// Does it.
    pub(super) fn run(&self) -> ExitCode {
        let Self::Key { what } = self;
        match what.run() {
            Ok(text) => super::print(&text),
            Err(trouble) => trouble.tell(),
        }
    }
}

impl Key {
    fn run(&self) -> Result<String, Trouble> {
        match self {
            Self::New(pair) => make(&pair.file),
            Self::Show(pair) => Ok(format!("{}\n", public(&pair.file)?.to_line())),
            Self::Rotate(Rotation { file, to }) => {
                // Whoever mistypes the old one is told before there is a new one.
                public(file)?;
                let line = make(to)?;
                let entry = |path: &Path| format!("{{ key = {{ file = {:?} }} }}", path.to_string_lossy());
                Ok(format!("{line}\n[endpoint.token]\nkeys = [{}, {}]\n", entry(file), entry(to)))
            }
        }
    }
}

/// Makes a pair there; its public half, as a line.
fn make(path: &Path) -> Result<String, Trouble> {
    let mut file = NewFile::begin(path)?;
    let (pem, public) = generate().map_err(|invalid| Trouble::plain(invalid.message))?;
    file.write_all(pem.expose())?;
    file.finish()?;
    Ok(format!("{}\n", public.to_line()))
}

fn public(path: &Path) -> Result<PublicKey, Trouble> {
    let text = manage::secret(path)?;
    let told = |message| Trouble::plain(format!("`{}`: {message}", path.display()));
    PublicKey::read(text.as_bytes()).map_err(|invalid| told(invalid.message))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_pair_is_made_once_and_shown_as_openssl_shows_it() {
        let folder = tempfile::tempdir().unwrap();
        let (old, new) = (folder.path().join("multicam.key"), folder.path().join("next.key"));
        let made = Key::New(Pair { file: old.clone() }).run().unwrap_or_else(|_| panic!("it is made"));
        // The vendor's own has 392 characters and begins so: RSA of 2048 bits.
        assert!(made.len() == 393 && made.starts_with("MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA"), "{made}");
        assert_eq!(std::fs::metadata(&old).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(Key::Show(Pair { file: old.clone() }).run().ok(), Some(made));
        assert!(Key::New(Pair { file: old.clone() }).run().is_err(), "nothing is replaced");
        let rotated = Key::Rotate(Rotation { file: old.clone(), to: new.clone() }).run().ok().unwrap();
        assert!(rotated.starts_with(&Key::Show(Pair { file: new.clone() }).run().ok().unwrap()), "{rotated}");
        assert!(rotated.contains("\n[endpoint.token]\nkeys = [{ key = { file = \""), "{rotated}");
        assert!(Key::Rotate(Rotation { file: old, to: new }).run().is_err(), "nothing is replaced");
    }

    #[test]
    fn the_public_half_is_what_openssl_says() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/token");
        // openssl pkey -in pair.key -pubout
        let pem = std::fs::read_to_string(folder.join("pair.pub.pem")).unwrap();
        let line: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        assert_eq!(Key::Show(Pair { file: folder.join("pair.key") }).run().ok(), Some(format!("{line}\n")));
    }
}
