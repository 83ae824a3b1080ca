//! `vidgate import`: many entries at once, batch by batch; a batch is done as a whole or not at all.

use std::fs::File;
use std::io::{self, Read as _, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc::sync_channel;
use std::thread;

use clap::Args;
use http::StatusCode;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::lines::{self, LARGEST, Line, Reading};
use super::order;
use crate::cli::manage;
use crate::cli::operator::{Call, FieldError, Operator, Problem, Trouble, Where, operate, visible};
use crate::secret::Secret;
use crate::store::passphrase::Lock;
use crate::store::resource::Resource;

/// The most entries of one batch.
const BATCH: usize = 5000;

/// What to import, and how.
#[derive(Args, Debug)]
pub(in crate::cli) struct Import {
    // Backticks would stand in the help.
    #[arg(help = "JSON Lines: {\"resource\": \"license_key\", …} a line; - is standard input")]
    file: PathBuf,
    /// Read everything, send nothing
    #[arg(long)]
    dry_run: bool,
    /// Leave out what the store has already, by id: a run that broke off can be run again
    #[arg(long)]
    skip_existing: bool,
    /// The file that holds the passphrase of an export with secrets
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    #[command(flatten)]
    place: Where,
}

impl Import {
    /// Reads, arranges and sends.
    pub(in crate::cli) fn run(&self) -> ExitCode {
        let Read { text, reading, lines } = match self.read() {
            Ok(read) => read,
            Err(trouble) => return trouble.tell(),
        };
        if self.dry_run {
            return crate::cli::print(&format!("{} can be sent; nothing was.\n", counted(&lines)));
        }
        operate(&self.place, |operator| {
            let bar = bar(lines.len());
            let mut import =
                Run { text: &text, lock: reading.lock.as_ref(), skip: self.skip_existing, done: 0, skipped: 0 };
            let sent = import.all(&lines, operator, &mut io::stdout(), &bar);
            bar.finish_and_clear();
            sent?;
            let Run { done, skipped, .. } = import;
            let skipped = if skipped > 0 { format!("; {skipped} were there already") } else { String::new() };
            crate::cli::complain(&format!("imported {done}{skipped}\n"));
            Ok(())
        })
    }

    fn read(&self) -> Result<Read, Trouble> {
        let text = contents(&self.file)
            .map_err(|error| Trouble::plain(format!("cannot read `{}`: {error}", self.file.display())))?;
        let reading = Reading { ids_needed: self.skip_existing, lock: self.lock(&text)? };
        let mut lines = lines::read(&text, &reading).map_err(Trouble::Plain)?;
        order::arrange(&mut lines).map_err(Trouble::Plain)?;
        Ok(Read { text, reading, lines })
    }

    /// The lock of an export, opened by the passphrase.
    fn lock(&self, text: &[u8]) -> Result<Option<Lock>, Trouble> {
        let header = lines::head(text).transpose().map_err(|fault| Trouble::plain(format!("line 1: {fault}")))?;
        match (header.flatten(), &self.passphrase_file) {
            (None, None) => Ok(None),
            (None, Some(_)) => Err(Trouble::plain("nothing in this file is sealed under a passphrase")),
            (Some(_), None) => {
                Err(Trouble::plain("this export has sealed secrets: name their passphrase with --passphrase-file"))
            }
            (Some(header), Some(path)) => {
                let passphrase = Secret::new(manage::secret(path)?.as_bytes().to_vec());
                Lock::open(&header, &passphrase).map(Some).map_err(|error| Trouble::plain(error.to_string()))
            }
        }
    }
}

/// What is to be sent.
struct Read {
    text: Zeroizing<Vec<u8>>,
    reading: Reading,
    lines: Vec<Line>,
}

/// An import under way.
struct Run<'a> {
    text: &'a [u8],
    lock: Option<&'a Lock>,
    skip: bool,
    done: usize,
    skipped: usize,
}

