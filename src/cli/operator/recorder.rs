//! An operator for tests: writes down what it is asked and answers what it was told to.

use std::collections::VecDeque;
use std::io::Write;

use http::StatusCode;
use serde_json::Value;

use super::{Call, Operator, Trouble, judged};

/// What was asked: method, path, the headers beside the content type, and the body.
#[derive(Debug, PartialEq)]
pub(in crate::cli) struct Asked {
    pub(in crate::cli) line: String,
    pub(in crate::cli) headers: Vec<String>,
    pub(in crate::cli) body: Value,
}

/// Answers in order; `200 {}` when nothing is left to say.
#[derive(Default)]
pub(in crate::cli) struct Recorder {
    pub(in crate::cli) asked: Vec<Asked>,
    pub(in crate::cli) answers: VecDeque<(u16, Value)>,
}

impl Recorder {
    pub(in crate::cli) fn answering(answers: impl IntoIterator<Item = (u16, Value)>) -> Self {
        Self { asked: Vec::new(), answers: answers.into_iter().collect() }
    }
}

impl Operator for Recorder {
    fn stream(&mut self, call: Call, sink: &mut dyn Write) -> Result<(), Trouble> {
        let body = call.body.as_ref().map_or(Value::Null, |body| serde_json::from_slice(body).expect("a body is JSON"));
        let request = call.into_request();
        let headers = request.headers().iter().filter(|(name, _)| *name != http::header::CONTENT_TYPE);
        let headers = headers.map(|(name, value)| format!("{name}: {}", value.to_str().expect("visible"))).collect();
        self.asked.push(Asked { line: format!("{} {}", request.method(), request.uri()), headers, body });
        let (status, answer) = self.answers.pop_front().unwrap_or((200, serde_json::json!({})));
        let text = if answer.is_null() { String::new() } else { answer.to_string() };
        let status = StatusCode::from_u16(status).expect("a status");
        if status.is_success() {
            sink.write_all(text.as_bytes())?;
        }
        judged(status, text.as_bytes())
    }
}
