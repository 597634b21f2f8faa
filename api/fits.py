"""A learned polynomial over its data: as numbers and as a picture."""

from typing import Final, cast

from api.curves import numbers
from api.figures import PictureFormat
from api.schemas import common, predictions
from api.trained import Trained

FORMATS: Final = ("json", "png", "svg")


def write(trained: Trained, form: str) -> bytes:
    """The fit in this format; raises Problem 409 for other variants."""
    from safetensors.numpy import load

    from mlcore.polynomial_fit import fit

    found = fit(trained.polynomial, load(trained.data)["layers.0.weight"].astype("float64").ravel())
    if form != "json":
        from api import fit_figures

        return fit_figures.polynomial(*trained.titles(), found, cast("PictureFormat", form))
    return common.dump(
        predictions.Fit(
            **trained.head,
            x=found.x.tolist(),
            learned=numbers(found.learned),
            true=numbers(found.true),
            points={
                name: predictions.Points(x=part.x.tolist(), y=part.y.tolist()) for name, part in found.points.items()
            },
        )
    )
