"""Look at versions of a model, and compare two."""

from typing import Annotated, Any

from fastapi import APIRouter, Query

from app.domain.errors import PolicyRefused
from app.registry.mlflow_catalog import MlflowCatalog, VersionFacts
from app.service.allowed import needs
from app.service.documents import (
    Comparison,
    Version,
    VersionInFull,
    Versions,
    columns_of,
    compared,
    metrics_of,
    version_of,
)
from app.service.parts import Parts
from app.service.problems import not_found, speakable
from app.service.roles import Role
from app.service.routes.common import (
    Limit,
    Name,
    PageToken,
    VersionNumber,
    bad_page_token,
    closed,
    opened,
    refusals,
)

_Other = Annotated[
    str, Query(pattern=r"^[1-9][0-9]{0,8}$", description="A version.", examples=["1"])
]


def router(parts: Parts) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["models"], dependencies=[needs(Role.READER)])
    catalog = parts.catalog

    @routes.get("/models/{name}/versions", summary="List versions", responses=refusals(404))
    def list_versions(name: Name, limit: Limit = 50, page_token: PageToken = None) -> Versions:
        """The newest first. One that is registered meanwhile may show an older one twice."""
        of = f"versions of {name}"
        try:
            page = catalog.versions(name, limit, opened(of, page_token))
        except ValueError as error:
            raise bad_page_token() from error
        if not page.items and page_token is None and catalog.model(name) is None:
            raise not_found(f"model {name}")
        return Versions(
            versions=[Version(**version_of(one)) for one in page.items],
            next_page_token=closed(of, page.next_token),
        )

    @routes.get(
        "/models/{name}/versions/{version}", summary="Show a version", responses=refusals(404)
    )
    def show_version(name: Name, version: VersionNumber) -> VersionInFull:
        """With what its training logged. The first look at a version fetches its files."""
        facts = found(catalog, name, version)
        run = catalog.run(facts.run_id)
        digest, unknown = None, None
        try:
            digest = catalog.digest(facts)
        except PolicyRefused as refusal:
            unknown = speakable(refusal)
        shown: dict[str, Any] = version_of(facts)
        shown["created_by"] = facts.created_by or run.user
        return VersionInFull(
            **shown,
            aliases=list(facts.aliases),
            metrics=metrics_of(run),
            parameters=dict(run.parameters),
            signature=catalog.signature(name, version),
            digest=digest,
            digest_unknown=unknown,
        )

    @routes.get("/models/{name}/compare", summary="Compare two versions", responses=refusals(404))
    def compare(name: Name, left: _Other, right: _Other) -> Comparison:
        """Metrics, parameters and columns side by side, with what differs marked."""
        runs = [catalog.run(found(catalog, name, version).run_id) for version in (left, right)]
        columns = [columns_of(catalog.signature(name, version)) for version in (left, right)]
        return Comparison(
            model=name,
            left=left,
            right=right,
            metrics=compared(*(metrics_of(run) for run in runs)),
            parameters=compared(*(run.parameters for run in runs)),
            signature=compared(*columns),
        )

    return routes


def found(catalog: MlflowCatalog, name: str, version: str) -> VersionFacts:
    """Return a version.

    Raises:
        Problem: 404, there is none.
        ModelUnavailable: MLflow is away.
    """
    facts = catalog.version(name, version)
    if facts is None:
        raise not_found(f"version {version} of {name}")
    return facts
