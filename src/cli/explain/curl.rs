//! A call of curl, read as curl reads it: what it would send. Flags that change nothing about that are passed over; one that
//! is not known here is named, so that nothing is explained that would not be sent.

use std::fs;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

use super::flags::{BESIDE, PLAIN, SHORT, VALUED};

/// What `--data-urlencode` leaves as it is (curl's `curl_easy_escape`: the unreserved characters).
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// What parts the fields of a form in several parts.
const BOUNDARY: &str = "------------------------vidgateexplains";

/// What curl would send.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) method: String,
    pub(super) url: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Option<Vec<u8>>,
    /// The file of the client's certificate.
    pub(super) certificate: Option<PathBuf>,
}

/// The words of a line, as a shell reads them.
pub(super) fn words(line: &str) -> Result<Vec<String>, String> {
    if line.contains("$'") {
        return Err("write what stands in $'…' as plain text: only plain quotes are read".to_owned());
    }
    shlex::split(&continued(line)).ok_or_else(|| "the quotes of this call do not match".to_owned())
}

/// A line that goes on in others as one, as a shell takes it (Shell Command Language, §2.2.1).
fn continued(line: &str) -> String {
    let (mut one, mut quoted, mut letters) = (String::with_capacity(line.len()), false, line.chars().peekable());
    let mut double = false;
    while let Some(letter) = letters.next() {
        match letter {
            '\'' if !double => quoted = !quoted,
            '"' if !quoted => double = !double,
            '\\' if !quoted => {
                letters.next_if_eq(&'\r');
                if letters.next_if_eq(&'\n').is_none() {
                    one.push(letter);
                    one.extend(letters.next());
                }
                continue;
            }
            _ => {}
        }
        one.push(letter);
    }
    one
}

/// The words of a call that may have come as one.
pub(super) fn unfolded(given: &[String]) -> Result<Vec<String>, String> {
    match given {
        [one] if one.contains(char::is_whitespace) => words(one),
        _ => Ok(given.to_vec()),
    }
}

/// What a call sends.
pub(super) fn sent(words: &[String]) -> Result<Sent, String> {
    let Some((name, rest)) = words.split_first() else { return Err("this is no call of curl".to_owned()) };
    if name.rsplit('/').next() != Some("curl") {
        return Err(format!("this is no call of curl: it begins with `{name}`"));
    }
    let mut call = Call::default();
    let mut rest = rest.iter().map(String::as_str);
    while let Some(word) = rest.next() {
        if let Some(long) = word.strip_prefix("--").filter(|long| !long.is_empty()) {
            let (name, attached) = long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value)));
            call.flag(name, attached, &mut rest)?;
        } else if let Some(cluster) = word.strip_prefix('-').filter(|cluster| !cluster.is_empty()) {
            call.cluster(cluster, &mut rest)?;
        } else if word != "--" {
            call.address(word)?;
        }
    }
    call.sent()
}

/// A flag without a value of its own that changes what is sent.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flag {
    /// The body is JSON.
    Json,
    /// The body goes into the query.
    Get,
    /// The head of the answer alone is asked for.
    Head,
    /// The body is a file.
    Upload,
    /// Compressed answers are taken.
    Compressed,
    /// Nothing goes along that was not written.
    Bare,
}

/// What was read so far.
#[derive(Default)]
struct Call {
    url: Option<String>,
    method: Option<String>,
    headers: Vec<(String, String)>,
    /// Fields of curl's own that are not to be sent.
    without: Vec<String>,
    data: Option<Vec<u8>>,
    parts: Vec<u8>,
    said: Vec<Flag>,
    authorization: Option<String>,
    certificate: Option<PathBuf>,
}

impl Call {
    fn has(&self, flag: Flag) -> bool {
        self.said.contains(&flag)
    }

