# The MLflow server; with the word `upgrade` it brings its tables to the image's version, and ends.
# Its login reads the address of its database from a file alone: written here, into the container's
# own memory, with the password.
set -eu
umask 077
cat >/tmp/login.ini <<END
[mlflow]
default_permission = NO_PERMISSIONS
database_uri = postgresql+psycopg://mlflow:$POSTGRES_PASSWORD@postgres/mlflow_login
END
export MLFLOW_AUTH_CONFIG_PATH=/tmp/login.ini
store=postgresql+psycopg://mlflow:$POSTGRES_PASSWORD@postgres/mlflow
if [ "${1:-}" = upgrade ]; then exec mlflow db upgrade "$store"; fi
hosts=mlflow:5000,localhost:$MLFLOW_PORT,127.0.0.1:$MLFLOW_PORT
exec mlflow server --host 0.0.0.0 --port 5000 --workers "$WORKERS" \
    --backend-store-uri "$store" \
    --serve-artifacts --artifacts-destination "$ARTIFACTS" --app-name basic-auth \
    --allowed-hosts "$hosts" --uvicorn-opts '--timeout-graceful-shutdown 3'
