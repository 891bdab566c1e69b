"""What looks at everything that the settings name."""

from collections.abc import Callable, Sequence

from prometheus_client import CollectorRegistry

from app.bootstrap import parts
from app.settings import Settings
from app.telemetry.http import OperatorPort
from app.tools.settings.check import Check, Wrong, check_folder
from app.topics import catalog


def config_checks(settings: Settings, timeout_s: float) -> list[Check]:
    """Return what looks at everything that the settings name; nothing is asked before it is run.

    Args:
        settings: Of the application.
        timeout_s: The longest that one check may take.
    """
    servers, name = settings.kafka.bootstrap_servers, settings.model.name
    answer_s = 0.8 * min(timeout_s, 10.0)

    def broker() -> str:
        parts.require_broker(settings, answer_s)
        return f"a broker answers at {servers}"

    def topic(spec: catalog.TopicSpec) -> Callable[[], str | Sequence[Wrong]]:
        def look() -> str | Sequence[Wrong]:
            found = catalog.TopicCatalog(parts.kafka(settings), answer_s).findings([spec])
            wrong = [
                Wrong(f"{one.setting} is {one.found}, must be {one.needed}", one.remedy)
                for one in found
            ]
            return wrong or "keeps every promise"

        return look

    def server() -> str:
        parts.models(settings).require_answer()
        return f"it answers at {settings.mlflow.tracking_uri}"

    def model() -> str | Sequence[Wrong]:
        aliases = parts.models(settings).aliases(name)
        if aliases is None:
            remedy = "python models/train_and_register_model.py, or set model.name"
            return [Wrong(f"MLflow has no registered model {name}", remedy)]
        return ", ".join(
            ["registered", *(f"{alias} is version {v}" for alias, v in sorted(aliases.items()))]
        )

    def artifacts() -> str:
        source = parts.models(settings)
        newest = source.newest(name)
        if newest is None:
            return "no version is registered yet: nothing to look at"
        source.look_at(newest.uri)
        return f"the files of version {newest.version} can be read, and the policy allows them"

    def port() -> str:
        http = settings.http
        nobody = OperatorPort(
            http.host,
            http.port,
            CollectorRegistry(),
            why_not_alive=lambda: None,
            why_not_ready=lambda: None,
        )
        with nobody:
            port = f"port {http.port}" if http.port else "any free port"
            return f"{http.host}, {port}: can be listened on"

    look_at_server = (
        "start it (make mlflow-up), set MLFLOW_TRACKING_URI, or, if it answers 403, name this "
        "host in its --allowed-hosts"
    )
    look_at_store = (
        "see that the artifact store of the MLflow server is up, and [policy] of the settings"
    )
    topics = [
        Check(f"topic {spec.name}", topic(spec), "let this client describe topics", "Kafka broker")
        for spec in parts.topic_specs(settings)
    ]
    room = parts.policy(settings).max_artifact_bytes
    return [
        Check("Kafka broker", broker, "start it (make kafka-up) or set KAFKA_BOOTSTRAP_SERVERS"),
        *topics,
        Check("MLflow server", server, look_at_server),
        Check("registered model", model, look_at_server, "MLflow server"),
        Check("model artifacts", artifacts, look_at_store, "registered model"),
        Check(
            "model cache",
            lambda: check_folder(settings.model.cache_dir, room),
            "name another model.cache_dir",
        ),
        Check("operator port", port, "set http.port to a free one, or to 0; or an instance has it"),
    ]