    /// Several short flags in one word; what stands behind one with a value is that.
    fn cluster<'w>(&mut self, cluster: &'w str, rest: &mut dyn Iterator<Item = &'w str>) -> Result<(), String> {
        for (at, letter) in cluster.char_indices() {
            let known = SHORT.iter().find(|(short, _)| *short == letter);
            let (_, name) = known.ok_or_else(|| format!("`-{letter}` of curl is not known here"))?;
            if VALUED.contains(name) || BESIDE.contains(name) {
                let attached = &cluster[at + letter.len_utf8()..];
                return self.flag(name, Some(attached).filter(|value| !value.is_empty()), rest);
            }
            self.flag(name, None, rest)?;
        }
        Ok(())
    }

    fn flag<'w>(
        &mut self,
        name: &str,
        attached: Option<&'w str>,
        rest: &mut dyn Iterator<Item = &'w str>,
    ) -> Result<(), String> {
        if VALUED.contains(&name) || BESIDE.contains(&name) {
            let value = attached.or_else(|| rest.next()).ok_or_else(|| format!("`--{name}` of curl has no value"))?;
            return if BESIDE.contains(&name) { Ok(()) } else { self.valued(name, value) };
        }
        match name {
            "get" => self.said.push(Flag::Get),
            "head" => self.said.push(Flag::Head),
            "compressed" => self.said.push(Flag::Compressed),
            // Ours: what curl adds by itself is left out.
            "bare" => self.said.push(Flag::Bare),
            _ if PLAIN.contains(&name) => {}
            _ => return Err(format!("`--{name}` of curl is not known here")),
        }
        Ok(())
    }

    fn valued(&mut self, name: &str, value: &str) -> Result<(), String> {
        match name {
            "request" => self.method = Some(value.to_owned()),
            "header" => match value.strip_prefix('@') {
                Some(file) => text(file)?.lines().try_for_each(|line| self.header(line))?,
                None => self.header(value)?,
            },
            "data" | "data-ascii" => self.add(&without_line_breaks(value)?),
            "data-raw" => self.add(value.as_bytes()),
            "data-binary" => self.add(&content(value)?),
            "data-urlencode" => self.add(&encoded(value)?),
            "json" => {
                self.said.push(Flag::Json);
                let more = content(value)?;
                self.data.get_or_insert_default().extend(more);
            }
            "user" => self.authorization = Some(basic(value)?),
            "oauth2-bearer" => self.authorization = Some(format!("Bearer {value}")),
            "form" => self.part(value, true)?,
            "form-string" => self.part(value, false)?,
            "user-agent" => self.header(&format!("User-Agent: {value}"))?,
            "referer" => self.header(&format!("Referer: {value}"))?,
            "range" => self.header(&format!("Range: bytes={value}"))?,
            "cookie" if value.contains('=') => self.header(&format!("Cookie: {value}"))?,
            "cookie" => return Err("say the cookies themselves with -b: a file of them is not read".to_owned()),
            // Behind a colon stands its password.
            "cert" => self.certificate = Some(value.split(':').next().unwrap_or(value).into()),
            "upload-file" => {
                self.said.push(Flag::Upload);
                self.data = Some(content(&format!("@{value}"))?);
            }
            _ => self.address(value)?,
        }
        Ok(())
    }

    fn address(&mut self, url: &str) -> Result<(), String> {
        if self.url.is_some() {
            return Err("one request at a time: there are two addresses".to_owned());
        }
        let url = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
        let Some((scheme, rest)) = url.split_once("://") else { return Ok(()) };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        match rest[..end].rsplit_once('@') {
            Some((user, host)) => {
                let user = percent_encoding::percent_decode_str(user).decode_utf8_lossy();
                self.authorization.get_or_insert(basic(&user)?);
                self.url = Some(format!("{scheme}://{host}{}", &rest[end..]));
            }
            None => self.url = Some(url),
        }
        Ok(())
    }

    /// A field: with a colon and nothing behind it, it is left out; with a semicolon, it is empty.
    fn header(&mut self, line: &str) -> Result<(), String> {
        let line = line.trim_end_matches(['\r', '\n']);
        match (line.split_once(':'), line.strip_suffix(';')) {
            (Some((name, value)), _) if value.trim().is_empty() => self.without.push(name.to_ascii_lowercase()),
            (Some((name, value)), _) => self.headers.push((name.to_owned(), value.trim().to_owned())),
            (None, Some(name)) => self.headers.push((name.to_owned(), String::new())),
            (None, None) if line.is_empty() => {}
            (None, None) => return Err("a field is written as \"Name: value\"".to_owned()),
        }
        Ok(())
    }

    /// Adds to the body, as a form.
    fn add(&mut self, more: &[u8]) {
        match &mut self.data {
            Some(data) => {
                data.push(b'&');
                data.extend_from_slice(more);
            }
            None => self.data = Some(more.to_vec()),
        }
    }

    /// Adds a field of a form in several parts.
    fn part(&mut self, written: &str, reads_files: bool) -> Result<(), String> {
        let (name, value) = written.split_once('=').ok_or("a field of a form is written as name=value")?;
        let mut kind = String::new();
        let bytes = match value.chars().next().filter(|_| reads_files) {
            Some(sign @ ('@' | '<')) => {
                let (file, rest) = value[1..].split_once(';').unwrap_or((&value[1..], ""));
                if sign == '@' {
                    let shown = file.rsplit('/').next().unwrap_or(file);
                    kind = format!("; filename=\"{shown}\"\r\nContent-Type: application/octet-stream");
                }
                if let Some(own) = rest.strip_prefix("type=") {
                    kind = kind.replace("application/octet-stream", own);
                }
                content(&format!("@{file}"))?
            }
            _ => value.as_bytes().to_vec(),
        };
        let head = format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"{kind}\r\n\r\n");
        self.parts.extend_from_slice(head.as_bytes());
        self.parts.extend_from_slice(&bytes);
        self.parts.extend_from_slice(b"\r\n");
        Ok(())
    }

    fn sent(mut self) -> Result<Sent, String> {
        let mut url = self.url.take().ok_or("the call of curl has no address")?;
        let mut own = vec![("User-Agent", "curl/8.0".to_owned()), ("Accept", "*/*".to_owned())];
        if self.has(Flag::Bare) {
            own.clear();
        }
        let mut body = None;
        if !self.parts.is_empty() {
            let mut parts = std::mem::take(&mut self.parts);
            parts.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
            own.push(("Content-Type", format!("multipart/form-data; boundary={BOUNDARY}")));
            body = Some(parts);
        } else if let Some(data) = self.data.take() {
            if self.has(Flag::Get) {
                let query = String::from_utf8(data).map_err(|_| "what goes into the query with -G is not text")?;
                let (address, fragment) = url.split_once('#').map_or((&*url, ""), |(address, rest)| (address, rest));
                let sign = if address.contains('?') { '&' } else { '?' };
                url = format!("{address}{sign}{query}{}", if fragment.is_empty() { "" } else { "#" });
            } else {
                if self.has(Flag::Json) {
                    own.retain(|(name, _)| *name != "Accept");
                    own.extend([("Content-Type", "application/json"), ("Accept", "application/json")].map(text_of));
                } else if !self.has(Flag::Upload) {
                    own.push(("Content-Type", "application/x-www-form-urlencoded".to_owned()));
                }
                body = Some(data);
            }
        }
        if self.has(Flag::Compressed) {
            own.push(("Accept-Encoding", "deflate, gzip, br, zstd".to_owned()));
        }
        own.extend(self.authorization.take().map(|value| ("Authorization", value)));
        let usual = match (self.has(Flag::Head), self.has(Flag::Upload), &body) {
            (true, ..) => "HEAD",
            (_, true, _) => "PUT",
            (_, _, Some(_)) => "POST",
            (_, _, None) => "GET",
        };
        let said = |name: &str| self.headers.iter().any(|(own, _)| own.eq_ignore_ascii_case(name));
        let wanted = |(name, _): &(&str, String)| !said(name) && !self.without.contains(&name.to_ascii_lowercase());
        let mut headers: Vec<_> =
            own.into_iter().filter(wanted).map(|(name, value)| (name.to_owned(), value)).collect();
        headers.append(&mut self.headers);
        let method = self.method.unwrap_or_else(|| usual.to_owned());
        Ok(Sent { method, url, headers, body, certificate: self.certificate })
    }
}

