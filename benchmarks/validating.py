"""A service that only validates the body of a ranking: what submissions are held against."""

from fastapi import FastAPI

from enrollment.rankings.inputs import RankingIn


def create_app() -> FastAPI:
    """Return the service."""
    app = FastAPI()

    @app.put("/v1/cycles/{cycle}/applicants/{reference}/ranking")
    def validate(cycle: str, reference: str, body: RankingIn) -> dict[str, str | int]:
        return {"cycle": cycle, "reference": reference, "programs": len(body.programs)}

    return app
