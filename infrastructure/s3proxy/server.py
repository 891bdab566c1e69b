"""One S3Proxy: an S3-compatible store over a folder, which asks for signed requests."""

from __future__ import annotations

import os
import secrets
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import boto3
from botocore.config import Config

from infrastructure.java import find_java
from infrastructure.local_server import LocalServer
from infrastructure.processes import LOOPBACK, free_ports, http_status
from infrastructure.s3proxy.jars import JARS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_REGION = "us-east-1"
_LOGBACK = Path(__file__).with_name("logback.xml")
_SETTINGS = """\
s3proxy.endpoint={endpoint}
s3proxy.authorization=aws-v2-or-v4
s3proxy.identity={identity}
s3proxy.credential={credential}
jclouds.provider=filesystem-nio2
"""


class S3Proxy(LocalServer):
    """A store on a free port of 127.0.0.1, with its buckets and its log in `data_folder`.

    Its one identity is made at random with the object; the file that tells S3Proxy is its owner's
    alone. A start takes about 2 s.
    """

    name: ClassVar[str] = "S3Proxy"
    bucket: ClassVar[str] = "models"
    """The bucket that is there from the start."""

    def __init__(self, data_folder: Path, *, owned: bool = False) -> None:
        super().__init__(data_folder, owned=owned)
        (self._port,) = free_ports(1)
        self.identity = secrets.token_hex(10)
        self.credential = secrets.token_hex(20)

    @property
    def address(self) -> str:
        """The endpoint, `http://127.0.0.1:port`."""
        return f"http://{LOOPBACK}:{self._port}"

    @property
    def description(self) -> str:
        """What runs, and where, in one line."""
        return f"S3Proxy {JARS.version}, local Java, {self.address}"

    @property
    def buckets(self) -> Path:
        """The folder whose folders are the buckets, and whose files are the objects."""
        return self.data_folder / "buckets"

    @property
    def environment(self) -> dict[str, str]:
        """What a client of MLflow, or boto3, needs to use it."""
        return {
            "MLFLOW_S3_ENDPOINT_URL": self.address,
            "AWS_ENDPOINT_URL_S3": self.address,
            "AWS_ACCESS_KEY_ID": self.identity,
            "AWS_SECRET_ACCESS_KEY": self.credential,
            "AWS_DEFAULT_REGION": _REGION,
            # S3Proxy refuses the checksums that newer clients send with each object.
            "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required",
            "AWS_RESPONSE_CHECKSUM_VALIDATION": "when_required",
        }

    def uri(self, path: str) -> str:
        """Return a place in the bucket, as MLflow reads it."""
        return f"s3://{self.bucket}/{path}"

    def client(self, credential: str | None = None) -> Any:
        """Return a client of boto3: ours, or one that signs with another credential."""
        return boto3.client(
            "s3",
            endpoint_url=self.address,
            aws_access_key_id=self.identity,
            aws_secret_access_key=credential or self.credential,
            region_name=_REGION,
            config=Config(request_checksum_calculation="when_required"),
        )

    def prepare(self) -> tuple[Sequence[str], Mapping[str, str]]:
        """Bring the jars, write the settings, and make the bucket if there is none yet."""
        environment = dict(os.environ)
        java = find_java(environment)
        libraries = JARS.ensure(environment)
        (self.buckets / self.bucket).mkdir(parents=True, exist_ok=True)
        settings = self.data_folder / "s3proxy.properties"
        settings.touch(mode=0o600)
        settings.write_text(
            _SETTINGS.format(
                endpoint=self.address, identity=self.identity, credential=self.credential
            )
        )
        return [
            *(java, "-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"),
            f"-Dlogback.configurationFile={_LOGBACK.as_uri()}",
            # A path in the file would have to be escaped; with a relative one it lists nothing.
            f"-Djclouds.filesystem.basedir={self.buckets}",
            *("-cp", f"{libraries}/*", "org.gaul.s3proxy.Main", "--properties", str(settings)),
        ], environment

    def answers(self) -> bool:
        """Say whether it refuses a request that is not signed."""
        return http_status(self._port, "/") == HTTPStatus.FORBIDDEN
