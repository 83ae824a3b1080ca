//! `vidgate sign token`: the request that gets a token for a user's name and key, the key encrypted as `JSEncrypt` does.

use std::path::PathBuf;

use clap::Args;
use zeroize::Zeroizing;

use super::curl;
use crate::cli::manage;
use crate::cli::operator::Trouble;
use crate::endpoint::token::PublicKey;

/// A user's login.
#[derive(Args, Debug)]
pub(in crate::cli) struct Login {
    /// The name that the user logs in with
    #[arg(long, value_name = "NAME")]
    user: String,
    /// The file that holds the user's key; - is standard input
    #[arg(long, value_name = "FILE")]
    key_file: PathBuf,
    /// The file that holds the gateway's public key, as `vidgate multicam key` prints it, or in PEM; or its pair
    #[arg(long, value_name = "FILE")]
    public_key: PathBuf,
    /// Where to
    #[arg(long, value_name = "URL")]
    url: String,
}

impl Login {
    /// The line. It is another one each time: encryption draws lots.
    pub(super) fn sign(&self) -> Result<Zeroizing<String>, Trouble> {
        let public = manage::secret(&self.public_key)?;
        let public = PublicKey::read(public.as_bytes())
            .map_err(|invalid| Trouble::plain(format!("`{}`: {}", self.public_key.display(), invalid.message)))?;
        let key = manage::secret(&self.key_file)?;
        let sealed = public.encrypt(key.as_bytes()).ok_or_else(|| {
            Trouble::plain("the key is too long for this public key: with 2048 bits, it is at most 245 bytes")
        })?;
        let (user, password) = (format!("username={}", self.user), format!("password={sealed}"));
        let options = ["-d", "grant_type=password", "--data-urlencode", &user, "--data-urlencode", &password];
        Ok(Zeroizing::new(format!("{}\n", curl(&options, &self.url))))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        login: Login,
    }

    fn signed(key: &str, public: &str) -> Result<String, ()> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        std::fs::write(&file, key).unwrap();
        let public = format!("{}/tests/vectors/token/{public}", env!("CARGO_MANIFEST_DIR"));
        let line = [
            "sign",
            "--user",
            "jo's",
            "--key-file",
            &file.to_string_lossy(),
            "--public-key",
            &public,
            "--url",
            "http://a/Token",
        ];
        Line::try_parse_from(line).unwrap().login.sign().map(|line| line.to_string()).map_err(drop)
    }

    #[test]
    fn a_login_is_a_form_with_the_key_encrypted() {
        for public in ["pair.pub.pem", "pair.key"] {
            let line = signed("secret\n", public).unwrap();
            let rest = line.strip_prefix(
                r"curl -sS -i -d grant_type=password --data-urlencode 'username=jo'\''s' --data-urlencode password=",
            );
            let (sealed, rest) = rest.unwrap().split_once(' ').unwrap();
            assert_eq!((sealed.len(), rest), (344, "--url http://a/Token\n"));
        }
        assert!(signed(&"x".repeat(246), "pair.pub.pem").is_err());
        assert!(signed("x", "vectors.json").is_err());
    }
}
