//! An operator's mistake, before it is known where in the file it stands: `config/check.rs` adds the place.

use std::borrow::Cow;

/// What is wrong with a setting, and what to do about it.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("{message}")]
pub struct Invalid {
    /// One plain sentence without a full stop. Never holds a secret.
    pub message: Cow<'static, str>,
    /// What would help.
    pub hint: Option<Cow<'static, str>>,
    /// Where inside the setting's own text, in bytes, if the setting is a small language of its own.
    pub span: Option<std::ops::Range<usize>>,
}

impl Invalid {
    /// A mistake in one sentence.
    pub fn new(message: impl Into<Cow<'static, str>>) -> Self {
        Self { message: message.into(), hint: None, span: None }
    }

    /// Adds what would help.
    pub fn hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Narrows the place to a part of the setting's text.
    pub fn at(mut self, span: std::ops::Range<usize>) -> Self {
        self.span = Some(span);
        self
    }
}