impl Run<'_> {
    fn all(
        &mut self,
        lines: &[Line],
        operator: &mut dyn Operator,
        out: &mut dyn Write,
        bar: &ProgressBar,
    ) -> Result<(), Trouble> {
        let (text, lock) = (self.text, self.lock);
        thread::scope(|scope| {
            // The next request is written while the one before is worked on.
            let (hand, calls) = sync_channel(1);
            let write = move |batch: &[&Line]| hand.send(bulk(text, batch, lock));
            scope.spawn(move || batches(lines).try_for_each(|batch| write(&batch)));
            for (batch, call) in batches(lines).zip(calls) {
                let sent = self.batch(&batch, call, operator).map_err(|trouble| self.so_far(trouble))?;
                bar.inc(batch.len() as u64);
                bar.suspend(|| show_made(&sent, out))?;
            }
            Ok(())
        })
    }

    /// Sends a batch; gives what was made with it.
    fn batch<'l>(&mut self, batch: &[&'l Line], call: Call, operator: &mut dyn Operator) -> Result<Made<'l>, Trouble> {
        match self.send(batch, call, operator) {
            Err(Trouble::Refused(problem)) if self.skip && problem.status == StatusCode::CONFLICT => {
                let new = absent(batch, operator)?;
                self.skipped += batch.len() - new.len();
                if new.is_empty() {
                    return Ok(Vec::new());
                }
                self.send(&new, bulk(self.text, &new, self.lock), operator)
            }
            Err(Trouble::Refused(problem)) if problem.status == StatusCode::CONFLICT => {
                let mut sentences = Trouble::Refused(problem).sentences();
                sentences.push("--skip-existing leaves out what is there already, by id".to_owned());
                Err(Trouble::Plain(sentences))
            }
            sent => sent,
        }
    }

    fn send<'l>(&mut self, batch: &[&'l Line], call: Call, operator: &mut dyn Operator) -> Result<Made<'l>, Trouble> {
        let mut answer = operator.call(call).map_err(|trouble| named(trouble, batch))?;
        self.done += batch.len();
        let Some(Value::Array(results)) = answer.get_mut("results").map(Value::take) else { return Ok(Vec::new()) };
        Ok(batch.iter().copied().zip(results).collect())
    }

    /// A run that breaks off says how far it came.
    fn so_far(&self, trouble: Trouble) -> Trouble {
        if self.done == 0 && self.skipped == 0 {
            return trouble;
        }
        let mut sentences = trouble.sentences();
        sentences.push(format!("{} were imported before; --skip-existing leaves them out next time", self.done));
        Trouble::Plain(sentences)
    }
}

/// The entries of a batch with what the API says of each.
type Made<'l> = Vec<(&'l Line, Value)>;

/// The request that makes the entries of a batch.
fn bulk(text: &[u8], batch: &[&Line], lock: Option<&Lock>) -> Call {
    Call::post(&["bulk"]).body(lines::batch(text, batch, lock))
}

/// The lines, batch by batch.
fn batches(lines: &[Line]) -> impl Iterator<Item = Vec<&Line>> {
    let mut rest = lines;
    std::iter::from_fn(move || {
        let (batch, after) = rest.split_at(if rest.is_empty() { 0 } else { fitting(rest) });
        rest = after;
        (!batch.is_empty()).then(|| batch.iter().collect())
    })
}

/// How many of these lines one batch takes.
fn fitting(lines: &[Line]) -> usize {
    let mut length = 0;
    let fits = |line: &&Line| {
        length += line.span.len() + 512;
        length <= LARGEST
    };
    lines.iter().take(BATCH).take_while(fits).count().max(1)
}

/// Those of a batch that the store does not have.
fn absent<'l>(batch: &[&'l Line], operator: &mut dyn Operator) -> Result<Vec<&'l Line>, Trouble> {
    let mut absent = Vec::new();
    for line in batch {
        let Some(id) = &line.id else { continue };
        match operator.call(Call::get(&[line.resource.path(), id])) {
            // It may have been found by its name.
            Ok(found) if found["id"] == **id => {}
            Ok(_) => absent.push(*line),
            Err(Trouble::Refused(problem)) if problem.status == StatusCode::NOT_FOUND => absent.push(*line),
            Err(trouble) => return Err(trouble),
        }
    }
    Ok(absent)
}

/// Secrets that were made here are shown this once, a line each.
fn show_made(made: &Made<'_>, out: &mut dyn Write) -> Result<(), Trouble> {
    for (line, result) in made {
        let Some(rule) = line.resource.secret() else { continue };
        let result = result.get("document").unwrap_or(result);
        if let Some(secret) = result.get(rule.field).filter(|secret| secret.is_string()) {
            let shown = json!({ "resource": line.resource.name(), "id": result["id"], rule.field: secret });
            writeln!(out, "{shown}")?;
        }
    }
    Ok(out.flush()?)
}

