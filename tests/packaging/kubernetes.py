"""The manifests of Kubernetes: valid, closed, agreeing with each other and with the configuration in them, which serves."""

import pathlib
import re
import subprocess
import sys
import tomllib

import yaml

from made import ROOT, VIDGATE, Running, free_ports, get, run

FOLDER = ROOT / "packaging" / "kubernetes"
# The newest that is known, and one that clusters still run.
VERSIONS = ("1.37", "1.33")
# A kind of the Prometheus operator, and one of kustomize.
FOREIGN = {"monitor.yaml", "kustomization.yaml"}


def documents():
    """Every manifest, by its kind and name."""
    found = {}
    for file in sorted(FOLDER.glob("*.yaml")):
        for document in yaml.safe_load_all(file.read_text()):
            found[document["kind"], document.get("metadata", {}).get("name")] = document
    return found


DOCUMENTS = documents()
GATEWAY = DOCUMENTS["StatefulSet", "vidgate"]
POD = GATEWAY["spec"]["template"]["spec"]
INIT = DOCUMENTS["Job", "vidgate-store-init"]["spec"]["template"]["spec"]
CONFIGURATION = DOCUMENTS["ConfigMap", "vidgate-configuration"]["data"]["vidgate.toml"]
MEANT = tomllib.loads(CONFIGURATION)


def they_are_valid(_):
    files = [file for file in sorted(FOLDER.glob("*.yaml")) if file.name not in FOREIGN]
    validate = pathlib.Path(sys.executable).with_name("kubernetes-validate")
    for version in VERSIONS:
        for file in files:
            run(validate, "--strict", "--kubernetes-version", version, file)


def kustomize_takes_all_but_what_is_said(_):
    kustomization = (FOLDER / "kustomization.yaml").read_text()
    listed = set(yaml.safe_load(kustomization)["resources"])
    # Making the store is done once, and the monitor needs an operator.
    assert listed == {file.name for file in FOLDER.glob("*.yaml")} - FOREIGN - {"store-init.yaml"}, listed
    assert all(document["metadata"]["namespace"] == "vidgate" for (kind, _), document in DOCUMENTS.items() if kind not in ("Namespace", "Kustomization"))


