"""Voximplant's own client, and the JSEncrypt of Multicam's pages, against the gateway: `run` installs them and starts this."""

import json
import os
import pathlib
import signal
import sys
import tempfile
import traceback

from voximplant.apiclient import VoximplantAPI, VoximplantAPIConfig, VoximplantException

from house import USER, House, encrypted

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


# --- Voximplant: the client posts a form with `cmd` and a JWT that it signs itself


def the_vendors_client_is_let_in(house):
    answer = client(house, "developer").get_users(application_id=4152784, count=20)
    assert answer["total_count"] == 0, answer
    (seen,) = house.upstream.take()
    assert seen["request"] == "POST /platform_api", seen
    assert seen["form"] == {"application_id": ["4152784"], "count": ["20"], "cmd": ["GetUsers"]}, seen
    assert whose(seen) == ("service_account:developer", "1"), seen
    assert "authorization" not in seen["headers"], seen


def a_key_is_refused_what_its_roles_do_not_allow(house):
    payer = client(house, "payer")
    payer.get_history_reports()
    assert len(house.upstream.take()) == 1
    refused(house, lambda: payer.get_users(application_id=4152784))


def a_key_without_roles_may_do_what_is_basic_and_no_more(house):
    plain = client(house, "plain")
    plain.get_account_info()
    assert whose(*house.upstream.take()) == ("service_account:plain", "1")
    refused(house, lambda: plain.get_users(application_id=4152784))
    refused(house, lambda: plain.create_key("escalation", role_name="Owner"))


def a_parents_key_speaks_for_a_child_account(house):
    client(house, "developer", account=77).get_users(application_id=4152784)
    assert whose(*house.upstream.take()) == ("service_account:developer", "77")


def a_key_speaks_for_no_parent_and_no_stranger(house):
    for key, account in (("child", 1), ("child", 2), ("developer", 2), ("developer", 3)):
        refused(house, lambda: client(house, key, account=account).get_users(application_id=4152784))


def a_client_that_was_not_told_its_account_is_refused(house):
    # It then claims to be the account 0.
    config = VoximplantAPIConfig(credentials(house, "developer", "1"), house.address)
    refused(house, lambda: VoximplantAPI(config=config).get_users(application_id=4152784))


def an_unknown_key_is_refused(house):
    refused(house, lambda: client(house, "developer", known_as="nobody").get_users(application_id=4152784))


def a_known_keys_name_on_anothers_signature_is_refused(house):
    refused(house, lambda: client(house, "plain", known_as="developer").get_users(application_id=4152784))


def client(house, key, account=None, known_as=None):
    """The vendor's client with the private key of a service account, for an account other than its own where one is named."""
    own = "77" if key == "child" else "1"
    file = credentials(house, key, own, known_as)
    if account is None:
        return VoximplantAPI(file, endpoint=house.address)
    return VoximplantAPI(config=VoximplantAPIConfig(file, house.address, account_id=account))


def credentials(house, key, account, known_as=None):
    """The file that Voximplant's panel would hand out for a key."""
    file = house.folder / "credentials.json"
    private = (house.folder / f"{key}.pem").read_text()
    told = {"account_email": "john@example.com", "account_id": int(account), "key_id": known_as or key, "private_key": private}
    file.write_text(json.dumps(told))
    return str(file)


def refused(house, ask):
    """The client is told 100, `Authorization failed`, and the upstream hears nothing."""
    try:
        answer = ask()
    except VoximplantException as exception:
        assert exception.code == 100, exception
    else:
        raise AssertionError(f"let in: {answer}")
    assert house.upstream.take() == []


def whose(seen):
    """Who it was, as the gateway told the upstream."""
    return seen["headers"].get("x-vidgate-subject"), seen["headers"].get("x-vidgate-account")


# --- Multicam: the page encrypts the user's key to the gateway's and asks for a token


def jsencrypts_login_gives_a_token_that_opens(house):
    for form in ("base64", "hex"):
        status, headers, answer = login(house, encrypted(USER["key"], house.multicam_key(), form))
        assert (status, headers["content-type"]) == (200, "application/json;charset=UTF-8"), (status, answer)
        assert (answer["token_type"], answer["expires_in"]) == ("bearer", 1209599), answer
        assert use(house, answer["access_token"]) == 200
        (seen,) = house.upstream.take()
        assert (seen["request"], *whose(seen)) == ("GET /api/application/system", "user:john", "studio"), seen
        assert "authorization" not in seen["headers"], seen


def a_token_that_nobody_issued_is_refused(house):
    *_, answer = login(house, encrypted(USER["key"], house.multicam_key()))
    token = answer["access_token"]
    altered = token[:-1] + ("A" if token[-1] != "A" else "B")
    assert use(house, altered) == 401
    assert house.upstream.take() == []


def a_wrong_login_is_an_invalid_grant(house):
    public_key = house.multicam_key()
    for what, user, password in (
        ("a wrong key", USER["login"], encrypted("QkFqTmtDclVkQTFVaUAy", public_key)),
        ("an unknown user", "jane@example.com", encrypted(USER["key"], public_key)),
        ("encrypted to another gateway", USER["login"], encrypted(USER["key"], house.another_multicam_key())),
        ("in clear", USER["login"], USER["key"]),
    ):
        status, headers, answer = login(house, password, user)
        assert (status, headers["content-type"]) == (400, "application/json;charset=UTF-8"), what
        assert answer == {"error": "invalid_grant"}, f"{what}: {answer}"


def login(house, password, user=USER["login"]):
    """Asks for a token."""
    return house.ask("POST", "/Token", form={"grant_type": "password", "username": user, "password": password})


def use(house, token):
    """The status of a request with a token."""
    status, *_ = house.ask("GET", "/api/application/system", {"Authorization": f"Bearer {token}"})
    return status


TESTS = [
    the_vendors_client_is_let_in,
    a_key_is_refused_what_its_roles_do_not_allow,
    a_key_without_roles_may_do_what_is_basic_and_no_more,
    a_parents_key_speaks_for_a_child_account,
    a_key_speaks_for_no_parent_and_no_stranger,
    a_client_that_was_not_told_its_account_is_refused,
    an_unknown_key_is_refused,
    a_known_keys_name_on_anothers_signature_is_refused,
    jsencrypts_login_gives_a_token_that_opens,
    a_token_that_nobody_issued_is_refused,
    a_wrong_login_is_an_invalid_grant,
]


def main():
    """Runs every test against one gateway."""
    # Every polite way of ending this goes through the clean-up.
    for number in STOPPING:
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    failed = 0
    with tempfile.TemporaryDirectory(prefix="vidgate-clients-") as folder:
        house = House(str(pathlib.Path(sys.argv[1]).resolve()), pathlib.Path(folder))
        try:
            # The vendor's client takes its authorities and proxies from the environment.
            os.environ.update(REQUESTS_CA_BUNDLE=house.ca, NO_PROXY="*", no_proxy="*")
            for test in TESTS:
                house.upstream.take()
                try:
                    test(house)
                    print(f"ok      {test.__name__}", flush=True)
                except Exception:
                    failed += 1
                    print(f"FAILED  {test.__name__}\n{traceback.format_exc()}", flush=True)
        finally:
            house.end()
    print(f"clients: {len(TESTS) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