/// A refusal of a batch in terms of the file.
fn named(trouble: Trouble, batch: &[&Line]) -> Trouble {
    let Trouble::Refused(problem) = trouble else { return trouble };
    let Problem { status, title, detail, errors } = problem;
    let errors = errors.into_iter().map(|error| in_file(error, batch)).collect();
    Trouble::Refused(Problem { status, title, detail, errors })
}

/// `operations[3].document.name` becomes `name` of that line.
fn in_file(error: FieldError, batch: &[&Line]) -> FieldError {
    let place = error.field.strip_prefix("operations[").and_then(|rest| rest.split_once(']'));
    let line = place.and_then(|(place, field)| Some((batch.get(place.parse::<usize>().ok()?)?, field)));
    let Some((line, field)) = line else { return error };
    let field = field.strip_prefix(".document").unwrap_or(field).trim_start_matches('.');
    let inner = FieldError { field: field.to_owned(), detail: error.detail };
    FieldError { field: String::new(), detail: format!("line {}: {}", line.number, inner.sentence()) }
}

fn counted(lines: &[Line]) -> String {
    let count = |resource: Resource| lines.iter().filter(|line| line.resource == resource).count();
    let counts = Resource::ALL.iter().map(|resource| (count(*resource), resource.words()));
    let named = counts.filter(|(count, _)| *count > 0).map(|(count, words)| format!("{count} {words}"));
    let named = named.collect::<Vec<_>>().join(", ");
    if named.is_empty() { "Nothing".to_owned() } else { visible(&named) }
}

fn contents(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut text = Zeroizing::new(Vec::new());
    if path == Path::new("-") {
        io::stdin().lock().read_to_end(&mut text)?;
        return Ok(text);
    }
    let mut file = File::open(path)?;
    // The whole length at once: a buffer that grows would leave unwiped copies of secrets behind.
    text.reserve_exact(usize::try_from(file.metadata()?.len()).unwrap_or(0) + 1);
    file.read_to_end(&mut text)?;
    Ok(text)
}

