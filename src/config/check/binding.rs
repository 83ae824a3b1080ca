//! `camera` of a `[[route]]`, as meant: where the id of a request's camera stands, and who is kept to it.

use std::sync::Arc;

use crate::authenticate::Expression;
use crate::authorize::resource::{Binds, Rule};
use crate::config::file::{self, Bound, File, Placed};
use crate::config::report::Report;
use crate::invalid::Invalid;
use crate::route::Parameter;
use crate::scheme::Examine;

/// What is in force; `None` where something is wrong with it, or nothing was asked for. The report says which. Without
/// the expression, only what does not depend on it is looked at.
pub(super) fn camera(
    route: &file::Route,
    authenticate: Option<&Expression>,
    schemes: &[(String, Arc<dyn Examine>)],
    file: &File,
    report: &mut Report,
) -> Option<Rule> {
    let written = route.camera.as_ref()?;
    let errors = report.errors();
    let file::Camera { path, query, binds } = &written.value;
    if path.is_none() && query.is_none() {
        let invalid = Invalid::new("this says nothing of where the camera's id stands").hint(
            "name a part of the path, camera = { path = \"id\" }, or of the query, camera = { query = [\"camid\"] }",
        );
        report.error(written.place.clone(), invalid);
    }
    let path = path.as_ref().and_then(|name| match Parameter::find(&route.path.value, &name.value) {
        Ok(parameter) => Some(parameter),
        Err(invalid) => {
            report.error(name.place.clone(), invalid);
            None
        }
    });
    let query = query.as_ref().map(|names| self::query(names, authenticate, report)).unwrap_or_default();
    if let Some(invalid) = authenticate.and_then(|expression| nobody(expression, schemes, *binds, file)) {
        report.error(written.place.clone(), invalid);
    }
    let binds = match binds {
        Bound::Everyone => Binds::Everyone,
        Bound::Tokens => Binds::Tokens,
    };
    (report.errors() == errors).then_some(Rule { path, query, binds })
}

fn query(names: &Placed<Vec<Placed<String>>>, authenticate: Option<&Expression>, report: &mut Report) -> Vec<Box<str>> {
    if names.value.is_empty() {
        report.error(names.place.clone(), Invalid::new("no name is listed here").hint("leave `query` out"));
    }
    let credentials = authenticate.map(|expression| expression.places().query).unwrap_or_default();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    for name in &names.value {
        if name.value.is_empty() || name.value.len() > 64 || !name.value.bytes().all(plain) {
            let invalid = Invalid::new("a name in the query is 1 to 64 letters, digits, `_`, `-` and `.` here");
            report.error(name.place.clone(), invalid);
        } else if credentials.iter().any(|own| own.eq_ignore_ascii_case(&name.value)) {
            let invalid = Invalid::new(format!("a credential stands in the query as `{}`, and no camera", name.value));
            report.error(name.place.clone(), invalid);
        }
    }
    names.value.iter().map(|name| name.value.as_str().into()).collect()
}

/// What is wrong where nobody who comes here could be kept to a camera.
fn nobody(
    authenticate: &Expression,
    schemes: &[(String, Arc<dyn Examine>)],
    binds: Bound,
    file: &File,
) -> Option<Invalid> {
    let ambient = |name: &str| schemes.iter().any(|(own, scheme)| own == name && scheme.ambient());
    if authenticate.schemes().all(|name| ambient(name) || is_of(&["mtls"], name, file)) {
        return Some(
            Invalid::new("nobody who may use this route has cameras to be kept to")
                .hint("let `authenticate` ask for a token or a key, or leave `camera` out"),
        );
    }
    let nameless = |name: &str| schemes.iter().any(|(own, scheme)| own == name && !scheme.names_accounts());
    let refused = |name: &str| ambient(name) || is_of(&["mtls"], name, file) || nameless(name);
    if binds == Bound::Everyone && authenticate.schemes().all(refused) {
        return Some(
            Invalid::new("nobody who may use this route speaks for an account: none of the cameras would be theirs")
                .hint("say for whom the issuer's tokens speak: issuer = { account_claim = \"…\" }, or account = \"…\""),
        );
    }
    let tokens = authenticate.schemes().any(|name| reads_tokens(name, file));
    (binds == Bound::Tokens && !tokens).then(|| {
        Invalid::new("no token of a camera or a group comes here, and nobody else would be kept to a camera")
            .hint("leave `binds` out, so that accounts are kept to their cameras")
    })
}

/// Whether the scheme of this name believes tokens that are for one camera or one group.
pub(super) fn reads_tokens(name: &str, file: &File) -> bool {
    is_of(&["acc", "si"], name, file)
}

/// Whether the scheme of this name is of one of these kinds.
pub(super) fn is_of(kinds: &[&str], name: &str, file: &File) -> bool {
    let mut tables = file.schemes.iter().filter(|scheme| scheme.name.value == name).filter_map(|it| it.table.as_ref());
    tables.any(|table| kinds.contains(&table.kind.kind))
}