fn text_of((name, value): (&'static str, &str)) -> (&'static str, String) {
    (name, value.to_owned())
}

fn text(file: &str) -> Result<String, String> {
    fs::read_to_string(file).map_err(|error| format!("cannot read `{file}`: {error}"))
}

/// The value, or the file that it names behind an at sign.
fn content(value: &str) -> Result<Vec<u8>, String> {
    match value.strip_prefix('@') {
        Some("-") => Err("curl would read standard input here: name a file".to_owned()),
        Some(file) => fs::read(file).map_err(|error| format!("cannot read `{file}`: {error}")),
        None => Ok(value.as_bytes().to_vec()),
    }
}

/// The same; of a file, line breaks are left out, as curl does.
fn without_line_breaks(value: &str) -> Result<Vec<u8>, String> {
    let mut bytes = content(value)?;
    if value.starts_with('@') {
        bytes.retain(|byte| ![b'\r', b'\n', 0].contains(byte));
    }
    Ok(bytes)
}

/// `content`, `=content`, `name=content`, `@file` or `name@file`.
fn encoded(value: &str) -> Result<Vec<u8>, String> {
    let at = value.find(['=', '@']);
    let (name, bytes) = match at.map(|at| (&value[..at], &value[at..])) {
        None => ("", value.as_bytes().to_vec()),
        Some((name, rest)) if rest.starts_with('=') => (name, rest.as_bytes()[1..].to_vec()),
        Some((name, rest)) => (name, content(rest)?),
    };
    let text = percent_encode(&bytes, UNRESERVED).to_string();
    Ok(if name.is_empty() { text } else { format!("{name}={text}") }.into_bytes())
}

fn basic(user: &str) -> Result<String, String> {
    if !user.contains(':') {
        return Err("curl would ask for a password here: write user:password".to_owned());
    }
    Ok(format!("Basic {}", STANDARD.encode(user)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Sent, String> {
        sent(&words(line)?)
    }

    /// Method, address, fields without those that curl adds by itself, and body.
    fn shown(line: &str) -> String {
        let Sent { method, url, headers, body, .. } = read(line).unwrap_or_else(|what| panic!("{line}: {what}"));
        let own = [("User-Agent", "curl/8.0"), ("Accept", "*/*")];
        let told = headers.iter().filter(|(name, value)| !own.contains(&(name, value)));
        let fields = told.flat_map(|(name, value)| [" ", name, ": ", value, ";"]).collect::<String>();
        format!("{method} {url}{fields} {}", String::from_utf8_lossy(&body.unwrap_or_default()))
    }

    #[test]
    fn a_call_is_read_as_curl_reads_it() {
        const FORM: &str = "Content-Type: application/x-www-form-urlencoded;";
        // Each was held against what curl 8 sends.
        for (line, expected) in [
            ("curl https://a.example/b", "GET https://a.example/b ".to_owned()),
            ("/usr/bin/curl -sSi a.example", "GET http://a.example ".to_owned()),
            ("curl -H 'Authorization: LKey v3.a' https://a/", "GET https://a/ Authorization: LKey v3.a; ".to_owned()),
            ("curl --header=X:1 --url https://a/", "GET https://a/ X: 1; ".to_owned()),
            ("curl -XPUT -d'a=b c' https://a/", format!("PUT https://a/ {FORM} a=b c")),
            ("curl -d a -d b https://a/", format!("POST https://a/ {FORM} a&b")),
            (
                "curl -G -d a=1 --data-urlencode 'b=ö &' 'https://a/?c'",
                "GET https://a/?c&a=1&b=%C3%B6%20%26 ".to_owned(),
            ),
            ("curl --data-urlencode 'x y' https://a/", format!("POST https://a/ {FORM} x%20y")),
            ("curl -I https://a/", "HEAD https://a/ ".to_owned()),
            ("curl -u id:secret https://a/", "GET https://a/ Authorization: Basic aWQ6c2VjcmV0; ".to_owned()),
            ("curl https://id:se%63ret@a/", "GET https://a/ Authorization: Basic aWQ6c2VjcmV0; ".to_owned()),
            (
                "curl -A me -e 'https://p/' -b k=v -r 0-9 https://a/",
                "GET https://a/ User-Agent: me; Referer: https://p/; Cookie: k=v; Range: bytes=0-9; ".to_owned(),
            ),
            (
                "curl --json '{}' https://a/",
                "POST https://a/ Content-Type: application/json; Accept: application/json; {}".to_owned(),
            ),
            ("curl -d @/dev/null -H 'Content-Type: x/y' https://a/", "POST https://a/ Content-Type: x/y; ".to_owned()),
            ("curl -d x -H Content-Type: -H 'X;' https://a/", "POST https://a/ X: ; x".to_owned()),
            ("curl \\\n  -k --cacert ca.pem -o /dev/null --max-time 3 \\\n https://a/", "GET https://a/ ".to_owned()),
            ("curl --oauth2-bearer t https://a/", "GET https://a/ Authorization: Bearer t; ".to_owned()),
        ] {
            assert_eq!(shown(line), expected, "{line}");
        }
        let form = read("curl -F a=1 -F 'b=@/dev/null;type=x/y' https://a/").unwrap();
        insta::assert_snapshot!(String::from_utf8(form.body.unwrap()).unwrap().replace("\r\n", "\n"), @r#"
        --------------------------vidgateexplains
        Content-Disposition: form-data; name="a"

        1
        --------------------------vidgateexplains
        Content-Disposition: form-data; name="b"; filename="null"
        Content-Type: x/y


        --------------------------vidgateexplains--
        "#);
        assert_eq!(read("curl -E ops.pem:pass --key k https://a/").unwrap().certificate, Some("ops.pem".into()));
    }

    #[test]
    fn what_is_not_understood_is_named() {
        for (line, what) in [
            ("wget https://a/", "begins with `wget`"),
            ("curl --proxy p https://a/", "`--proxy`"),
            ("curl -sZ https://a/", "`-Z`"),
            ("curl https://a/ https://b/", "two addresses"),
            ("curl -H", "`--header` of curl has no value"),
            ("curl -k", "no address"),
            ("curl 'https://a/", "quotes"),
            ("curl -H $'A: b' https://a/", "plain quotes"),
            ("curl -u id https://a/", "password"),
            ("curl -d @/nowhere/at/all https://a/", "/nowhere/at/all"),
            ("curl -b jar.txt https://a/", "cookies"),
            ("curl -H nothing https://a/", "Name: value"),
        ] {
            let said = read(line).map(|sent| sent.url).unwrap_err();
            assert!(said.contains(what), "{line}: {said}");
        }
    }
}
