"""Recipes as earlier versions wrote them, in the form of this one."""

from typing import Any

# A regularizer's weight and settings, and what they were called when all lay side by side.
_REGULARIZERS = {
    "hessian_norm": {"num_iterations": "hessian_iterations"},
    "hessian_trace": {},
    "local_entropy": {
        "gamma": "entropy_gamma",
        "num_steps": "entropy_steps",
        "step_size": "entropy_step_size",
    },
    "expected_sharpness": {"sigma": "sharpness_sigma"},
    "sam_sharpness": {"rho": "sam_rho"},
    "held_out_loss": {},
}
_ESTIMATORS = {
    "first-order": {"name": "first-order", "keywords": {}},
    "exact": {"name": "exact", "keywords": {}},
    "exact-stored": {"name": "exact", "keywords": {"checkpoint": False}},
}


def in_this_version(recipe: dict[str, Any]) -> dict[str, Any]:
    """A recipe out of JSON, whatever version wrote it; what is of no version is left as it is.

    Earlier ones had the keywords of tasks and optimizers beside a `kind`, estimators as words, and
    the settings of all regularizers in one object.
    """
    recipe = dict(recipe)
    for field in {"task", "optimizer"} & set(recipe):
        recipe[field] = _composed(recipe[field])
    evaluation = recipe.get("evaluation")
    if isinstance(evaluation, dict) and isinstance(evaluation.get("other_tasks"), list):
        others = [_composed(task) for task in evaluation["other_tasks"]]
        recipe["evaluation"] = evaluation | {"other_tasks": others}
    training = recipe.get("training")
    if isinstance(training, dict) and isinstance(training.get("estimator"), str):
        estimator = _ESTIMATORS.get(training["estimator"], training["estimator"])
        recipe["training"] = training | {"estimator": estimator}
    regularization = recipe.get("regularization")
    if isinstance(regularization, dict) and set(_REGULARIZERS) <= set(regularization):
        recipe["regularization"] = _regularization(regularization)
    return recipe


def _composed(value: Any) -> Any:
    if not isinstance(value, dict) or "kind" not in value:
        return value
    keywords = {name: keyword for name, keyword in value.items() if name != "kind"}
    return {"name": value["kind"], "keywords": keywords}


def _regularization(settings: dict[str, Any]) -> dict[str, Any]:
    regularizers = []
    for name, renamed in _REGULARIZERS.items():
        if settings[name] == 0:
            continue
        keywords = {"weight": settings[name], "every": settings.get("regularize_every", 1)}
        keywords |= {new: settings[old] for new, old in renamed.items() if old in settings}
        if name != "held_out_loss":
            keywords["relative_to"] = settings.get("relative_to", "nothing")
        regularizers.append({"name": name.replace("_", "-"), "keywords": keywords})
    return {
        "objective_weight": settings.get("objective_weight", 1.0),
        "regularizers": regularizers,
    }
