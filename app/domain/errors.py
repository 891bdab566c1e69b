"""Every error the product raises, and the exit code it ends a command with.

    DsModelsError                      1
    ├── SettingsError                  2   a setting is unknown, missing or out of range
    │   └── HistoryError                   …or a file of history that it names is
    ├── TopicsError                    3   a topic is missing or breaks a promise
    ├── FeedError                      4   the announcements can no longer be followed
    ├── BrokerUnavailable              5   Kafka does not answer
    │   └── AccessDenied                   …or does not let us in, or not do this
    ├── PartitionsLost                 6   another instance owns our partitions
    ├── ModelError                     7   a model can't be used
    │   ├── ModelUnavailable               …now: its registry or artifact is out of reach
    │   └── ModelRefused                   …at all: corrupt, or of other features
    │       └── PolicyRefused              …because the policy says so; it was not loaded
    ├── Refused                        8   what a command was asked for can't be: nothing was done
    ├── BackupError                    9   a backup can't be made, or not be restored here
    └── DatabaseUnavailable           10   the registry service's database can't be used

Bad *input* is never an error: it is a value, a `Rejection` with a reason.
"""

from typing import ClassVar


class DsModelsError(Exception):
    """The root of the tree. Raised itself for what Kafka or Quix raise and nobody foresaw.

    Operator action: read the message; it names what to do.
    """

    exit_code: ClassVar[int] = 1


class SettingsError(DsModelsError):
    """Raised while settings are read: an unknown key, a wrong type, a value out of range.

    Operator action: correct the key that the message names.
    """

    exit_code = 2


class HistoryError(SettingsError):
    """Raised when a file of history can't be read as was asked: a column, a cell, the file itself.

    Operator action: correct the line that the message names, or name other columns.
    """


class TopicsError(DsModelsError):
    """Raised when a topic is missing, or has a setting that breaks a promise.

    Operator action: `python -m app topics create`, or the remedy printed with the setting.
    """

    exit_code = 3


class FeedError(DsModelsError):
    """Raised when the announcements can no longer be followed: the feed is dead or stale.

    Operator action: see that the broker serves the announcement topic; restart the instance.
    """

    exit_code = 4


class BrokerUnavailable(DsModelsError):
    """Raised when no Kafka broker answers within its time-out.

    Operator action: check `kafka.bootstrap_servers` and that the broker is up.
    """

    exit_code = 5


class AccessDenied(BrokerUnavailable):
    """Raised when Kafka answers, but does not let this client in, or does not allow what it did.

    Operator action: correct the settings that the message names, or have the permission granted
    that it names: `python -m app topics acls` lists what each role needs.
    """


class PartitionsLost(DsModelsError):
    """Raised when a commit is refused because the group has gone on without this instance.

    Nothing of the batch was made visible. Happens to an instance that stood still for longer
    than the session time-out.

    Operator action: none if a supervisor restarts the instance; else restart it.
    """

    exit_code = 6


class ModelError(DsModelsError):
    """The root of what can be wrong with a model version.

    Operator action: see the two kinds below.
    """

    exit_code = 7


class ModelUnavailable(ModelError):
    """Raised when a model version can't be had now: its registry or artifact is out of reach.

    Operator action: bring MLflow or the artifact store back; the load is tried again by itself.
    """


class ModelRefused(ModelError):
    """Raised when a model version can be had but must not serve.

    Its files differ from the announced digest, it can't be loaded, or it needs features that
    records don't have.

    Operator action: restore the artifact, or announce a version that can serve.
    """


class PolicyRefused(ModelRefused):
    """Raised when the policy of the settings refuses a model version. It was not loaded.

    Operator action: announce a version that the policy allows; or, if you trust whoever can write
    to the registry, change the setting in `[policy]` that the message names.
    """


class Refused(DsModelsError):
    """Raised when what a command was asked for can't be, as things are: nothing was changed.

    Operator action: read the message; it says why, and what would do instead.
    """

    exit_code = 8


class BackupError(DsModelsError):
    """Raised when a backup can't be made, is damaged, or can't be restored to this cluster.

    Operator action: the message says what stands in the way. An interrupted `restore` is begun
    anew with `--again`; an interrupted `backup` leaves nothing that counts.
    """

    exit_code = 9


class DatabaseUnavailable(DsModelsError):
    """Raised when the database of the registry service does not answer, or is not one of ours.

    Operator action: see that `service.database_url` names a database that can be reached and
    written, and that no newer version of this software has changed its tables.
    """

    exit_code = 10