def pods_are_of_the_restricted_profile_and_of_the_images_user(_):
    (user,) = re.findall(r"^USER (\d+):\d+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    for pod in (POD, INIT):
        whole = pod["securityContext"]
        assert whole["runAsNonRoot"] and whole["seccompProfile"] == {"type": "RuntimeDefault"}, whole
        assert {whole[key] for key in ("runAsUser", "runAsGroup", "fsGroup")} == {int(user)}, whole
        assert pod["automountServiceAccountToken"] is False
        for container in pod["containers"]:
            own = container["securityContext"]
            assert own["allowPrivilegeEscalation"] is False and own["readOnlyRootFilesystem"] is True, own
            assert own["capabilities"] == {"drop": ["ALL"]}, own
            assert container["image"] == POD["containers"][0]["image"]
        assert pod["volumes"] == POD["volumes"], "the store is made with what it is opened with"


def there_is_one_with_the_time_and_the_memory_that_it_takes(_):
    # The store is one file.
    assert GATEWAY["spec"]["replicas"] == 1
    seconds = sum(int(MEANT[key].removesuffix("s")) for key in ("lame_duck", "drain"))
    assert POD["terminationGracePeriodSeconds"] > seconds
    (container,) = POD["containers"]
    limit = int(container["resources"]["limits"]["memory"].removesuffix("Mi"))
    assert int(MEANT["overload"]["max_memory"].removesuffix(" MiB")) < limit


def ports_are_those_of_the_configuration(_):
    (container,) = POD["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    listeners = {"https": MEANT["listener"]["public"]["address"], "monitoring": MEANT["monitoring"]["address"]}
    assert ports == {name: int(address.rsplit(":", 1)[1]) for name, address in listeners.items()}, ports
    # Whatever leads to them names them.
    for (kind, name), document in DOCUMENTS.items():
        if kind == "Service":
            assert all(port["targetPort"] in ports for port in document["spec"]["ports"]), name
            assert document["spec"]["selector"] == GATEWAY["spec"]["selector"]["matchLabels"], name
    ingress = DOCUMENTS["NetworkPolicy", "vidgate"]["spec"]["ingress"]
    assert [port["port"] for rule in ingress for port in rule["ports"]] == ["https", "monitoring"]
    assert "from" not in ingress[0] and ingress[1]["from"], "callers may come from anywhere, and no one else"
    # The admin API is for this pod alone.
    assert MEANT["admin"]["address"].startswith("127.0.0.1:")
    monitor = DOCUMENTS["ServiceMonitor", "vidgate"]["spec"]
    service = DOCUMENTS["Service", "vidgate-monitoring"]
    assert monitor["selector"]["matchLabels"] == service["metadata"]["labels"]
    assert [end["port"] for end in monitor["endpoints"]] == [port["name"] for port in service["spec"]["ports"]]


def what_they_hold_makes_a_store_and_serves(folder):
    """The volumes laid out as the kubelet would, then the two containers, and the probes as they stand."""
    mounts = {mount["name"]: mount["mountPath"] for mount in POD["containers"][0]["volumeMounts"]}
    configuration, store = folder / "configuration", folder / "store"
    store.mkdir()
    (volume,) = [volume for volume in POD["volumes"] if volume["name"] == "configuration"]
    assert volume["projected"]["defaultMode"] == 0o440, "no one but the group reads it"
    secrets = made_secrets(folder)
    for source in volume["projected"]["sources"]:
        for item in source.get("secret", {}).get("items", []):
            target = configuration / item["path"]
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(secrets[source["secret"]["name"], item["key"]])
            target.chmod(0o440)
    ports = dict(zip(("8443", "9180", "9443"), free_ports(3), strict=True))
    text = CONFIGURATION.replace(mounts["store"], str(store)).replace("[::]:", "127.0.0.1:")
    for port, free in ports.items():
        text = text.replace(f":{port}\"", f":{free}\"")
    (configuration / "vidgate.toml").write_text(text)

    def arguments(pod):
        (container,) = pod["containers"]
        return [word.replace(mounts["configuration"], str(configuration)) for word in container["args"]]

    run(VIDGATE, *arguments(INIT))
    again = subprocess.run([VIDGATE, *arguments(INIT)], capture_output=True, timeout=60, check=False)
    assert again.returncode == 1, "what is there is not touched"
    said = run(VIDGATE, "check", "--config", configuration / "vidgate.toml")
    assert "good: 1 listener" in said, said
    with (folder / "log").open("wb") as log, Running(VIDGATE, *arguments(POD), stderr=log):
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            asked = POD["containers"][0][probe]["httpGet"]
            assert asked["port"] == "monitoring"
            assert get(ports["9180"], asked["path"]) == 200, f"{probe}: {(folder / 'log').read_text()}"
        (end,) = DOCUMENTS["ServiceMonitor", "vidgate"]["spec"]["endpoints"]
        assert get(ports["9180"], end["path"]) == 200


def made_secrets(folder):
    """What the two Secrets hold."""
    certificate, key = folder / "tls.crt", folder / "tls.key"
    request = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=localhost", "-days", "2"]
    run("openssl", "req", "-x509", *request, "-addext", "subjectAltName=DNS:localhost", "-out", certificate, "-keyout", key)
    return {
        ("vidgate-tls", "tls.crt"): certificate.read_bytes(),
        ("vidgate-tls", "tls.key"): key.read_bytes(),
        ("vidgate-secrets", "master.key"): run(VIDGATE, "store", "key").encode(),
        ("vidgate-secrets", "admin.token"): run("openssl", "rand", "-hex", "32").encode(),
    }


TESTS = [
    they_are_valid,
    kustomize_takes_all_but_what_is_said,
    pods_are_of_the_restricted_profile_and_of_the_images_user,
    there_is_one_with_the_time_and_the_memory_that_it_takes,
    ports_are_those_of_the_configuration,
    what_they_hold_makes_a_store_and_serves,
]
