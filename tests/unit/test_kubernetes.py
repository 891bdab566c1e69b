"""The manifests of the cluster: each file by its schema, all of them by what they mean together."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from jsonschema import Draft202012Validator

from app import settings
from app.bootstrap import parts
from app.domain.secrets import is_secret
from app.service.gate import OPEN

HERE = Path(__file__).parents[2] / "infrastructure" / "kubernetes"
SCHEMAS = HERE / "schemas"
OLDEST, NEWEST = "1.31", "1.37"
OVERLAYS = ("local", "production")
ROLES = ("stream", "registry")

Manifest = dict[str, Any]


def documents(text: str) -> list[Manifest]:
    return [found for found in yaml.safe_load_all(text) if found]


@cache
def committed() -> list[Manifest]:
    files = [path for path in HERE.rglob("*.yaml") if path.name != "kustomization.yaml"]
    return [found for path in sorted(files) for found in documents(path.read_text())]


def every(kind: str) -> list[Manifest]:
    return [found for found in committed() if found["kind"] == kind]


def one(kind: str, name: str) -> Manifest:
    (found,) = [found for found in every(kind) if found["metadata"]["name"] == name]
    return found


def pods() -> list[Manifest]:
    found = [f["spec"]["template"] for kind in ("StatefulSet", "Deployment") for f in every(kind)]
    assert len(found) == len(ROLES)
    return found


def require_valid(manifest: Manifest) -> None:
    group = manifest["apiVersion"].replace("/", "-")
    ours = SCHEMAS / f"{group}-{manifest['kind'].lower()}.json"
    if ours.exists():
        Draft202012Validator(json.loads(ours.read_text())).validate(manifest)
        return
    for version in (OLDEST, NEWEST):
        kubernetes_validate.validate(manifest, version, strict=True)


def env_file(path: Path) -> dict[str, str]:
    lines = path.read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def in_force() -> settings.Settings:
    return settings.read(env_file(HERE / "base" / "settings.env"))


# --- each by its schema ---


@pytest.mark.parametrize(
    "manifest", committed(), ids=lambda m: f"{m['kind']}-{m['metadata']['name']}"
)
def test_every_manifest_is_valid_on_the_oldest_and_the_newest_cluster(manifest: Manifest) -> None:
    require_valid(manifest)


def test_a_misspelt_field_would_be_found() -> None:
    for kind, name in (("StatefulSet", "ds-models-stream"), ("ScaledObject", "ds-models-stream")):
        wrong = json.loads(json.dumps(one(kind, name)))
        wrong["spec"]["replica"] = 1
        with pytest.raises(Exception, match="replica"):
            require_valid(wrong)


def kustomize() -> list[str] | None:
    if program := shutil.which("kustomize"):
        return [program, "build"]
    return [program, "kustomize"] if (program := shutil.which("kubectl")) else None


def built(folder: Path) -> Iterator[Manifest]:
    command = kustomize()
    if command is None:
        pytest.skip("neither kustomize nor kubectl is there")
    done = subprocess.run([*command, str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    yield from documents(done.stdout)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_an_overlay_is_built_and_all_that_it_names_is_in_it(overlay: str, tmp_path: Path) -> None:
    shutil.copytree(HERE, tmp_path / "kubernetes")
    folder = tmp_path / "kubernetes" / "overlays" / overlay
    for role in ROLES:
        shutil.copyfile(folder / f"{role}.example.env", folder / f"{role}.env")
    found = list(built(folder))
    for manifest in found:
        require_valid(manifest)
        assert manifest["metadata"]["namespace"] == "ds-models"
    names = {(m["kind"], m["metadata"]["name"]) for m in found}
    workloads = [m for m in found if m["kind"] in {"StatefulSet", "Deployment"}]
    assert len(workloads) == len(ROLES)
    for workload in workloads:
        (container,) = workload["spec"]["template"]["spec"]["containers"]
        assert re.search(r":[\w.-]+$", container["image"])
        assert not container["image"].endswith(":latest")
        for source in container["envFrom"]:
            for key, kind in (("configMapRef", "ConfigMap"), ("secretRef", "Secret")):
                assert key not in source or (kind, source[key]["name"]) in names


def test_the_topics_are_built_for_the_operator_s_cluster() -> None:
    found = list(built(HERE / "topics"))
    assert len(found) == len(parts.topic_specs(in_force()))
    for manifest in found:
        require_valid(manifest)
        assert manifest["metadata"]["labels"]["strimzi.io/cluster"]


# --- all of them together ---


def test_every_selector_finds_the_pods_of_one_role_or_of_all() -> None:
    labels = [pod["metadata"]["labels"] for pod in pods()]
    selectors = [m["spec"]["selector"] for m in every("Service")]
    for kind in ("StatefulSet", "Deployment", "PodDisruptionBudget"):
        selectors += [m["spec"]["selector"]["matchLabels"] for m in every(kind)]
    for pod in pods():
        spread = pod["spec"]["topologySpreadConstraints"]
        selectors += [constraint["labelSelector"]["matchLabels"] for constraint in spread]
    for selector in selectors:
        assert len([found for found in labels if selector.items() <= found.items()]) == 1
    for policy in every("NetworkPolicy"):
        selector = policy["spec"]["podSelector"]["matchLabels"]
        assert any(selector.items() <= found.items() for found in labels)


def test_every_setting_is_one_of_ours_and_no_secret_is_among_them() -> None:
    given = env_file(HERE / "base" / "settings.env")
    assert in_force().http.host == in_force().service.host == "0.0.0.0"  # noqa: S104
    assert not [name for name in given if is_secret(name.lower())]
    for overlay in OVERLAYS:
        for role in ROLES:
            secrets = env_file(HERE / "overlays" / overlay / f"{role}.example.env")
            assert set(secrets.values()) == {""}
            ours = [name for name in secrets if name.startswith(settings.PREFIX)]
            example = "sqlite:///" + "x" * 40
            assert settings.read(given | dict.fromkeys(ours, example))


def test_each_probe_asks_a_path_that_is_served_on_its_port() -> None:
    shown = {"operator": {"/healthz", "/readyz", "/metrics"}, "http": OPEN}
    numbers = {"operator": in_force().http.port, "http": in_force().service.port}
    for pod in pods():
        (container,) = pod["spec"]["containers"]
        (port,) = container["ports"]
        assert port["containerPort"] == numbers[port["name"]]
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            asked = container[probe]["httpGet"]
            assert asked["port"] == port["name"]
            assert asked["path"] in shown[port["name"]]


def test_nothing_runs_as_root_or_writes_but_to_tmp_or_talks_to_the_cluster() -> None:
    for pod in pods():
        spec = pod["spec"]
        assert spec["automountServiceAccountToken"] is False
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["runAsUser"] == 10001
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in spec["containers"] + spec.get("initContainers", []):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert [m["mountPath"] for m in container["volumeMounts"]] == ["/tmp"]  # noqa: S108
            assert container["resources"]["limits"]["memory"]


def test_a_stop_is_given_the_time_that_a_transaction_may_take_and_is_over_before_the_session() -> (
    None
):
    kafka = in_force().kafka
    grace_s = one("StatefulSet", "ds-models-stream")["spec"]["template"]["spec"][
        "terminationGracePeriodSeconds"
    ]
    assert grace_s > kafka.transaction_timeout_ms / 1000
    assert grace_s < kafka.session_timeout_ms / 1000


def test_each_pod_of_the_stream_has_its_own_name_as_a_member_of_the_group() -> None:
    stateful = one("StatefulSet", "ds-models-stream")["spec"]
    (container,) = stateful["template"]["spec"]["containers"]
    (variable,) = container["env"]
    assert variable["name"] == "DS_MODELS_KAFKA__GROUP_INSTANCE_ID"
    assert variable["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.name"
    assert settings.read({variable["name"]: "ds-models-stream-0"}).kafka.group_instance_id
    assert one("Service", stateful["serviceName"])["spec"]["clusterIP"] == "None"


def test_there_are_never_more_instances_than_partitions_and_the_lag_is_of_our_group() -> None:
    scaled, ours = one("ScaledObject", "ds-models-stream")["spec"], in_force()
    assert scaled["maxReplicaCount"] == ours.topics.partitions
    assert scaled["scaleTargetRef"]["kind"] == "StatefulSet"
    assert "replicas" not in one("StatefulSet", scaled["scaleTargetRef"]["name"])["spec"]
    (trigger,) = scaled["triggers"]
    told = trigger["metadata"]
    assert told["bootstrapServers"] == ours.kafka.bootstrap_servers
    assert told["consumerGroup"] == ours.kafka.consumer_group
    assert told["topic"] == ours.topics.records
    assert told["allowIdleConsumers"] == "false"


def test_the_operator_s_topics_are_those_that_we_would_make() -> None:
    wanted = {spec.name: spec for spec in parts.topic_specs(in_force())}
    assert {topic["metadata"]["name"] for topic in every("KafkaTopic")} == set(wanted)
    for topic in every("KafkaTopic"):
        spec = wanted[topic["metadata"]["name"]]
        assert topic["spec"]["partitions"] == spec.partitions
        assert topic["spec"]["replicas"] == spec.replication
        config = {name: str(value) for name, value in topic["spec"]["config"].items()}
        assert spec.config.items() <= config.items()


def test_pods_may_reach_what_their_settings_name_and_nothing_else() -> None:
    allowed = {
        (
            policy["spec"]["podSelector"]["matchLabels"].get("app.kubernetes.io/component", "all"),
            peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"],
            port["port"],
        )
        for policy in every("NetworkPolicy")
        for rule in policy["spec"].get("egress", [])
        for peer in rule["to"]
        for port in rule["ports"]
    }
    assert allowed == {
        ("all", "kube-system", 53),
        ("all", "kafka", 9092),
        ("all", "kafka", 9093),
        ("all", "mlflow", 5000),
        ("registry", "postgresql", 5432),
    }
    ours = in_force()
    assert ours.kafka.bootstrap_servers.endswith(".kafka.svc:9092")
    assert ours.mlflow.tracking_uri.endswith(".mlflow.svc:5000")
    denied = one("NetworkPolicy", "ds-models-nobody")["spec"]
    assert denied["policyTypes"] == ["Ingress", "Egress"]
    assert not {"ingress", "egress"} & set(denied)
