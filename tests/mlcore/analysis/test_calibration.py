"""What the rules give on data sets that they were not made for; `python -m benchmarks.diagnosis` has more settings."""

import pytest

from benchmarks.diagnosis import FRESH, SETTINGS, Setting, verdicts
from mlcore.analysis.diagnosis import Verdict
from tests.mlcore.trainings import SAMPLE


@pytest.mark.parametrize("setting", [one for one in SETTINGS if one.wanted], ids=lambda setting: setting.title)
def test_known_cases_get_their_verdict_in_the_stated_share(setting: Setting) -> None:
    assert setting.wanted is not None
    assert verdicts(setting, FRESH[:50], SAMPLE)[setting.wanted] >= setting.share * 50


@pytest.mark.parametrize(
    ("epochs", "verdict"), [(3, "not_converged"), (100, "overfitting")], ids=["few epochs", "many epochs"]
)
def test_few_images_are_first_not_learned_and_then_by_heart(epochs: int, verdict: Verdict) -> None:
    spec = {"variant": "mlp", "hidden": [64], "n_train": 1000, "n_test": 500, "batch_size": 50}
    setting = Setting("", {**spec, "epochs": epochs, "evaluate_every": max(1, epochs // 30)})
    assert verdicts(setting, range(50, 53), SAMPLE)[verdict] == 3
