"""A broker that lets nobody in without a certificate and a password, nor do what no ACL allows."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from confluent_kafka.admin import AdminClient

from infrastructure.kafka.broker import Broker, parsed
from infrastructure.processes import LOOPBACK, free_ports
from tests.harness.certificates import Authority, Identity

MECHANISM = "SCRAM-SHA-512"
SUPER_USER = "root"

# Clients and the broker itself log in over BROKER. TLS takes a certificate alone for who one is.
_SECURE = """\
listeners=BROKER://{host}:{port},TLS://{host}:{tls_port},CONTROLLER://{host}:{controller_port}
advertised.listeners=BROKER://{host}:{port},TLS://{host}:{tls_port}
listener.security.protocol.map=BROKER:SASL_SSL,TLS:SSL,CONTROLLER:SSL
ssl.client.auth=required
listener.name.broker.ssl.client.auth=required
ssl.keystore.type=PEM
ssl.keystore.location={identity}
ssl.truststore.type=PEM
ssl.truststore.location={authority}
sasl.enabled.mechanisms={mechanism}
sasl.mechanism.inter.broker.protocol={mechanism}
listener.name.broker.scram-sha-512.sasl.jaas.config=\
org.apache.kafka.common.security.scram.ScramLoginModule required \
username="{super_user}" password="{password}";
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
allow.everyone.if.no.acl.found=false
super.users=User:{super_user};User:CN=broker
"""


class SecureBroker(Broker):
    """A local broker with TLS, mutual; SCRAM; and an authorizer.

    Args:
        data_folder: For its data, its log and all certificates.
        passwords: Of each user that may log in.
    """

    def __init__(self, data_folder: Path, passwords: Mapping[str, str]) -> None:
        super().__init__(data_folder, owned=True)
        (self._tls_port,) = free_ports(1)
        self.authority = Authority(data_folder / "certificates")
        self._identity = self.authority.sign("broker", address=LOOPBACK)
        self._client: Identity = self.authority.sign("client")
        self.passwords = {SUPER_USER: "of-the-super-user", **passwords}

    @property
    def tls_address(self) -> str:
        """Where a certificate is all that one needs."""
        return f"{LOOPBACK}:{self._tls_port}"

    def settings(self) -> dict[str, str]:
        """Return what stands in its `server.properties`."""
        secure = _SECURE.format(
            host=LOOPBACK,
            port=self._port,
            tls_port=self._tls_port,
            controller_port=self._controller_port,
            identity=self._identity.both,
            authority=self.authority.file,
            mechanism=MECHANISM,
            super_user=SUPER_USER,
            password=self.passwords[SUPER_USER],
        )
        return super().settings() | parsed(secure)

    def format_options(self) -> Sequence[str]:
        """Make the users."""
        return [
            f"--add-scram={MECHANISM}=[name={user},password={password}]"
            for user, password in self.passwords.items()
        ]

    def client_config(self) -> dict[str, Any]:
        """Return the configuration of a client of the super user."""
        return {
            **super().client_config(),
            "security.protocol": "SASL_SSL",
            "ssl.ca.location": str(self.authority.file),
            "ssl.certificate.location": str(self._client.certificate),
            "ssl.key.location": str(self._client.key),
            "sasl.mechanism": MECHANISM,
            "sasl.username": SUPER_USER,
            "sasl.password": self.passwords[SUPER_USER],
        }

    def environment(self, user: str) -> dict[str, str]:
        """Return the settings of a client of this user, its password in a file."""
        password = self.data_folder / f"{user}.password"
        password.write_text(f"{self.passwords[user]}\n")
        return {
            "KAFKA_BOOTSTRAP_SERVERS": self.bootstrap_servers,
            "DS_MODELS_KAFKA__SECURITY_PROTOCOL": "SASL_SSL",
            "DS_MODELS_KAFKA__SSL_CA_FILE": str(self.authority.file),
            "DS_MODELS_KAFKA__SSL_CERTIFICATE_FILE": str(self._client.certificate),
            "DS_MODELS_KAFKA__SSL_KEY_FILE": str(self._client.key),
            "DS_MODELS_KAFKA__SASL_MECHANISM": MECHANISM,
            "DS_MODELS_KAFKA__SASL_USERNAME": user,
            "DS_MODELS_KAFKA__SASL_PASSWORD_FILE": str(password),
        }

    def admin(self) -> Any:
        """Return a client of the super user."""
        return AdminClient({**self.client_config(), "log_level": 0})
