//! Voximplant's roles and operations, as its HTTP API's reference lists them. Operations that its client has and whose
//! roles no list names are the owner's alone; those without any list are for everyone where they only read what an account
//! is and costs, and the owner's where they touch keys, roles, secrets or plans: a key without a role could else give itself
//! any.

use std::collections::HashMap;

use super::{Preset, Who};

/// The table `voximplant`.
pub const PRESET: Preset = Preset {
    name: "voximplant",
    about: "Voximplant's HTTP API: operations by role, keys and secrets for the owner alone",
    operations,
    roles: ROLES,
    refused: REFUSED,
    removed: &["api_key"],
};

const O: &str = "Owner";
const A: &str = "Admin";
const D: &str = "Developer";
const S: &str = "Supervisor";
const U: &str = "Support";
const AC: &str = "Accountant";
const P: &str = "Payer";
const CL: &str = "Call list manager";
const UM: &str = "User manager";
const CS: &str = "CallsSMS";
const PN: &str = "PhoneNumberManager";
const V: &str = "Verification";
/// The older name of what may start scenarios (and nothing of SMS).
const SC: &str = "Scenarios";

/// Every role, by the name that the vendor gives it.
pub const ROLES: &[&str] = &[O, A, D, S, U, AC, P, CL, UM, CS, PN, V, SC];

/// The numbers of roles that are known.
pub const NUMBERS: &[(&str, &str)] = &[("3", U), ("7", AC)];

/// Credentials that the gateway does not take: who signs in with one would be somebody else to the upstream.
const REFUSED: &[&str] = &[
    "account_password",
    "session_id",
    "parent_account_id",
    "parent_account_name",
    "parent_account_email",
    "parent_account_api_key",
    "parent_account_password",
];

/// What everyone who is proven may do.
const BASIC: &[&str] = &[
    "GetAccountInfo",
    "GetAccountPlans",
    "GetActualPhoneNumberRegion",
    "GetAvailablePlans",
    "GetCurrencyRate",
    "GetResourcePrice",
    "GetRoleGroups",
    "GetRoles",
    "GetSubscriptionPrice",
];

type Family = (&'static [&'static str], &'static [&'static str]);

