# The MLflow server, after tables of an older MLflow were brought to what this one needs.
# Its login reads the address of its database from a file alone: written here, into the container's
# own memory. No password is on a command line.
set -eu
umask 077
cat >/tmp/login.ini <<END
[mlflow]
default_permission = NO_PERMISSIONS
database_uri = postgresql+psycopg://mlflow:$POSTGRES_PASSWORD@postgres/mlflow_login
END
export MLFLOW_AUTH_CONFIG_PATH=/tmp/login.ini
export MLFLOW_BACKEND_STORE_URI="postgresql+psycopg://mlflow:$POSTGRES_PASSWORD@postgres/mlflow"
python - <<'END'
import os, sys
import sqlalchemy
from mlflow.db import upgrade

database = os.environ["MLFLOW_BACKEND_STORE_URI"]
try:
    tables = sqlalchemy.inspect(sqlalchemy.create_engine(database)).get_table_names()
except sqlalchemy.exc.OperationalError as error:
    sys.exit(f"PostgreSQL does not answer yet: {error.orig}")
if "alembic_version" in tables:  # MLflow's own; the registry service's may be there before them
    upgrade([database])
END
hosts=mlflow:5000,localhost:$MLFLOW_PORT,127.0.0.1:$MLFLOW_PORT
exec mlflow server --host 0.0.0.0 --port 5000 --workers "$WORKERS" \
    --serve-artifacts --artifacts-destination "$ARTIFACTS" --app-name basic-auth \
    --allowed-hosts "$hosts" --uvicorn-opts '--timeout-graceful-shutdown 3'
