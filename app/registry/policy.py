"""The policy on what is loaded: read off the URI, the MLmodel file and the sizes, never the model.

What is refused here was neither imported nor unpickled. MLflow loads by what the pyfunc flavor
says, so that is what counts: any other flavor beside it may be a decoy.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from app.domain.errors import PolicyRefused
from app.domain.secrets import without_passwords
from app.registry.trusted_types import TRUSTED_TYPES

Flavor = Literal["skops", "pickle", "pyfunc"]

_MEGABYTE = 1_000_000
_SKLEARN_FORMATS: Mapping[str, Flavor] = {
    "skops": "skops",
    "pickle": "pickle",
    "cloudpickle": "pickle",
}


@dataclass(frozen=True, slots=True)
class Policy:
    """What may be loaded. The default trusts nobody who can write to the registry.

    Attributes:
        flavors: `skops` runs no code of the artifact; `pickle` and `pyfunc` do.
        code_paths: Whether an artifact may bring Python files.
        models: Patterns, as of file names, for the registered name in a `models:` URI.
        uri_schemes: Of the URI; a plain path counts as `file`.
        uri_hosts: Patterns for the host, or bucket, that the files come from.
        max_artifact_bytes: The most that all files of an artifact may have together.
        trusted_types: What a skops file may hold beyond what skops trusts by itself.
    """

    flavors: Collection[str] = ("skops",)
    code_paths: bool = False
    models: Collection[str] = ("*",)
    uri_schemes: Collection[str] = ("models",)
    uri_hosts: Collection[str] = ("*",)
    max_artifact_bytes: int = 1_000 * _MEGABYTE
    trusted_types: Collection[str] = TRUSTED_TYPES

    def require_uri(self, uri: str) -> None:
        """Return if a version may be announced by this URI.

        Raises:
            PolicyRefused: It has another scheme, or names another model.
        """
        scheme = scheme_of(uri)
        if scheme not in {allowed.lower() for allowed in self.uri_schemes}:
            raise _refused(
                f"its URI {without_passwords(uri)} has the scheme {scheme!r}",
                "uri_schemes",
                self.uri_schemes,
            )
        name = registered_name(uri)
        if not any(fnmatchcase(name, pattern) for pattern in self.models):
            raise _refused(f"its registered name is {name!r}", "models", self.models)

    def require_host(self, location: str, default: str) -> None:
        """Return if files may come from `location`.

        Args:
            location: A URI, or a path: that is on this machine and has no host.
            default: The host of any other URI that names none.

        Raises:
            PolicyRefused: They may not.
        """
        parts = urlsplit(location.replace("\\", "/"))  # a host ends there for HTTP clients too
        host = "" if parts.scheme in {"", "file"} else parts.hostname or default
        if not any(fnmatchcase(host, pattern.lower()) for pattern in self.uri_hosts):
            raise _refused(f"its files come from the host {host!r}", "uri_hosts", self.uri_hosts)

    def require_size(self, artifact_bytes: int) -> None:
        """Return if an artifact may be so large.

        Raises:
            PolicyRefused: It may not.
        """
        if artifact_bytes > self.max_artifact_bytes:
            raise _refused(
                f"its files have {artifact_bytes / _MEGABYTE:,} MB or more",
                "max_artifact_mb",
                [f"{self.max_artifact_bytes / _MEGABYTE:,} MB"],
            )

    def require_flavors(self, folder: Path, flavors: Mapping[str, Any]) -> None:
        """Return if MLflow may load what these flavors, of the MLmodel file in `folder`, say.

        Raises:
            PolicyRefused: It may not.
        """
        pyfunc, sklearn = (_section(flavors, name) for name in ("python_function", "sklearn"))
        flavor = _flavor(pyfunc, sklearn)
        if flavor not in self.flavors:
            raise _refused(f"it is a {flavor} model", "flavors", self.flavors)
        brings_code = any(
            part.get(key) for part in (pyfunc, sklearn) for key in ("code", "model_code_path")
        )
        if brings_code and not self.code_paths:
            raise _refused("it brings code of its own (code_paths)", "code_paths", ["none"])
        if "data" in pyfunc:  # with an MLmodel file of its own, which MLflow would believe instead
            raise PolicyRefused("the policy refuses it: its model is a part of the artifact")
        require_inside(folder, _paths(pyfunc, sklearn))
        wanted = sklearn.get("skops_trusted_types") or []
        if not isinstance(wanted, list):
            wanted = [wanted]
        foreign = [str(kind) for kind in wanted if kind not in self.trusted_types]
        if foreign and flavor == "skops":
            raise PolicyRefused(
                "the policy refuses it: it wants types that we don't trust: "
                + ", ".join(sorted(foreign))
            )


def require_inside(folder: Path, paths: Iterable[str]) -> None:
    """Return if an artifact's files are all in its folder: its digest speaks of no others.

    Raises:
        PolicyRefused: One is not.
    """
    for path in paths:
        if not (folder / path).resolve().is_relative_to(folder.resolve()):
            raise PolicyRefused(
                f"the policy refuses it: its file {path} lies outside of the artifact"
            )


def scheme_of(uri: str) -> str:
    """Return the scheme in small letters; a plain path is a file.

    >>> [scheme_of(uri) for uri in ("models:/m/1", "S3://bucket/m", "/tmp/m")]
    ['models', 's3', 'file']
    """
    return urlsplit(uri).scheme or "file"


def registered_name(uri: str) -> str:
    """Return the registered name that a URI asks for; nothing if it names none.

    >>> [registered_name(uri) for uri in ("models:/m/1", "models:/m@champion", "models:/m-1f0")]
    ['m', 'm', '']
    """
    if scheme_of(uri) != "models":
        return ""
    path = urlsplit(uri, allow_fragments=False).path.lstrip("/")  # as MLflow reads it
    name, slash, _ = path.partition("/")
    return name if slash else path.rpartition("@")[0]


def _flavor(pyfunc: Mapping[str, Any], sklearn: Mapping[str, Any]) -> str:
    """Return what MLflow would load, in the words of `Flavor`, or its loader's name."""
    loader = pyfunc.get("loader_module")
    if loader == "mlflow.pyfunc.model":
        return "pyfunc"
    if loader != "mlflow.sklearn":
        return f"{loader} (loader_module)" if loader else "foreign"
    if not sklearn:  # MLflow takes it for a pickle then
        return "pickle"
    written = sklearn.get("serialization_format", "pickle")
    return _SKLEARN_FORMATS.get(str(written), f"{written} (serialization_format)")


def _paths(pyfunc: Mapping[str, Any], sklearn: Mapping[str, Any]) -> Iterator[str]:
    for part in (pyfunc, sklearn):
        for key in ("model_path", "pickled_model", "python_model", "code"):
            if part.get(key) is not None:
                yield str(part[key])
    for artifact in _section(pyfunc, "artifacts").values():
        yield str(artifact.get("path") if isinstance(artifact, Mapping) else artifact)


def _section(parts: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = parts.get(name)
    return found if isinstance(found, Mapping) else {}


def _refused(what: str, key: str, allowed: Collection[str]) -> PolicyRefused:
    return PolicyRefused(
        f"the policy refuses it: {what}; policy.{key} allows {', '.join(allowed) or 'none'}"
    )