/// Roles, and what they may do.
const FAMILIES: &[Family] = &[
    // Scenarios, rules, applications.
    (&[O, A, D, CS, SC], &["StartConference", "StartScenarios"]),
    (
        &[O, A, D],
        &["AddScenario", "BindScenario", "DelScenario", "GetScenarios", "ReorderScenarios", "SetScenarioInfo"],
    ),
    (&[O, A, D], &["AddRule", "DelRule", "ReorderRules", "SetRuleInfo"]),
    (&[O, A, D, S, CL, U], &["GetRules"]),
    (&[O, A], &["AddApplication", "SetApplicationInfo"]),
    (&[O], &["DelApplication"]),
    (&[O, A, D, S, CL, UM, AC, U], &["GetApplications"]),
    // Users.
    (&[O, A, D, S, UM], &["GetUsers"]),
    (&[O, A, UM], &["AddUser", "DelUser", "SetUserInfo"]),
    // What has happened.
    (&[O, A, D, S, U], &["GetBriefCallHistory", "GetCallHistory", "GetCallHistoryAsync"]),
    (&[O, A, D, S, AC, U, P], &["GetHistoryReports"]),
    (&[O, A, S, AC, P], &["DownloadHistoryReport"]),
    (&[O, A, AC, P], &["GetTransactionHistory", "GetTransactionHistoryAsync"]),
    (&[O, A], &["DeleteRecord"]),
    (&[O], &["GetAuditLog", "GetAuditLogAsync"]),
    (&[O, A, D, S, UM], &["GetACDHistory"]),
    // Lists of calls.
    (
        &[O, A, D, CL],
        &[
            "AppendToCallList",
            "CancelCallListBatch",
            "CancelCallListTask",
            "CreateCallList",
            "DeleteCallList",
            "EditCallList",
            "EditCallListTasksPriority",
            "RecoverCallList",
        ],
    ),
    (&[O, A, D, CL, U], &["EditCallListTask", "StopCallListProcessing"]),
    (&[O, A, D, S, CL, U], &["GetCallLists"]),
    (&[O, A, D, CL], &["GetCallListDetails"]),
    // SMS.
    (&[O, A, D, CS], &["SendSmsMessage"]),
    (&[O, A, D, S, AC, CS], &["GetSmsHistory"]),
    (&[CS], &["A2PSendSms"]),
    (&[O, A, CS], &["A2PGetSmsHistory"]),
    (&[O, A, D, AC], &["ControlSms"]),
    // Addresses, values, credentials of push services.
    (
        &[O, A, D],
        &["AddAuthorizedAccountIP", "CheckAuthorizedAccountIP", "DelAuthorizedAccountIP", "GetAuthorizedAccountIPs"],
    ),
    (&[O, A, D], &["DelKeyValueItem", "GetKeyValueItem", "GetKeyValueItems", "GetKeyValueKeys", "SetKeyValueItem"]),
    (
        &[O, A, D],
        &["AddPushCredential", "BindPushCredential", "DelPushCredential", "GetPushCredential", "SetPushCredential"],
    ),
    // Numbers.
    (&[O, A, AC], &["AttachPhoneNumber", "GetNewPhoneNumbers", "SetPhoneNumberInfo"]),
    (&[O, A, D], &["BindPhoneNumberToApplication"]),
    (&[O], &["DeactivatePhoneNumber"]),
    (&[O, A, D, S, AC, U, P], &["GetPhoneNumbers", "IsAccountPhoneNumber"]),
    (&[O, A, AC, P], &["GetPhoneNumberCategories", "GetPhoneNumberCountryStates", "GetPhoneNumberRegions"]),
    (&[O, A, AC, P, PN], &["GetPhoneNumberReports"]),
    (&[O, A, D, S, AC, U, P, V], &["GetAccountPhoneNumberCountries"]),
    // Queues.
    (&[O, A, D], &["AddQueue", "DelQueue", "GetACDState"]),
    (&[O, A, D, UM], &["BindUserToQueue"]),
    (&[O, A, D, S], &["GetQueues"]),
    (&[O, A, D, S, UM], &["GetACDOperatorStatistics", "GetACDOperatorStatusStatistics", "GetACDQueueStatistics"]),
    // Accounts.
    (&[O, A], &["AddAccount"]),
    (&[O], &["GetChildrenAccounts"]),
    (&[O, A, D, AC, P], &["SetAccountInfo"]),
    (&[O, A, AC, P], &["GetAccountDocuments", "GetAccountVerifications", "GetMoneyAmountToCharge"]),
    (&[A], &["CloneAccount"]),
    (
        &[O],
        &[
            "AddSubUser",
            "DelSubUser",
            "GetSubUserRoles",
            "GetSubUsers",
            "RemoveSubUserRoles",
            "SetSubUserInfo",
            "SetSubUserRoles",
        ],
    ),
    // No list is printed, and it is more than reading: see above.
    (
        &[O],
        &[
            "AddSecret",
            "ChangeAccountPlan",
            "CreateKey",
            "DelSecret",
            "DeleteKey",
            "GetKeyRoles",
            "GetKeys",
            "GetSecretValue",
            "GetSecrets",
            "RemoveKeyRoles",
            "SetChildAccountInfo",
            "SetKeyRoles",
            "SetQueueInfo",
            "SetSecretInfo",
            "UpdateKey",
        ],
    ),
    // In the vendor's client 2.12.0, and in no list.
    (
        &[O],
        &[
            "ActivateOutboundTestPhoneNumber",
            "AddDialogflowKey",
            "AddOutboundTestPhoneNumber",
            "AddPstnBlackListItem",
            "AddSipWhiteListItem",
            "AddSkill",
            "AddWABPhoneNumber",
            "BindDialogflowKeys",
            "BindSipRegistration",
            "BindSkill",
            "CreateSipRegistration",
            "DelCallerID",
            "DelDialogflowKey",
            "DelOutboundTestPhoneNumber",
            "DelPstnBlackListItem",
            "DelSipWhiteListItem",
            "DelSkill",
            "DeleteSipRegistration",
            "DeleteWABPhoneNumber",
            "DownloadInvoice",
            "GetAccountInvoices",
            "GetAvailableRegulations",
            "GetCallerIDs",
            "GetCountries",
            "GetDialogflowKeys",
            "GetOutboundTestPhoneNumbers",
            "GetPhoneNumbersAsync",
            "GetPstnBlackList",
            "GetRecordStorages",
            "GetRegions",
            "GetRegulationsAddress",
            "GetSQState",
            "GetSipRegistrations",
            "GetSipWhiteList",
            "GetSkills",
            "GetSmartQueueDayHistory",
            "GetSmartQueueRealtimeMetrics",
            "GetWABPhoneNumbers",
            "GetZIPCodes",
            "LinkregulationAddress",
            "RequestSmartQueueHistory",
            "SetDialogflowKey",
            "SetPstnBlackListItem",
            "SetSipWhiteListItem",
            "SetSkillInfo",
            "SetWABPhoneNumberInfo",
            "UpdateSipRegistration",
            "VerifyOutboundTestPhoneNumber",
        ],
    ),
];

fn operations() -> HashMap<Box<str>, Who> {
    let basic = BASIC.iter().map(|name| (Box::from(*name), Who::Proven));
    let families = FAMILIES.iter().flat_map(|(roles, names)| {
        let who = Who::holders(roles);
        names.iter().map(move |name| (Box::from(*name), who.clone()))
    });
    basic.chain(families).collect()
}
