"""What a client may ask for: run specs and experiment specs, every field with a default and every number bounded.

Torch-free: who only validates stays light. Variants follow d2l: `mlp` 4.2, 4.3 and 4.6, `polynomial` 4.4, `linear` 4.5.
"""

from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationInfo,
    field_validator,
    model_validator,
)

from mlcore.json_schema import with_lambda, with_least, with_scheme

Activation = Literal["relu", "sigmoid", "tanh", "identity"]
Loss = Literal["cross_entropy", "mse", "half_squared_error"]
Precision = Literal["float32", "float64", "tf32", "bf16"]
SquaredLoss = Literal["mse", "half_squared_error"]

FASHION_MNIST_TRAIN = 60_000
FASHION_MNIST_TEST = 10_000
LARGEST_SEED = 2**53 - 1  # the largest integer that every JSON reader keeps exact
MOST_SEEDS = 100_000
LARGEST_DATASET = 24_000_000  # numbers in a synthetic data set, 192 MB in float64: room for every polynomial

Seed = Annotated[int, Field(ge=0, le=LARGEST_SEED)]
Width = Annotated[int, Field(ge=1, le=4096)]
Probability = Annotated[float, Field(ge=0, le=1)]
Coefficient = Annotated[float, Field(ge=-1e6, le=1e6)]


def _some(value: int | list[int]) -> int | list[int]:
    if value == [] or (isinstance(value, int) and not 1 <= value <= MOST_SEEDS):
        raise ValueError(f"must be a count from 1 to {MOST_SEEDS} or a list of at least one seed")
    if isinstance(value, list) and len(set(value)) < len(value):
        raise ValueError("names a seed twice, which would train the same run twice")
    return value


Repeats = Annotated[int | list[Seed], AfterValidator(_some)]
"""How many seeds, or which."""


