use bytes::Bytes;

use super::*;
use crate::edge::preface::Announced;
use crate::record::{Attributes, PublicKey};
use crate::refusal::Cause;
use crate::scheme::stage::{self, Register, Request, passer_by};

/// Account 1 with service accounts (`none`, and one by the name of its role) and a key for everything.
fn register(roles: &[&str]) -> Register {
    let register = Register::new();
    register.account("1", None);
    let key = || Attributes::PublicKey(Box::new(PublicKey(jsonwebtoken::DecodingKey::from_secret(b"whatever"))));
    register.enrol(Kind::ServiceAccountKey, "none", "1", "none", |it| it.attributes = key());
    for role in roles {
        register.enrol(Kind::ServiceAccountKey, role, "1", role, |it| {
            it.attributes = key();
            it.scopes = Some([role].into_iter().collect());
        });
    }
    register.enrol(Kind::LicenseKey, "all", "1", "all", |_| {});
    register
}

fn holder(register: &Register, kind: Kind, id: &str) -> Principal {
    stage::principal(crate::record::Directory::look_up(register, kind, id.as_bytes()).unwrap())
}

fn rule(path: Option<&str>) -> Rule {
    let table = Table {
        operations: (voximplant::PRESET.operations)(),
        others: None,
        refused: voximplant::PRESET.refused.iter().map(|name| Box::from(*name)).collect(),
    };
    let path = path.map(|path| Parameter::find(path, "method").unwrap());
    Rule { path, parameter: "cmd".into(), table }
}

fn ask(rule: &Rule, principal: &Principal, target: &str, body: &str) -> Result<Box<str>, Cause> {
    let form = Preface::read(Announced::UrlEncoded, Bytes::copy_from_slice(body.as_bytes()));
    let done = form.and_then(|form| rule.check(principal, &Request::get(target).head(), &form));
    done.map_err(|refusal| refusal.cause)
}

#[test]
fn the_name_is_the_same_wherever_it_stands() {
    let register = register(&[]);
    let all = holder(&register, Kind::LicenseKey, "all");
    let rule = rule(Some("/platform_api/{method}/{*rest}"));
    let by_form = self::rule(None);
    let (torn, missing, unknown) =
        (Err(Cause::InvalidContent), Err(Cause::OperationMissing), Err(Cause::OperationUnknown));
    for (target, body, expected) in [
        // Vendors 5.1: in the path with and without a slash at the end; as `cmd`; .NET sends both.
        ("/platform_api/GetUsers/?application_id=1", "", Ok("GetUsers")),
        ("/platform_api/GetUsers", "", Ok("GetUsers")),
        ("/platform_api/Get%55sers", "", Ok("GetUsers")),
        ("/platform_api", "application_id=4152784&count=20&cmd=GetUsers", Ok("GetUsers")),
        ("/platform_api", "c%6Dd=Get%55sers", Ok("GetUsers")),
        ("/platform_api?cmd=GetUsers", "", Ok("GetUsers")),
        ("/platform_api/GetUsers?cmd=GetUsers", "CMD=GetUsers", Ok("GetUsers")),
        // Vendors 5.3 and 5.4 (9), (11).
        ("/platform_api", "", missing),
        ("/platform_api/", "count=1", missing),
        ("/platform_api", "cmd=", missing),
        ("/platform_api/NoSuchMethod", "", unknown),
        ("/platform_api/getusers", "", unknown),
        ("/platform_api/Get-Users", "", unknown),
        ("/platform_api", "cmd=GetUsers+", unknown),
        ("/platform_api/GetAccountInfo/", "cmd=DelApplication", torn),
        ("/platform_api/GetAccountInfo/?cmd=DelApplication", "", torn),
        ("/platform_api?cmd=GetAccountInfo", "cmd=DelApplication", torn),
        ("/platform_api/GetAccountInfo", "cmd=", torn),
        ("/platform_api", "cmd=GetAccountInfo&cmd=DelApplication", torn),
        ("/platform_api", "cmd=GetAccountInfo&cmd=GetAccountInfo", torn),
        ("/platform_api", "cmd=GetAccountInfo&Cmd=DelApplication", torn),
        ("/platform_api/GetAccountInfo", "CMD=getaccountinfo", torn),
        // What another reader would find.
        ("/platform_api/GetAccountInfo?a=b;cmd=DelApplication", "", torn),
        ("/platform_api/GetAccountInfo?a;c%6dd=GetAccountInfo", "", torn),
        ("/platform_api/GetAccountInfo", "a=b;cmd=DelApplication", torn),
        ("/platform_api/GetAccountInfo", "cmd%5B%5D=DelApplication", torn),
        ("/platform_api/GetAccountInfo", "cmd%5B0=DelApplication", torn),
        ("/platform_api", "cmd%5B%5D=GetUsers", torn),
        ("/platform_api/GetAccountInfo?cmd;a=DelApplication", "", torn),
        ("/platform_api/GetAccountInfo?a;b=c;d", "", Ok("GetAccountInfo")),
        ("/platform_api/GetAccountInfo", "+cmd=DelApplication", torn),
        ("/platform_api/GetAccountInfo", "cmd%00x=DelApplication", torn),
        ("/platform_api/GetAccountInfo?cmd%5B%5D=GetAccountInfo", "", torn),
        ("/platform_api/GetAccountInfo?cmd%00x=DelApplication", "", torn),
        ("/platform_api/GetAccountInfo?%EF%BB%BFcmd=DelApplication", "", torn),
        ("/platform_api/GetAccountInfo?%u0063md=DelApplication", "", torn),
        ("/platform_api/GetAccountInfo?a=100%", "", torn),
        ("/platform_api/GetAccountInfo?a=%e2%82%ac&cmdx=1&xcmd=2", "", Ok("GetAccountInfo")),
        // What is written as a value is one, whatever stands in it.
        ("/platform_api/AddScenario", "scenario_script=a%3Bcmd%3D1%26cmd%3D2", Ok("AddScenario")),
        ("/platform_api/AddScenario", "cmdx=1&xcmd=2&count=3", Ok("AddScenario")),
    ] {
        let rule = if target.starts_with("/platform_api/") { &rule } else { &by_form };
        let name = ask(rule, &all, target, body);
        assert_eq!(name.as_deref().map_err(|cause| *cause), expected, "{target} {body}");
    }
}

