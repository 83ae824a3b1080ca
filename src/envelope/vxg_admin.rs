//! VXG's super-admin API: without a good client certificate, the page of nginx, in whose words VXG's own clients look for
//! `400 The SSL certificate error`; everything else as in the rest of VXG's API. The name in nginx's last
//! line is left out: nobody looks for it, and it would not be true.

use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderValue, StatusCode};

use super::{Dialect, NO_STORE, Wording, vxg};
use crate::refusal::{Cause, Reason, Refusal};

/// VXG Cloud VMS, super-admin API.
pub const DIALECT: Dialect =
    Dialect { name: "vxg_admin", about: "VXG super-admin API: nginx's page where a certificate is asked for", word };

fn word(refusal: &Refusal, request_id: &str) -> Wording {
    let Cause::Credential(reason) = refusal.cause else { return (vxg::DIALECT.word)(refusal, request_id) };
    if !refusal.certificate {
        return (vxg::DIALECT.word)(refusal, request_id);
    }
    let missing = reason == Reason::Missing;
    let what = if missing { "No required SSL certificate was sent" } else { "The SSL certificate error" };
    Wording {
        status: StatusCode::BAD_REQUEST,
        content_type: HeaderValue::from_static("text/html"),
        headers: Cow::Borrowed(&NO_STORE),
        body: Bytes::from(page(what)),
    }
}

fn page(what: &str) -> String {
    format!(
        "<html>\r\n<head><title>400 {what}</title></head>\r\n<body>\r\n<center><h1>400 Bad Request</h1></center>\r\n\
         <center>{what}</center>\r\n</body>\r\n</html>\r\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::{render, tests};

    fn answer(reason: Reason, certificate: bool) -> http::Response<Bytes> {
        let refusal = Refusal { certificate, ..Refusal::new(Cause::Credential(reason), "for the log") };
        render(&DIALECT, &refusal, &HeaderValue::from_static("r-1"))
    }

    /// What nginx 1.22.1 answers with `ssl_verify_client on`, but for its own name in the last line.
    #[test]
    fn without_a_good_certificate_it_is_the_page_of_nginx() {
        const RULE: &str = "<hr><center>nginx/1.22.1</center>\r\n";
        for (reason, page) in [
            (Reason::Missing, include_str!("../../tests/vectors/mtls/nginx-missing.html")),
            (Reason::Unknown, include_str!("../../tests/vectors/mtls/nginx-bad.html")),
            (Reason::Expired, include_str!("../../tests/vectors/mtls/nginx-bad.html")),
            (Reason::Disabled, include_str!("../../tests/vectors/mtls/nginx-bad.html")),
        ] {
            assert!(page.contains(RULE));
            let answer = answer(reason, true);
            assert_eq!(
                (answer.status().as_u16(), &answer.headers()["content-type"]),
                (400, &"text/html".parse().unwrap())
            );
            assert_eq!(str::from_utf8(answer.body()).unwrap(), page.replace(RULE, ""), "{reason:?}");
        }
    }

    #[test]
    fn everything_else_is_worded_as_in_the_rest_of_vxgs_api() {
        assert_eq!(tests::every_cause(&DIALECT), tests::every_cause(&vxg::DIALECT));
        assert_eq!(answer(Reason::Missing, false).status().as_u16(), 401);
    }
}