/// Drawn on a terminal only.
fn bar(length: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {human_pos}/{human_len}  {per_sec}  {eta} left");
    ProgressBar::new(length as u64).with_style(style.expect("the template is sound"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::operator::recorder::Recorder;

    fn sent(text: &str, skip: bool, recorder: &mut Recorder) -> (Result<(), Trouble>, String, (usize, usize)) {
        let mut lines = lines::read(text.as_bytes(), &Reading { ids_needed: skip, lock: None }).unwrap();
        order::arrange(&mut lines).unwrap();
        let mut run = Run { text: text.as_bytes(), lock: None, skip, done: 0, skipped: 0 };
        let mut out = Vec::new();
        let result = run.all(&lines, recorder, &mut out, &ProgressBar::hidden());
        (result, String::from_utf8(out).unwrap(), (run.done, run.skipped))
    }

    fn cameras(count: usize) -> String {
        let line = |place| {
            format!(
                "{{\"resource\":\"camera\",\"id\":\"c{place}\",\"account\":\"a\"}}
"
            )
        };
        (0..count).map(line).collect::<Vec<_>>().concat()
    }

    #[test]
    fn entries_go_out_five_thousand_at_a_time() {
        let mut recorder = Recorder::default();
        let (result, _, counts) = sent(&cameras(12_500), false, &mut recorder);
        result.unwrap();
        assert_eq!(counts, (12_500, 0));
        let sizes: Vec<usize> =
            recorder.asked.iter().map(|asked| asked.body["operations"].as_array().unwrap().len()).collect();
        assert_eq!(sizes, [5000, 5000, 2500]);
        assert!(recorder.asked.iter().all(|asked| asked.line == "POST /v1/bulk"));
    }

    #[test]
    fn a_batch_stays_below_what_a_request_may_carry() {
        let ids = (0..10_000).map(|place| format!("\"{place:0>128}\"")).collect::<Vec<_>>().join(",");
        let line = format!("{{\"resource\":\"camera_group\",\"account\":\"a\",\"cameras\":[{ids}]}}\n");
        let text = line.repeat(12);
        let mut recorder = Recorder::default();
        sent(&text, false, &mut recorder).0.unwrap();
        assert_eq!(recorder.asked.len(), 3);
    }

    #[test]
    fn a_refused_batch_names_the_line() {
        let problem = json!({ "errors": [{ "field": "operations[1].document.account", "detail": "there is none" }] });
        let text = format!("\n{}", cameras(3));
        let mut recorder = Recorder::answering([(422, problem)]);
        let (result, _, _) = sent(&text, false, &mut recorder);
        assert_eq!(result.unwrap_err().sentences(), ["line 3: `account`: there is none"]);
        let mut recorder = Recorder::answering([(200, json!({})), (503, json!({ "detail": "the disk is full" }))]);
        let (result, _, counts) = sent(&cameras(5001), false, &mut recorder);
        assert_eq!(counts.0, 5000);
        assert_eq!(
            result.unwrap_err().sentences()[..],
            ["the disk is full", "5000 were imported before; --skip-existing leaves them out next time"]
        );
    }

    #[test]
    fn what_is_there_already_can_be_skipped() {
        let conflict = || (409, json!({ "errors": [{ "field": "operations[0].document.id", "detail": "taken" }] }));
        let answers = [
            conflict(),
            (200, json!({ "id": "c0" })),
            (404, json!({})),
            // Another camera has this id for a name.
            (200, json!({ "id": "c9", "name": "c2" })),
            (200, json!({ "results": [{}, {}] })),
        ];
        let mut recorder = Recorder::answering(answers);
        let (result, _, counts) = sent(&cameras(3), true, &mut recorder);
        result.unwrap();
        assert_eq!(counts, (2, 1));
        let ids: Vec<&Value> =
            recorder.asked[4].body["operations"].as_array().unwrap().iter().map(|op| &op["document"]["id"]).collect();
        assert_eq!(ids, ["c1", "c2"]);
        let (result, _, _) = sent(&cameras(1), false, &mut Recorder::answering([conflict()]));
        assert_eq!(
            result.unwrap_err().sentences(),
            ["line 1: `id`: taken", "--skip-existing leaves out what is there already, by id"]
        );
    }

    #[test]
    fn secrets_that_were_made_come_out_a_line_each() {
        let text = "{\"resource\":\"license_key\",\"account\":\"a\"}\n{\"resource\":\"license_key\",\"account\":\"a\",\"key\":\"k\"}";
        let results = json!({ "results": [{ "id": "l1", "key": "vgl_made" }, { "id": "l2" }] });
        let (result, out, _) = sent(text, false, &mut Recorder::answering([(200, results)]));
        result.unwrap();
        assert_eq!(out, "{\"id\":\"l1\",\"key\":\"vgl_made\",\"resource\":\"license_key\"}\n");
    }

    #[test]
    fn a_file_goes_into_a_store_and_can_be_sent_again() {
        let (_folder, mut local) = crate::cli::operator::local_tests::local();
        let mut import = |text: &str, skip| {
            let mut lines = lines::read(text.as_bytes(), &Reading { ids_needed: skip, lock: None }).unwrap();
            order::arrange(&mut lines).unwrap();
            let mut run = Run { text: text.as_bytes(), lock: None, skip, done: 0, skipped: 0 };
            let mut out = Vec::new();
            let sent = run.all(&lines, &mut local, &mut out, &ProgressBar::hidden()).map_err(Trouble::sentences);
            sent.map(|()| (run.done, run.skipped, String::from_utf8(out).unwrap()))
        };
        let text = r#"{"resource":"license_key","id":"l1","account":"child"}
            {"resource":"token","id":"t1","camera":"c1"}
            {"resource":"camera","id":"c1","account":"child"}
            {"resource":"account","id":"child","parent":"top"}
            {"resource":"account","id":"top"}"#;
        let (done, skipped, secrets) = import(text, false).unwrap();
        assert_eq!((done, skipped, secrets.lines().count()), (5, 0, 2));
        assert!(secrets.lines().all(|line| line.contains("\"vgl_") || line.contains("\"share.")), "{secrets}");
        let faults = import(text, false).unwrap_err();
        assert!(faults.len() == 2 && faults[0].starts_with("line 5: `id`: "), "{faults:?}");
        let more = format!("{text}\n{}", r#"{"resource":"camera","id":"c2","account":"child"}"#);
        assert_eq!(import(&more, true).unwrap(), (1, 5, String::new()));
        let wrong = r#"{"resource":"camera","id":"c3","account":"child"}

            {"resource":"camera","id":"c4","account":"nobody"}"#;
        let faults = import(wrong, false).unwrap_err();
        assert!(faults.len() == 1 && faults[0].starts_with("line 3: `account`: "), "{faults:?}");
        let faults = import(wrong.lines().next_back().unwrap().trim(), false).unwrap_err();
        assert!(faults.len() == 1 && faults[0].starts_with("line 1: `account`: "), "{faults:?}");
    }
}