#[test]
fn a_role_does_what_the_reference_says() {
    const ROLES: &[&str] = &[
        "Owner",
        "Admin",
        "Developer",
        "Supervisor",
        "Support",
        "Accountant",
        "Payer",
        "CallListManager",
        "User-manager",
        "CALLSSMS",
        "PhoneNumberManager",
        "Verification",
        "Scenarios",
        "3",
        "custom",
    ];
    let register = register(ROLES);
    let rule = rule(None);
    // Vendors 5.2, by hand; `all` is a caller without a limit, `none` a service account without a role.
    for (operation, may) in [
        (
            "GetAccountInfo",
            "all none Owner Admin Developer Supervisor Support Accountant Payer CallListManager User-manager CALLSSMS PhoneNumberManager Verification Scenarios 3 custom",
        ),
        (
            "GetRoles",
            "all none Owner Admin Developer Supervisor Support Accountant Payer CallListManager User-manager CALLSSMS PhoneNumberManager Verification Scenarios 3 custom",
        ),
        ("StartScenarios", "all Owner Admin Developer CALLSSMS Scenarios"),
        ("SendSmsMessage", "all Owner Admin Developer CALLSSMS"),
        ("A2PSendSms", "all CALLSSMS"),
        ("GetUsers", "all Owner Admin Developer Supervisor User-manager"),
        ("GetRules", "all Owner Admin Developer Supervisor CallListManager Support 3"),
        ("DelApplication", "all Owner"),
        ("CloneAccount", "all Admin"),
        ("CreateKey", "all Owner"),
        ("SetKeyRoles", "all Owner"),
        ("GetSecretValue", "all Owner"),
        ("GetPhoneNumberReports", "all Owner Admin Accountant Payer PhoneNumberManager"),
        (
            "GetAccountPhoneNumberCountries",
            "all Owner Admin Developer Supervisor Accountant Support Payer Verification 3",
        ),
        ("StopCallListProcessing", "all Owner Admin Developer CallListManager Support 3"),
        ("GetSkills", "all Owner"),
    ] {
        let may: Vec<&str> = may.split(' ').collect();
        let service = ["none"].iter().chain(ROLES).map(|id| (Kind::ServiceAccountKey, *id));
        for (kind, id) in service.chain([(Kind::LicenseKey, "all")]) {
            let name = ask(&rule, &holder(&register, kind, id), "/platform_api", &format!("cmd={operation}"));
            let expected = if may.contains(&id) { Ok(operation) } else { Err(Cause::PermissionDenied) };
            assert_eq!(name.as_deref().map_err(|cause| *cause), expected, "{operation} by {id}");
        }
    }
}

/// The methods of `voximplant-apiclient` 2.12.0: none of them is unknown here.
#[test]
fn every_operation_of_the_vendors_client_is_known() {
    let table = (voximplant::PRESET.operations)();
    let methods = include_str!("../../../tests/vectors/voximplant/methods.txt");
    let unknown: Vec<_> = methods.lines().filter(|name| !table.contains_key(*name)).collect();
    assert_eq!((unknown, methods.lines().count()), (vec![], 167));
    assert!(table.keys().all(|name| is_operation(name)));
}