class Strict(BaseModel):
    """A frozen model that takes JSON as it is: no coercion, no unknown fields, no NaN or infinity."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


class NormalInit(Strict, json_schema_extra=with_scheme):
    """Weights from N(0, std²), biases 0."""

    scheme: Literal["normal"] = "normal"
    std: float = Field(0.01, ge=0, le=100, description="Standard deviation of the initial weights.")


class LinearDefaultInit(Strict, json_schema_extra=with_scheme):
    """Weights and biases uniform in ±1/√fan_in, as `torch.nn.Linear` starts."""

    scheme: Literal["linear_default"] = "linear_default"


Init = Annotated[NormalInit | LinearDefaultInit, Field(discriminator="scheme")]


class KeepEvery(Strict):
    """Keep the weights of every k-th epoch, and the last."""

    every: int = Field(ge=1, le=100_000, description="Keep a checkpoint each time this many epochs are done.")


KeepCheckpoints = Literal["last_and_best", "last", "none"] | KeepEvery


class Sizes(NamedTuple):
    """How many examples there are to train on, to validate on and to test on."""

    train: int
    valid: int
    test: int


class BaseSpec(Strict, json_schema_extra=with_lambda):
    """The fields that all variants have in common; the optimiser is plain mini-batch SGD."""

    implementation: Literal["scratch", "concise"] = Field(
        "scratch",
        description="`scratch`: epochd's engine, written from the chapter's formulas. "
        "`concise`: the same model with nothing but torch.nn and torch.optim.",
    )
    weight_decay: float = Field(
        0.0,
        ge=0,
        le=1e4,
        validation_alias=AliasChoices("weight_decay", "lambda"),
        description="λ, the strength of the penalty on the weights; biases are not decayed. `lambda` is accepted too.",
    )
    penalty: Literal["l2", "l1"] = Field("l2", description="l2 adds λ‖w‖²/2 to the loss, l1 adds λ‖w‖₁.")
    learning_rate: float = Field(gt=0, le=1000, description="Step size of SGD.")
    batch_size: int = Field(
        ge=1, le=FASHION_MNIST_TRAIN, description="Examples per step; the last batch may be smaller."
    )
    epochs: int = Field(ge=1, le=100_000, description="Passes over the training set.")
    seed: Seed = Field(0, description="Seeds initial weights, batch order and dropout masks.")
    data_seed: Seed = Field(0, description="Seeds synthetic data, label noise, the choice of images and the split.")
    n_train: int = Field(ge=1, description="Training examples.")
    n_valid: int = Field(0, ge=0, description="Validation examples.")
    n_test: int = Field(ge=1, description="Test examples.")
    folds: int | None = Field(
        None, ge=2, le=100, description="Parts of a K-fold cross-validation; an experiment's `folds` sets it."
    )
    fold: int | None = Field(
        None, ge=0, le=99, description="Which part is held out as the validation set, counted from 0."
    )
    evaluate_every: int = Field(
        1, ge=1, le=100_000, description="Evaluate the first epoch, the last, and each time this many are done."
    )
    keep_checkpoints: KeepCheckpoints = Field(
        "last_and_best",
        description="Which weights stay readable after the run: best = lowest valid_loss, else test_loss. "
        "Experiments of more than 100 runs keep `last` unless they set it.",
    )
    reuse: bool = Field(default=True, description="Whether an earlier, equal run may answer this one.")

    @property
    def sizes(self) -> Sizes:
        """The examples of each part; with folds, the held-out one is the validation set."""
        if self.folds is None or self.fold is None:
            return Sizes(self.n_train, self.n_valid, self.n_test)
        held_out = self.n_train // self.folds + (self.fold < self.n_train % self.folds)
        return Sizes(self.n_train - held_out, held_out, self.n_test)

    @model_validator(mode="after")
    def _fold_fits(self) -> Self:
        if (self.fold is None) != (self.folds is None):
            raise ValueError("fold and folds go together")
        if self.folds is None or self.fold is None:
            return self
        if self.fold >= self.folds:
            raise ValueError(f"fold counts from 0, so it must be below folds, {self.folds}")
        if self.n_valid:
            raise ValueError("with folds the held-out fold is the validation set; leave n_valid out")
        if self.n_train < self.folds:
            raise ValueError(f"n_train, {self.n_train}, must be at least folds, {self.folds}")
        return self


class MlpSpec(BaseSpec):
    """A multilayer perceptron (or, without hidden layers, softmax regression) on Fashion-MNIST: d2l 4.2, 4.3, 4.6."""

    variant: Literal["mlp"] = "mlp"
    hidden: list[Width] = Field(
        [256], max_length=8, description="Units of each hidden layer; [] is softmax regression."
    )
    activation: Activation = Field("relu", description="What follows each hidden layer.")
    dropout: list[Probability] = Field(
        default_factory=lambda data: [0.0] * len(data["hidden"]),
        description="Probability to drop each unit while training, one per hidden layer. Default: 0 for each.",
    )
    n_train: int = Field(FASHION_MNIST_TRAIN, ge=1, le=FASHION_MNIST_TRAIN, description="Training images.")
    n_valid: int = Field(
        0, ge=0, le=FASHION_MNIST_TRAIN - 1, description="Validation images, taken from the training images."
    )
    n_test: int = Field(FASHION_MNIST_TEST, ge=1, le=FASHION_MNIST_TEST, description="Test images.")
    init: Init = Field(default_factory=lambda: NormalInit(std=0.01), description="How the weights start.")
    loss: Literal["cross_entropy"] = Field(
        "cross_entropy", description="Softmax cross-entropy, the mean over examples."
    )
    precision: Precision = Field("float32", description="The numbers that are multiplied; tf32 needs device gpu.")
    learning_rate: float = Field(0.1, gt=0, le=1000, description="Step size of SGD.")
    batch_size: int = Field(
        256, ge=1, le=FASHION_MNIST_TRAIN, description="Images per step; the last batch may be smaller."
    )
    epochs: int = Field(10, ge=1, le=100_000, description="Passes over the training set.")

    @field_validator("dropout")
    @classmethod
    def _one_per_hidden_layer(cls, dropout: list[float], info: ValidationInfo) -> list[float]:
        layers = len(info.data.get("hidden", dropout))
        if len(dropout) != layers:
            raise ValueError(f"has {len(dropout)} values; there must be one per hidden layer, here {layers}")
        return dropout

    @model_validator(mode="after")
    def _images_suffice(self) -> "MlpSpec":
        if self.n_train + self.n_valid > FASHION_MNIST_TRAIN:
            raise ValueError(f"n_train + n_valid must be at most {FASHION_MNIST_TRAIN}, the training images there are")
        return self


class SyntheticSpec(BaseSpec):
    """What polynomial and linear regression on generated data have in common."""

    n_train: int = Field(ge=1, le=100_000, description="Training examples.")
    n_valid: int = Field(0, ge=0, le=100_000, description="Validation examples, drawn beside the training set.")
    n_test: int = Field(100, ge=1, le=1_000_000, description="Test examples, drawn apart.")
    precision: Literal["float32", "float64"] = Field("float64", description="The numbers the training computes with.")

    @property
    def n_features(self) -> int:
        """Width of one example."""
        raise NotImplementedError

    @model_validator(mode="after")
    def _data_fits(self) -> "SyntheticSpec":
        numbers = (self.n_train + self.n_valid + self.n_test) * self.n_features
        if numbers > LARGEST_DATASET:
            raise ValueError(f"examples × inputs is {numbers}; it must be at most {LARGEST_DATASET}")
        return self


class PolynomialSpec(SyntheticSpec):
    """A polynomial fitted to noisy points of another: under- and overfitting, d2l 4.4."""

    variant: Literal["polynomial"] = "polynomial"
    degree: int = Field(3, ge=0, le=19, description="Degree of the fitted polynomial: features 1, x, x²/2!, …, xᵈ/d!.")
    coefficients: list[Coefficient] = Field(
        [5.0, 1.2, -3.4, 5.6],
        min_length=1,
        max_length=20,
        description="The true polynomial: the weight of each feature xⁱ/i!, lowest first.",
    )
    noise_std: float = Field(0.1, ge=0, le=1000, description="Standard deviation of the noise on each label.")
    n_train: int = Field(100, ge=1, le=100_000, description="Training examples.")
    init: Init = Field(default_factory=LinearDefaultInit, description="How the weights start.")
    loss: SquaredLoss = Field(
        "mse", description="mse is (ŷ−y)², half_squared_error is (ŷ−y)²/2; the mean over examples."
    )
    learning_rate: float = Field(0.01, gt=0, le=1000, description="Step size of SGD.")
    batch_size: int = Field(10, ge=1, le=60_000, description="Examples per step; the last batch may be smaller.")
    epochs: int = Field(400, ge=1, le=100_000, description="Passes over the training set.")

    @property
    def n_features(self) -> int:
        """The constant and one feature per power."""
        return self.degree + 1


class LinearSpec(SyntheticSpec):
    """Linear regression with many inputs and few examples: weight decay, d2l 4.5."""

    variant: Literal["linear"] = "linear"
    n_inputs: int = Field(200, ge=1, le=10_000, description="Inputs of each example, drawn from N(0, 1).")
    true_weight: float = Field(0.01, ge=-1e6, le=1e6, description="The true weight of every input.")
    true_bias: float = Field(0.05, ge=-1e6, le=1e6, description="The true bias.")
    noise_std: float = Field(0.01, ge=0, le=1000, description="Standard deviation of the noise on each label.")
    n_train: int = Field(20, ge=1, le=100_000, description="Training examples.")
    init: Init = Field(default_factory=lambda: NormalInit(std=1.0), description="How the weights start.")
    loss: SquaredLoss = Field(
        default_factory=lambda data: "mse" if data["implementation"] == "concise" else "half_squared_error",
        description="mse is (ŷ−y)², half_squared_error is (ŷ−y)²/2; the mean over examples. "
        "Default: half_squared_error from scratch, mse concise, as in the book.",
    )
    learning_rate: float = Field(0.003, gt=0, le=1000, description="Step size of SGD.")
    batch_size: int = Field(5, ge=1, le=60_000, description="Examples per step; the last batch may be smaller.")
    epochs: int = Field(100, ge=1, le=100_000, description="Passes over the training set.")

    @property
    def n_features(self) -> int:
        """The inputs."""
        return self.n_inputs


RunSpec = Annotated[MlpSpec | PolynomialSpec | LinearSpec, Field(discriminator="variant")]
VARIANTS: dict[str, type[MlpSpec] | type[PolynomialSpec] | type[LinearSpec]] = {
    "mlp": MlpSpec,
    "polynomial": PolynomialSpec,
    "linear": LinearSpec,
}

_run_spec: TypeAdapter[MlpSpec | PolynomialSpec | LinearSpec] = TypeAdapter(RunSpec)


def parse_run_spec(value: dict[str, Any]) -> MlpSpec | PolynomialSpec | LinearSpec:
    """Validate one run spec; raises pydantic's ValidationError, whose locations name the fields."""
    return _run_spec.validate_python(value)


class ExperimentSpec(Strict, json_schema_extra=with_least):
    """What is to be trained: one run spec, and the axes along which it is repeated (`mlcore.expansion`)."""

    spec: RunSpec = Field(description="The run to train; `variant` decides which fields there are.")
    grid: dict[str, list[Any]] = Field(
        {},
        max_length=20,
        description="Values to try, by field of the spec; every combination is trained.",
        examples=[{"weight_decay": [0, 3], "learning_rate": [0.001, 0.003]}],
    )
    seeds: Repeats | None = Field(None, description="How many seeds per combination, from the spec's own on, or which.")
    data_seeds: Repeats | None = Field(None, description="How many data seeds per combination, likewise, or which.")
    folds: int | None = Field(
        None, ge=2, le=100, description="Parts of a K-fold cross-validation: one run for each, with that part held out."
    )