#[test]
fn a_credential_that_is_not_taken_here_is_refused_wherever_it_stands() {
    let register = register(&[]);
    let all = holder(&register, Kind::LicenseKey, "all");
    for (target, body) in [
        ("/?cmd=GetUsers&session_id=1", ""),
        ("/?cmd=GetUsers&SESSION_ID", ""),
        ("/?cmd=GetUsers&a;session_id=1", ""),
        ("/?cmd=GetUsers&session.id=1", ""),
        ("/?session_id=1", ""),
        ("/", "cmd=GetUsers&account_password=x"),
        ("/", "cmd=GetUsers&account%5Fpassword=x"),
        ("/", "cmd=GetUsers&account_password[]=x"),
        ("/", "cmd=GetUsers&a=b;parent_account_api_key=x"),
        ("/?parent_account_id=7", "cmd=GetUsers"),
        ("/?parent_account_email=7", "cmd=GetUsers"),
        ("/?parent_account_name=7", "cmd=GetUsers"),
        ("/?parent_account_password=7", "cmd=GetUsers"),
    ] {
        assert_eq!(ask(&rule(None), &all, target, body), Err(Cause::PermissionDenied), "{target} {body}");
    }
    for target in ["/?cmd=GetUsers&call_session_history_id=1", "/?cmd=GetUsers&account_id=1&api_key=x"] {
        assert!(ask(&rule(None), &all, target, "").is_ok(), "{target}");
    }
}

#[test]
fn nobody_is_nobody_and_others_are_whom_the_operator_names() {
    let register = register(&["Owner", "Support"]);
    let (all, owner) =
        (holder(&register, Kind::LicenseKey, "all"), holder(&register, Kind::ServiceAccountKey, "Owner"));
    let support = holder(&register, Kind::ServiceAccountKey, "Support");
    let mut rule = rule(None);
    rule.table.operations.insert("DelApplication".into(), Who::Nobody);
    rule.table.others = Some(Who::holders(&["owner"]));
    for (principal, operation, may) in [
        (&all, "DelApplication", false),
        (&owner, "DelApplication", false),
        (&owner, "NewMethod", true),
        (&support, "NewMethod", false),
        (&all, "NewMethod", true),
    ] {
        let name = ask(&rule, principal, "/", &format!("cmd={operation}"));
        assert_eq!(name.is_ok(), may, "{operation} by {}", principal.subject());
    }
    assert_eq!(ask(&rule, &all, "/", "cmd=New%2FMethod"), Err(Cause::OperationUnknown));
    assert_eq!(ask(&rule, &all, "/", &format!("cmd={}", "a".repeat(65))), Err(Cause::OperationUnknown));
}

#[test]
fn a_second_credential_does_not_lend_a_service_account_its_permissions() {
    let register = register(&["Support"]);
    for id in ["none", "Support"] {
        for turned in [false, true] {
            let (all, own) =
                (holder(&register, Kind::LicenseKey, "all"), holder(&register, Kind::ServiceAccountKey, id));
            let both = if turned { all.agree(own) } else { own.agree(all) }.unwrap();
            assert_eq!(ask(&rule(None), &both, "/?cmd=GetUsers", ""), Err(Cause::PermissionDenied), "{id}");
        }
    }
}

#[test]
fn a_caller_without_an_account_is_not_limited() {
    assert!(ask(&rule(None), &passer_by(), "/?cmd=DelApplication", "").is_ok());
}

#[test]
fn whoever_could_have_a_role_and_has_none_is_let_in_nowhere_that_one_is_asked_for() {
    let register = register(&["Developer"]);
    for (kind, id, roles) in [
        (Kind::UserKey, "key", None),
        (Kind::UserKey, "developer-key", Some("developer")),
        (Kind::BearerToken, "token", None),
        (Kind::BearerToken, "developer-token", Some("developer")),
        (Kind::ApiClient, "client", None),
    ] {
        register.enrol(kind, id, "1", id, |it| it.scopes = roles.map(|role| [role].into_iter().collect()));
    }
    let who = Who::holders(&["Developer"]);
    for (kind, id, may) in [
        (Kind::ServiceAccountKey, "none", false),
        (Kind::ServiceAccountKey, "Developer", true),
        (Kind::UserKey, "key", false),
        (Kind::UserKey, "developer-key", true),
        (Kind::BearerToken, "token", false),
        (Kind::BearerToken, "developer-token", true),
        // These have no roles: they are for the whole account.
        (Kind::ApiClient, "client", true),
        (Kind::LicenseKey, "all", true),
    ] {
        let caller = holder(&register, kind, id);
        assert_eq!(who.check(&caller).is_ok(), may, "{id}");
        assert!(Who::Proven.check(&caller).is_ok(), "{id}");
    }
}
